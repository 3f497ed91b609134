/* SPDX-License-Identifier: MIT */
/* The checks that ask whether rows are missing: file, names, ids, payloads, losses. */
#include "check.h"
#include "seal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "derive.h"
#include "schema/schema.h"

int check_file(struct check *c, struct err *e)
{
	sqlite3_stmt *row = NULL;
	char state[32];
	bool bad = false;
	int ret = sql_prepare(c->db, &row, e, "PRAGMA quick_check(1)");

	if (!ret && (ret = sql_step(row, e)) > 0) {
		const char *found = (const char *)sqlite3_column_text(row, 0);

		ret = 0;
		bad = strcmp(found, "ok") != 0;
		if (bad)
			check_say(c, CHECK_FAIL, "readable", "SQLite finds damage: %s", found);
		else
			check_say(c, CHECK_OK, "readable", "SQLite finds no damage");
	}
	sqlite3_finalize(row);
	if (ret)
		return ret;
	sql_meta(c->db, "state", state, sizeof(state));
	if (c->recording->cut_off)
		check_say(c, CHECK_FAIL, "complete",
			"the recording was cut off (meta state = '%s'); --repair derives its requests"
			" and seals it",
			state);
	else if (*sql_meta(c->db, "cut_off", state, sizeof(state)))
		check_say(c, CHECK_NOTE, "complete",
			"it was cut off and has been repaired: what followed is missing");
	else
		check_say(c, CHECK_OK, "complete", "the recorder finished and sealed it");
	return 0;
}

/* --- ids ---------------------------------------------------------------------------------- */

/* Tables whose ids count from 1 without a gap. */
static const char *const counted[] = {
	"event", "vm_exit", "track", "device", "region", "symbol", "loss", "guest_call"};

/* The first id that is missing in front of the highest one; 0: none. */
static int first_gap(struct check *c, const char *table, int64_t *gap, struct err *e)
{
	int64_t n = 0, highest = 0;
	char sql[256];
	int ret;

	snprintf(sql, sizeof(sql), "SELECT count(*) FROM \"%s\"", table);
	ret = sql_get_int(c->db, e, sql, &n);
	snprintf(sql, sizeof(sql), "SELECT max(id) FROM \"%s\"", table);
	if (!ret)
		ret = sql_get_int(c->db, e, sql, &highest);
	*gap = 0;
	if (ret || n == highest)
		return ret;
	snprintf(sql, sizeof(sql),
		"SELECT before + 1 FROM (SELECT id, lag(id, 1, 0) OVER (ORDER BY id) AS before FROM"
		" \"%s\") WHERE id <> before + 1 LIMIT 1",
		table);
	return sql_get_int(c->db, e, sql, gap);
}

/* An exit whose records were lost has no row: then the events tell which rows must be there. */
static int say_lost_exits(struct check *c, bool *lost, struct err *e)
{
	int64_t losses = 0, missing = 0;
	int ret = sql_get_int(c->db, e, "SELECT count(*) FROM loss", &losses);

	if (!ret)
		ret = sql_get_int(c->db, e, "SELECT max(id) - count(*) FROM vm_exit", &missing);
	*lost = losses > 0;
	if (!ret && *lost && missing)
		check_say(c, CHECK_NOTE, "ids",
			"%" PRId64 " exits have no row: their records were lost", missing);
	return ret;
}

static int check_gap(struct check *c, const char *table, struct err *e)
{
	int64_t gap = 0, sealed = -1, highest = 0;
	char sql[96];
	int ret = first_gap(c, table, &gap, e);

	snprintf(sql, sizeof(sql), "SELECT max(id) FROM %s", table);
	if (!ret)
		ret = sql_get_int(c->db, e, sql, &highest);
	snprintf(sql, sizeof(sql), "SELECT rows FROM seal WHERE \"table\" = '%s'", table);
	if (!ret)
		ret = sql_get_int(c->db, e, sql, &sealed);
	if (!gap && sealed > highest)
		gap = highest + 1; /* the last ones are missing */
	if (!ret && gap)
		check_say(c, CHECK_FAIL, "ids", "%s %" PRId64 " is missing", table, gap);
	return ret;
}

static int check_gaps(struct check *c, struct err *e)
{
	unsigned before = c->failures;
	bool lost = false;
	int ret = say_lost_exits(c, &lost, e);

	for (size_t i = 0; !ret && i < sizeof(counted) / sizeof(counted[0]); i++)
		if (!lost || strcmp(counted[i], "vm_exit") != 0)
			ret = check_gap(c, counted[i], e);
	if (!ret && c->failures == before)
		check_say(c, CHECK_OK, "ids",
			"no gap in the ids of events, exits and what describes them");
	return ret;
}

