/* SPDX-License-Identifier: MIT */
/*
 * The ring between one emitting thread and the writer: single producer, single consumer, lock-free,
 * 64-byte slots. A record is one slot, followed by as many slots as its payload needs. When it is full
 * nothing blocks: the record is dropped and counted, and the next record that fits is preceded by an
 * EW_LOST record which says how many were lost and from when to when.
 *
 * An in-band EW_LOST record has a[0] = n, a[1] = time of the first lost record, ts = of the last.
 */
#ifndef EXITWALK_TRACER_RING_H
#define EXITWALK_TRACER_RING_H

#include <stdatomic.h>
#include <stdbool.h>
#include "probe.h"

#define RING_SLOTS_MIN 16
#define RING_SLOTS_MAX (1u << 24)

/*
 * Each side works on its own cache lines, and looks at the other's index only when the copy it has
 * says full (or empty): in the steady state a line moves between the cores once per batch.
 */
struct ring {
	struct ew_rec *slot;
	uint64_t mask;
	/* the producer's */
	_Alignas(64) _Atomic uint64_t head; /* slots ever filled; written by the producer only */
	uint64_t tail_seen;
	uint64_t records;
	struct ew_rec lost; /* the next EW_LOST record; a[0] = 0: none pending */
	/* the consumer's */
	_Alignas(
		64) _Atomic uint64_t tail; /* slots ever given back; written by the consumer only */
	uint64_t head_seen;
	uint64_t next;          /* first slot not yet read: ring_release() publishes it as tail */
	uint64_t high_water;    /* most slots that were in use: looked at before giving some back */
	unsigned char *scratch; /* a payload that wraps around the end is put together here */
};

/* slots: a power of two within the limits above. 0, -EINVAL or -ENOMEM. */
int ring_init(struct ring *r, size_t slots);
void ring_destroy(struct ring *r);

/* Producer: stores *rec and rec->payload bytes of payload. False: no room, counted as lost. */
bool ring_push(struct ring *r, const struct ew_rec *rec, const void *payload);

/*
 * Consumer: the next record, or NULL. It and *payload (NULL if it has none) stay valid until
 * ring_release(), a payload that wraps until the next ring_next(). ring_peek() only looks.
 */
const struct ew_rec *ring_peek(struct ring *r);
const struct ew_rec *ring_next(struct ring *r, const void **payload);

/* Consumer: gives back every slot that was read. */
void ring_release(struct ring *r);

/* Slots that are filled and not given back. Exact on the consumer's side for what it has read. */
uint64_t ring_used(const struct ring *r);

/* After the producer's last push, by whoever joined it: a loss that could not be reported in-band.
 * False: there is none. */
bool ring_take_lost(struct ring *r, struct ew_rec *lost);

#endif
