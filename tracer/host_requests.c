/* SPDX-License-Identifier: MIT */
/* Rows of request, step, absent and budget, for a recording of host tracepoints. */
#include <stdlib.h>
#include <string.h>

#include "host_path.h"
#include "host_trace.h"

/* What a trace of the host cannot show, or what this one lacks. Numbers of derive.h's come before. */
#define ABSENT(X)                                                                                    \
	X(GUEST_CALL,                                                                                \
		"not recorded: the guest's system call; a trace of the host does not see into"       \
		" the guest")                                                                        \
	X(GUEST_KERNEL,                                                                              \
		"not recorded: the guest kernel's way to this instruction; the exit's rip is"        \
		" where it ends")                                                                    \
	X(NO_KICK, "no notification by the driver was seen in front of this system call")            \
	X(HANDLER,                                                                                   \
		"not recorded: KVM's functions between the exit and this; needs function_graph")     \
	X(IOEVENTFD,                                                                                 \
		"KVM_RUN did not return for this exit: an ioeventfd took it, and woke the thread"    \
		" that waits for it")                                                                \
	X(DEVICE,                                                                                    \
		"not recorded: the VMM's device model (ring, descriptors, header); the sector shown" \
		" is the host file's offset / 512, which is the guest's if the image is raw")        \
	X(HANDOVER,                                                                                  \
		"not recorded: how this thread came to it; needs sched_waking, futex, eventfd")      \
	X(NO_CALL, "no system call of the disk was recorded before its interrupt; needs pread64,"    \
		   " preadv, pwrite64, pwritev, fdatasync, io_submit, io_uring_enter")               \
	X(BLOCK, "no block event in this system call: the page cache took it, or they were not"      \
		 " recorded")                                                                        \
	X(NO_IRQ, "no interrupt was recorded behind it; needs kvm_set_irq and kvm_msi_set_irq")      \
	X(NO_INJECT,                                                                                 \
		"not recorded: the injection; with APICv, AVIC or posted interrupts the hardware"    \
		" delivers without kvm_inj_virq")                                                    \
	X(NO_ENTRY, "no VM entry was recorded behind it")                                            \
	X(GUEST_END,                                                                                 \
		"not recorded: the guest's interrupt handler (vring_interrupt, virtblk_done) and"    \
		" the return of its system call")

enum { ABSENT_BEFORE = 63 };
_Static_assert(ABSENT_MAX <= ABSENT_BEFORE + 1, "derive.h's numbers come before these");
enum host_absent {
	ABSENT_NOTHING = ABSENT_BEFORE,
#define X(id, text) HOST_ABSENT_##id,
	ABSENT(X)
#undef X
};

static const char *const absent_text[] = {
#define X(id, text) text,
	ABSENT(X)
#undef X
};

#define NEAR_EVENTS 4096 /* a hand-over lies within so many events */
#define BEFORE_EVENTS 64 /* so far in front of a request it is looked what its threads did */

struct maker {
	struct host_join *j;
	sqlite3 *db;
	struct err *e;
	sqlite3_stmt *range, *entry, *waking, *before;
	sqlite3_stmt *step, *request, *budget, *absent;
	struct host_path p;
	struct event_row *prior; /* by event of the path: the one in front of it on its track */
	size_t prior_cap;
	int64_t id, steps, exits;
	int stage;
	bool used[64]; /* by absent - ABSENT_BEFORE */
};

/* --- the delivery --------------------------------------------------------------------------- */

/* The first event that a statement gives for these parameters; id 0: none. */
static int look(
	struct maker *m, sqlite3_stmt *s, int64_t a, int64_t b, int64_t c, struct event_row *ev)
{
	int ret;

	sqlite3_bind_int64(s, 1, a);
	sqlite3_bind_int64(s, 2, b);
	if (sqlite3_bind_parameter_count(s) > 2)
		sqlite3_bind_int64(s, 3, c);
	ret = sql_step(s, m->e);
	*ev = (struct event_row){0};
	if (ret > 0)
		derive_read_event(s, ev);
	sqlite3_reset(s);
	return ret < 0 ? ret : 0;
}

