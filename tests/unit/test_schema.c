/* SPDX-License-Identifier: MIT */
/* The generated schema: deterministic, complete, documented, and fast where it must be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "schema/schema.h"
#include "tests/lib/scratch.h"
#include "tracer/probe.h"
#include "tracer/recording.h"

struct kind {
	int id;
	const char *name, *text;
};

static const struct kind kinds[] = {
#define EV(id, name, NAME, stage, layer, source, text, doc, a0, a1, a2, a3, a4, a5)                \
	{id, #name, text},
#include "tracer/events.def"
#undef EV
};

#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

static sqlite3 *fresh(void)
{
	sqlite3 *db;
	char *message = NULL;

	assert_int_equal(sqlite3_open(":memory:", &db), SQLITE_OK);
	if (sqlite3_exec(db, schema_sql, NULL, NULL, &message) != SQLITE_OK)
		fail_msg("%s", message);
	return db;
}

static char *read_all(FILE *f)
{
	char *text = NULL;
	size_t size = 0;

	assert_non_null(f);
	if (getdelim(&text, &size, 0, f) < 0)
		text[0] = 0;
	return text;
}

static char *read_file(const char *path)
{
	FILE *f = fopen(path, "r");
	char *text = read_all(f);

	fclose(f);
	return text;
}

static char *generate(const char *mode)
{
	const char *build = getenv("BUILD");
	char command[512];
	char *text;
	FILE *f;

	snprintf(command, sizeof(command), "'%s/schema/gen' %s", build ? build : "build", mode);
	f = popen(command, "r");
	text = read_all(f);
	assert_int_equal(pclose(f), 0);
	return text;
}

static void generation_is_deterministic(void **state)
{
	static const char *const mode[] = {"sql", "md"};

	(void)state;
	for (int i = 0; i < 2; i++) {
		char *a = generate(mode[i]), *b = generate(mode[i]);

		assert_true(strlen(a) > 1000);
		assert_string_equal(a, b);
		free(a);
		free(b);
	}
}

/* What is built in is what the generator prints now, between the two hand-written parts. */
static void built_in_is_current(void **state)
{
	char *sql = generate("sql"), *head = read_file("schema/schema.sql"),
	     *tail = read_file("schema/views.sql");
	size_t h = strlen(head), s = strlen(sql);

	(void)state;
	assert_int_equal(strlen(schema_sql), h + s + strlen(tail));
	assert_memory_equal(schema_sql, head, h);
	assert_memory_equal(schema_sql + h, sql, s);
	assert_string_equal(schema_sql + h + s, tail);
	free(sql);
	free(head);
	free(tail);
}

static void events_md_is_current(void **state)
{
	char *now = generate("md"), *kept = read_file("docs/events.md");

	(void)state;
	if (strcmp(now, kept) != 0)
		fail_msg("docs/events.md is older than tracer/events.def: run make docs-events");
	free(now);
	free(kept);
}

static void every_kind_has_a_row_and_a_view(void **state)
{
	sqlite3 *db = fresh();
	char sql[256];

	(void)state;
	assert_int_equal(query_int(db, "SELECT count(*) FROM event_kind"), KINDS);
	for (size_t i = 0; i < KINDS; i++) {
		snprintf(sql, sizeof(sql), "SELECT id FROM event_kind WHERE name = '%s'",
			kinds[i].name);
		assert_int_equal(query_int(db, sql), kinds[i].id);
		snprintf(sql, sizeof(sql),
			"SELECT count(id + ts_ns + dur_ns + track + exit_id) FROM e_%s",
			kinds[i].name);
		assert_int_equal(query_int(db, sql), 0);
		snprintf(sql, sizeof(sql),
			"SELECT count(*) FROM event_kind k JOIN enum_name l ON l.enum = 'layer' "
			"AND "
			"l.value = k.layer JOIN enum_name s ON s.enum = 'source' AND s.value = "
			"k.source "
			"WHERE k.id = %d",
			kinds[i].id);
		assert_int_equal(query_int(db, sql), 1);
	}
	sqlite3_close(db);
}

