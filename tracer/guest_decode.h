/* SPDX-License-Identifier: MIT */
/*
 * From the chunks of a guest's agent to events of the guest's kernel, with its TSC for their time. Formats by
 * libtraceevent, sub-buffers by its kbuffer, records by host_decode.c. Libtraceevent trusts its input, and this is a
 * guest's: it runs in a process of its own (guest_read.h).
 */
#ifndef EXITWALK_TRACER_GUEST_DECODE_H
#define EXITWALK_TRACER_GUEST_DECODE_H

#include "err.h"
#include "guest_chunks.h"
#include "host_event.h"

#define GUEST_CPUS 320 /* as many as a recording has tracks */

enum guest_name { GUEST_NAME_PID, GUEST_NAME_FUNC, GUEST_NAME_PLACE };

/* Where what was decoded goes. Each returns 0, or a negative errno that ends the decoding. */
struct guest_sink {
	/* rec.ts: the guest's TSC; task: its pid; cpu: its own. */
	int (*event)(void *ctx, const struct host_event *ev);
	/* n (0: nobody counted them) records of a CPU are missing between two of its times; ts1 UINT64_MAX: and
	 * none came after them. */
	int (*loss)(void *ctx, unsigned cpu, uint64_t ts0, uint64_t ts1, uint64_t n);
	/* What a task, a function (by an address in it) or a place in one is called; again when it changes. */
	int (*name)(void *ctx, enum guest_name what, uint64_t value, const char *name);
	/* The agent read its CPU's TSC, and then said so in the bytes of the stream up to `end`. */
	int (*mark)(void *ctx, unsigned cpu, uint64_t tsc, uint64_t end);
	int (*meta)(void *ctx, const char *key, const char *value);
	void *ctx;
};

struct guest_decoder;

/* Borrows the sink. -ENOMEM. */
int guest_decoder_create(struct guest_decoder **out, const struct guest_sink *sink, struct err *e);
void guest_decoder_destroy(struct guest_decoder *d); /* NULL is fine */

/* The callbacks for a struct guest_chunks whose ctx is the decoder. */
int guest_decoder_chunk(void *decoder, const struct guest_chunk *c);
int guest_decoder_gap(void *decoder);

/* After the last chunk: what is missing at the end, and what the whole was. */
int guest_decoder_end(struct guest_decoder *d, const struct guest_chunks *c);

#endif
