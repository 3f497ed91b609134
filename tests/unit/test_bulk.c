/* SPDX-License-Identifier: MIT */
/*
 * Pages that are made beside SQLite: SQLite finds every row in them and no damage, whatever the rows are,
 * however many there are between two commits, and whenever the process is killed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

#include "tests/lib/scratch.h"
#include "tracer/bulk.h"
#include "tracer/host_rows.h"
#include "tracer/page_journal.h"
#include "tracer/recording.h"
#include "tracer/store_state.h"

struct world {
	struct scratch s;
	struct store store;
	struct err e;
	int64_t events, exits;
};

static void ok(struct world *w, int ret)
{
	if (ret)
		fail_msg("%d: %s", ret, w->e.msg);
}

static void begin(struct world *w)
{
	memset(w, 0, sizeof(*w));
	scratch_make(&w->s);
	ok(w, store_create_bulk(&w->store, w->s.file, &w->e));
}

static void end(struct world *w)
{
	store_close(&w->store);
	scratch_remove(&w->s);
}

static uint64_t mixed(uint64_t n)
{
	n = (n ^ n >> 31) * 0x9e3779b97f4a7c15u;
	n = (n ^ n >> 29) * 0xbf58476d1ce4e5b9u;
	return n ^ n >> 32;
}

/* Integers of every length that the format has, at both ends of it, and what is between. */
static int64_t value_of(int64_t row, int column)
{
	static const int64_t edge[] = {0, 1, 2, -1, 127, 128, -128, -129, 32767, 32768, -32768,
		-32769, 8388607, 8388608, -8388608, -8388609, INT32_MAX, INT32_MAX + 1l, INT32_MIN,
		INT32_MIN - 1l, 140737488355327, 140737488355328, -140737488355328,
		-140737488355329, INT64_MAX, INT64_MIN + 1, INT64_MIN};
	uint64_t r = mixed((uint64_t)row * 32 + (uint64_t)column);

	if (column == 0)
		return row;
	if (r % 4 == 0)
		return edge[r / 4 % (sizeof(edge) / sizeof(edge[0]))];
	return (int64_t)mixed(r) >> r / 4 % 64;
}

static uint32_t known_of(int64_t row, int columns, uint32_t always)
{
	return (uint32_t)(mixed((uint64_t)row) & ((1u << columns) - 1)) | always;
}

#define EVENT_ALWAYS 0x1bu /* the columns that are NOT NULL */
#define EXIT_ALWAYS 0x040007u

static void fill(int64_t *value, int64_t row, int columns)
{
	for (int i = 0; i < columns; i++)
		value[i] = value_of(row, i);
}

static void add_event(struct world *w)
{
	int64_t value[BULK_EVENT_COLUMNS], id = ++w->events;
	uint8_t data[64];

	fill(value, id, BULK_EVENT_COLUMNS);
	ok(w, bulk_event(
		      w->store.bulk, value, known_of(id, BULK_EVENT_COLUMNS, EVENT_ALWAYS), &w->e));
	memset(data, (int)id, sizeof(data));
	if (id % 3 == 0)
		ok(w, bulk_payload(w->store.bulk, id, data, (size_t)id % 65, &w->e));
}

static void add_exit(struct world *w, int64_t id, int64_t like)
{
	int64_t value[BULK_EXIT_COLUMNS];

	fill(value, like, BULK_EXIT_COLUMNS);
	value[0] = id;
	ok(w, bulk_exit(
		      w->store.bulk, value, known_of(like, BULK_EXIT_COLUMNS, EXIT_ALWAYS), &w->e));
}

static int commit(struct world *w)
{
	int ret = store_commit(&w->store, &w->e);

	return ret ? ret : bulk_commit(w->store.bulk, &w->e);
}

static void compare_rows(sqlite3 *db, const char *table, int columns, uint32_t always, int64_t rows,
	int64_t (*like)(int64_t id))
{
	char sql[64];
	sqlite3_stmt *row = NULL;
	int64_t id = 0;

	snprintf(sql, sizeof(sql), "SELECT * FROM %s", table);
	assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &row, NULL), SQLITE_OK);
	while (sqlite3_step(row) == SQLITE_ROW) {
		int64_t is = like(++id);
		uint32_t known = known_of(is, columns, always);

		assert_int_equal(sqlite3_column_int64(row, 0), id);
		for (int i = 1; i < columns; i++) {
			assert_int_equal(sqlite3_column_type(row, i),
				known >> i & 1 ? SQLITE_INTEGER : SQLITE_NULL);
			if (known >> i & 1)
				assert_int_equal(sqlite3_column_int64(row, i), value_of(is, i));
		}
	}
	assert_int_equal(sqlite3_finalize(row), SQLITE_OK);
	assert_int_equal(id, rows);
}

