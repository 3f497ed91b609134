/* SPDX-License-Identifier: MIT */
/* Stack snapshots become frames, exiting instructions become text. */
#include "derive.h"
#include "snapshot.h"

#include <string.h>

#include "insn.h"
#include "symbols.h"
#include "unwind.h"

struct frames {
	struct derive *d;
	struct symbols *symbols;
	sqlite3_stmt *insert;
};

/* A return address may lie behind its function's last byte: look up the call in front of it. */
static const struct symbol *frame_symbol(const struct symbols *s, const struct unwind_frame *f)
{
	return symbols_find(s, f->how == UNWIND_FP ? f->ip - 1 : f->ip);
}

static int store_frames(struct frames *f, int64_t event, const struct unwind_frame *frame, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct symbol *y = frame_symbol(f->symbols, &frame[i]);
		int ret;

		sqlite3_bind_text(f->insert, 5, unwind_how_name(frame[i].how), -1, SQLITE_STATIC);
		ret = sql_insert(f->insert, f->d->e, 4,
			(int64_t[]){event, (int64_t)i, (int64_t)frame[i].ip, y ? y->id : SQL_NULL});
		if (ret)
			return ret;
	}
	return 0;
}

/* Frame 0 shows the instruction that exited where its address is known: RIP may be behind it. */
static int one_snapshot(struct frames *f, sqlite3_stmt *row)
{
	struct unwind_frame frame[UNWIND_MAX_FRAMES];
	struct snapshot_parts s;
	size_t n;

	if (!snapshot_split(sqlite3_column_blob(row, 1), (size_t)sqlite3_column_bytes(row, 1),
		    (uint64_t)sqlite3_column_int64(row, 3), (uint64_t)sqlite3_column_int64(row, 4),
		    &s))
		return 0;
	s.regs.rip = (uint64_t)sql_int_or(row, 2, (int64_t)s.regs.rip);
	n = unwind_stack(&s.regs, s.stack, s.stack_len, s.regs.rsp, frame, UNWIND_MAX_FRAMES);
	return store_frames(f, sqlite3_column_int64(row, 0), frame, n);
}

int derive_frames(struct derive *d)
{
	struct frames f = {.d = d};
	sqlite3_stmt *row = NULL;
	char sql[256];
	int ret = symbols_load(&f.symbols, d->db, d->e);

	if (ret)
		return ret;
	snprintf(sql, sizeof(sql),
		"SELECT p.event_id, p.data, x.insn_rip, e.a3, e.a5 FROM payload p JOIN event e ON e.id = p.event_id"
		" LEFT JOIN vm_exit x ON x.id = e.exit_id WHERE e.kind = %d ORDER BY p.event_id",
		EW_SNAPSHOT);
	ret = sql_prepare(d->db, &row, d->e, sql);
	if (!ret)
		ret = sql_prepare(d->db, &f.insert, d->e,
			"INSERT INTO frame(event_id, n, ip, symbol, how) VALUES(?, ?, ?, ?, ?)");
	while (!ret && (ret = sql_step(row, d->e)) > 0)
		ret = one_snapshot(&f, row);
	sqlite3_finalize(row);
	sqlite3_finalize(f.insert);
	symbols_free(f.symbols);
	return ret;
}

/* "out dx, ax (66 ef)" */
static void text_with_bytes(const uint8_t *insn, size_t len, char *text, size_t size)
{
	unsigned n = insn_format(insn, len, 0, text, size);
	size_t used = strlen(text);

	for (unsigned i = 0; i < n && used < size; i++)
		used += (size_t)snprintf(text + used, size - used, "%s%02x%s", i ? " " : " (",
			insn[i], i + 1 == n ? ")" : "");
}

int derive_insn_text(struct derive *d)
{
	sqlite3_stmt *row = NULL, *insert = NULL;
	char text[INSN_TEXT_MAX + 3 * INSN_MAX + 3];
	int ret = sql_prepare(
		d->db, &row, d->e, "SELECT DISTINCT insn FROM vm_exit WHERE insn IS NOT NULL");

	if (!ret)
		ret = sql_prepare(
			d->db, &insert, d->e, "INSERT INTO insn_text(insn, text) VALUES(?1, ?2)");
	while (!ret && (ret = sql_step(row, d->e)) > 0) {
		const void *insn = sqlite3_column_blob(row, 0);
		int len = sqlite3_column_bytes(row, 0);

		if (!insn)
			continue; /* an empty blob */
		text_with_bytes(insn, (size_t)len, text, sizeof(text));
		sqlite3_bind_blob(insert, 1, insn, len, SQLITE_TRANSIENT);
		sqlite3_bind_text(insert, 2, text, -1, SQLITE_TRANSIENT);
		ret = sql_insert(insert, d->e, 0, NULL);
	}
	sqlite3_finalize(row);
	sqlite3_finalize(insert);
	return ret;
}
