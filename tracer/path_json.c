/* SPDX-License-Identifier: MIT */
/* One request's path as a JSON object: the rows of the public views, under their column names. */
#include "path.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "sql.h"

static void put_columns(struct json *j, sqlite3_stmt *row)
{
	for (int i = 0; i < sqlite3_column_count(row); i++)
		json_column(j, sqlite3_column_name(row, i), row, i);
}

/* Every row of a query with parameter ?1 as an object in an array. */
static int put_rows(
	sqlite3 *db, struct json *j, const char *key, const char *sql, int64_t arg, struct err *e)
{
	sqlite3_stmt *row = NULL;
	int ret = sql_prepare(db, &row, e, sql);

	if (!ret)
		sqlite3_bind_int64(row, 1, arg);
	json_array(j, key);
	while (!ret && (ret = sql_step(row, e)) > 0) {
		json_object(j, NULL);
		put_columns(j, row);
		json_end_object(j);
		ret = 0;
	}
	json_end_array(j);
	sqlite3_finalize(row);
	return ret;
}

/* The one row of a query as an object; null if there is none. */
static int put_row(
	sqlite3 *db, struct json *j, const char *key, const char *sql, int64_t arg, struct err *e)
{
	sqlite3_stmt *row = NULL;
	int ret = sql_prepare(db, &row, e, sql);

	if (!ret) {
		sqlite3_bind_int64(row, 1, arg);
		ret = sql_step(row, e);
	}
	if (ret > 0) {
		json_object(j, key);
		put_columns(j, row);
		json_end_object(j);
	} else {
		json_null(j, key);
	}
	sqlite3_finalize(row);
	return ret < 0 ? ret : 0;
}

int path_json(sqlite3 *db, struct json *j, int64_t request, struct err *e)
{
	int ret;

	json_object(j, NULL);
	ret = put_row(db, j, "request", "SELECT * FROM v_request WHERE id = ?1", request, e);
	if (!ret)
		ret = put_row(db, j, "call",
			"SELECT * FROM v_call WHERE id = (SELECT guest_call FROM request WHERE id "
			"= ?1)",
			request, e);
	if (!ret)
		ret = put_rows(db, j, "steps",
			"SELECT s.n, s.stage, s.layer, s.actor, s.ts_ns, s.ts_ns - q.t_first AS t_ns,"
			" s.dur_ns, s.evidence, s.text, s.uncertain, s.error_ns, s.aside"
			" FROM v_step s JOIN request q ON q.id = s.request_id"
			" WHERE s.request_id = ?1 ORDER BY s.n",
			request, e);
	if (!ret)
		ret = put_rows(db, j, "asides",
			"SELECT v.aside, v.first_n, v.last_n, v.steps, v.exits, v.t0_ns, v.t1_ns,"
			" v.evidence, v.text FROM v_aside v WHERE v.request_id = ?1 ORDER BY v.aside",
			request, e);
	if (!ret)
		ret = put_rows(db, j, "budget",
			"SELECT n.name AS layer, n.label, b.ns FROM budget b LEFT JOIN enum_name n ON"
			" n.enum = 'layer' AND n.value = b.layer WHERE b.request_id = ?1 ORDER BY "
			"b.layer",
			request, e);
	if (!ret)
		ret = put_rows(db, j, "gaps",
			"SELECT l.* FROM v_loss l, request q WHERE q.id = ?1 AND l.ts1_ns >= q.t_first"
			" AND l.ts0_ns <= q.t_last",
			request, e);
	json_end_object(j);
	return ret;
}
