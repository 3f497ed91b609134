/* SPDX-License-Identifier: MIT */
/* Rows of request, step, absent and budget, for a recording of host tracepoints. */
#include <stdlib.h>

#include "host_maker.h"
#include "host_trace.h"

static int put_request(struct host_maker *m)
{
	const struct host_path *p = &m->p;
	const struct host_call *c = p->call;
	int64_t ns[EW_LAYER_MAX + 1];
	int ret = sql_insert(m->request, m->e, 16,
		(int64_t[]){m->id, p->kick && p->kick->value != SQL_NULL ? p->kick->value : 0,
			c ? host_call_type(c->nr) : SQL_NULL,
			c && c->offset != SQL_NULL ? c->offset / 512 : SQL_NULL,
			c ? c->bytes : SQL_NULL, p->kick ? p->kick->exit_id : SQL_NULL, p->first.ts,
			p->kick ? p->kick->at.ts : SQL_NULL, c ? c->enter.ts : SQL_NULL,
			c && c->exit.event ? c->exit.ts : SQL_NULL,
			p->irq ? p->irq->at.ts : SQL_NULL, p->entry.event ? p->entry.ts : SQL_NULL,
			p->last.ts, m->exits, c ? c->track : SQL_NULL,
			p->irq ? p->irq->at.event : SQL_NULL});

	host_budget(m->d, p, m->prior, ns);
	for (int layer = 1; !ret && layer <= EW_LAYER_MAX; layer++)
		if (layer != EW_LAYER_IN_VMM || ns[layer])
			ret = sql_insert(m->budget, m->e, 3, (int64_t[]){m->id, layer, ns[layer]});
	return ret;
}

static int make(struct host_maker *m, const struct host_kick *kick, const struct host_call *call,
	size_t irq)
{
	int ret;

	m->id++;
	m->p.kick = kick;
	m->p.silent = m->j->silent;
	m->p.call = call;
	m->p.irq = irq == NO_INDEX ? NULL : &m->j->irq[irq];
	ret = host_find_path(m);
	if (!ret)
		ret = host_put_steps(m);
	return ret ? ret : put_request(m);
}

/* The interrupt of a notification without a system call: one between it and the next notification. */
static size_t irq_of_kick(const struct host_join *j, size_t k)
{
	int64_t end = k + 1 < j->kicks ? j->kick[k + 1].at.event : INT64_MAX;
	size_t low = 0, high = j->irqs;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (j->irq[mid].at.event < j->kick[k].at.event)
			low = mid + 1;
		else
			high = mid;
	}
	return low < j->irqs && j->irq[low].at.event < end ? low : NO_INDEX;
}

/* In the order of what begins them. */
static int all_requests(struct host_maker *m)
{
	struct host_join *j = m->j;
	size_t k = 0;
	int ret = 0;

	for (size_t c = 0; !ret && c <= j->calls; c++) {
		int64_t until = c < j->calls ? j->call[c].enter.event : INT64_MAX;

		for (; !ret && k < j->kicks && j->kick[k].at.event < until; k++)
			if (!j->kick[k].calls)
				ret = make(m, &j->kick[k], NULL, irq_of_kick(j, k));
		/* A system call that no notification is in front of is the VMM's own. */
		if (!ret && c < j->calls && j->call[c].kick != NO_INDEX)
			ret = make(m, &j->kick[j->call[c].kick], &j->call[c], j->call[c].irq);
	}
	return ret;
}

#define EVENTS "SELECT " EVENT_COLUMNS " FROM event WHERE "
#define FAR "4096" /* so far behind an interrupt an entry is looked for */

static int prepare_all(struct host_maker *m)
{
	const struct {
		sqlite3_stmt **stmt;
		const char *sql;
	} all[] = {
		{&m->range, EVENTS "id BETWEEN ?1 AND ?2 ORDER BY id"},
		{&m->entry, EVENTS "id > ?1 AND id < ?1 + " FAR
				   " AND track = ?2 AND kind = ?3 ORDER BY id LIMIT 1"},
		{&m->waking, EVENTS "id > ?1 AND id < ?2 AND track = ?3 AND a0 = ?4 AND kind = ?5"
				    " ORDER BY id DESC LIMIT 1"},
		{&m->step,
			"INSERT INTO step(request_id, n, stage, layer, event_id, absent, from_event, what)"
			" VALUES(?, ?, ?, ?, ?, ?, ?, ?)"},
		{&m->request,
			"INSERT INTO request(id, device, queue, type, sector, bytes, kick_exit, t_first,"
			" t_kick, t_host, t_host_ret, t_irq, t_entry, t_last, exits, track, irq_event)"
			" VALUES(?1, 0, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)"},
		{&m->budget, "INSERT INTO budget(request_id, layer, ns) VALUES(?, ?, ?)"},
		{&m->absent, "INSERT INTO absent(id, text) VALUES(?1, ?2)"},
	};
	int ret = 0;

	for (size_t i = 0; !ret && i < sizeof(all) / sizeof(all[0]); i++)
		ret = sql_prepare(m->db, all[i].stmt, m->e, all[i].sql);
	if (!ret)
		sqlite3_bind_int(m->waking, 5, EW_SCHED_WAKING);
	return ret;
}

static int write_requests(struct derive *d, struct host_join *j)
{
	struct host_maker m = {.j = j, .d = d, .db = d->db, .e = d->e};
	sqlite3_stmt **const all[] = {
		&m.range, &m.entry, &m.waking, &m.step, &m.request, &m.budget, &m.absent};
	int ret = prepare_all(&m);

	if (!ret)
		ret = all_requests(&m);
	if (!ret)
		ret = host_put_absent_texts(&m);
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		sqlite3_finalize(*all[i]);
	free(m.p.ev);
	free(m.prior);
	return ret;
}

int host_derive(struct derive *d)
{
	struct host_join own = {.e = d->e}, *j = d->gathered ? d->gathered : &own;
	int ret = d->gathered ? 0 : host_gather(j, d->db);

	if (!ret) {
		host_join(j);
		ret = write_requests(d, j);
	}
	host_join_free(&own);
	return ret;
}