/* No brace, no empty text, and each of the arguments' values is to be found in it. */
static void every_text_expands(void **state)
{
	sqlite3 *db = fresh();
	char sql[256];

	(void)state;
	for (size_t i = 0; i < KINDS; i++) {
		const char *text;

		snprintf(sql, sizeof(sql),
			"INSERT INTO event VALUES(%d, 1, 1, %d, 1, 1, 7001, 7002, 7003, 7004, "
			"7005, 7006)",
			kinds[i].id, kinds[i].id);
		assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
		snprintf(sql, sizeof(sql), "SELECT text FROM v_event WHERE id = %d", kinds[i].id);
		text = query_text(db, sql);
		assert_true(text[0]);
		assert_null(strpbrk(text, "{}"));
		assert_int_equal(strchr(kinds[i].text, '{') != NULL,
			strstr(text, "700") != NULL || strstr(text, "0x1b5") != NULL);
		snprintf(sql, sizeof(sql), "SELECT kind = '%s' FROM v_event WHERE id = %d",
			kinds[i].name, kinds[i].id);
		assert_int_equal(query_int(db, sql), 1);
	}
	sqlite3_close(db);
}

static void texts_read_well(void **state)
{
	sqlite3 *db = fresh();

	(void)state;
	assert_int_equal(
		sqlite3_exec(db,
			"INSERT INTO region VALUES(4, 0, 49152, 64, 1, 'virtio-blk0 BAR0');"
			"INSERT INTO event VALUES(1, 1, 1, 2, 1, 1, 1, 2, 0, 0, 0, 0);"
			"INSERT INTO event VALUES(2, 1, 1, 3, 1, 1, 0, 49168, 4, 16, 2, 1);"
			"INSERT INTO event VALUES(3, 1, 1, 3, 1, 1, 0, 97, 0, 0, 1, 1);"
			"INSERT INTO event VALUES(4, 1, 1, 41, 1, 1, 1, 18, -28, 0, 0, 0);"
			"INSERT INTO event VALUES(5, 1, 1, 2, 1, 1, 1, 99, 0, 0, 0, 0);",
			NULL, NULL, NULL),
		SQLITE_OK);
	assert_string_equal(query_text(db, "SELECT text FROM v_event WHERE id = 1"),
		"KVM_RUN returns: KVM_EXIT_IO");
	assert_string_equal(query_text(db, "SELECT text FROM v_event WHERE id = 2"),
		"port 0xc010 is virtio-blk0 BAR0+0x10");
	assert_string_equal(
		query_text(db, "SELECT text FROM v_event WHERE id = 3"), "port 0x61 is nobody+0x0");
	assert_string_equal(
		query_text(db, "SELECT text FROM v_event WHERE id = 4"), "pwrite64 = -28");
	assert_string_equal(query_text(db, "SELECT text FROM v_event WHERE id = 5"),
		"KVM_RUN returns: unknown 99");
	sqlite3_close(db);
}

/* Columns are looked for by name: that they are there, first and in this order, is the contract. */
static void public_columns(void **state)
{
	static const struct {
		const char *view, *columns;
	} contract[] = {
		{"v_exit",
			"id,ts_ns,vcpu,isa,hw_reason,hw_reason_name,kvm_reason,kvm_reason_name,rip,"
			"symbol,space,addr,size,is_write,value,device,dispatch_ns,total_ns"},
		{"v_request",
			"id,device,type,sector,bytes,status,t_first_ns,t_last_ns,exits,pid,comm,"
			"syscall,call_how,kick,thread"},
		{"v_step",
			"request_id,n,stage,layer,actor,ts_ns,dur_ns,evidence,text,uncertain,error_ns,"
			"aside"},
		{"v_aside",
			"request_id,aside,first_n,last_n,steps,exits,t0_ns,t1_ns,evidence,text"},
		{"v_loss", "source,ts0_ns,ts1_ns,n"},
		{"v_meta", "key,value"},
		{"v_event",
			"id,ts_ns,dur_ns,track,exit_id,kind,layer,stage,source,text,error_ns,pid"},
	};
	sqlite3 *db = fresh();
	char sql[128];

	(void)state;
	for (size_t i = 0; i < sizeof(contract) / sizeof(contract[0]); i++) {
		snprintf(sql, sizeof(sql), "SELECT group_concat(name) FROM pragma_table_info('%s')",
			contract[i].view);
		assert_int_equal(strncmp(query_text(db, sql), contract[i].columns,
					 strlen(contract[i].columns)),
			0);
	}
	sqlite3_close(db);
}

