/* SPDX-License-Identifier: MIT */
/* Stack snapshots become frames, exiting instructions become text. */
#include "derive.h"

#include <string.h>

#include "frames.h"
#include "insn.h"
#include "orc_rows.h"
#include "symbols.h"

struct frames {
	struct derive *d;
	struct symbols *symbols;
	sqlite3_stmt *insert, *insert_call;
};

/* A return address may lie behind its function's last byte: look up the call in front of it. */
static const struct symbol *frame_symbol(const struct symbols *s, const struct unwind_frame *f)
{
	return symbols_find(s, unwind_is_return(f->how) ? f->ip - 1 : f->ip);
}

/* Any entry from ring 3 leaves registers; that it was a system call says the entry point's name. */
static bool is_syscall_entry(const struct symbol *y)
{
	return y && !strncmp(y->name, "entry_SYSCALL_64", strlen("entry_SYSCALL_64"));
}

static int store_call(struct frames *f, int64_t event, const struct unwind_call *c)
{
	int64_t v[8] = {event, (int64_t)c->nr};

	for (int i = 0; i < 6; i++)
		v[2 + i] = (int64_t)c->arg[i];
	return sql_insert(f->insert_call, f->d->e, 8, v);
}

static int store_frames(void *ctx, int64_t event, const struct unwind_frame *frame, size_t n,
	const struct unwind_call *call)
{
	const struct symbol *y = NULL, *inner = NULL;
	struct frames *f = ctx;

	for (size_t i = 0; i < n; i++) {
		int ret;

		inner = y;
		y = frame_symbol(f->symbols, &frame[i]);
		sqlite3_bind_text(f->insert, 5, unwind_how_name(frame[i].how), -1, SQLITE_STATIC);
		ret = sql_insert(f->insert, f->d->e, 4,
			(int64_t[]){event, (int64_t)i, (int64_t)frame[i].ip, y ? y->id : SQL_NULL});
		if (ret)
			return ret;
	}
	return call->there && is_syscall_entry(inner) ? store_call(f, event, call) : 0;
}

int derive_frames(struct derive *d)
{
	struct frames f = {.d = d};
	struct orc_rows orc = {0};
	int ret = symbols_load(&f.symbols, d->db, d->e);

	if (!ret)
		ret = orc_rows_load(&orc, d->db, d->e);
	if (!ret)
		ret = sql_prepare(d->db, &f.insert, d->e,
			"INSERT INTO frame(event_id, n, ip, symbol, how) VALUES(?, ?, ?, ?, ?)");
	if (!ret)
		ret = sql_prepare(d->db, &f.insert_call, d->e,
			"INSERT INTO entry_call(event_id, nr, arg0, arg1, arg2, arg3, arg4, arg5)"
			" VALUES(?, ?, ?, ?, ?, ?, ?, ?)");
	if (!ret)
		ret = frames_each(d->db, orc_rows_find, &orc, store_frames, &f, d->e);
	sqlite3_finalize(f.insert);
	sqlite3_finalize(f.insert_call);
	orc_rows_free(&orc);
	symbols_free(f.symbols);
	return ret;
}

int derive_tasks(struct derive *d)
{
	char sql[256];

	snprintf(sql, sizeof(sql),
		"INSERT INTO guest_task(event_id, pid, tgid, comm) SELECT e.id, e.a0, e.a1,"
		" coalesce(CAST(p.data AS TEXT), '') FROM event e LEFT JOIN payload p ON p.event_id ="
		" e.id WHERE e.kind = %d",
		EW_TASK);
	return sql_exec(d->db, d->e, sql);
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
