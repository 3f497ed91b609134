/* SPDX-License-Identifier: MIT */
/* The writer: merging, durations, vm_exit rows, losses, commits, a full disk. */
#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <cmocka.h>

#include "tests/lib/scratch.h"
#include "tracer/recorder.h"
#include "tracer/writer.h"

#define TRACKS 2
#define SLOTS 4096

struct bed {
	struct scratch tmp;
	struct store store;
	struct writer writer;
	struct ring *ring[TRACKS];
};

static int setup(void **state)
{
	struct bed *b = calloc(1, sizeof(*b));
	struct err e = {""};

	scratch_make(&b->tmp);
	assert_int_equal(store_create(&b->store, b->tmp.file, 0, &e), 0);
	assert_int_equal(store_commit(&b->store, &e), 0);
	assert_int_equal(writer_init(&b->writer, &b->store, 1000, &e), 0);
	for (int i = 0; i < TRACKS; i++) {
		b->ring[i] = aligned_alloc(64, sizeof(*b->ring[i]));
		assert_int_equal(ring_init(b->ring[i], SLOTS), 0);
		assert_int_equal(writer_add_ring(&b->writer, b->ring[i], NULL, &e), 0);
	}
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	struct bed *b = *state;

	writer_destroy(&b->writer);
	store_close(&b->store);
	for (int i = 0; i < TRACKS; i++) {
		ring_destroy(b->ring[i]);
		free(b->ring[i]);
	}
	scratch_remove(&b->tmp);
	free(b);
	return 0;
}

static void say(
	struct ring *r, uint64_t ts, enum ew_kind kind, uint64_t a0, uint64_t a1, uint64_t a2)
{
	struct ew_rec rec = {.ts = ts, .kind = (uint16_t)kind, .a = {a0, a1, a2}};

	assert_true(ring_push(r, &rec, NULL));
}

static void say_exit(struct ring *r, uint64_t ts, uint64_t id, bool is_write, uint8_t size,
	uint32_t count, uint64_t value)
{
	struct ew_exit_payload p = {.rip = 0x1000,
		.addr = 0x3f8,
		.value = value,
		.count = count,
		.size = size,
		.space = EW_SPACE_PIO,
		.is_write = is_write};
	struct ew_rec rec = {.ts = ts, .kind = EW_RUN_EXIT, .payload = sizeof(p), .a = {id, 2}};

	assert_true(ring_push(r, &rec, &p));
}

/* Takes everything that may be taken at `now`, and commits. */
static uint64_t take(struct bed *b, uint64_t now)
{
	uint64_t n;

	assert_int_equal(writer_pass(&b->writer, now, &n), 0);
	assert_int_equal(writer_commit(&b->writer), 0);
	return n;
}

#define INT(b, sql) query_int((b)->store.db, sql)

static void merges_by_time(void **state)
{
	struct bed *b = *state;

	for (uint64_t ts = 10; ts < 3000; ts += 2)
		say(b->ring[0], ts, EW_MACHINE_START, 0, 0, 0);
	for (uint64_t ts = 11; ts < 3000; ts += 3)
		say(b->ring[1], ts, EW_MACHINE_START, 0, 0, 0);
	take(b, UINT64_MAX);
	assert_int_equal(INT(b, "SELECT count(*) FROM event"), 1495 + 997);
	assert_int_equal(INT(b, "SELECT count(*) FROM event a JOIN event b ON b.id = a.id + 1 "
				"WHERE b.ts < a.ts"),
		0);
	assert_int_equal(INT(b, "SELECT count(*) FROM event WHERE track = 2"), 997);
	assert_int_equal(INT(b, "SELECT max(id) FROM event"), 1495 + 997);
	assert_int_equal(b->writer.rows.n.late, 0);
}

