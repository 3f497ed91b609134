/* SPDX-License-Identifier: MIT */
/*
 * libFuzzer target: a recording that somebody has changed, by SQL (any cell, to anything) or in its bytes, whole or as
 * one that was cut off, which is derived anew. Whatever it holds, path and check come to an end, and
 * what fails says so.
 *
 * sources: tracer/recording.c tracer/untrusted.c tracer/seal.c tracer/host_mend.c tracer/derive.c tracer/derive_absent.c tracer/derive_aside.c tracer/derive_budget.c tracer/derive_calls.c tracer/derive_events.c tracer/derive_frames.c tracer/derive_guest.c tracer/derive_guest_carriers.c tracer/derive_guest_join.c tracer/derive_guest_rows.c tracer/derive_guest_steps.c tracer/derive_host.c tracer/derive_put.c tracer/derive_queues.c tracer/derive_steps.c tracer/derive_windows.c tracer/path_text.c tracer/path_steps.c tracer/path_json.c tracer/checks.c tracer/checks_seal.c tracer/checks_derived.c tracer/checks_events.c tracer/checks_guest.c tracer/checks_joined.c tracer/checks_kvm.c tracer/checks_requests.c tracer/unwind.c tracer/unwind_orc.c tracer/insn.c @BUILD@/libexitwalk.a
 * libs: -I@BUILD@ -fwrapv -lsqlite3 -luring -lZydis -lelf -ltracecmd -ltracefs -ltraceevent
 */
#include "fuzz.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tracer/check.h"
#include "tracer/path.h"
#include "tracer/sql.h"

#define BASE "samples/recordings/vmx-linux.exw"

static char *base;
static size_t base_len;
static char file[64];
static FILE *null;

static void remove_files(void)
{
	static const char *const suffix[] = {"", "-journal", "-wal", "-shm"};
	char name[80];

	for (size_t i = 0; i < 4; i++) {
		snprintf(name, sizeof(name), "%s%s", file, suffix[i]);
		unlink(name);
	}
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	const char *dir = access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm";
	FILE *f = fopen(BASE, "r");

	(void)argc;
	(void)argv;
	check(f && !fseek(f, 0, SEEK_END));
	base_len = (size_t)ftell(f);
	base = malloc(base_len);
	rewind(f);
	check(base && fread(base, base_len, 1, f) == 1);
	fclose(f);
	snprintf(file, sizeof(file), "%s/exitwalk-fuzz-%d.exw", dir, getpid());
	null = fopen("/dev/null", "w");
	check(null != NULL);
	atexit(remove_files);
	return 0;
}

