/* SPDX-License-Identifier: MIT */
/*
 * The clock of a guest's events, with this machine's own TSC: what happened between two readings of the clock is, after
 * the conversion and within its bound, between them still.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include <time.h>
#include <x86intrin.h>

#include "tests/lib/guest_stream_maker.h"
#include "tests/lib/scratch.h"
#include "tracer/clock_pair.h"
#include "tracer/guest_events.h"
#include "tracer/recorder.h"
#include "tracer/recorder_clock.h"
#include "tracer/recording.h"

#define EVENTS 40
#define OFFSET 123456789u

struct moment {
	int64_t before, after;
};

static void wait_ms(long ms)
{
	const struct timespec t = {.tv_nsec = ms * 1000000};

	nanosleep(&t, NULL);
}

/* Events of a guest whose TSC is this machine's, plus OFFSET; the pid is the event's number. */
static void live(struct gs *g, struct moment *m)
{
	gs_begin(g);
	for (int i = 0; i < EVENTS; i++) {
		uint64_t tsc;

		m[i].before = (int64_t)probe_now();
		_mm_lfence();
		tsc = __rdtsc();
		_mm_lfence();
		m[i].after = (int64_t)probe_now();
		gs_irq(g, 0, tsc + OFFSET, i + 1, 0, GS_SOFTIRQ, 4, 0);
		wait_ms(10);
	}
	gs_mark(g, 0, __rdtsc() + OFFSET);
	gs_end(g);
}

/* finish: or it is cut off, and what the guest sent waits in it. */
static void record(const char *path, struct moment *m, bool finish)
{
	struct err e = {""};
	struct recorder *r;
	struct gs g = {0};
	struct probe *p;

	if (recorder_open(&r, path, NULL, &e))
		fail_msg("%s", e.msg);
	p = recorder_track(r, "vcpu", 0, "vCPU 0");
	assert_non_null(p);
	assert_int_equal(recorder_clock(r), 0);
	if (recorder_start(r, &e))
		fail_msg("%s", e.msg);
	PROBE(p, EW_TSC_OFFSET, 0, OFFSET, 0, 0);
	live(&g, m);
	PROBE_DATA(p, probe_now(), EW_GUEST_STREAM, g.bytes, (uint32_t)g.len, 1, g.len, 0);
	PROBE(p, EW_TSC_OFFSET, 0, OFFSET, 0, 0);
	assert_int_equal(recorder_stop(r, &e), 0);
	if (finish && recorder_finish(r, &e))
		fail_msg("%s", e.msg);
	if (finish)
		assert_non_null(strstr(recorder_guest_trace(r), "40 events of its kernel"));
	recorder_free(r);
	gs_free(&g);
}

static void within_its_bound(void **state)
{
	struct moment m[EVENTS];
	struct recording rec;
	struct err e = {""};
	struct scratch s;
	char sql[160];

	(void)state;
	scratch_make(&s);
	record(s.file, m, true);
	if (recording_open(&rec, s.file, &e))
		fail_msg("%s", e.msg);
	assert_string_equal(
		query_text(rec.db, "SELECT value FROM meta WHERE key = 'guest_trace'"), "merged");
	assert_int_equal(query_int(rec.db, "SELECT count(*) FROM guest_event"), EVENTS);
	for (int i = 0; i < EVENTS; i++) {
		snprintf(sql, sizeof(sql),
			"SELECT e.ts + g.error >= %lld AND e.ts - g.error <= %lld FROM guest_event g JOIN event e"
			" ON e.id = g.event_id WHERE g.pid = %d",
			(long long)m[i].before, (long long)m[i].after, i + 1);
		assert_int_equal(query_int(rec.db, sql), 1);
	}
	/* The agent's own reading came after it was made. */
	assert_int_equal(
		query_int(rec.db, "SELECT value FROM meta WHERE key = 'guest_trace.marks'"), 1);
	assert_int_equal(
		query_int(rec.db,
			"SELECT count(*) FROM meta WHERE key = 'guest_trace.clock_ahead_ns'"),
		0);
	/* Readings before the first event and after the last one, and in between. */
	assert_int_equal(query_int(rec.db, "SELECT kind FROM event WHERE id = 1"), EW_CLOCK_PAIR);
	assert_int_equal(query_int(rec.db, "SELECT kind FROM event ORDER BY id DESC LIMIT 1"),
		EW_CLOCK_PAIR);
	assert_true(query_int(rec.db, "SELECT count(*) FROM e_clock_pair") >= 3);
	/* What the recording says of itself counts these events too. */
	assert_int_equal(query_int(rec.db, "SELECT value FROM meta WHERE key = 'events'"),
		query_int(rec.db, "SELECT count(*) FROM event"));
	recording_close(&rec);
	scratch_remove(&s);
}

static void expect_merged(const char *path)
{
	struct recording rec;
	struct err e = {""};

	if (recording_open(&rec, path, &e))
		fail_msg("%s", e.msg);
	assert_string_equal(
		query_text(rec.db, "SELECT value FROM meta WHERE key = 'guest_trace'"), "merged");
	assert_int_equal(query_int(rec.db, "SELECT count(*) FROM guest_event"), EVENTS);
	recording_close(&rec);
}

/* A reader makes them in its copy, and repair in the file. */
static void cut_off(void **state)
{
	struct moment m[EVENTS];
	struct err e = {""};
	struct scratch s;
	sqlite3 *db;

	(void)state;
	scratch_make(&s);
	record(s.file, m, false);
	expect_merged(s.file);
	assert_int_equal(sqlite3_open(s.file, &db), SQLITE_OK);
	assert_string_equal(
		query_text(db, "SELECT value FROM meta WHERE key = 'guest_trace'"), "on");
	assert_int_equal(query_int(db, "SELECT count(*) FROM guest_event"), 0);
	sqlite3_close(db);
	if (recording_derive_anew(s.file, NULL, &e))
		fail_msg("%s", e.msg);
	assert_int_equal(sqlite3_open(s.file, &db), SQLITE_OK);
	assert_int_equal(query_int(db, "SELECT count(*) FROM guest_event"), EVENTS);
	assert_int_equal(query_int(db, "SELECT count(*) FROM payload"), 0);
	sqlite3_close(db);
	scratch_remove(&s);
}

/* A reading is never wider than what two readings of the clock around it say. */
static void one_reading(void **state)
{
	(void)state;
	for (int i = 0; i < 100; i++) {
		uint64_t before = probe_now(), tsc = __rdtsc();
		struct clock_pair p = clock_pair_read();

		assert_true(p.ts >= before && p.ts <= probe_now());
		assert_true(p.tsc >= tsc && p.tsc <= __rdtsc());
		assert_true(p.width <= probe_now() - before);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_reading),
		cmocka_unit_test(within_its_bound),
		cmocka_unit_test(cut_off),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