/* A record of a track waits while another, silent one may still have an older one. */
static void waits_for_the_window(void **state)
{
	struct bed *b = *state;

	say(b->ring[0], 5000, EW_MACHINE_START, 0, 0, 0);
	assert_int_equal(take(b, 5500), 0);
	say(b->ring[1], 4990, EW_MACHINE_STOP, 0, 0, 0);
	/* Now both have something: the older one goes, the other waits for ring 1. */
	assert_int_equal(take(b, 5500), 1);
	assert_int_equal(take(b, 5999), 0);
	assert_int_equal(take(b, 6000), 1);
	assert_int_equal(INT(b, "SELECT track FROM event WHERE id = 1"), 2);
	/* Too late even for the window: it is counted, and ids stay in time order. */
	say(b->ring[1], 4000, EW_MACHINE_STOP, 0, 0, 0);
	take(b, UINT64_MAX);
	assert_int_equal(b->writer.rows.n.late, 1);
	assert_int_equal(b->writer.rows.n.late_max_ns, 1000);
	assert_int_equal(INT(b, "SELECT ts FROM event WHERE id = 3"), 5000);
}

static void durations_and_exit_ids(void **state)
{
	struct bed *b = *state;
	struct ring *r = b->ring[0];

	say(r, 100, EW_RUN_ENTER, 0, 0, 0);
	say_exit(r, 200, 1, true, 2, 1, 0x55);
	say(r, 210, EW_DISPATCH, EW_SPACE_PIO, 0x3f8, 7);
	say(r, 215, EW_DISPATCH, EW_SPACE_PCI, 0x10, 8);
	say(r, 220, EW_HOST_CALL, 1, 18, 5);
	say(r, 250, EW_HOST_RET, 1, 18, (uint64_t)-5);
	say(r, 260, EW_IRQ_LINE, 11, 1, 1);
	say(r, 267, EW_IRQ_LINE_RET, 11, 1, 0);
	say(r, 270, EW_DISPATCH_END, 8, 0, 0x55);
	say(r, 275, EW_DISPATCH_END, 7, 0, 0x55);
	say(r, 300, EW_RUN_ENTER, 1, 0, 0);
	say(r, 310, EW_QUEUE_SETUP, 1, 0, 0);
	take(b, UINT64_MAX);
	static const struct {
		int64_t id, dur, exit_id;
	} want[] = {
		{1, QUERY_NULL, QUERY_NULL},
		{2, 100, 1},
		{3, 10, 1},
		{4, 5, 1},
		{5, QUERY_NULL, 1},
		{6, 30, 1},
		{7, QUERY_NULL, 1},
		{8, 7, 1},
		{9, 55, 1},
		{10, 65, 1},
		{11, 100, 1},
		{12, QUERY_NULL, QUERY_NULL},
	};
	for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
		char sql[96];

		snprintf(sql, sizeof(sql), "SELECT dur FROM event WHERE id = %d", (int)want[i].id);
		assert_int_equal(INT(b, sql), want[i].dur);
		snprintf(sql, sizeof(sql), "SELECT exit_id FROM event WHERE id = %d",
			(int)want[i].id);
		assert_int_equal(INT(b, sql), want[i].exit_id);
	}
	assert_int_equal(INT(b, "SELECT a2 FROM event WHERE id = 6"), -5);
	/* Arguments that a kind does not have are NULL. */
	assert_int_equal(INT(b, "SELECT a3 FROM event WHERE id = 6"), QUERY_NULL);
	assert_int_equal(
		INT(b, "SELECT count(*) FROM vm_exit WHERE id = 1 AND event_id = 2 AND track = 1 "
		       "AND region = 7 AND result = 0 AND value = 0x55 AND t_exit = 200 AND "
		       "t_dispatch = 210 AND t_done = 275 AND t_entry = 300 AND kvm_reason = 2"),
		1);
}

static void snapshot_has_its_cost_and_payload(void **state)
{
	struct ew_rec rec = {.ts = 50, .kind = EW_SNAPSHOT, .payload = 5, .a = {1, 2, 3, 5, 77}};
	struct bed *b = *state;

	assert_true(ring_push(b->ring[0], &rec, "abcde"));
	take(b, UINT64_MAX);
	assert_int_equal(INT(b, "SELECT dur FROM event"), 77);
	assert_int_equal(INT(b, "SELECT count(*) FROM event WHERE a3 = 5 AND a4 = 77"), 1);
	assert_int_equal(INT(b, "SELECT data = x'6162636465' FROM payload WHERE event_id = 1"), 1);
}