static int64_t itself(int64_t id)
{
	return id;
}

static void compare_payloads(sqlite3 *db, int64_t events)
{
	sqlite3_stmt *row = NULL;
	int64_t id = 0;

	assert_int_equal(
		sqlite3_prepare_v2(db, "SELECT event_id, data FROM payload", -1, &row, NULL),
		SQLITE_OK);
	while (sqlite3_step(row) == SQLITE_ROW) {
		const uint8_t *data = sqlite3_column_blob(row, 1);

		id += 3;
		assert_int_equal(sqlite3_column_int64(row, 0), id);
		assert_int_equal(sqlite3_column_bytes(row, 1), id % 65);
		for (int i = 0; i < id % 65; i++)
			assert_int_equal(data[i], (uint8_t)id);
	}
	sqlite3_finalize(row);
	assert_int_equal(id, events / 3 * 3);
}

static void is_sound(sqlite3 *db)
{
	assert_string_equal(query_text(db, "PRAGMA integrity_check"), "ok");
}

/* What SQLite reads is what was given; a digest is what it would have made of it; SQLite can go on. */
static void finish(struct world *w, int64_t (*like)(int64_t id))
{
	static const char *const table[] = {"event", "vm_exit", "payload", "track"};
	sqlite3 *db = w->store.db;

	ok(w, store_end_bulk(&w->store, &w->e));
	sqlite3_exec(db, "PRAGMA synchronous = OFF", NULL, NULL, NULL);
	is_sound(db);
	compare_rows(db, "event", BULK_EVENT_COLUMNS, EVENT_ALWAYS, w->events, itself);
	compare_rows(db, "vm_exit", BULK_EXIT_COLUMNS, EXIT_ALWAYS, w->exits, like);
	compare_payloads(db, w->events);
	ok(w, seal_write_known(db, bulk_digests(w->store.bulk), &w->e));
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct seal_verdict v;

		ok(w, seal_compare(db, table[i], &v, &w->e));
		assert_true(v.digest);
		assert_int_equal(v.sealed, v.rows);
		assert_int_equal(v.first, -1);
	}
	assert_int_equal(
		sqlite3_exec(db,
			"INSERT INTO event(ts, kind, track) SELECT ts, kind, track FROM event"
			" LIMIT 5000; DELETE FROM event WHERE id % 7 = 0",
			NULL, NULL, NULL),
		SQLITE_OK);
	is_sound(db);
}

/* So many rows, a commit after every few; rows of SQLite's own in between. */
static void rows_and_commits(int64_t rows, int64_t every)
{
	struct world w;

	begin(&w);
	for (int64_t i = 1; i <= rows; i++) {
		add_event(&w);
		w.exits++;
		add_exit(&w, w.exits, w.exits);
		if (i % every)
			continue;
		ok(&w, store_begin(&w.store, &w.e));
		for (int64_t k = 0; k < 1 + i % 400; k++)
			ok(&w, store_meta_int(&w.store,
				       query_text(w.store.db, "SELECT hex(randomblob(20))"), k,
				       &w.e));
		ok(&w, commit(&w));
		if (rows < 5000)
			is_sound(w.store.db);
	}
	finish(&w, itself);
	end(&w);
}

static void few_rows(void **state)
{
	(void)state;
	for (int64_t rows = 0; rows < 100; rows = rows < 4 ? rows + 1 : rows * 2 + 1)
		for (int64_t every = 1; every < 50; every = every * 3 + 1)
			rows_and_commits(rows, every);
}

/* Two levels of interior pages, and the page where one level becomes two in one commit or over many. */
static void many_rows(void **state)
{
	(void)state;
	rows_and_commits(1500, 7);
	rows_and_commits(70000, 1000);
	rows_and_commits(120000, 100000);
	rows_and_commits(120000, 1 << 30);
}

static int64_t of_another(int64_t id)
{
	return id % 10 == 1 ? id + 1000000 : id;
}

/* Of ten exits the first one ends last, some of them after a commit, which had it as it was then. */
static void exits_that_end_late(void **state)
{
	struct world w;

	(void)state;
	begin(&w);
	for (int64_t first = 1; first < 20000; first += 10) {
		for (int64_t i = 9; i > 0; i--)
			add_exit(&w, first + i, first + i);
		w.exits += 10;
		if (first % 500 == 1) {
			add_exit(&w, first, first);
			ok(&w, commit(&w));
			add_exit(&w, first, first + 5);
		}
		add_exit(&w, first, of_another(first));
		add_event(&w);
	}
	finish(&w, of_another);
	end(&w);
}

