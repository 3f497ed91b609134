/* SPDX-License-Identifier: MIT */
/* What the events of a recording say of notifications, system calls and interrupts, in one pass. */
#include "host_join.h"

/* Their ids count from 1. An import learns what a vCPU is from its events, as it did when it was made. */
static int load_tracks(struct host_gather *g, sqlite3 *db, struct err *e)
{
	sqlite3_stmt *row = NULL;
	char value[8];
	bool learns = *sql_meta(db, "import.file", value, sizeof(value));
	int64_t tracks = 0;
	int ret = sql_prepare(db, &row, e, "SELECT id, kind = 'vcpu', name FROM track ORDER BY id");

	while (!ret && (ret = sql_step(row, e)) > 0) {
		const char *name = (const char *)sqlite3_column_text(row, 2);

		ret = 0;
		if (sqlite3_column_int64(row, 0) != tracks + 1)
			continue; /* a damaged file: check says so */
		tracks++;
		ret = host_gather_track(g, name ? name : "", !learns && sqlite3_column_int(row, 1));
	}
	sqlite3_finalize(row);
	return ret;
}

/* The next row of vm_exit, which is of this kvm_exit; if it is missing, check says so. */
static int read_exit(
	struct host_gather *g, sqlite3_stmt *exits, const struct event_row *ev, struct err *e)
{
	int ret = sql_step(exits, e);

	if (ret > 0)
		host_gather_exit(g, ev->track,
			&(struct host_gather_exit){.id = sqlite3_column_int64(exits, 0),
				.space = sql_int_or(exits, 1, SQL_NULL),
				.addr = sqlite3_column_int64(exits, 2),
				.size = sql_int_or(exits, 3, SQL_NULL),
				.is_write = sqlite3_column_int(exits, 4),
				.value = sql_int_or(exits, 5, SQL_NULL),
				.to_vmm = sqlite3_column_type(exits, 6) != SQLITE_NULL});
	return ret < 0 ? ret : 0;
}

static int read_events(struct host_gather *g, sqlite3 *db, struct err *e)
{
	sqlite3_stmt *row = NULL, *exits = NULL;
	struct event_row ev;
	char sql[256];
	int ret = sql_prepare(db, &exits, e,
		"SELECT id, space, addr, size, is_write, value, kvm_reason FROM vm_exit ORDER BY id");

	/* All kinds of the host's tracepoints, and gaps: two comparisons are cheaper than a list. */
	snprintf(sql, sizeof(sql),
		"SELECT " EVENT_COLUMNS " FROM event WHERE kind >= %d OR kind = %d ORDER BY id",
		EW_KVM_ENTRY, EW_LOST);
	if (!ret)
		ret = sql_prepare(db, &row, e, sql);
	while (!ret && (ret = sql_step(row, e)) > 0) {
		derive_read_event(row, &ev);
		ret = host_gather_event(g, &ev);
		if (!ret && ev.kind == EW_KVM_EXIT)
			ret = read_exit(g, exits, &ev, e);
	}
	sqlite3_finalize(row);
	sqlite3_finalize(exits);
	return ret;
}

int host_gather(struct host_join *j, sqlite3 *db)
{
	struct host_gather *g = NULL;
	char value[16];
	int ret = host_gather_begin(&g, j), end;

	j->attached = *sql_meta(db, "attach.pid", value, sizeof(value));
	j->silent = *sql_meta(db, "host_trace.silent", value, sizeof(value));
	if (!ret)
		ret = load_tracks(g, db, j->e);
	if (!ret)
		ret = read_events(g, db, j->e);
	end = host_gather_end(&g);
	return ret ? ret : end;
}