/* From the interrupt to the vCPU: when it was injected, the entry, the end of interrupt. */
static int find_delivery(struct maker *m)
{
	struct host_path *p = &m->p;
	const struct host_inject *in = NULL;
	struct event_row ev;
	int ret;

	if (p->irq->vector != SQL_NULL)
		in = host_injected(m->j, p->irq->at.event, p->irq->vector);
	if (in) {
		p->inject = in->at;
		p->entry = in->entry;
		p->eoi = in->eoi;
		p->delivery = in->track;
		return 0;
	}
	p->delivery = p->kick ? p->kick->track : 0;
	if (!p->delivery)
		return 0;
	ret = look(m, m->entry, p->irq->at.event, p->delivery, 0, &ev);
	if (!ret && ev.id)
		p->entry = (struct mark){ev.id, ev.ts};
	return ret;
}

/* --- legs ----------------------------------------------------------------------------------- */

static void add_leg(struct host_path *p, int64_t track, int64_t from, int64_t to)
{
	if (to >= from && p->legs < HOST_LEGS)
		p->leg[p->legs++] = (struct host_leg){track, from, to};
}

/* The wake-up by which a thread handed on to another between two events. */
static int find_wake(
	struct maker *m, int64_t from, int64_t to, int64_t by, int64_t whom, int64_t *wake)
{
	struct event_row ev;
	int ret;

	*wake = 0;
	if (by == whom || to <= from || to - from > NEAR_EVENTS)
		return 0;
	sqlite3_bind_int64(m->waking, 4, whom);
	ret = look(m, m->waking, from, to, by, &ev);
	*wake = ev.id;
	return ret;
}

static int kick_leg(struct maker *m)
{
	struct host_path *p = &m->p;
	const struct host_kick *k = p->kick;
	const struct host_call *c = p->call;
	int64_t from = k->before.event ? k->before.event : k->at.event, to;
	int ret = 0;

	p->first = k->before.event ? k->before : k->at;
	to = k->entry.event ? k->entry.event : k->at.event;
	if (c && c->track != k->track) {
		ret = find_wake(m, k->at.event, c->enter.event, k->track, c->track, &p->wake);
		if (p->wake)
			to = p->wake;
		else if (!k->entry.event || k->entry.event > c->enter.event)
			to = c->enter.event;
	} else if (c && (!k->entry.event || k->entry.event > c->enter.event)) {
		to = c->exit.event ? c->exit.event : c->enter.event;
	}
	p->last = to == k->entry.event ? k->entry : k->at;
	add_leg(p, k->track, from, to);
	return ret;
}

static int call_leg(struct maker *m)
{
	struct host_path *p = &m->p;
	const struct host_call *c = p->call;
	int64_t to = c->exit.event ? c->exit.event : c->enter.event;
	int ret = 0;

	if (!p->first.event)
		p->first = c->enter;
	p->last = c->exit.event ? c->exit : c->enter;
	if (p->irq && p->irq->track != c->track)
		ret = find_wake(m, to, p->irq->at.event, c->track, p->irq->track, &p->wake_irq);
	if (p->irq && p->irq->track == c->track)
		to = p->irq->end.event ? p->irq->end.event : p->irq->at.event;
	else if (p->wake_irq)
		to = p->wake_irq;
	add_leg(p, c->track, p->wake ? p->wake : c->enter.event, to);
	return ret;
}

static void irq_legs(struct host_path *p)
{
	const struct host_irq *i = p->irq;
	int64_t from = i->begin.event ? i->begin.event : i->at.event;

	if (p->wake_irq)
		from = p->wake_irq;
	if (p->call && p->call->exit.event >= from)
		from = p->call->exit.event + 1;
	p->last = i->end.event ? i->end : i->at;
	add_leg(p, i->track, from, p->last.event);
	if (!p->entry.event)
		return;
	add_leg(p, p->delivery, i->at.event, p->entry.event);
	p->last = p->entry;
	if (p->eoi.event) {
		add_leg(p, p->delivery, p->eoi.event, p->eoi.event);
		p->last = p->eoi;
	}
}

