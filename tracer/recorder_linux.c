/* SPDX-License-Identifier: MIT */
#include "recorder_linux.h"

#include <errno.h>
#include <stdlib.h>

#include "frames.h"
#include "orc_rows.h"
#include "recorder_priv.h"
#include "sql.h"

struct collect {
	struct recorder *r;
	const struct guest_linux *g;
	const struct kmem *m;
	struct orc_rows orc;
	bool *stored; /* by the symbol's place in g->syms */
	int64_t symbols, frames, guesses;
};

/* What was found is kept: all that derive_all() will look up is in it. */
static bool find_and_keep(void *ctx, uint64_t ip, struct orc *o)
{
	struct collect *c = ctx;

	if (orc_rows_find(&c->orc, ip, o))
		return true;
	if (!guest_linux_orc(c->g, c->m, ip, o))
		return false;
	orc_rows_add(&c->orc, ip, o);
	return true;
}

static int name_address(struct collect *c, uint64_t addr)
{
	const struct ksyms *s = &c->g->syms;
	struct store *store = &c->r->store;
	uint64_t size;
	const struct ksym *y = ksyms_by_addr(s, addr, &size);

	if (!y || c->stored[y - s->v])
		return 0;
	c->stored[y - s->v] = true;
	c->symbols++;
	store_int(store, STMT_SYMBOL_ONCE, 1, (int64_t)y->addr);
	store_int(store, STMT_SYMBOL_ONCE, 2, (int64_t)size);
	store_text(store, STMT_SYMBOL_ONCE, 3, ksyms_name(s, y));
	store_text(store, STMT_SYMBOL_ONCE, 4, s->module[y->module]);
	return store_run(store, STMT_SYMBOL_ONCE, &c->r->why);
}

static int name_frames(void *ctx, int64_t event, const struct unwind_frame *frame, size_t n,
	const struct unwind_call *call)
{
	struct collect *c = ctx;
	int ret = 0;

	(void)event;
	(void)call;
	for (size_t i = 0; !ret && i < n; i++) {
		c->guesses += frame[i].how == UNWIND_SCAN;
		ret = name_address(
			c, unwind_is_return(frame[i].how) ? frame[i].ip - 1 : frame[i].ip);
	}
	c->frames += (int64_t)n;
	return ret;
}

static int name_exits(struct collect *c)
{
	sqlite3_stmt *row = NULL;
	int ret = sql_prepare(c->r->store.db, &row, &c->r->why,
		"SELECT DISTINCT coalesce(insn_rip, rip) FROM vm_exit WHERE rip IS NOT NULL");

	while (!ret && (ret = sql_step(row, &c->r->why)) > 0)
		ret = name_address(c, (uint64_t)sqlite3_column_int64(row, 0));
	sqlite3_finalize(row);
	return ret;
}

static int store_orc(struct collect *c)
{
	struct store *s = &c->r->store;
	int ret = c->orc.failed ? err_set(&c->r->why, -ENOMEM, "out of memory") : 0;

	for (size_t i = 0; !ret && i < c->orc.slots; i++) {
		const struct orc_row *row = &c->orc.slot[i];

		if (!row->ip)
			continue;
		store_int(s, STMT_ORC, 1, (int64_t)row->ip);
		store_int(s, STMT_ORC, 2, row->orc.type);
		store_int(s, STMT_ORC, 3, row->orc.sp_reg);
		store_int(s, STMT_ORC, 4, row->orc.sp_offset);
		store_int(s, STMT_ORC, 5, row->orc.bp_reg);
		store_int(s, STMT_ORC, 6, row->orc.bp_offset);
		store_int(s, STMT_ORC, 7, row->orc.after_call);
		ret = store_run(s, STMT_ORC, &c->r->why);
	}
	return ret;
}

static int collect(struct collect *c)
{
	int ret = store_begin(&c->r->store, &c->r->why);

	if (!ret)
		ret = frames_each(c->r->store.db, find_and_keep, c, name_frames, c, &c->r->why);
	if (!ret)
		ret = name_exits(c);
	return ret ? ret : store_orc(c);
}

int recorder_linux(struct recorder *r, struct guest_linux *g, const struct kmem *m, struct err *e)
{
	uint64_t begin = probe_now();
	struct collect c = {.r = r, .g = g, .m = m};
	int ret, modules = guest_linux_modules(g, m);
	size_t orcs;

	c.stored = calloc(g->syms.n + 1, sizeof(*c.stored));
	if (modules == -ENOMEM || !c.stored)
		ret = err_set(&r->why, -ENOMEM, "out of memory for the guest's symbols");
	else
		ret = collect(&c);
	orcs = c.orc.n;
	free(c.stored);
	orc_rows_free(&c.orc);
	if (recorder_described(r, ret) < 0)
		return err_set(e, ret, "%s", r->why.msg);
	r->guest_names = &g->syms;
	recorder_meta(r, "guest_linux.modules", "%d", modules < 0 ? 0 : modules);
	recorder_meta(r, "guest_linux.symbols", "%zu", g->syms.n);
	recorder_meta(r, "guest_linux.symbols_stored", "%lld", (long long)c.symbols);
	recorder_meta(r, "guest_linux.frames", "%lld", (long long)c.frames);
	recorder_meta(r, "guest_linux.frames_guessed", "%lld", (long long)c.guesses);
	recorder_meta(r, "guest_linux.orc_stored", "%zu", orcs);
	recorder_meta(
		r, "guest_linux.naming_ns", "%llu", (unsigned long long)(probe_now() - begin));
	return 0;
}
