/* SPDX-License-Identifier: MIT */
/*
 * The chunks of what a guest's agent sends (guest_stream.h), out of bytes that come in pieces of any length and may
 * have gaps. The bytes may be anything: what is no chunk is counted and passed over up to the next magic number.
 */
#ifndef EXITWALK_TRACER_GUEST_CHUNKS_H
#define EXITWALK_TRACER_GUEST_CHUNKS_H

#include <stddef.h>
#include <stdint.h>

#include "guest_stream.h"

struct guest_chunk {
	struct guest_stream_header header;
	const uint8_t
		*data; /* header.len bytes, and as many zeros as GUEST_CHUNK_SLACK behind them */
	uint64_t position; /* of its header in the stream */
	uint64_t end;      /* of its last byte, plus one */
};
#define GUEST_CHUNK_SLACK 64

struct guest_chunks {
	/* Takes a chunk. Below 0: it gives up, and guest_chunks_feed() returns that. */
	int (*chunk)(void *ctx, const struct guest_chunk *c);
	/* Something is missing here: bytes, or chunks by their numbers. */
	int (*gap)(void *ctx);
	void *ctx;

	uint8_t *buf; /* a chunk that is not whole yet, its header in front */
	size_t used;
	uint64_t position; /* of the next byte */
	uint64_t begin;    /* of buf */
	uint64_t next;     /* the number that the next chunk ought to have; UINT64_MAX: any */
	uint64_t skipped;  /* bytes that were no part of a chunk */
	uint64_t gaps, chunks;
};

/* 0 or -ENOMEM. */
int guest_chunks_init(struct guest_chunks *c);
void guest_chunks_free(struct guest_chunks *c);

/* `len` bytes of the stream, the first of them at `position`: behind what came before, or there is a gap. */
int guest_chunks_feed(struct guest_chunks *c, uint64_t position, const void *data, size_t len);

/* After the last one: a chunk that is not whole is a gap. */
int guest_chunks_end(struct guest_chunks *c);

#endif