static bool on_a_leg(const struct host_path *p, const struct event_row *ev)
{
	for (unsigned i = 0; i < p->legs; i++)
		if (ev->track == p->leg[i].track && ev->id >= p->leg[i].from &&
			ev->id <= p->leg[i].to)
			return true;
	return false;
}

static int load_events(struct maker *m)
{
	struct host_path *p = &m->p;
	struct event_row ev;
	int ret = 0;

	p->n = 0;
	sqlite3_bind_int64(m->range, 1, p->first.event);
	sqlite3_bind_int64(m->range, 2, p->last.event);
	while (!ret && (ret = sql_step(m->range, m->e)) > 0) {
		derive_read_event(m->range, &ev);
		ret = 0;
		if (!on_a_leg(p, &ev))
			continue;
		ret = derive_grow((void **)&p->ev, &p->cap, p->n, sizeof(*p->ev), m->e);
		if (!ret)
			p->ev[p->n++] = ev;
	}
	sqlite3_reset(m->range);
	return ret;
}

/* Do two events lie on one leg? Then nothing of their track is between them but what the path has. */
static bool on_one_leg(
	const struct host_path *p, const struct event_row *a, const struct event_row *b)
{
	for (unsigned i = 0; a->track == b->track && i < p->legs; i++)
		if (p->leg[i].track == a->track && a->id >= p->leg[i].from && b->id <= p->leg[i].to)
			return true;
	return false;
}

/* For each event of the path the one in front of it on the same track, which may not be part of it. */
static int load_prior(struct maker *m)
{
	struct host_path *p = &m->p;
	int ret = 0;

	for (size_t i = 0; !ret && i < p->n; i++) {
		ret = derive_grow((void **)&m->prior, &m->prior_cap, i, sizeof(*m->prior), m->e);
		if (ret)
			break;
		if (i > 0 && on_one_leg(p, &p->ev[i - 1], &p->ev[i]))
			m->prior[i] = p->ev[i - 1];
		else
			ret = look(m, m->before, p->ev[i].id, p->ev[i].track,
				p->first.event - BEFORE_EVENTS, &m->prior[i]);
	}
	return ret;
}

/* --- steps ---------------------------------------------------------------------------------- */

static const unsigned char kind_layer[] = {
#define EV(id, name, NAME, stage, layer, source, text, doc, a0, a1, a2, a3, a4, a5)                \
	[id] = EW_LAYER_##layer,
#include "events.def"
#undef EV
};

static int put(
	struct maker *m, int stage, int layer, const char *what, int64_t event, int64_t other)
{
	bool absent = *what == 'a', handover = *what == 'h';

	if (stage > m->stage)
		m->stage = stage;
	sqlite3_bind_text(m->step, 8, what, -1, SQLITE_STATIC);
	return sql_insert(m->step, m->e, 7,
		(int64_t[]){m->id, ++m->steps, m->stage, layer, event, absent ? other : SQL_NULL,
			handover ? other : SQL_NULL});
}

static int layer_of(const struct event_row *ev)
{
	bool known = ev->kind > 0 &&
		     ev->kind < (int64_t)(sizeof(kind_layer) / sizeof(kind_layer[0]));

	return known ? kind_layer[ev->kind] : EW_LAYER_NONE;
}

static int put_absent(struct maker *m, int stage, int layer, enum host_absent absent)
{
	m->used[absent - ABSENT_BEFORE] = true;
	return put(m, stage, layer, "absent", SQL_NULL, absent);
}

