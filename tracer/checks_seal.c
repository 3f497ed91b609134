/* SPDX-License-Identifier: MIT */
/* The check that compares every table with what the recorder sealed: its rows, and what they say. */
#include "check.h"

#include <inttypes.h>
#include <string.h>

#include "seal.h"
#include "sql.h"

/* The first sealed key that a table without counting ids does not have any more; "": none. */
static int missing_key(struct check *c, const char *table, char *key, size_t size, struct err *e)
{
	sqlite3_stmt *row = NULL;
	/* Each step copies the rest: a text of megabytes, which no recorder wrote, would take for ever. */
	int ret = sql_prepare(c->db, &row, e,
		"WITH RECURSIVE k(key, rest) AS (SELECT NULL, keys || char(10) FROM seal WHERE"
		" \"table\" = ?1 AND length(keys) < 65536 UNION ALL SELECT substr(rest, 1, instr(rest, char(10)) - 1),"
		" substr(rest, instr(rest, char(10)) + 1) FROM k WHERE rest <> '')"
		" SELECT key FROM k WHERE key IS NOT NULL AND key NOT IN (SELECT CASE ?1 WHEN 'meta'"
		" THEN m.key END FROM meta m WHERE ?1 = 'meta' UNION ALL SELECT vcpu || ' ' || name"
		" FROM kvm_stat WHERE ?1 = 'kvm_stat') LIMIT 1");

	*key = '\0';
	if (!ret) {
		sqlite3_bind_text(row, 1, table, -1, SQLITE_STATIC);
		ret = sql_step(row, e);
	}
	if (ret > 0)
		snprintf(key, size, ": '%s' is missing", (const char *)sqlite3_column_text(row, 0));
	sqlite3_finalize(row);
	return ret < 0 ? ret : 0;
}

static void say_changed(struct check *c, const char *table, const struct seal_verdict *v)
{
	char first[96], last[96];

	seal_row_name(c->db, table, v->first, first, sizeof(first));
	seal_row_name(c->db, table, v->last, last, sizeof(last));
	if (v->first == v->last)
		check_say(c, CHECK_FAIL, "seal", "%s (%s) is not what it was when it was sealed",
			table, first);
	else
		check_say(c, CHECK_FAIL, "seal",
			"rows of %s, between (%s) and (%s), are not what they were when they were "
			"sealed",
			table, first, last);
}

/* Of an older version's recording: derived anew, so it cannot be what was sealed; or not known when it was made. */
static bool never_sealed(const struct check *c, const char *table)
{
#define NAME(table, order, keys) #table,
	static const char *const name[] = {DERIVED_TABLES(NAME) "guest_event"};
#undef NAME

	for (size_t i = 0; c->recording->older && i < sizeof(name) / sizeof(name[0]); i++)
		if (!strcmp(name[i], table))
			return true;
	return false;
}

static int check_table(struct check *c, const char *table, char without[64], struct err *e)
{
	struct seal_verdict v;
	char key[160] = "";
	int ret;

	if (never_sealed(c, table))
		return 0;
	ret = seal_compare(c->db, table, &v, e);
	if (!ret && v.rows != v.sealed)
		ret = missing_key(c, table, key, sizeof(key), e);
	if (ret)
		return ret;
	if (v.rows < 0)
		check_say(c, CHECK_FAIL, "seal", "table %s is missing", table);
	else if (v.sealed < 0)
		check_say(c, CHECK_FAIL, "seal", "seal has no row for table %s", table);
	else if (v.rows != v.sealed)
		check_say(c, CHECK_FAIL, "seal",
			"table %s has %" PRId64 " rows, and had %" PRId64 " when it was sealed%s",
			table, v.rows, v.sealed, key);
	else if (v.first >= 0)
		say_changed(c, table, &v);
	else if (!v.digest)
		snprintf(without, 64, "%s", table);
	return 0;
}

int check_seal(struct check *c, struct err *e)
{
	unsigned before = c->failures;
	sqlite3_stmt *row = NULL;
	int64_t digests = 0;
	char without[64] = "";
	int ret = sql_prepare(c->db, &row, e,
		"SELECT name FROM sqlite_schema WHERE type = 'table' AND name <> 'seal' AND name NOT"
		" LIKE 'sqlite_%' UNION SELECT \"table\" FROM seal ORDER BY 1");

	while (!ret && (ret = sql_step(row, e)) > 0)
		ret = check_table(c, (const char *)sqlite3_column_text(row, 0), without, e);
	sqlite3_finalize(row);
	if (!ret && *without)
		ret = sql_get_int(c->db, e,
			"SELECT count(*) FROM pragma_table_info('seal') WHERE name = 'digest'",
			&digests);
	if (ret)
		return ret;
	if (digests)
		check_say(c, CHECK_FAIL, "seal", "seal has lost the digest of table %s", without);
	else if (*without)
		check_say(c, CHECK_NOTE, "seal",
			"made by an older exitwalk: only the numbers of rows were sealed");
	else if (c->failures == before)
		check_say(c, CHECK_OK, "seal", "every table is what it was when it was sealed");
	return 0;
}
