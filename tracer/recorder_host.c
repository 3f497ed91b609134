/* SPDX-License-Identifier: MIT */
/* The recorder's end of a live source of the host's tracepoints. */
#include "recorder_host.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "recorder_priv.h"

struct recorder_host {
	struct host_ring ring; /* first: it is aligned */
	const struct recorder *recorder;
};

int recorder_host_create(struct recorder_host **out, struct recorder *r, struct err *e)
{
	struct recorder_host *h = aligned_alloc(_Alignof(struct recorder_host), sizeof(*h));
	int ret = h ? 0 : -ENOMEM;

	if (h) {
		memset(h, 0, sizeof(*h));
		h->recorder = r;
		h->ring.until = UINT64_MAX;
		ret = ring_init(&h->ring.ring, r->ring_slots);
	}
	if (ret) {
		free(h);
		return err_set(e, ret, "no memory for a ring of %zu slots", r->ring_slots);
	}
	*out = r->host = h;
	return 0;
}

struct host_ring *recorder_host_ring(struct recorder_host *h)
{
	return &h->ring;
}

void recorder_host_free(struct recorder_host *h)
{
	if (h)
		ring_destroy(&h->ring.ring);
	free(h);
}

/* A push that fails counts as lost: it is looked first. */
static int put(struct recorder_host *h, const struct ew_rec *rec, const void *payload)
{
	const uint64_t slots = 1 + (rec->payload + sizeof(*rec) - 1) / sizeof(*rec);
	const struct timespec wait = {.tv_nsec = 500000};
	struct ring *ring = &h->ring.ring;

	while (ring->mask + 1 - ring_used(ring) < slots + 1) { /* + 1: a loss may come in front */
		if (recorder_status(h->recorder))
			return -EPIPE;
		nanosleep(&wait, NULL);
	}
	ring_push(ring, rec, payload);
	return 0;
}

int recorder_host_event(struct recorder_host *h, const struct host_event *ev)
{
	struct ew_rec rec = ev->rec;

	rec.payload = HOST_TAIL;
	return put(h, &rec, &ev->task);
}

int recorder_host_task(struct recorder_host *h, uint64_t ts, uint32_t task, const char *name)
{
	struct host_task t = {.task = task};
	const struct ew_rec rec = {.ts = ts, .payload = sizeof(t), .a = {HOST_MESSAGE_TASK}};

	snprintf(t.name, sizeof(t.name), "%s", name);
	return put(h, &rec, &t);
}

int recorder_host_lost(
	struct recorder_host *h, uint32_t cpu, uint64_t ts0, uint64_t ts1, uint64_t n)
{
	const struct ew_rec rec = {.ts = ts1, .a = {HOST_MESSAGE_LOSS, cpu, ts0, n}};

	return put(h, &rec, NULL);
}

void recorder_host_until(struct recorder_host *h, uint64_t ts)
{
	atomic_store_explicit(&h->ring.until, ts, memory_order_release);
}