/* Which stage an event of the path is part of. */
static int stage_of(const struct maker *m, const struct event_row *ev)
{
	const struct host_path *p = &m->p;

	if (p->entry.event && ev->id > p->entry.event)
		return 9;
	if (p->irq && ev->id > p->irq->at.event && ev->track == p->delivery &&
		(ev->id == p->entry.event || ev->id == p->inject.event || host_is_run(ev)))
		return 8;
	if (p->call && ev->id >= p->call->enter.event)
		return ev->id <= p->call->exit.event || !p->call->exit.event ? 6 : 7;
	if (p->irq && ev->id >= (p->irq->begin.event ? p->irq->begin.event : p->irq->at.event) &&
		ev->track == p->irq->track)
		return 7;
	if (!p->kick || ev->id < p->kick->at.event)
		return 2;
	if (ev->kind == EW_KVM_USERSPACE_EXIT)
		return 4;
	if (m->stage < 4)
		return 3;
	return m->stage == 4 && ev->kind == EW_SYS_EXIT ? 4 : 5;
}

static bool is_block(const struct event_row *ev)
{
	return ev->kind >= EW_BLOCK_BIO_QUEUE && ev->kind <= EW_BLOCK_RQ_COMPLETE;
}

/* Everything that is missing between the stage of the last step and this one. */
static int put_missing(struct maker *m, int stage, bool block)
{
	const struct host_path *p = &m->p;
	int ret = 0, was = m->stage;

	if (was < 2 && stage >= 2) {
		ret = put_absent(m, 1, EW_LAYER_GUEST_USER, HOST_ABSENT_GUEST_CALL);
		if (!ret && !p->kick)
			ret = put_absent(m, 2, EW_LAYER_GUEST_KERNEL, HOST_ABSENT_NO_KICK);
	}
	if (!ret && p->kick && was < 3 && stage >= 3)
		ret = put_absent(m, 2, EW_LAYER_GUEST_KERNEL, HOST_ABSENT_GUEST_KERNEL);
	if (!ret && p->kick && was < 4 && stage >= 4) {
		ret = put_absent(m, 3, EW_LAYER_KVM, HOST_ABSENT_HANDLER);
		if (!ret && !p->kick->to_vmm)
			ret = put_absent(m, 4, EW_LAYER_KVM, HOST_ABSENT_IOEVENTFD);
	}
	if (!ret && was < 6 && stage >= 6) {
		ret = put_absent(m, 5, EW_LAYER_VMM, HOST_ABSENT_DEVICE);
		if (!ret && p->kick && p->call && p->call->track != p->kick->track && !p->wake)
			ret = put_absent(m, 5, EW_LAYER_VMM, HOST_ABSENT_HANDOVER);
	}
	if (!ret && was < 7 && stage >= 7) {
		if (!p->call)
			ret = put_absent(m, 6, EW_LAYER_HOST_KERNEL, HOST_ABSENT_NO_CALL);
		else if (!block)
			ret = put_absent(m, 6, EW_LAYER_HOST_KERNEL, HOST_ABSENT_BLOCK);
		if (!ret && !p->irq)
			ret = put_absent(m, 7, EW_LAYER_KVM, HOST_ABSENT_NO_IRQ);
		else if (!ret && p->call && p->irq->track != p->call->track && !p->wake_irq)
			ret = put_absent(m, 7, EW_LAYER_VMM, HOST_ABSENT_HANDOVER);
	}
	if (!ret && was < 8 && stage >= 8 && p->irq && !p->inject.event)
		ret = put_absent(m, 7, EW_LAYER_KVM, HOST_ABSENT_NO_INJECT);
	if (!ret && was < 9 && stage >= 9 && !p->entry.event)
		ret = put_absent(m, 8, EW_LAYER_KVM, HOST_ABSENT_NO_ENTRY);
	return ret;
}

static int put_steps(struct maker *m)
{
	struct host_path *p = &m->p;
	bool block = false;
	int ret = 0;

	m->steps = m->stage = m->exits = 0;
	for (size_t i = 0; !ret && i < p->n; i++) {
		const struct event_row *ev = &p->ev[i];
		int stage = stage_of(m, ev);

		m->exits += ev->kind == EW_KVM_EXIT;
		block |= is_block(ev);
		ret = put_missing(m, stage, block);
		if (!ret && i > 0 && (ev[-1].id == p->wake || ev[-1].id == p->wake_irq) &&
			ev[-1].track != ev->track)
			ret = put(m, stage, EW_LAYER_WAITING, "handover", ev->id, ev[-1].id);
		if (!ret)
			ret = put(m, stage, layer_of(ev), "event", ev->id, SQL_NULL);
	}
	if (!ret)
		ret = put_missing(m, 9, block);
	return ret ? ret : put_absent(m, 9, EW_LAYER_GUEST_KERNEL, HOST_ABSENT_GUEST_END);
}