/* The value of a read is what the device gave; of a repeated one, the first 8 bytes. */
static void value_of_reads(void **state)
{
	struct bed *b = *state;
	struct ring *r = b->ring[0];

	say_exit(r, 10, 1, false, 1, 1, 0xdead);
	say(r, 11, EW_DISPATCH, 0, 0x3f8, 1);
	say(r, 12, EW_DISPATCH_END, 1, 0, 0x60);
	say(r, 13, EW_RUN_ENTER, 1, 0, 0);
	say_exit(r, 20, 2, false, 2, 6, 0);
	for (uint64_t i = 0; i < 6; i++) {
		say(r, 21 + 2 * i, EW_DISPATCH, 0, 0x3f8, 1);
		say(r, 22 + 2 * i, EW_DISPATCH_END, 1, 0, 0x1111 * (i + 1));
	}
	say(r, 40, EW_RUN_ENTER, 2, 0, 0);
	say_exit(r, 50, 3, false, 4, 1, 0); /* nobody answered */
	say(r, 60, EW_RUN_ENTER, 3, 0, 0);
	take(b, UINT64_MAX);
	assert_int_equal(INT(b, "SELECT value FROM vm_exit WHERE id = 1"), 0x60);
	assert_true(INT(b, "SELECT value FROM vm_exit WHERE id = 2") == 0x4444333322221111);
	assert_int_equal(INT(b, "SELECT t_dispatch FROM vm_exit WHERE id = 2"), 21);
	assert_int_equal(INT(b, "SELECT t_done FROM vm_exit WHERE id = 2"), 32);
	assert_int_equal(INT(b, "SELECT value FROM vm_exit WHERE id = 3"), QUERY_NULL);
	assert_int_equal(INT(b, "SELECT t_dispatch FROM vm_exit WHERE id = 3"), QUERY_NULL);
}

/* What a commit finds open is stored, and completed later. */
static void open_exit_is_committed(void **state)
{
	struct bed *b = *state;
	struct ring *r = b->ring[0];

	say_exit(r, 10, 1, true, 4, 1, 9);
	take(b, UINT64_MAX);
	assert_int_equal(
		INT(b, "SELECT count(*) FROM vm_exit WHERE t_dispatch IS NULL AND value = 9"), 1);
	say(r, 11, EW_DISPATCH, 0, 0x3f8, 4);
	take(b, UINT64_MAX);
	assert_int_equal(INT(b, "SELECT t_dispatch FROM vm_exit"), 11);
	assert_int_equal(INT(b, "SELECT t_done FROM vm_exit"), QUERY_NULL);
	say(r, 12, EW_DISPATCH_END, 4, 0, 9);
	say(r, 13, EW_RUN_ENTER, 1, 0, 0);
	take(b, UINT64_MAX);
	assert_int_equal(
		INT(b, "SELECT count(*) FROM vm_exit WHERE t_done = 12 AND t_entry = 13"), 1);
	assert_int_equal(b->writer.rows.n.exits, 1);
}

static void loss_is_a_row_and_an_event(void **state)
{
	struct bed *b = *state;
	struct ring *r = b->ring[0];
	struct ew_rec lost = {.ts = 40, .kind = EW_LOST, .a = {3, 25}};

	say_exit(r, 20, 1, true, 2, 1, 0);
	say(r, 21, EW_DISPATCH, 0, 0x3f8, 4);
	assert_true(ring_push(r, &lost, NULL));
	say(r, 50, EW_HOST_RET, 1, 18, 0);    /* whose call is unknown */
	say(r, 51, EW_DISPATCH_END, 4, 0, 0); /* whose dispatch is unknown, too */
	say(r, 60, EW_RUN_ENTER, 1, 0, 0);    /* but this names its exit */
	take(b, UINT64_MAX);
	assert_int_equal(
		INT(b, "SELECT count(*) FROM loss WHERE track = 1 AND ts0 = 25 AND ts1 = 40 "
		       "AND n = 3"),
		1);
	assert_int_equal(
		INT(b, "SELECT count(*) FROM event WHERE id = 3 AND kind = 62 AND ts = 40 AND "
		       "dur = 15 AND a0 = 3"),
		1);
	assert_int_equal(INT(b, "SELECT count(*) FROM event WHERE id IN (4, 5) AND dur IS NULL AND "
				"exit_id IS NULL"),
		2);
	assert_int_equal(INT(b, "SELECT dur FROM event WHERE id = 6"), 40);
	assert_int_equal(
		INT(b, "SELECT count(*) FROM vm_exit WHERE t_entry = 60 AND t_done IS NULL"), 1);
}

