/* SPDX-License-Identifier: MIT */
#include "frames.h"

#include "probe.h"
#include "snapshot.h"
#include "sql.h"

/* How far behind a snapshot its stack_part may come: the same thread writes it next, others in between. */
#define PART_WITHIN 64

struct walker {
	sqlite3_stmt *part;
	unwind_orc_fn find;
	void *find_ctx;
	frames_fn fn;
	void *ctx;
};

/* The bytes stay valid until the statement is reset. */
static void add_part(struct walker *w, sqlite3_stmt *row, struct unwind_piece *piece, size_t *n)
{
	sqlite3_bind_int64(w->part, 1, sqlite3_column_int64(row, 0));
	sqlite3_bind_value(w->part, 2, sqlite3_column_value(row, 5));
	sqlite3_bind_value(w->part, 3, sqlite3_column_value(row, 6));
	if (sqlite3_step(w->part) != SQLITE_ROW)
		return;
	piece[(*n)++] = (struct unwind_piece){sqlite3_column_blob(w->part, 0),
		(size_t)sqlite3_column_bytes(w->part, 0),
		(uint64_t)sqlite3_column_int64(w->part, 1)};
}

/* Frame 0 shows the instruction that exited where its address is known: RIP may be behind it. */
static int one_snapshot(struct walker *w, sqlite3_stmt *row)
{
	struct unwind_frame frame[UNWIND_MAX_FRAMES];
	struct unwind_call call = {0};
	struct unwind_piece piece[2];
	struct snapshot_parts s;
	size_t n, pieces = 1;
	struct orc o;
	int ret;

	if (!snapshot_split(sqlite3_column_blob(row, 1), (size_t)sqlite3_column_bytes(row, 1),
		    (uint64_t)sqlite3_column_int64(row, 3), (uint64_t)sqlite3_column_int64(row, 4),
		    &s))
		return 0;
	s.regs.rip = (uint64_t)sql_int_or(row, 2, (int64_t)s.regs.rip);
	if (w->find(w->find_ctx, s.regs.rip, &o)) {
		piece[0] = (struct unwind_piece){s.stack, s.stack_len, s.regs.rsp};
		add_part(w, row, piece, &pieces);
		n = unwind_orc(&s.regs, piece, pieces, w->find, w->find_ctx, frame,
			UNWIND_MAX_FRAMES, &call);
	} else {
		n = unwind_stack(
			&s.regs, s.stack, s.stack_len, s.regs.rsp, frame, UNWIND_MAX_FRAMES);
	}
	ret = w->fn(w->ctx, sqlite3_column_int64(row, 0), frame, n, &call);
	sqlite3_reset(w->part);
	return ret;
}

int frames_each(
	sqlite3 *db, unwind_orc_fn find, void *find_ctx, frames_fn fn, void *ctx, struct err *e)
{
	struct walker w = {.find = find, .find_ctx = find_ctx, .fn = fn, .ctx = ctx};
	sqlite3_stmt *row = NULL;
	char sql[512];
	int ret;

	snprintf(sql, sizeof(sql),
		"SELECT p.event_id, p.data, x.insn_rip, e.a3, e.a5, e.track, e.exit_id FROM payload p"
		" JOIN event e ON e.id = p.event_id LEFT JOIN vm_exit x ON x.id = e.exit_id"
		" WHERE e.kind = %d ORDER BY p.event_id",
		EW_SNAPSHOT);
	ret = sql_prepare(db, &row, e, sql);
	snprintf(sql, sizeof(sql),
		"SELECT p.data, e.a0 FROM event e JOIN payload p ON p.event_id = e.id WHERE e.id > ?1"
		" AND e.id <= ?1 + %d AND e.kind = %d AND e.track = ?2 AND e.exit_id IS ?3 LIMIT 1",
		PART_WITHIN, EW_STACK_PART);
	if (!ret)
		ret = sql_prepare(db, &w.part, e, sql);
	while (!ret && (ret = sql_step(row, e)) > 0)
		ret = one_snapshot(&w, row);
	sqlite3_finalize(row);
	sqlite3_finalize(w.part);
	return ret;
}
