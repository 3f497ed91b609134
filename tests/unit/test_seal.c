/* SPDX-License-Identifier: MIT */
/* The seal: a changed row is found and named, whatever was changed in it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "schema/schema.h"
#include "tests/lib/scratch.h"
#include "tracer/seal.h"

#define ROWS 3000 /* the last block is not full */

static void run(sqlite3 *db, const char *sql)
{
	if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
		fail_msg("%s: %s", sqlite3_errmsg(db), sql);
}

static int setup(void **state)
{
	struct err e = {""};
	sqlite3 *db;

	assert_int_equal(sqlite3_open(":memory:", &db), SQLITE_OK);
	run(db, schema_sql);
	run(db, "CREATE TABLE t(id INTEGER PRIMARY KEY, i, r, s, b);"
		"CREATE TABLE k(a TEXT, b INTEGER, v, PRIMARY KEY(a, b)) WITHOUT ROWID;"
		"INSERT INTO k VALUES('x', 1, 1), ('x', 2, 2), ('y', 1, 3);"
		"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)"
		" INSERT INTO t SELECT 2 * i, i, i / 8.0, 'text ' || i, zeroblob(i % 40) FROM n");
	assert_int_equal(seal_write(db, &e), 0);
	*state = db;
	return 0;
}

static int teardown(void **state)
{
	sqlite3_close(*state);
	return 0;
}

static struct seal_verdict compare(sqlite3 *db, const char *table)
{
	struct seal_verdict v;
	struct err e = {""};

	if (seal_compare(db, table, &v, &e))
		fail_msg("%s", e.msg);
	return v;
}

static void nothing_changed(void **state)
{
	struct seal_verdict v = compare(*state, "t");

	assert_int_equal(v.sealed, ROWS);
	assert_int_equal(v.rows, ROWS);
	assert_true(v.digest);
	assert_int_equal(v.first, -1);
	assert_int_equal(compare(*state, "loss").rows, 0);
	assert_int_equal(compare(*state, "loss").first, -1);
	assert_true(compare(*state, "loss").digest);
}

/* Each is undone by sealing again: the next change is found on its own. */
static void one_row_is_named(void **state)
{
	static const char *const set[] = {"i = i + 1", "i = -i", "i = CAST(i AS TEXT)",
		"i = i + 0.0", "i = i | (1 << 62)", "r = r + 0.125", "s = s || ' '", "s = upper(s)",
		"s = CAST(s AS BLOB)", "b = zeroblob(length(b) + 1)", "b = x''", "i = 0, s = i",
		"i = NULL"};
	static const int row[] = {1, 1023, 1024, 1025, 2049, ROWS};
	struct err e = {""};
	char sql[128], name[32];

	for (size_t c = 0; c < sizeof(set) / sizeof(set[0]); c++)
		for (size_t r = 0; r < sizeof(row) / sizeof(row[0]); r++) {
			struct seal_verdict v;

			snprintf(sql, sizeof(sql), "UPDATE t SET %s WHERE id = %d", set[c],
				2 * row[r]);
			run(*state, sql);
			v = compare(*state, "t");
			if (v.first != row[r] - 1 || v.last != v.first)
				fail_msg("%s: found %d to %d", sql, (int)v.first, (int)v.last);
			snprintf(sql, sizeof(sql), "%d", 2 * row[r]);
			assert_string_equal(
				seal_row_name(*state, "t", v.first, name, sizeof(name)), sql);
			assert_int_equal(seal_write(*state, &e), 0);
		}
}

static void several_rows_are_bounded(void **state)
{
	struct seal_verdict v;

	run(*state, "UPDATE t SET i = i + 1 WHERE id IN (2 * 1500, 2 * 1600)");
	v = compare(*state, "t"); /* in one block: its first and last row */
	assert_int_equal(v.first, 1024);
	assert_int_equal(v.last, 2047);
	run(*state, "UPDATE t SET i = i + 1 WHERE id = 2 * 2999");
	assert_int_equal(compare(*state, "t").last, 2998);
	run(*state, "UPDATE t SET i = i - 1 WHERE id IN (2 * 1500, 2 * 1600, 2 * 2999)");
	assert_int_equal(compare(*state, "t").first, -1);
	/* The same values in another order. */
	run(*state, "UPDATE t SET id = -1 WHERE id = 20; UPDATE t SET id = 20 WHERE id = 22;"
		    "UPDATE t SET id = 22 WHERE id = -1");
	assert_int_equal(compare(*state, "t").first, 0);
	assert_int_equal(compare(*state, "t").last, 1023);
}

static void keys_of_several_columns(void **state)
{
	struct seal_verdict v;
	char name[32];

	run(*state, "UPDATE k SET v = 9 WHERE a = 'x' AND b = 2");
	v = compare(*state, "k");
	assert_int_equal(v.first, v.last);
	assert_string_equal(seal_row_name(*state, "k", v.first, name, sizeof(name)), "x, 2");
	/* Cut short, never written beyond. */
	assert_string_equal(seal_row_name(*state, "k", v.first, name, 3), "x,");
	assert_string_equal(seal_row_name(*state, "k", 99, name, sizeof(name)), "");
}

static void tables_and_rows_that_are_missing(void **state)
{
	run(*state, "DELETE FROM t WHERE id > 100; DROP TABLE k; CREATE TABLE more(x)");
	assert_int_equal(compare(*state, "t").rows, 50);
	assert_int_equal(compare(*state, "t").sealed, ROWS);
	assert_int_equal(compare(*state, "k").rows, -1);
	assert_int_equal(compare(*state, "k").sealed, 3);
	assert_int_equal(compare(*state, "more").sealed, -1);
}

static void digests_that_are_missing(void **state)
{
	struct err e = {""};

	run(*state, "UPDATE seal SET digest = substr(digest, 2) WHERE \"table\" = 't'");
	assert_false(compare(*state, "t").digest);
	run(*state, "UPDATE seal SET digest = NULL WHERE \"table\" = 't'");
	assert_false(compare(*state, "t").digest);
	assert_true(compare(*state, "step").digest); /* derived: needs none */
	run(*state, "ALTER TABLE seal DROP COLUMN digest");
	assert_false(compare(*state, "t").digest);
	assert_int_equal(compare(*state, "t").sealed, ROWS);
	assert_int_equal(seal_write(*state, &e), 0);
	assert_true(compare(*state, "t").digest);
	assert_int_equal(compare(*state, "t").first, -1);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(nothing_changed),
		T(one_row_is_named),
		T(several_rows_are_bounded),
		T(keys_of_several_columns),
		T(tables_and_rows_that_are_missing),
		T(digests_that_are_missing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