/* A run_exit behind a lost run_enter: the old exit stays as it was, the new one is whole. */
static void lost_run_enter(void **state)
{
	struct bed *b = *state;
	struct ring *r = b->ring[0];
	struct ew_rec lost = {.ts = 40, .kind = EW_LOST, .a = {3, 25}};

	say_exit(r, 20, 1, true, 2, 1, 0);
	assert_true(ring_push(r, &lost, NULL));
	say_exit(r, 60, 3, true, 2, 1, 0);
	say(r, 70, EW_RUN_ENTER, 3, 0, 0);
	take(b, UINT64_MAX);
	assert_int_equal(INT(b, "SELECT t_entry FROM vm_exit WHERE id = 1"), QUERY_NULL);
	assert_int_equal(INT(b, "SELECT t_entry FROM vm_exit WHERE id = 3"), 70);
	assert_int_equal(INT(b, "SELECT dur FROM event WHERE id = 3"), QUERY_NULL);
}

static void the_thread_takes_everything(void **state)
{
	struct bed *b = *state;
	struct err e = {""};

	assert_int_equal(writer_start(&b->writer, &e), 0);
	for (uint64_t i = 1; i <= 3000; i++)
		say(b->ring[i % TRACKS], i, EW_RUN_ENTER, 0, 0, 0);
	assert_int_equal(writer_stop(&b->writer, &e), 0);
	assert_int_equal(INT(b, "SELECT count(*) FROM event"), 3000);
	assert_false(b->store.in_transaction);
}

static int count_commit(void *n)
{
	++*(unsigned *)n;
	return 0;
}

/*
 * Large transactions: while records trickle in, one commit per WRITER_COMMIT_NS, not one per pass. The
 * bound grows with the time that the test took, so a slow machine makes it wider, never wrong.
 */
static void commits_are_rare(void **state)
{
	struct bed *b = *state;
	struct err e = {""};
	unsigned commits = 0;
	uint64_t begin = probe_now();

	sqlite3_commit_hook(b->store.db, count_commit, &commits);
	assert_int_equal(writer_start(&b->writer, &e), 0);
	for (uint64_t i = 1; i <= 40; i++) {
		say(b->ring[0], i, EW_RUN_ENTER, 0, 0, 0);
		while (ring_used(b->ring[0])) /* so that each record is a pass of its own */
			sched_yield();
	}
	assert_int_equal(writer_stop(&b->writer, &e), 0);
	assert_true(commits >= 1);
	assert_true(commits <= 2 + (probe_now() - begin) / WRITER_COMMIT_NS);
	assert_int_equal(INT(b, "SELECT count(*) FROM event"), 40);
}

