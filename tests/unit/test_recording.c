/* SPDX-License-Identifier: MIT */
/* Opening recordings: whole, cut off, and everything that is none; replacing what is there. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <cmocka.h>

#include "schema/schema.h"
#include "tests/lib/elf_image.h"
#include "tests/lib/scratch.h"
#include "tracer/recorder.h"
#include "tracer/recording.h"

static int setup(void **state)
{
	struct scratch *s = calloc(1, sizeof(*s));

	scratch_make(s);
	*state = s;
	return 0;
}

static int teardown(void **state)
{
	scratch_remove(*state);
	free(*state);
	return 0;
}

static void say_exits(struct probe *p, uint64_t first, uint64_t last)
{
	for (uint64_t id = first; id <= last; id++) {
		struct ew_exit_payload x = {.rip = 0xffffffff80001004u,
			.addr = 0x80,
			.value = id,
			.count = 1,
			.size = 1,
			.space = EW_SPACE_PIO,
			.is_write = 1};

		PROBE_DATA(p, id * 100, EW_RUN_EXIT, &x, sizeof(x), id, 2);
		PROBE_AT(p, id * 100 + 10, EW_DISPATCH, EW_SPACE_PIO, 0x80, 1, 0, 1, 1);
		PROBE_AT(p, id * 100 + 20, EW_DISPATCH_END, 1, 0, id);
		PROBE_AT(p, id * 100 + 30, EW_RUN_ENTER, id);
	}
}

static struct recorder *begin(const char *path, struct probe **p)
{
	static const struct elf_image_symbol symbols[] = {
		{"iowrite8", 0xffffffff80001000u, 16, STT_FUNC},
		{"a_label", 0xffffffff80001020u, 0, STT_FUNC},
		{"some_data", 0xffffffff80002000u, 8, STT_OBJECT},
	};
	struct elf_image elf;
	struct err e = {""};
	struct recorder *r;

	elf_image_make(&elf, symbols, 3);
	if (recorder_open(&r, path, NULL, &e))
		fail_msg("%s", e.msg);
	assert_int_equal(recorder_meta(r, "command", "%s %d", "test", 1), 0);
	assert_int_equal(recorder_meta(r, "command", "%s %d", "test", 2), 0);
	assert_int_equal(recorder_device(r, 1, "post", "POST code"), 0);
	assert_int_equal(recorder_region(r, 1, EW_SPACE_PIO, 0x80, 1, 1, "POST code port"), 0);
	assert_int_equal(recorder_symbols_elf(r, &elf, sizeof(elf), "guest", &e), 2);
	assert_int_equal(recorder_kvm_stat(r, 0, "exits", false, 5), 0);
	*p = recorder_track(r, "vcpu", 0, "vcpu0");
	assert_non_null(*p);
	if (recorder_start(r, &e))
		fail_msg("%s", e.msg);
	return r;
}

static void make_complete(const char *path)
{
	struct err e = {""};
	struct recorder *r;
	struct probe *p;

	r = begin(path, &p);
	say_exits(p, 1, 50);
	assert_int_equal(recorder_stop(r, &e), 0);
	assert_int_equal(recorder_kvm_stat(r, 0, "exits", true, 55), 0);
	if (recorder_finish(r, &e))
		fail_msg("%s", e.msg);
	recorder_free(r);
}

static void check_content(sqlite3 *db)
{
	assert_int_equal(query_int(db, "SELECT count(*) FROM event"), 200);
	assert_int_equal(
		query_int(db, "SELECT count(*) FROM vm_exit WHERE t_entry - t_exit = 30"), 50);
	assert_string_equal(
		query_text(db, "SELECT symbol FROM v_exit WHERE id = 7"), "iowrite8+0x4");
	assert_string_equal(
		query_text(db, "SELECT device FROM v_exit WHERE id = 7"), "POST code port");
	assert_string_equal(
		query_text(db, "SELECT value FROM v_meta WHERE key = 'command'"), "test 2");
}

static void exists_with_suffix(const char *path, const char *suffix, bool expected)
{
	char name[256];

	snprintf(name, sizeof(name), "%s%s", path, suffix);
	assert_int_equal(access(name, F_OK) == 0, expected);
}

static void complete(void **state)
{
	struct scratch *s = *state;
	struct recording r;
	struct err e = {""};

	make_complete(s->file);
	exists_with_suffix(s->file, "-wal", false);
	exists_with_suffix(s->file, "-shm", false);
	if (recording_open(&r, s->file, &e))
		fail_msg("%s", e.msg);
	assert_false(r.cut_off);
	assert_string_equal(r.banner, "");
	check_content(r.db);
	assert_string_equal(
		query_text(r.db, "SELECT value FROM meta WHERE key = 'state'"), "complete");
	assert_int_equal(query_int(r.db, "SELECT before * 1000 + after FROM kvm_stat"), 5055);
	assert_int_equal(query_int(r.db, "SELECT rows FROM seal WHERE \"table\" = 'event'"), 200);
	assert_int_equal(query_int(r.db, "SELECT rows = (SELECT count(*) FROM meta) FROM seal "
					 "WHERE \"table\" = 'meta'"),
		1);
	assert_int_equal(
		query_int(r.db, "SELECT count(*) FROM meta WHERE key IN ('events', 'exits', "
				"'records_lost', 'duration_ns', 'recorder.emit_ns', "
				"'recorder.bytes', 'recorder.ring_high_water') AND value >= 0"),
		7);
	assert_int_equal(query_int(r.db, "PRAGMA application_id"), 0x45585731);
	assert_int_equal(query_int(r.db, "PRAGMA user_version"), SCHEMA_VERSION);
	assert_int_equal(query_int(r.db, "PRAGMA page_size"), 8192);
	assert_int_equal(sqlite3_exec(r.db, "DELETE FROM meta", NULL, NULL, NULL), SQLITE_READONLY);
	recording_close(&r);
}

/* One file, in a directory that its reader may not write to. */
static void read_only_directory(void **state)
{
	struct scratch *s = *state;
	pid_t child;
	int status;

	make_complete(s->file);
	assert_int_equal(chmod(s->file, 0444), 0);
	assert_int_equal(chmod(s->dir, 0555), 0);
	child = fork();
	if (child == 0) {
		struct recording r;
		struct err e = {""};

		if (geteuid() == 0 && (setgid(65534) || setuid(65534)))
			_exit(2);
		if (recording_open(&r, s->file, &e)) {
			fprintf(stderr, "%s\n", e.msg);
			_exit(1);
		}
		_exit(query_int(r.db, "SELECT count(*) FROM event") == 200 ? 0 : 3);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(chmod(s->dir, 0755), 0);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

/* A recorder in a process of its own, ended by kill -9 when it has committed its 50 exits. */
static void record_and_kill(const char *path)
{
	int ready[2], status;
	char byte;
	pid_t child;

	assert_int_equal(pipe(ready), 0);
	child = fork();
	if (child == 0) {
		struct recorder *r;
		struct probe *p;
		sqlite3 *db;

		r = begin(path, &p);
		say_exits(p, 1, 50);
		while (recorder_backlog(r) > 0)
			sched_yield();
		if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL) != SQLITE_OK)
			_exit(1);
		while (query_int(db, "SELECT count(*) FROM event") < 200)
			sched_yield();
		if (write(ready[1], "x", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	kill(child, SIGKILL);
	assert_int_equal(waitpid(child, &status, 0), child);
}

static off_t size_of(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 ? st.st_size : -1;
}

static void cut_off(void **state)
{
	struct scratch *s = *state;
	struct recording r;
	struct err e = {""};
	off_t before;

	record_and_kill(s->file);
	before = size_of(s->file);
	for (int i = 0; i < 2; i++) { /* looking changes nothing */
		if (recording_open(&r, s->file, &e))
			fail_msg("%s", e.msg);
		assert_true(r.cut_off);
		assert_int_equal(strncmp(r.banner, "CUT OFF", 7), 0);
		check_content(r.db);
		/* Derived: the index is there. */
		assert_int_equal(query_int(r.db, "SELECT count(*) FROM sqlite_schema WHERE "
						 "name = 'symbol_addr'"),
			1);
		assert_int_not_equal(
			sqlite3_exec(r.db, "DELETE FROM meta", NULL, NULL, NULL), SQLITE_OK);
		recording_close(&r);
		assert_int_equal(size_of(s->file), before);
		exists_with_suffix(s->file, "-wal", true);
	}
}

static void still_recording(void **state)
{
	struct scratch *s = *state;
	int ready[2], go[2], status;
	struct recording r;
	struct recorder *second;
	struct err e = {""}, e2 = {""};
	char byte;
	pid_t child;

	assert_int_equal(pipe(ready), 0);
	assert_int_equal(pipe(go), 0);
	child = fork();
	if (child == 0) {
		struct probe *p;

		begin(s->file, &p);
		if (write(ready[1], "x", 1) != 1 || read(go[0], &byte, 1) != 1)
			_exit(1);
		_exit(0);
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	if (recording_open(&r, s->file, &e))
		fail_msg("%s", e.msg);
	assert_int_equal(strncmp(r.banner, "STILL RECORDING", 15), 0);
	recording_close(&r);
	assert_int_equal(recorder_open(&second, s->file, NULL, &e2), -EBUSY);
	assert_null(second);
	assert_non_null(strstr(e2.msg, "another process"));
	assert_int_equal(write(go[1], "x", 1), 1);
	assert_int_equal(waitpid(child, &status, 0), child);
	for (int i = 0; i < 2; i++) {
		close(ready[i]);
		close(go[i]);
	}
}

static void put(const char *path, const void *data, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, len), len);
	close(fd);
}

/* One sentence, with the file's name. */
static void refused(const char *path, int code)
{
	struct recording r;
	struct err e = {""};

	assert_int_equal(recording_open(&r, path, &e), code);
	assert_null(r.db);
	assert_non_null(strstr(e.msg, path));
	assert_null(strchr(e.msg, '\n'));
}

static void make_foreign_sqlite(const char *path)
{
	sqlite3 *db;

	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "CREATE TABLE t(a)", NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
}

static void what_is_no_recording(void **state)
{
	struct scratch *s = *state;

	refused(s->file, -ENOENT);
	refused(s->dir, -EPROTO);
	put(s->file, "", 0);
	refused(s->file, -ENODATA);
	put(s->file, "x", 1);
	refused(s->file, -EPROTO);
	put(s->file, "SQLite format 3", 16);
	refused(s->file, -EPROTO);
	for (int i = 0; i < 20; i++) {
		char junk[4096];

		memset(junk, i * 13, sizeof(junk));
		put(s->file, junk, sizeof(junk));
		refused(s->file, -EPROTO);
	}
	unlink(s->file);
	make_foreign_sqlite(s->file);
	refused(s->file, -EPROTO);
}

/* Ended between its header and its schema. */
static void ended_before_it_began(void **state)
{
	struct scratch *s = *state;
	struct recording r;
	struct err e = {""};
	sqlite3 *db;
	char sql[96];

	snprintf(sql, sizeof(sql), "PRAGMA application_id = %d; PRAGMA user_version = %d",
		SCHEMA_APPLICATION_ID, SCHEMA_VERSION);
	assert_int_equal(sqlite3_open(s->file, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
	assert_int_equal(recording_open(&r, s->file, &e), -EIO);
	assert_non_null(strstr(e.msg, "holds nothing"));
}

static void unreadable(void **state)
{
	struct scratch *s = *state;
	pid_t child;
	int status;

	make_complete(s->file);
	assert_int_equal(chmod(s->file, 0), 0);
	assert_int_equal(chmod(s->dir, 0755), 0);
	child = fork();
	if (child == 0) {
		struct recording r;
		struct err e = {""};

		if (geteuid() == 0 && (setgid(65534) || setuid(65534)))
			_exit(2);
		_exit(recording_open(&r, s->file, &e) == -EACCES && e.msg[0] ? 0 : 1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

/* Patches the file's 32-bit big-endian word at `at`. */
static void patch(const char *path, off_t at, uint32_t value)
{
	unsigned char b[4] = {(unsigned char)(value >> 24), (unsigned char)(value >> 16),
		(unsigned char)(value >> 8), (unsigned char)value};
	int fd = open(path, O_WRONLY);

	assert_int_equal(pwrite(fd, b, sizeof(b), at), sizeof(b));
	close(fd);
}

static void newer_schema(void **state)
{
	struct scratch *s = *state;

	make_complete(s->file);
	patch(s->file, 60, SCHEMA_VERSION + 1);
	refused(s->file, -ENOTSUP);
	patch(s->file, 60, 0);
	refused(s->file, -EIO);
}

/* Version 1 had fewer columns in what is derived, and fewer tables: it is derived anew, in a copy. */
static void older_schema(void **state)
{
	static const char *const age =
		"DROP TABLE request; CREATE TABLE request(id INTEGER PRIMARY KEY, device INTEGER);"
		"DROP TABLE step; CREATE TABLE step(request_id INTEGER, n INTEGER, what TEXT,"
		" PRIMARY KEY(request_id, n)) WITHOUT ROWID;"
		"INSERT INTO request VALUES(7, 7); DROP TABLE guest_event; PRAGMA user_version = 1";
	struct scratch *s = *state;
	struct recording r;
	struct err e = {""};
	sqlite3 *db;
	off_t size;

	make_complete(s->file);
	assert_int_equal(sqlite3_open(s->file, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, age, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
	size = size_of(s->file);
	if (recording_open(&r, s->file, &e))
		fail_msg("%s", e.msg);
	assert_true(r.older);
	assert_false(r.cut_off);
	assert_string_equal(r.banner, "");
	assert_int_equal(query_int(r.db, "SELECT count(*) FROM v_request"), 0);
	assert_int_equal(query_int(r.db, "SELECT count(irq_requests) FROM request"), 0);
	/* A table of evidence that came later is there, and empty. */
	assert_int_equal(query_int(r.db, "SELECT count(*) FROM guest_event"), 0);
	assert_true(query_int(r.db, "SELECT count(*) FROM v_event WHERE error_ns IS NULL") > 0);
	recording_close(&r);
	assert_int_equal(size_of(s->file), size);
	assert_int_equal(sqlite3_open(s->file, &db), SQLITE_OK);
	assert_int_equal(query_int(db, "PRAGMA user_version"), 1);
	assert_int_equal(query_int(db, "SELECT count(*) FROM request"), 1);
	sqlite3_close(db);
}

static void truncated(void **state)
{
	struct scratch *s = *state;
	off_t size;

	make_complete(s->file);
	size = size_of(s->file);
	for (off_t cut = size - 1; cut > 100; cut -= 8191) {
		assert_int_equal(truncate(s->file, cut), 0);
		refused(s->file, -EIO);
	}
	assert_int_equal(truncate(s->file, 99), 0);
	refused(s->file, -EPROTO);
}

/* Garbage where pages were: an error, or a recording; never a crash (the sanitizers look). */
static void damaged(void **state)
{
	struct scratch *s = *state;
	struct recording r;
	unsigned seed = 1;
	off_t size;

	make_complete(s->file);
	size = size_of(s->file);
	for (int i = 0; i < 60; i++) {
		struct err e = {""};
		int ret;

		seed = seed * 1103515245u + 12345u;
		patch(s->file, 100 + (off_t)(seed % (uint64_t)(size - 104)), seed);
		ret = recording_open(&r, s->file, &e);
		assert_true(ret == 0 || e.msg[0]);
		recording_close(&r);
	}
}

static void what_is_replaced(void **state)
{
	struct scratch *s = *state;
	char link_name[256];
	struct recorder *r;
	struct recording old;
	struct err e = {""}, e2 = {""}, e3 = {""};
	struct stat st;

	put(s->file, "precious", 8);
	assert_int_equal(recorder_open(&r, s->file, NULL, &e), -EEXIST);
	assert_int_equal(size_of(s->file), 8);
	unlink(s->file);
	make_foreign_sqlite(s->file);
	assert_int_equal(recorder_open(&r, s->file, NULL, &e2), -EEXIST);
	assert_int_equal(recorder_open(&r, s->dir, NULL, &e3), -EISDIR);
	put(s->file, "", 0);
	make_complete(s->file);
	/* A viewer that has the old one open keeps it. */
	assert_int_equal(recording_open(&old, s->file, &e3), 0);
	record_and_kill(s->file);
	make_complete(s->file); /* also over a cut-off one with its log */
	check_content(old.db);
	recording_close(&old);
	snprintf(link_name, sizeof(link_name), "%s/link.exw", s->dir);
	assert_int_equal(symlink("test.exw", link_name), 0);
	make_complete(link_name);
	assert_int_equal(lstat(link_name, &st), 0);
	assert_true(S_ISLNK(st.st_mode));
	unlink(link_name);
	assert_int_equal(recording_open(&old, s->file, &e3), 0);
	recording_close(&old);
}

/* The one that was there is back, if nothing was recorded; its log too. */
static void nothing_replaces_nothing(void **state)
{
	struct scratch *s = *state;
	struct recording old;
	struct recorder *r;
	struct err e = {""};

	for (int i = 0; i < 4; i++) {
		if (i < 2)
			make_complete(s->file);
		else
			record_and_kill(s->file);
		assert_int_equal(recorder_open(&r, s->file, NULL, &e), 0);
		assert_non_null(recorder_track(r, "vcpu", 0, "vCPU 0"));
		(i % 2 ? recorder_discard : recorder_free)(r);
		assert_int_equal(recording_open(&old, s->file, &e), 0);
		assert_int_equal(old.cut_off, i >= 2);
		assert_true(query_int(old.db, "SELECT count(*) FROM event") > 0);
		recording_close(&old);
	}
	unlink(s->file);
	assert_int_equal(recorder_open(&r, s->file, NULL, &e), 0);
	recorder_discard(r);
	assert_int_equal(access(s->file, F_OK), -1);
	exists_with_suffix(s->file, "-wal", false);
	/* Once it began, it stays. */
	make_complete(s->file);
	assert_int_equal(recorder_open(&r, s->file, NULL, &e), 0);
	assert_int_equal(recorder_start(r, &e), 0);
	recorder_free(r);
	assert_int_equal(recording_open(&old, s->file, &e), 0);
	assert_true(old.cut_off);
	recording_close(&old);
}

static void bad_options(void **state)
{
	struct recorder_opts opts = {.ring_slots = 1000};
	struct scratch *s = *state;
	struct recorder *r;
	struct err e = {""}, e2 = {""};

	assert_int_equal(recorder_open(&r, s->file, &opts, &e), -EINVAL);
	assert_int_equal(access(s->file, F_OK), -1);
	assert_int_equal(recorder_open(&r, "/nonexistent/x.exw", NULL, &e2), -ENOENT);
	assert_non_null(strstr(e2.msg, "/nonexistent/x.exw"));
	recorder_free(NULL);
}

/* A describing call that fails is not forgotten. */
static void failed_description(void **state)
{
	struct scratch *s = *state;
	struct recorder *r;
	struct err e = {""};

	assert_int_equal(recorder_open(&r, s->file, NULL, &e), 0);
	assert_int_equal(recorder_device(r, 1, "a", "b"), 0);
	assert_true(recorder_device(r, 1, "a", "b") < 0);
	assert_true(recorder_start(r, &e) < 0);
	assert_non_null(strstr(e.msg, "UNIQUE"));
	recorder_free(r);
}

/* Truncated and damaged ELF files: an error or fewer symbols, never a crash. */
static void elf_garbage(void **state)
{
	static const struct elf_image_symbol symbol = {"f", 1, 1, STT_FUNC};
	struct elf_image elf, bad;
	struct scratch *s = *state;
	struct recorder *r;
	struct err e = {""};
	unsigned seed = 7;

	elf_image_make(&elf, &symbol, 1);
	assert_int_equal(recorder_open(&r, s->file, NULL, &e), 0);
	assert_int_equal(recorder_symbols_elf(r, "no", 2, "m", &e), -ENOEXEC);
	assert_non_null(strstr(e.msg, "not an ELF"));
	for (size_t len = 0; len < sizeof(elf); len += 3) {
		/* Exactly as long as it says, so that a read behind it is seen. */
		unsigned char *copy = malloc(len ? len : 1);

		memcpy(copy, &elf, len);
		recorder_symbols_elf(r, copy, len, "m", NULL);
		free(copy);
	}
	for (int i = 0; i < 3000; i++) {
		unsigned char *b = (unsigned char *)&bad;

		bad = elf;
		for (int n = 0; n < 4; n++) {
			seed = seed * 1103515245u + 12345u;
			b[(seed >> 8) % (sizeof(elf.header) + sizeof(elf.section) + 96)] =
				(unsigned char)(seed >> 20);
		}
		recorder_symbols_elf(r, &bad, sizeof(bad), "m", NULL);
	}
	assert_int_equal(recorder_symbols_elf(r, &elf, sizeof(elf), "m", NULL), 1);
	recorder_free(r);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(complete),
		T(read_only_directory),
		T(cut_off),
		T(still_recording),
		T(what_is_no_recording),
		T(ended_before_it_began),
		T(unreadable),
		T(newer_schema),
		T(older_schema),
		T(truncated),
		T(damaged),
		T(what_is_replaced),
		T(nothing_replaces_nothing),
		T(bad_options),
		T(failed_description),
		T(elf_garbage),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