static int check_payloads(struct check *c, struct err *e)
{
	int64_t without = 0, orphan = 0;
	char sql[256];
	int ret;

	snprintf(sql, sizeof(sql),
		"SELECT id FROM event WHERE kind IN (%d, %d) AND id NOT IN (SELECT event_id FROM"
		" payload) LIMIT 1",
		EW_MARKER, EW_SNAPSHOT);
	ret = sql_get_int(c->db, e, sql, &without);
	if (!ret)
		ret = sql_get_int(c->db, e,
			"SELECT event_id FROM payload WHERE event_id NOT IN (SELECT id FROM event)"
			" LIMIT 1",
			&orphan);
	if (ret)
		return ret;
	if (without)
		check_say(c, CHECK_FAIL, "payloads", "payload of event %" PRId64 " is missing",
			without);
	if (orphan)
		check_say(c, CHECK_FAIL, "payloads", "payload %" PRId64 " belongs to no event",
			orphan);
	if (!without && !orphan)
		check_say(c, CHECK_OK, "payloads", "every marker and stack copy has its bytes");
	return 0;
}

int check_ids(struct check *c, struct err *e)
{
	int ret = check_gaps(c, e);

	if (!ret)
		ret = check_payloads(c, e);
	if (!ret && !c->recording->cut_off)
		ret = check_seal(c, e);
	return ret;
}

/* --- names -------------------------------------------------------------------------------- */

/*
 * Looks for every row of `sql` in this program's own schema. Names grow and are reworded from version to
 * version: in a table that is as it was sealed, another name is another version's, not damage.
 */
static int compare_names(struct check *c, sqlite3 *own, const char *what, const char *sql,
	const char *find, struct err *e)
{
	sqlite3_stmt *row = NULL, *found = NULL;
	struct seal_verdict v;
	unsigned other = 0;
	int ret = seal_compare(c->db, what, &v, e);
	bool intact = !ret && v.digest && v.rows == v.sealed && v.first < 0;

	if (!ret)
		ret = sql_prepare(own, &row, e, sql);
	if (!ret)
		ret = sql_prepare(c->db, &found, e, find);
	while (!ret && (ret = sql_step(row, e)) > 0) {
		for (int i = 0; i < 3; i++)
			sqlite3_bind_value(found, i + 1, sqlite3_column_value(row, i));
		ret = sql_step(found, e);
		if (!ret && intact)
			other++;
		else if (!ret)
			check_say(c, CHECK_FAIL, "names", "%s (%s, %s) is missing or differs", what,
				sqlite3_column_text(row, 0), sqlite3_column_text(row, 1));
		sqlite3_reset(found);
		if (ret > 0)
			ret = 0;
	}
	sqlite3_finalize(row);
	sqlite3_finalize(found);
	if (!ret && other)
		check_say(c, CHECK_NOTE, "names",
			"another version made it: %u rows of %s are not as this program has them",
			other, what);
	return ret;
}

int check_names(struct check *c, struct err *e)
{
	unsigned before = c->failures;
	sqlite3 *own = NULL;
	int ret;

	if (sqlite3_open(":memory:", &own) != SQLITE_OK)
		ret = err_set(e, -ENOMEM, "out of memory");
	else
		ret = sql_exec(own, e, schema_sql);
	if (!ret)
		ret = compare_names(c, own, "enum_name", "SELECT enum, value, name FROM enum_name",
			"SELECT 1 FROM enum_name WHERE enum = ?1 AND value = ?2 AND name = ?3", e);
	if (!ret)
		ret = compare_names(c, own, "event_kind", "SELECT id, name, text FROM event_kind",
			"SELECT 1 FROM event_kind WHERE id = ?1 AND name = ?2 AND text = ?3", e);
	sqlite3_close(own);
	if (!ret && c->failures == before)
		check_say(c, CHECK_OK, "names", "kinds of events and names of numbers are known");
	return ret;
}

/* --- losses ------------------------------------------------------------------------------- */

int check_losses(struct check *c, struct err *e)
{
	unsigned before = c->failures;
	sqlite3_stmt *row = NULL;
	int64_t turned = 0;
	bool any = false;
	int ret = sql_get_int(c->db, e, "SELECT id FROM loss WHERE ts0 > ts1 OR n < 1", &turned);

	if (!ret && turned)
		check_say(
			c, CHECK_FAIL, "losses", "loss %" PRId64 " ends before it begins", turned);
	if (!ret)
		ret = sql_prepare(c->db, &row, e,
			"SELECT source, coalesce(sum(n), 'uncounted'), count(*), sum(ts1_ns - ts0_ns), (SELECT"
			" CASE kind WHEN 'cpu' THEN '' ELSE ': the ring was full' END FROM track WHERE name = source)"
			" FROM v_loss GROUP BY 1");
	while (!ret && (ret = sql_step(row, e)) > 0) {
		any = true;
		check_say(c, CHECK_NOTE, "losses", "%s lost %s records in %s gaps, %s ns in all%s",
			sqlite3_column_text(row, 0), sqlite3_column_text(row, 1),
			sqlite3_column_text(row, 2), sqlite3_column_text(row, 3),
			(const char *)sqlite3_column_text(row, 4) ?: "");
		ret = 0;
	}
	sqlite3_finalize(row);
	if (!ret && !any && c->failures == before)
		check_say(c, CHECK_OK, "losses", "no record was lost");
	return ret;
}