/* Fills a small ring for so long that records are lost: all is accounted for. */
static void overflow_adds_up(void **state)
{
	struct recorder_opts opts = {.ring_slots = 16};
	struct scratch tmp;
	struct recorder *r;
	struct err e = {""};
	struct probe *p;
	sqlite3 *db;

	(void)state;
	scratch_make(&tmp);
	assert_int_equal(recorder_open(&r, tmp.file, &opts, &e), 0);
	p = recorder_track(r, "vcpu", 0, "vcpu0");
	for (uint64_t i = 1; i <= 100; i++) /* before the start: nobody takes them */
		PROBE_AT(p, i, EW_GUEST_EXIT, i, 0);
	assert_int_equal(recorder_start(r, &e), 0);
	assert_int_equal(recorder_finish(r, &e), 0);
	recorder_free(r);
	assert_int_equal(sqlite3_open(tmp.file, &db), SQLITE_OK);
	assert_int_equal(query_int(db, "SELECT count(*) FROM event WHERE kind = 12"), 16);
	assert_int_equal(
		query_int(db, "SELECT n FROM v_loss WHERE ts0_ns = 17 AND ts1_ns = 100"), 84);
	assert_int_equal(query_int(db, "SELECT value FROM v_meta WHERE key = 'records_lost'"), 84);
	assert_int_equal(
		query_int(db, "SELECT value FROM v_meta WHERE key = 'recorder.ring_high_water'"),
		16);
	sqlite3_close(db);
	scratch_remove(&tmp);
}

/* Emits until the recorder says that it gave up. */
static int emit_until_failure(struct recorder *r, struct probe *p)
{
	for (uint64_t i = 1; i < 200000000 && recorder_status(r) == 0; i++) {
		PROBE(p, EW_GUEST_EXIT, i, 0);
		if (i % 4096 == 0)
			while (recorder_backlog(r) > 1024 && recorder_status(r) == 0)
				sched_yield();
	}
	return recorder_status(r);
}

static void check_committed(const char *path)
{
	sqlite3 *db;

	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_true(query_int(db, "SELECT count(*) FROM event") > 1000);
	assert_string_equal(
		query_text(db, "SELECT value FROM meta WHERE key = 'state'"), "recording");
	assert_string_equal(query_text(db, "PRAGMA integrity_check"), "ok");
	sqlite3_close(db);
}

static void a_full_disk_stops_the_recorder(void **state)
{
	struct recorder_opts opts = {.max_pages = 300};
	struct scratch tmp;
	struct recorder *r;
	struct err e = {""}, e2 = {""};
	struct probe *p;

	(void)state;
	scratch_make(&tmp);
	assert_int_equal(recorder_open(&r, tmp.file, &opts, &e), 0);
	p = recorder_track(r, "vcpu", 0, "vcpu0");
	assert_int_equal(recorder_start(r, &e), 0);
	assert_int_equal(emit_until_failure(r, p), -ENOSPC);
	assert_int_equal(recorder_stop(r, &e), -ENOSPC);
	assert_non_null(strstr(e.msg, "full"));
	assert_int_equal(recorder_finish(r, &e2), -ENOSPC);
	assert_true(e2.msg[0]);
	recorder_free(r);
	check_committed(tmp.file);
	scratch_remove(&tmp);
}

/* The same through the kernel: write() fails with EFBIG, in a process of its own. */
static void a_file_size_limit_stops_the_recorder(void **state)
{
	struct scratch tmp;
	pid_t child;
	int status;

	(void)state;
	scratch_make(&tmp);
	child = fork();
	if (child == 0) {
		struct rlimit limit = {6u << 20, 6u << 20};
		struct recorder *r;
		struct err e = {""};
		struct probe *p;

		setrlimit(RLIMIT_FSIZE, &limit);
		if (recorder_open(&r, tmp.file, NULL, &e))
			_exit(1);
		p = recorder_track(r, "vcpu", 0, "vcpu0");
		if (recorder_start(r, &e))
			_exit(2);
		if (emit_until_failure(r, p) == 0)
			_exit(3);
		if (recorder_finish(r, &e) == 0 || !e.msg[0])
			_exit(4);
		recorder_free(r);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	check_committed(tmp.file);
	scratch_remove(&tmp);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(merges_by_time),
		T(waits_for_the_window),
		T(durations_and_exit_ids),
		T(snapshot_has_its_cost_and_payload),
		T(value_of_reads),
		T(open_exit_is_committed),
		T(loss_is_a_row_and_an_event),
		T(lost_run_enter),
		T(the_thread_takes_everything),
		T(commits_are_rare),
		cmocka_unit_test(overflow_adds_up),
		cmocka_unit_test(a_full_disk_stops_the_recorder),
		cmocka_unit_test(a_file_size_limit_stops_the_recorder),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
