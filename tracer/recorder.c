/* SPDX-License-Identifier: MIT */
/* The recorder: what a machine sees of it. The rest is in ring.c, writer.c, rows.c and store.c. */
#include "recorder_priv.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "guest_events.h"
#include "guest_texts.h"
#include "recorder_host.h"
#include "recording.h"
#include "sql.h"
#include "store_state.h"

#define DEFAULT_WINDOW_NS 1000000u

#define CALIBRATION_SLOTS 1024
#define CALIBRATION_ROUNDS 32

static void emit(struct probe *p, const struct ew_rec *rec, const void *payload)
{
	struct recorder_track *t =
		(struct recorder_track *)((char *)p - offsetof(struct recorder_track, probe));

	if (rec->kind == EW_THREAD)
		atomic_store_explicit(&t->task, (uint32_t)rec->a[0], memory_order_relaxed);
	ring_push(&t->ring, rec, payload);
}

struct recorder_track *recorder_track_create(size_t slots, int *error)
{
	struct recorder_track *t = aligned_alloc(_Alignof(struct recorder_track), sizeof(*t));

	*error = -ENOMEM;
	if (!t)
		return NULL;
	memset(t, 0, sizeof(*t));
	t->probe.emit = emit;
	*error = ring_init(&t->ring, slots);
	if (*error) {
		free(t);
		return NULL;
	}
	return t;
}

void recorder_track_destroy(struct recorder_track *t)
{
	if (t)
		ring_destroy(&t->ring);
	free(t);
}

/* What a PROBE() costs here, clock included: the best of several rounds, since the rest is noise. */
static int64_t calibrate(void)
{
	int error;
	struct recorder_track *t = recorder_track_create(CALIBRATION_SLOTS, &error);
	uint64_t best = UINT64_MAX;

	if (!t)
		return 0;
	for (int round = 0; round < CALIBRATION_ROUNDS; round++) {
		uint64_t begin = probe_now(), end;
		const void *payload;

		for (unsigned i = 0; i < CALIBRATION_SLOTS; i++)
			PROBE(&t->probe, EW_DISPATCH, i, 0, 0, 0, 0, 0);
		end = probe_now();
		if (end - begin < best)
			best = end - begin;
		while (ring_next(&t->ring, &payload))
			;
		ring_release(&t->ring);
	}
	recorder_track_destroy(t);
	return (int64_t)(best * 1000 / CALIBRATION_SLOTS);
}

static int first_meta(struct recorder *r, struct err *e)
{
	struct timespec real;
	int ret = store_begins(&r->store, e);

	clock_gettime(CLOCK_REALTIME, &real);
	if (!ret)
		ret = store_begin(&r->store, e);
	if (!ret)
		ret = store_meta_text(&r->store, "clock", "CLOCK_MONOTONIC", e);
	if (!ret)
		ret = store_meta_int(&r->store, "clock.realtime_offset_ns",
			(int64_t)real.tv_sec * 1000000000 + real.tv_nsec - (int64_t)probe_now(), e);
	if (!ret)
		ret = store_commit(&r->store, e);
	return ret;
}

int recorder_open(
	struct recorder **out, const char *path, const struct recorder_opts *opts, struct err *e)
{
	struct recorder_opts o = opts ? *opts : (struct recorder_opts){0};
	struct recorder *r = calloc(1, sizeof(*r));
	int ret;

	*out = NULL;
	if (!r)
		return err_set(e, -ENOMEM, "out of memory");
	r->ring_slots = o.ring_slots ? o.ring_slots : RECORDER_RING_SLOTS;
	if (r->ring_slots < RING_SLOTS_MIN || r->ring_slots > RING_SLOTS_MAX ||
		(r->ring_slots & (r->ring_slots - 1))) {
		free(r);
		return err_set(e, -EINVAL, "a ring has a power of two of slots, from %d to %u",
			RING_SLOTS_MIN, RING_SLOTS_MAX);
	}
	/* A file at its size limit is a full disk (EFBIG), not the end of the process. */
	signal(SIGXFSZ, SIG_IGN);
	ret = store_create(&r->store, path, o.max_pages, e);
	if (ret) {
		free(r);
		return ret;
	}
	ret = writer_init(&r->writer, &r->store, o.window_ns ? o.window_ns : DEFAULT_WINDOW_NS, e);
	if (!ret)
		ret = first_meta(r, e);
	if (ret) {
		recorder_free(r);
		return ret;
	}
	r->emit_ps = calibrate();
	*out = r;
	return 0;
}

int recorder_start(struct recorder *r, struct err *e)
{
	int ret = r->failed;

	if (!ret)
		ret = recorder_described(r, store_commit(&r->store, &r->why));
	if (ret)
		return err_set(e, ret, "the recording cannot be written: %s", r->why.msg);
	store_replace(&r->store);
	if (r->host)
		writer_add_host(&r->writer, recorder_host_ring(r->host));
	return writer_start(&r->writer, e);
}

int recorder_status(const struct recorder *r)
{
	return atomic_load_explicit(&r->writer.status, memory_order_relaxed);
}

uint64_t recorder_backlog(const struct recorder *r)
{
	uint64_t slots = 0;

	for (unsigned i = 0; i < r->tracks; i++)
		slots += ring_used(&r->track[i]->ring);
	return slots;
}

bool recorder_behind(const struct recorder *r)
{
	for (unsigned i = 0; i < r->tracks; i++)
		if (ring_used(&r->track[i]->ring) > r->track[i]->ring.mask / 2)
			return true;
	return false;
}

