/* SPDX-License-Identifier: MIT */
/* Address → name + offset. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tracer/symbols.h"

static int open_symbols(void **state)
{
	struct symbols *s;
	sqlite3 *db;

	if (sqlite3_open(":memory:", &db) != SQLITE_OK ||
		sqlite3_exec(db,
			"CREATE TABLE symbol(id INTEGER PRIMARY KEY, addr, size, name, module);"
			"INSERT INTO symbol VALUES"
			" (1, 0x401000, 0x20, 'write', 'm'),"
			" (2, -2147483648, 0x100, 'ksys_write', 'm')," /* 0xffffffff80000000 */
			" (3, -2147483392, 0x40, 'outer', 'm'),"
			" (4, -2147483384, 0x08, 'inner', 'm'),"
			" (5, -2147483136, 0, 'label', 'm'),"
			" (6, -2147483648, 0x100, 'alias', 'm')",
			NULL, NULL, NULL) != SQLITE_OK ||
		symbols_load(&s, db, NULL))
		return -1;
	sqlite3_close(db);
	*state = s;
	return 0;
}

static int close_symbols(void **state)
{
	symbols_free(*state);
	return 0;
}

static void expect(const struct symbols *s, uint64_t addr, const char *text)
{
	char buf[64];

	assert_string_equal(symbols_format(s, addr, buf, sizeof(buf)), text);
}

static void finds_and_formats(void **state)
{
	expect(*state, 0x401000, "write+0x0");
	expect(*state, 0x40101f, "write+0x1f");
	expect(*state, 0x401020, "0x401020");
	expect(*state, 0x400fff, "0x400fff");
	expect(*state, 0, "0x0");
	expect(*state, UINT64_MAX, "0xffffffffffffffff");
}

/* Kernel addresses are negative in the database and the upper half here. */
static void upper_half(void **state)
{
	expect(*state, 0xffffffff80000045, "ksys_write+0x45");
	assert_int_equal(symbols_find(*state, 0xffffffff80000000)->id, 2);
	expect(*state, 0xffffffff7fffffff, "0xffffffff7fffffff");
}

static void nested_symbols(void **state)
{
	expect(*state, 0xffffffff80000107, "outer+0x7");
	expect(*state, 0xffffffff80000108, "inner+0x0");
	expect(*state, 0xffffffff80000110, "outer+0x10");
}

static void size_zero_is_its_address_alone(void **state)
{
	expect(*state, 0xffffffff80000200, "label+0x0");
	expect(*state, 0xffffffff80000201, "0xffffffff80000201");
}

static void empty_table(void **state)
{
	struct symbols *s;
	sqlite3 *db;

	(void)state;
	assert_int_equal(sqlite3_open(":memory:", &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "CREATE TABLE symbol(id, addr, size, name)", 0, 0, 0), 0);
	assert_int_equal(symbols_load(&s, db, NULL), 0);
	assert_null(symbols_find(s, 0x1000));
	symbols_free(s);
	sqlite3_close(db);
}

static void missing_table_is_an_error(void **state)
{
	struct err e = {0};
	struct symbols *s = NULL;
	sqlite3 *db;

	(void)state;
	assert_int_equal(sqlite3_open(":memory:", &db), SQLITE_OK);
	assert_true(symbols_load(&s, db, &e) < 0);
	assert_true(e.msg[0] != 0);
	sqlite3_close(db);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_and_formats),
		cmocka_unit_test(upper_half),
		cmocka_unit_test(nested_symbols),
		cmocka_unit_test(size_zero_is_its_address_alone),
		cmocka_unit_test(empty_table),
		cmocka_unit_test(missing_table_is_an_error),
	};

	return cmocka_run_group_tests(tests, open_symbols, close_symbols);
}
