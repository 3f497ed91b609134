/* SPDX-License-Identifier: MIT */
/* derive_all(): guest calls, requests, steps, frames and budgets from events, in one transaction. */
#include "derive.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "guest_events.h"
#include "derive_guest.h"
#include "host_trace.h"
#include "recording.h"
#include "schema/schema.h"

static int read_losses(struct derive *d)
{
	sqlite3_stmt *row = NULL;
	int ret = sql_prepare(
		d->db, &row, d->e, "SELECT track, ts0, ts1 FROM loss ORDER BY track, ts0, id");

	while (!ret && (ret = sql_step(row, d->e)) > 0) {
		ret = derive_grow(
			(void **)&d->loss, &d->losses_cap, d->losses, sizeof(*d->loss), d->e);
		if (!ret)
			d->loss[d->losses++] = (struct loss_range){sqlite3_column_int64(row, 0),
				sqlite3_column_int64(row, 1), sqlite3_column_int64(row, 2)};
	}
	sqlite3_finalize(row);
	return ret;
}

/* What the guest's own buffers lost, of all its CPUs: a task may have been on any of them. */
static int read_holes(struct derive *d)
{
	sqlite3_stmt *row = NULL;
	int ret = sql_prepare(d->db, &row, d->e,
		"SELECT ts0, ts1 FROM loss WHERE track IN (SELECT id FROM track WHERE"
		" substr(name, 1, length(?1)) = ?1) ORDER BY ts0, id");

	if (!ret)
		sqlite3_bind_text(row, 1, GUEST_BUFFER_TRACK, -1, SQLITE_STATIC);
	while (!ret && (ret = sql_step(row, d->e)) > 0) {
		const struct loss_range l = {
			0, sqlite3_column_int64(row, 0), sqlite3_column_int64(row, 1)};
		struct loss_range *last = d->holes ? &d->hole[d->holes - 1] : NULL;

		ret = 0;
		if (last && l.ts0 <= last->ts1) {
			last->ts1 = l.ts1 > last->ts1 ? l.ts1 : last->ts1;
			continue;
		}
		ret = derive_grow(
			(void **)&d->hole, &d->holes_cap, d->holes, sizeof(*d->hole), d->e);
		if (!ret)
			d->hole[d->holes++] = l;
	}
	sqlite3_finalize(row);
	return ret;
}

/* The tables of this program's schema that db does not have. */
static int add_tables(struct derive *d, sqlite3 *own)
{
	sqlite3_stmt *row = NULL, *there = NULL;
	int ret = sql_prepare(
		own, &row, d->e, "SELECT sql, name FROM sqlite_schema WHERE type = 'table'");

	if (!ret)
		ret = sql_prepare(d->db, &there, d->e,
			"SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?");
	while (!ret && (ret = sql_step(row, d->e)) > 0) {
		sqlite3_bind_value(there, 1, sqlite3_column_value(row, 1));
		ret = sql_step(there, d->e);
		sqlite3_reset(there);
		if (!ret)
			ret = sql_exec(d->db, d->e, (const char *)sqlite3_column_text(row, 0));
		else if (ret > 0)
			ret = 0;
	}
	sqlite3_finalize(row);
	sqlite3_finalize(there);
	return ret;
}

/* A recording of an older version has other columns in the derived tables, which are made anew, and lacks
 * tables of evidence that it could not have, which stay empty. */
static int replace_tables(struct derive *d)
{
#define DROP(table, order, keys) "DROP TABLE IF EXISTS " #table ";"
	sqlite3 *own = NULL;
	char sql[64];
	int ret = 0;

	if (sqlite3_open(":memory:", &own) != SQLITE_OK)
		ret = err_set(d->e, -ENOMEM, "out of memory");
	if (!ret)
		ret = sql_exec(own, d->e, schema_sql);
	if (!ret)
		ret = sql_exec(d->db, d->e, DERIVED_TABLES(DROP));
	if (!ret)
		ret = add_tables(d, own);
	sqlite3_close(own);
#undef DROP
	snprintf(sql, sizeof(sql), "PRAGMA user_version = %d", SCHEMA_VERSION);
	return ret ? ret : sql_exec(d->db, d->e, sql);
}

static int empty_tables(struct derive *d)
{
#define EMPTY(table, order, keys) "DELETE FROM " #table ";"
	int64_t version = 0;
	int ret = sql_get_int(d->db, d->e, "PRAGMA user_version", &version);

	if (ret)
		return ret;
	if (version < SCHEMA_VERSION)
		return replace_tables(d);
	return sql_exec(d->db, d->e, DERIVED_TABLES(EMPTY));
#undef EMPTY
}

/* Of a machine that recorded itself. */
static int derive_machine(struct derive *d)
{
	int ret = derive_guest_begin(d);

	if (!ret && d->guest)
		ret = read_holes(d);
	if (!ret)
		ret = derive_calls_and_requests(d);
	if (!ret)
		ret = derive_guest_join(d);
	if (!ret)
		ret = derive_windows(d);
	if (!ret)
		ret = derive_frames(d);
	if (!ret)
		ret = derive_tasks(d);
	if (!ret)
		ret = derive_insn_text(d);
	return ret ? ret : derive_requests(d);
}

static int derive_tables(struct derive *d)
{
	int ret = empty_tables(d);

	/* A recording that was cut off: what its guest sent is not events yet. */
	if (!ret)
		ret = guest_events_make(d->db, NULL, NULL, d->e);
	if (!ret)
		ret = read_losses(d);
	if (!ret)
		ret = host_trace_is(d->db) ? host_derive(d) : derive_machine(d);
	if (!ret)
		ret = derive_absent_texts(d);
	if (!ret)
		ret = sql_exec(
			d->db, d->e, "CREATE INDEX IF NOT EXISTS symbol_addr ON symbol(addr)");
	return ret;
}

int derive_all(sqlite3 *db, struct err *e)
{
	return derive_gathered(db, NULL, e);
}

int derive_gathered(sqlite3 *db, struct host_join *gathered, struct err *e)
{
	struct derive d = {.db = db, .e = e, .gathered = gathered};
	char events[1024];
	int ret = sql_exec(db, e, "SAVEPOINT derive");

	if (ret)
		return ret;
	d.block_traced = strstr(sql_meta(db, "host_trace.events", events, sizeof(events)),
				 "block_rq_issue") != NULL;
	ret = derive_tables(&d);
	if (!ret)
		ret = sql_exec(db, e, "RELEASE derive");
	if (ret)
		sql_exec(db, NULL, "ROLLBACK TO derive; RELEASE derive");
	derive_guest_end(&d);
	free(d.call);
	free(d.notify);
	for (size_t i = 0; i < d.vcpus; i++)
		free(d.vcpu[i].run);
	free(d.vcpu);
	free(d.request);
	free(d.loss);
	free(d.hole);
	return ret;
}