int recorder_stop(struct recorder *r, struct err *e)
{
	struct err why = {""};
	int ret = writer_stop(&r->writer, &why);

	if (ret)
		return err_set(e, ret,
			"the recorder stopped early: %s; what it had committed can be viewed, the rest is "
			"missing",
			why.msg);
	return 0;
}

static int64_t meta_int(struct recorder *r, const char *key)
{
	char text[32];

	return atoll(sql_meta(r->store.db, key, text, sizeof(text)));
}

/*
 * What recording cost, by exit: the threads that made the records (the vCPUs', nearly all of them), and all
 * processors together. Where the tracepoints' share is not known there is no such line.
 */
static int exit_cost(struct recorder *r, uint64_t cost, struct err *e)
{
	const struct rows_counts *n = &r->writer.rows.n;
	int64_t traced = meta_int(r, "host_trace.cost_ns"), threads = (int64_t)cost + traced, all;
	int ret;

	if (!n->exits || (r->host && !traced))
		return 0;
	all = threads + (int64_t)r->writer.cpu_ns + meta_int(r, "host_trace.reader_cpu_ns");
	ret = store_meta_int(&r->store, "exit_cost.thread_ns", threads / (int64_t)n->exits, e);
	return ret ? ret
		   : store_meta_int(&r->store, "exit_cost.cpu_ns", all / (int64_t)n->exits, e);
}

/* What the recording says about its own making. */
static int last_meta(struct recorder *r, struct err *e)
{
	const struct rows_counts *n = &r->writer.rows.n;
	uint64_t records = 0, slots = 0, high_water = 0;
	int ret = 0;

	for (unsigned i = 0; i < r->tracks; i++) {
		const struct ring *ring = &r->track[i]->ring;

		records += ring->records;
		slots += atomic_load_explicit(&ring->head, memory_order_relaxed);
		if (ring->high_water > high_water)
			high_water = ring->high_water;
	}
	const struct {
		const char *key;
		uint64_t value;
	} line[] = {
		{"events", n->events},
		{"exits", n->exits},
		{"records_lost", n->lost},
		{"duration_ns", n->last_ts - n->first_ts},
		{"recorder.emit_ns", ((uint64_t)r->emit_ps + 500) / 1000},
		{"recorder.cost_ns", (uint64_t)r->emit_ps * records / 1000},
		{"recorder.bytes", slots * sizeof(struct ew_rec)},
		{"recorder.ring_slots", r->ring_slots},
		{"recorder.ring_high_water", high_water},
		{"recorder.writer_cpu_ns", r->writer.cpu_ns},
		{"recorder.late_records", n->late},
		{"recorder.late_max_ns", n->late_max_ns},
	};

	for (size_t i = 0; !ret && i < sizeof(line) / sizeof(line[0]); i++)
		ret = store_meta_int(&r->store, line[i].key, (int64_t)line[i].value, e);
	return ret ? ret : exit_cost(r, (uint64_t)r->emit_ps * records / 1000, e);
}

/* By what was found in the guest's memory. */
static bool name_guest(void *ctx, uint64_t addr, bool place, char *buf, size_t size)
{
	const struct ksyms *s = ctx;
	uint64_t bytes;
	const struct ksym *y = ksyms_by_addr(s, addr, &bytes);

	if (y)
		guest_text_symbol(buf, size, s, y, place ? addr : y->addr);
	return y != NULL;
}

static void say_guest_trace(struct recorder *r)
{
	char events[24], error[24];

	sql_meta(r->store.db, GUEST_TRACE, r->guest_trace, sizeof(r->guest_trace));
	if (strcmp(r->guest_trace, GUEST_TRACE_MERGED) == 0)
		snprintf(r->guest_trace, sizeof(r->guest_trace),
			"%s events of its kernel, their times wrong by at most %s ns",
			sql_meta(r->store.db, "guest_trace.events", events, sizeof(events)),
			sql_meta(r->store.db, "guest_trace.error_max_ns", error, sizeof(error)));
}

const char *recorder_guest_trace(const struct recorder *r)
{
	return r->guest_trace;
}

static int finish(struct recorder *r, struct err *e)
{
	const struct guest_namer namer = {name_guest, (void *)(uintptr_t)r->guest_names};
	uint64_t added = 0;
	int ret = r->failed ? err_set(e, r->failed, "%s", r->why.msg) : 0;

	if (!ret)
		ret = store_commit(&r->store, e);
	if (!ret)
		ret = guest_events_make(r->store.db, r->guest_names ? &namer : NULL, &added, e);
	r->writer.rows.n.events += added;
	if (!ret)
		say_guest_trace(r);
	if (!ret)
		ret = derive_all(r->store.db, e);
	if (!ret)
		ret = store_begin(&r->store, e);
	if (!ret)
		ret = last_meta(r, e);
	return ret ? ret : store_ends(&r->store, e);
}

int recorder_finish(struct recorder *r, struct err *e)
{
	struct err why = {""};
	int ret = recorder_stop(r, e);

	if (ret)
		return ret;
	ret = finish(r, &why);
	if (ret)
		err_set(e, ret,
			"the recording could not be completed: %s; exitwalk check --repair can "
			"finish it",
			why.msg);
	return ret;
}

static void destroy(struct recorder *r, void (*close_store)(struct store *s))
{
	if (!r)
		return;
	writer_stop(&r->writer, NULL);
	writer_destroy(&r->writer);
	close_store(&r->store);
	for (unsigned i = 0; i < r->tracks; i++)
		recorder_track_destroy(r->track[i]);
	recorder_host_free(r->host);
	free(r);
}

void recorder_free(struct recorder *r)
{
	destroy(r, store_close);
}

void recorder_discard(struct recorder *r)
{
	destroy(r, store_discard);
}