/* --- rows ----------------------------------------------------------------------------------- */

static int put_request(struct maker *m)
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

	host_budget(m->j->d, p, m->prior, ns);
	for (int layer = 1; !ret && layer <= EW_LAYER_MAX; layer++)
		ret = sql_insert(m->budget, m->e, 3, (int64_t[]){m->id, layer, ns[layer]});
	return ret;
}

static int make(
	struct maker *m, const struct host_kick *kick, const struct host_call *call, size_t irq)
{
	struct host_path *p = &m->p;
	int ret = 0;

	m->id++;
	p->kick = kick;
	p->call = call;
	p->irq = irq == NO_INDEX ? NULL : &m->j->irq[irq];
	p->inject = p->entry = p->eoi = p->first = p->last = (struct mark){0, 0};
	p->wake = p->wake_irq = p->delivery = 0;
	p->legs = 0;
	if (p->irq)
		ret = find_delivery(m);
	if (!ret && kick)
		ret = kick_leg(m);
	if (!ret && call)
		ret = call_leg(m);
	if (!ret && p->irq)
		irq_legs(p);
	if (!ret)
		ret = load_events(m);
	if (!ret)
		ret = load_prior(m);
	if (!ret)
		ret = put_steps(m);
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
static int all_requests(struct maker *m)
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

#define KIND(name) "(SELECT id FROM event_kind WHERE name = '" name "')"
#define EVENTS "SELECT " EVENT_COLUMNS " FROM event WHERE "
#define FAR "4096" /* so far behind an interrupt an entry is looked for */

static int prepare_all(struct maker *m)
{
	const struct {
		sqlite3_stmt **stmt;
		const char *sql;
	} all[] = {
		{&m->range, EVENTS "id BETWEEN ?1 AND ?2 ORDER BY id"},
		{&m->entry, EVENTS "id > ?1 AND id < ?1 + " FAR " AND track = ?2 AND kind = " KIND(
				    "kvm_entry") " ORDER BY id LIMIT 1"},
		{&m->waking,
			EVENTS "id > ?1 AND id < ?2 AND track = ?3 AND a0 = ?4 AND kind = " KIND(
				"sched_waking") " ORDER BY id DESC LIMIT 1"},
		{&m->before, EVENTS "id < ?1 AND id > ?3 AND track = ?2 ORDER BY id DESC LIMIT 1"},
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
	return ret;
}

static int put_absent_texts(struct maker *m)
{
	int ret = 0;

	for (size_t i = 0; !ret && i < sizeof(absent_text) / sizeof(absent_text[0]); i++) {
		if (!m->used[i + 1])
			continue;
		sqlite3_bind_text(m->absent, 2, absent_text[i], -1, SQLITE_STATIC);
		ret = sql_insert(m->absent, m->e, 1, (int64_t[]){ABSENT_BEFORE + 1 + (int64_t)i});
	}
	return ret;
}

static int write_requests(struct host_join *j)
{
	struct maker m = {.j = j, .db = j->d->db, .e = j->d->e};
	sqlite3_stmt **const all[] = {&m.range, &m.entry, &m.waking, &m.before, &m.step, &m.request,
		&m.budget, &m.absent};
	int ret = prepare_all(&m);

	if (!ret)
		ret = all_requests(&m);
	if (!ret)
		ret = put_absent_texts(&m);
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		sqlite3_finalize(*all[i]);
	free(m.p.ev);
	free(m.prior);
	return ret;
}

int host_derive(struct derive *d)
{
	struct host_join j;
	int ret = host_join(&j, d);

	if (!ret)
		ret = write_requests(&j);
	host_join_free(&j);
	return ret;
}