static void write_base(void)
{
	int fd = open(file, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	check(fd >= 0 && write(fd, base, base_len) == (ssize_t)base_len);
	close(fd);
}

/* --- what is done to it ------------------------------------------------------------------------ */

/* Bytes of a page, behind the file's header. */
static void flip(struct input *in)
{
	int fd = open(file, O_WRONLY);

	for (unsigned n = 1 + take(in, 1) % 16; n--;) {
		uint64_t at = 100 + take(in, 3) % (base_len - 108), value = take(in, 4);

		check(pwrite(fd, &value, 1 + take(in, 1) % 4, (off_t)at) > 0);
	}
	close(fd);
}

/* The name of the n-th row that `sql` gives, modulo their number. */
static char *choose(sqlite3 *db, const char *sql, uint64_t n)
{
	char *all = sqlite3_mprintf(
		"SELECT n FROM (%s) LIMIT 1 OFFSET (SELECT %llu %% max(1, count(*)) FROM (%s))",
		sql, (unsigned long long)n, sql);
	sqlite3_stmt *row = NULL;
	char *name = NULL;

	if (sqlite3_prepare_v2(db, all, -1, &row, NULL) == SQLITE_OK &&
		sqlite3_step(row) == SQLITE_ROW)
		name = sqlite3_mprintf("%s", sqlite3_column_text(row, 0));
	sqlite3_finalize(row);
	sqlite3_free(all);
	return name;
}

static void change(sqlite3 *db, struct input *in)
{
	static const char *const values[] = {"NULL", "0", "-1", "1", "9223372036854775807",
		"-9223372036854775808", "4294967296", "65535", "1e300", "'text'", "''", "x'00ff1b'",
		"zeroblob(70000)", "rowid", "random()", "abs(random() % 100)", "char(27, 93, 7)"};
	char *table = choose(
		db, "SELECT name AS n FROM sqlite_schema WHERE type = 'table'", take(in, 1));
	char *list = sqlite3_mprintf("SELECT name AS n FROM pragma_table_info(%Q)", table);
	char *column = choose(db, list, take(in, 1));
	const char *value = values[take(in, 1) % (sizeof(values) / sizeof(values[0]))];
	unsigned how = take(in, 1), which = take(in, 2);
	char *sql = how % 16 == 15
			    ? sqlite3_mprintf("DELETE FROM \"%w\" WHERE random() %% %u = 0", table,
				      1 + which % 8)
			    : sqlite3_mprintf("UPDATE OR IGNORE \"%w\" SET \"%w\" = %s WHERE %s",
				      table, column, value,
				      how % 3 == 0   ? "1"
				      : how % 3 == 1 ? "random() % 5 = 0"
						     : "random() % 500 = 0");

	sqlite3_exec(db, sql, NULL, NULL, NULL); /* a table without rowid has none to give */
	sqlite3_free(table);
	sqlite3_free(list);
	sqlite3_free(column);
	sqlite3_free(sql);
}

/* NULL is allowed everywhere: a file need not have our constraints. */
static void edit(struct input *in, bool cut_off)
{
	sqlite3 *db = NULL;

	check(sqlite3_open(file, &db) == SQLITE_OK);
	sqlite3_exec(db,
		"PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA writable_schema = ON;"
		"UPDATE sqlite_schema SET sql = replace(sql, ' NOT NULL', '') WHERE type = 'table'"
		" AND sql NOT LIKE '%WITHOUT ROWID%'; PRAGMA writable_schema = RESET; BEGIN",
		NULL, NULL, NULL);
	if (cut_off)
		sqlite3_exec(db,
			"UPDATE meta SET value = 'recording' WHERE key = 'state'; DELETE FROM seal",
			NULL, NULL, NULL);
	for (unsigned n = 1 + take(in, 1) % 4; n--;)
		change(db, in);
	sqlite3_exec(db, "COMMIT", NULL, NULL, NULL);
	sqlite3_close(db);
}

/* --- what is read of it ------------------------------------------------------------------------ */

static void said(int ret, const struct err *e)
{
	check(ret >= 0 || e->msg[0]);
	check(!strpbrk(e->msg, "\n\033"));
}

static void read_paths(struct recording *rec, const struct textout *o)
{
	struct err e = {""};
	struct json j;
	int64_t id = 0;

	said(path_list(rec->db, o, 1, &e), &e);
	e.msg[0] = '\0';
	if (sql_get_int(rec->db, NULL, "SELECT max(id) FROM request", &id) || !id)
		return;
	said(path_text(rec->db, o, id, true, &e), &e);
	e.msg[0] = '\0';
	json_init(&j, null);
	said(path_json(rec->db, &j, id, &e), &e);
}

static void read_checks(struct recording *rec, const struct textout *o)
{
	static int (*const checks[])(struct check * c, struct err * e) = {check_file, check_names,
		check_ids, check_seal, check_events, check_guest, check_requests, check_derived,
		check_budgets, check_losses, check_kvm_stats};
	struct check c = {.db = rec->db, .recording = rec, .out = o};

	for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++) {
		struct err e = {""};

		said(checks[i](&c, &e), &e);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, data + size};
	unsigned how = take(&in, 1);
	struct err e = {""};
	struct recording rec;
	struct textout o;
	int ret;

	remove_files();
	write_base();
	if (how % 4 == 3)
		flip(&in);
	else
		edit(&in, how % 4 == 2);
	ret = recording_open(&rec, file, &e);
	said(ret, &e);
	if (!ret) {
		textout_init(&o, null, how & 4);
		read_paths(&rec, &o);
		read_checks(&rec, &o);
	}
	recording_close(&rec);
	return 0;
}