struct plan {
	const char *query;
	char made[32]; /* a sub-select's rows, which the plan has made before */
};

static int no_scan(void *ctx, int n, char **value, char **name)
{
	struct plan *p = ctx;

	(void)name;
	/* Walking all of a table; "SCAN CONSTANT ROW" and the like touch none. */
	for (int i = 0; i < n; i++) {
		if (value[i] && (sscanf(value[i], "CO-ROUTINE %31s", p->made) == 1 ||
					sscanf(value[i], "MATERIALIZE %31s", p->made) == 1))
			continue;
		if (value[i] && strncmp(value[i], "SCAN ", 5) == 0 &&
			strncmp(value[i], "SCAN C", 6) && strncmp(value[i], "SCAN (sub", 9) &&
			strcmp(value[i] + 5, p->made))
			fail_msg("%s: %s", p->query, value[i]);
	}
	return 0;
}

/* Read by id, a recording's size must not matter. */
static void look_ups_by_id(void **state)
{
	static const char *const query[] = {
		"SELECT * FROM v_step WHERE request_id = 5",
		"SELECT * FROM v_step WHERE request_id = 5 AND n BETWEEN 3 AND 9",
		"SELECT * FROM v_aside WHERE request_id = 5",
		"SELECT * FROM v_aside WHERE request_id = 5 AND aside = 2",
		"SELECT * FROM v_event WHERE id BETWEEN 5 AND 9",
		"SELECT * FROM v_event WHERE id >= 5 ORDER BY id LIMIT 50",
		"SELECT * FROM v_event WHERE id <= 5 ORDER BY id DESC LIMIT 50",
		"SELECT * FROM v_exit WHERE id = 5",
		"SELECT * FROM v_exit WHERE id >= 5 ORDER BY id LIMIT 50",
		"SELECT * FROM v_request WHERE id = 5",
		"SELECT * FROM v_call WHERE id = 5",
		"SELECT * FROM e_run_exit WHERE id BETWEEN 5 AND 9",
	};
	sqlite3 *db = fresh();
	struct err e = {""};
	char sql[160];

	(void)state;
	assert_int_equal(derive_all(db, &e), 0); /* builds the indexes */
	for (size_t i = 0; i < sizeof(query) / sizeof(query[0]); i++) {
		struct plan p = {.query = query[i]};

		snprintf(sql, sizeof(sql), "EXPLAIN QUERY PLAN %s", query[i]);
		assert_int_equal(sqlite3_exec(db, sql, no_scan, &p, NULL), SQLITE_OK);
	}
	sqlite3_close(db);
}

/* Every ```sql block of the README runs, and every public view and table is described there. */
static void readme(void **state)
{
	char *text = read_file("schema/README.md");
	sqlite3 *db = fresh();
	sqlite3_stmt *names = NULL;
	unsigned blocks = 0;

	(void)state;
	for (char *at = text; (at = strstr(at, "```sql\n"));) {
		char *end = strstr(at + 7, "```"), *message = NULL;

		assert_non_null(end);
		*end = 0;
		if (sqlite3_exec(db, at + 7, NULL, NULL, &message) != SQLITE_OK)
			fail_msg("%s: %s", at + 7, message);
		*end = '`';
		at = end + 3;
		blocks++;
	}
	assert_true(blocks >= 9);
	assert_int_equal(sqlite3_prepare_v2(db,
				 "SELECT name FROM sqlite_schema WHERE (type = 'table' OR "
				 "name LIKE 'v\\_%' ESCAPE '\\') AND name NOT LIKE 'sqlite_%'",
				 -1, &names, NULL),
		SQLITE_OK);
	while (sqlite3_step(names) == SQLITE_ROW)
		if (!strstr(text, (const char *)sqlite3_column_text(names, 0)))
			fail_msg("schema/README.md does not say what %s is",
				sqlite3_column_text(names, 0));
	sqlite3_finalize(names);
	sqlite3_close(db);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(generation_is_deterministic),
		cmocka_unit_test(built_in_is_current),
		cmocka_unit_test(events_md_is_current),
		cmocka_unit_test(every_kind_has_a_row_and_a_view),
		cmocka_unit_test(every_text_expands),
		cmocka_unit_test(texts_read_well),
		cmocka_unit_test(public_columns),
		cmocka_unit_test(look_ups_by_id),
		cmocka_unit_test(readme),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
