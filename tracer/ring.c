/* SPDX-License-Identifier: MIT */
/* The ring between one emitting thread and the writer. */
#include "ring.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SLOT sizeof(struct ew_rec)

int ring_init(struct ring *r, size_t slots)
{
	memset(r, 0, sizeof(*r));
	if (slots < RING_SLOTS_MIN || slots > RING_SLOTS_MAX || (slots & (slots - 1)))
		return -EINVAL;
	r->slot = aligned_alloc(SLOT, slots * SLOT);
	r->scratch = malloc(slots * SLOT);
	if (!r->slot || !r->scratch) {
		ring_destroy(r);
		return -ENOMEM;
	}
	/* Touch every page now: the first lap must not fault on the vCPU thread. */
	memset(r->slot, 0, slots * SLOT);
	r->mask = slots - 1;
	return 0;
}

void ring_destroy(struct ring *r)
{
	free(r->slot);
	free(r->scratch);
	r->slot = NULL;
	r->scratch = NULL;
}

static void count_lost(struct ring *r, uint64_t ts)
{
	if (!r->lost.a[0]) {
		r->lost = (struct ew_rec){.ts = ts, .kind = EW_LOST};
		r->lost.a[1] = ts;
	}
	r->lost.a[0]++;
	if (ts > r->lost.ts)
		r->lost.ts = ts;
}

/* Copies the payload into the slots from `at` on, around the end. */
static void put_payload(struct ring *r, uint64_t at, const void *payload, size_t len)
{
	size_t begin = (at & r->mask) * SLOT, room = (r->mask + 1) * SLOT - begin;
	unsigned char *base = (unsigned char *)r->slot;

	if (len <= room) {
		memcpy(base + begin, payload, len);
	} else {
		memcpy(base + begin, payload, room);
		memcpy(base, (const unsigned char *)payload + room, len - room);
	}
}

bool ring_push(struct ring *r, const struct ew_rec *rec, const void *payload)
{
	uint64_t head = atomic_load_explicit(&r->head, memory_order_relaxed);
	uint64_t more = ((uint64_t)rec->payload + SLOT - 1) / SLOT;
	uint64_t need = 1 + more + (r->lost.a[0] ? 1 : 0);
	struct ew_rec *slot;

	if (head + need - r->tail_seen > r->mask + 1 || more > UINT16_MAX) {
		r->tail_seen = atomic_load_explicit(&r->tail, memory_order_acquire);
		if (head + need - r->tail_seen > r->mask + 1 || more > UINT16_MAX) {
			count_lost(r, rec->ts);
			return false;
		}
	}
	if (r->lost.a[0]) {
		r->slot[head++ & r->mask] = r->lost;
		r->lost.a[0] = 0;
	}
	slot = &r->slot[head++ & r->mask];
	*slot = *rec;
	slot->slots = (uint16_t)more;
	if (more)
		put_payload(r, head, payload, rec->payload);
	r->records++;
	atomic_store_explicit(&r->head, head + more, memory_order_release);
	return true;
}

const struct ew_rec *ring_peek(struct ring *r)
{
	if (r->next == r->head_seen) {
		r->head_seen = atomic_load_explicit(&r->head, memory_order_acquire);
		if (r->next == r->head_seen)
			return NULL;
	}
	return &r->slot[r->next & r->mask];
}

const struct ew_rec *ring_next(struct ring *r, const void **payload)
{
	const struct ew_rec *rec = ring_peek(r);
	const unsigned char *base = (const unsigned char *)r->slot;
	size_t begin, room;

	*payload = NULL;
	if (!rec)
		return NULL;
	if (rec->slots) {
		begin = ((r->next + 1) & r->mask) * SLOT;
		room = (r->mask + 1) * SLOT - begin;
		if (rec->payload <= room) {
			*payload = base + begin;
		} else {
			memcpy(r->scratch, base + begin, room);
			memcpy(r->scratch + room, base, rec->payload - room);
			*payload = r->scratch;
		}
	}
	r->next += 1 + rec->slots;
	return rec;
}

void ring_release(struct ring *r)
{
	uint64_t used = ring_used(r);

	if (used > r->high_water)
		r->high_water = used;
	atomic_store_explicit(&r->tail, r->next, memory_order_release);
}

uint64_t ring_used(const struct ring *r)
{
	return atomic_load_explicit(&r->head, memory_order_acquire) -
	       atomic_load_explicit(&r->tail, memory_order_relaxed);
}

bool ring_take_lost(struct ring *r, struct ew_rec *lost)
{
	if (!r->lost.a[0])
		return false;
	*lost = r->lost;
	r->lost.a[0] = 0;
	return true;
}
