/* SPDX-License-Identifier: MIT */
/*
 * Puts a guest's events into the table event. The rows that are there go to a temporary table, which costs no log,
 * and come back in one pass in which every row is appended.
 */
#include "guest_merge.h"

#include <errno.h>
#include <stdlib.h>

#include "derive.h"
#include "event_row.h"

#define COLUMNS 12

struct merge {
	sqlite3 *db;
	struct err *e;
	const struct guest_gather *g;
	const struct guest_vcpu *vcpu;
	sqlite3_stmt *event, *guest;
	int64_t *before; /* by row: the id, as it was, of the event that it is put in front of */
	size_t rows;     /* that are in place */
	int64_t last;    /* the last id that was given */
};

/* An event's id, as it was → as it is. */
static int64_t new_id(const struct merge *m, int64_t id)
{
	size_t low = 0, high = m->rows;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (m->before[mid] <= id)
			low = mid + 1;
		else
			high = mid;
	}
	return id + (int64_t)low;
}

static void sql_new_id(sqlite3_context *context, int argc, sqlite3_value **argv)
{
	(void)argc;
	sqlite3_result_int64(
		context, new_id(sqlite3_user_data(context), sqlite3_value_int64(argv[0])));
}

/* --- one row ------------------------------------------------------------------------------------------ */

static int run(sqlite3_stmt *stmt, struct err *e)
{
	int ret = sql_step(stmt, e);

	sqlite3_reset(stmt);
	return ret;
}

static void bind_known(sqlite3_stmt *stmt, int n, int64_t value, bool known)
{
	if (known)
		sqlite3_bind_int64(stmt, n, value);
	else
		sqlite3_bind_null(stmt, n);
}

static int put_guest(struct merge *m, int64_t in_front_of)
{
	const struct guest_row *r = &m->g->row[m->rows];
	int ret;

	m->before[m->rows++] = in_front_of;
	m->last++;
	sqlite3_bind_int64(m->event, 1, m->last);
	sqlite3_bind_int64(m->event, 2, r->ts);
	bind_known(m->event, 3, r->dur, r->dur >= 0);
	sqlite3_bind_int64(m->event, 4, r->kind);
	sqlite3_bind_int64(m->event, 5, m->vcpu[r->cpu].track);
	sqlite3_bind_null(m->event, 6);
	for (int i = 0; i < 6; i++)
		bind_known(m->event, 7 + i, (int64_t)r->a[i], r->present >> i & 1);
	ret = run(m->event, m->e);
	sqlite3_bind_int64(m->guest, 1, m->last);
	sqlite3_bind_int64(m->guest, 2, r->pid);
	sqlite3_bind_int64(m->guest, 3, r->flags);
	sqlite3_bind_int64(m->guest, 4, (int64_t)r->tsc);
	sqlite3_bind_int64(m->guest, 5, r->error);
	return ret ? ret : run(m->guest, m->e);
}

static int put_old(struct merge *m, sqlite3_stmt *row)
{
	int64_t id = sqlite3_column_int64(row, 0), ts = sqlite3_column_int64(row, 1);
	const struct guest_gather *g = m->g;
	int ret = 0;

	while (!ret && m->rows < g->rows &&
		(g->row[m->rows].ts < ts ||
			(g->row[m->rows].ts == ts && g->row[m->rows].place == GUEST_BEFORE)))
		ret = put_guest(m, id);
	if (ret)
		return ret;
	m->last = id + (int64_t)m->rows;
	sqlite3_bind_int64(m->event, 1, m->last);
	for (int i = 1; i < COLUMNS; i++)
		if (sqlite3_column_type(row, i) == SQLITE_NULL)
			sqlite3_bind_null(m->event, i + 1);
		else
			sqlite3_bind_int64(m->event, i + 1, sqlite3_column_int64(row, i));
	return run(m->event, m->e);
}

/* --- the tables ---------------------------------------------------------------------------------------- */

static int put_all(struct merge *m)
{
	sqlite3_stmt *row = NULL;
	int ret = sql_prepare(m->db, &row, m->e,
		"SELECT " EVENT_COLUMNS " FROM temp.event_as_it_was ORDER BY id");

	while (!ret && (ret = sql_step(row, m->e)) > 0)
		ret = put_old(m, row);
	sqlite3_finalize(row);
	while (!ret && m->rows < m->g->rows)
		ret = put_guest(m, INT64_MAX);
	return ret;
}

/* Same columns without constraints: SQLite copies such a table page by page's rows, undecoded. */
static int take_away(struct merge *m)
{
	char sql[512];
	int ret = sql_exec(m->db, m->e,
		"CREATE TEMP TABLE event_as_it_was(id INTEGER PRIMARY KEY, ts INTEGER, dur INTEGER, kind INTEGER,"
		" track INTEGER, exit_id INTEGER, a0 INTEGER, a1 INTEGER, a2 INTEGER, a3 INTEGER, a4 INTEGER,"
		" a5 INTEGER);"
		"CREATE TEMP TABLE payload_as_it_was(event_id INTEGER PRIMARY KEY, data BLOB);"
		"INSERT INTO temp.event_as_it_was SELECT * FROM main.event");

	snprintf(sql, sizeof(sql),
		"INSERT INTO temp.payload_as_it_was SELECT * FROM main.payload WHERE event_id NOT IN"
		" (SELECT id FROM main.event WHERE kind = %d) ORDER BY event_id;"
		"DELETE FROM main.event; DELETE FROM main.payload; DELETE FROM main.guest_event",
		EW_GUEST_STREAM);
	return ret ? ret : sql_exec(m->db, m->e, sql);
}

static int give_back(struct merge *m)
{
	int ret = put_all(m);

	if (!ret && sqlite3_create_function(m->db, "new_id", 1,
			    SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_DIRECTONLY, m, sql_new_id,
			    NULL, NULL) != SQLITE_OK)
		ret = err_set(m->e, -ENOMEM, "out of memory");
	if (!ret)
		ret = sql_exec(m->db, m->e,
			"INSERT INTO main.payload SELECT new_id(event_id), data FROM"
			" temp.payload_as_it_was ORDER BY event_id;"
			"UPDATE main.vm_exit SET event_id = new_id(event_id);"
			"DROP TABLE temp.event_as_it_was; DROP TABLE temp.payload_as_it_was");
	sqlite3_create_function(m->db, "new_id", 1, SQLITE_UTF8, NULL, NULL, NULL, NULL);
	return ret;
}

int guest_merge(sqlite3 *db, const struct guest_gather *g, const struct guest_vcpu vcpu[GUEST_CPUS],
	struct err *e)
{
	struct merge m = {.db = db, .e = e, .g = g, .vcpu = vcpu};
	int ret;

	m.before = calloc(g->rows + 1, sizeof(*m.before));
	ret = m.before ? sql_prepare(db, &m.event, e, store_sql(STMT_EVENT))
		       : err_set(e, -ENOMEM, "out of memory for the guest's events");
	if (!ret)
		ret = sql_prepare(db, &m.guest, e,
			"INSERT INTO guest_event(event_id, pid, flags, tsc, error) VALUES(?, ?, ?, ?, ?)");
	if (!ret)
		ret = take_away(&m);
	if (!ret)
		ret = give_back(&m);
	sqlite3_finalize(m.event);
	sqlite3_finalize(m.guest);
	free(m.before);
	return ret;
}