/* --- the process dies ----------------------------------------------------------------------- */

#define PER_COMMIT 500

/* Says each commit. */
static _Noreturn void record_until_killed(const char *file, int out)
{
	struct world w = {.events = 0};

	snprintf(w.s.file, sizeof(w.s.file), "%s", file);
	if (store_create_bulk(&w.store, file, &w.e))
		_exit(1);
	for (;;) {
		for (int i = 0; i < PER_COMMIT; i++) {
			add_event(&w);
			w.exits++;
			add_exit(&w, w.exits, w.exits);
		}
		if (commit(&w) || write(out, "", 1) != 1)
			_exit(1);
	}
}

/* A while after so many commits. */
static void kill_after(const char *file, unsigned commits, long ns)
{
	const struct timespec nap = {.tv_nsec = ns};
	int fd[2];
	char byte;
	pid_t pid;

	assert_int_equal(pipe2(fd, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0)
		record_until_killed(file, fd[1]);
	close(fd[1]);
	while (commits-- > 0)
		assert_int_equal(read(fd[0], &byte, 1), 1);
	nanosleep(&nap, NULL);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	close(fd[0]);
}

static void killed_anywhere(void **state)
{
	(void)state;
	for (unsigned round = 0; round < 60; round++) {
		struct scratch s;
		sqlite3 *db = NULL;
		int64_t events;

		scratch_make(&s);
		kill_after(s.file, 1 + round % 5, (long)(mixed(round) % 4000000));
		assert_int_equal(sqlite3_open(s.file, &db), SQLITE_OK);
		is_sound(db);
		events = query_int(db, "SELECT count(*) FROM event");
		assert_int_equal(events % PER_COMMIT, 0);
		assert_true(events >= PER_COMMIT * (1 + round % 5));
		assert_int_equal(query_int(db, "SELECT count(*) FROM vm_exit"), events);
		compare_rows(db, "event", BULK_EVENT_COLUMNS, EVENT_ALWAYS, events, itself);
		sqlite3_close(db);
		scratch_remove(&s);
	}
}

static void host_event(struct world *w, struct host_rows *rows, enum ew_kind kind, uint8_t present,
	const uint64_t a[6])
{
	struct host_event ev = {.rec = {.ts = 1000 + (uint64_t)kind, .kind = (uint16_t)kind},
		.task = 100,
		.vcpu = kind == EW_KVM_EXIT ? 0 : HOST_NO_VCPU,
		.present = present};

	memcpy(ev.rec.a, a, sizeof(ev.rec.a));
	ok(w, host_rows_add(rows, &ev, 0, &w->e));
}

static void host_commit(struct world *w, struct host_rows *rows)
{
	ok(w, store_begin(&w->store, &w->e));
	ok(w, host_rows_flush(rows, &w->e));
	ok(w, commit(w));
}

static void is_ended(sqlite3 *db)
{
	assert_int_equal(query_int(db, "SELECT count(*) FROM vm_exit"), 2);
	assert_int_equal(query_int(db, "SELECT t_entry FROM vm_exit WHERE id = 1"),
		query_int(db, "SELECT max(ts) FROM event WHERE exit_id = 1"));
	assert_int_equal(query_int(db, "SELECT value FROM vm_exit WHERE id = 1"), 7);
	assert_int_equal(query_int(db, "SELECT kvm_reason FROM vm_exit WHERE id = 1"), KVM_EXIT_IO);
	assert_int_equal(query_int(db, "SELECT t_entry FROM vm_exit WHERE id = 2"), QUERY_NULL);
	assert_int_equal(query_int(db, "SELECT value FROM vm_exit WHERE id = 2"), QUERY_NULL);
}

/* A commit comes between an exit and its end, and the process dies after the next one. */
static void killed_with_a_late_exit(void **state)
{
	static const uint64_t out[] = {0, 1, 30, 0x1234, 0xc0100001}, pio[] = {1, 0xc010, 2, 1, 7},
			      io[] = {KVM_EXIT_IO}, entry[] = {0, 0, 0x1236};
	struct rows_counts n = {0};
	struct host_rows rows;
	struct recording rec;
	struct world w;
	uint64_t a[6] = {0};

	(void)state;
	begin(&w);
	host_rows_init(&rows, &w.store, &n, 0);
	ok(&w, store_begins(&w.store, &w.e));
	ok(&w, store_begin(&w.store, &w.e));
	ok(&w, store_meta_text(&w.store, "import.file", "t.dat", &w.e));
	ok(&w, host_rows_task(&rows, 100, "vmm-100", &w.e));
	host_event(&w, &rows, EW_KVM_EXIT, 0x1f, memcpy(a, out, sizeof(out)));
	host_commit(&w, &rows);
	host_event(&w, &rows, EW_KVM_PIO, 0x1f, memcpy(a, pio, sizeof(pio)));
	host_event(&w, &rows, EW_KVM_USERSPACE_EXIT, 3, memcpy(a, io, sizeof(io)));
	host_event(&w, &rows, EW_KVM_ENTRY, 7, memcpy(a, entry, sizeof(entry)));
	host_event(&w, &rows, EW_KVM_EXIT, 0x1f, memcpy(a, out, sizeof(out)));
	host_commit(&w, &rows);
	host_rows_destroy(&rows);
	store_close(&w.store);
	ok(&w, recording_open(&rec, w.s.file, &w.e));
	assert_true(rec.cut_off);
	is_ended(rec.db);
	recording_close(&rec);
	ok(&w, recording_derive_anew(w.s.file, NULL, &w.e));
	ok(&w, sqlite3_open(w.s.file, &rec.db));
	is_ended(rec.db);
	sqlite3_close(rec.db);
	scratch_remove(&w.s);
}

/* Half of a commit's pages are replaced: a reader has what there was before it. */
static void killed_in_a_commit(void **state)
{
	static struct page_image image[2];
	struct recording rec;
	struct world w;
	uint32_t pages;
	int fd;

	(void)state;
	begin(&w);
	ok(&w, store_begins(&w.store, &w.e));
	for (int i = 0; i < 1000; i++)
		add_event(&w);
	ok(&w, commit(&w));
	image[0].number = 1;
	image[1].number = (uint32_t)query_int(
		w.store.db, "SELECT rootpage FROM sqlite_schema WHERE name = 'event'");
	pages = (uint32_t)query_int(w.store.db, "PRAGMA page_count");
	store_close(&w.store);
	fd = open(w.s.file, O_RDWR | O_CLOEXEC);
	ok(&w, page_journal_write(fd, w.s.file, pages, image, 2, &w.e));
	/* The header says one page more already, and the table's root is nonsense. */
	assert_int_equal(pread(fd, image[0].bytes, BTREE_PAGE, 0), BTREE_PAGE);
	image[0].bytes[27]++;
	image[0].bytes[31]++;
	image[0].bytes[95]++;
	for (int i = 0; i < 2; i++)
		assert_int_equal(pwrite(fd, image[i].bytes, BTREE_PAGE,
					 (off_t)(image[i].number - 1) * BTREE_PAGE),
			BTREE_PAGE);
	assert_int_equal(
		pwrite(fd, image[0].bytes, BTREE_PAGE, (off_t)pages * BTREE_PAGE), BTREE_PAGE);
	close(fd);
	ok(&w, recording_open(&rec, w.s.file, &w.e));
	assert_true(rec.cut_off);
	is_sound(rec.db);
	compare_rows(rec.db, "event", BULK_EVENT_COLUMNS, EVENT_ALWAYS, 1000, itself);
	recording_close(&rec);
	end(&w);
}

/* --- no room -------------------------------------------------------------------------------- */

static void no_room(void **state)
{
	const struct rlimit small = {1 << 20, RLIM_INFINITY};
	struct rlimit was;
	struct world w;
	sqlite3 *db = NULL;
	int64_t events = 0;
	int ret = 0;

	(void)state;
	signal(SIGXFSZ, SIG_IGN);
	begin(&w);
	getrlimit(RLIMIT_FSIZE, &was);
	setrlimit(RLIMIT_FSIZE, &(struct rlimit){small.rlim_cur, was.rlim_max});
	while (!ret) {
		events = w.events;
		for (int i = 0; i < PER_COMMIT; i++)
			add_event(&w);
		ret = commit(&w);
	}
	setrlimit(RLIMIT_FSIZE, &was);
	assert_int_equal(ret, -EFBIG);
	assert_true(w.e.msg[0]);
	store_close(&w.store);
	assert_int_equal(sqlite3_open(w.s.file, &db), SQLITE_OK);
	is_sound(db);
	compare_rows(db, "event", BULK_EVENT_COLUMNS, EVENT_ALWAYS, events, itself);
	assert_true(events > PER_COMMIT);
	sqlite3_close(db);
	end(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(few_rows),
		cmocka_unit_test(many_rows),
		cmocka_unit_test(exits_that_end_late),
		cmocka_unit_test(killed_anywhere),
		cmocka_unit_test(killed_with_a_late_exit),
		cmocka_unit_test(killed_in_a_commit),
		cmocka_unit_test(no_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
