/* SPDX-License-Identifier: MIT */
/* The way of a request through the threads: who has it from which event to which. */
#include "host_maker.h"

#define NEAR_EVENTS 4096 /* a hand-over lies within so many events */
#define BEFORE_EVENTS 64 /* so far in front of a request it is looked what its threads did */

/* --- the delivery --------------------------------------------------------------------------- */

/* The first event that a statement gives for these parameters; id 0: none. */
static int look(struct host_maker *m, sqlite3_stmt *s, int64_t a, int64_t b, int64_t c,
	struct event_row *ev)
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
static int find_delivery(struct host_maker *m)
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
	ret = look(m, m->entry, p->irq->at.event, p->delivery, EW_KVM_ENTRY, &ev);
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
	struct host_maker *m, int64_t from, int64_t to, int64_t by, int64_t whom, int64_t *wake)
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

static int kick_leg(struct host_maker *m)
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

static int call_leg(struct host_maker *m)
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

static bool on_a_leg(const struct host_path *p, int64_t track, int64_t id)
{
	for (unsigned i = 0; i < p->legs; i++)
		if (track == p->leg[i].track && id >= p->leg[i].from && id <= p->leg[i].to)
			return true;
	return false;
}

/* The last event on the track of a leg. */
struct last_on {
	int64_t track;
	struct event_row ev; /* kind 0: none so far */
};

static unsigned leg_tracks(const struct host_path *p, struct last_on *on)
{
	unsigned n = 0;

	for (unsigned i = 0; i < p->legs; i++) {
		unsigned k = 0;

		while (k < n && on[k].track != p->leg[i].track)
			k++;
		if (k == n)
			on[n++] = (struct last_on){.track = p->leg[i].track};
	}
	return n;
}

/* An event of the path; before: the one in front of it on its track, which may not be part of it. */
static int add_event(
	struct host_maker *m, const struct event_row *ev, const struct event_row *before)
{
	struct host_path *p = &m->p;
	int ret = derive_grow((void **)&p->ev, &p->cap, p->n, sizeof(*p->ev), m->e);

	if (!ret)
		ret = derive_grow((void **)&m->prior, &m->prior_cap, p->n, sizeof(*m->prior), m->e);
	if (ret)
		return ret;
	m->prior[p->n] = *before;
	p->ev[p->n++] = *ev;
	return 0;
}

static int load_events(struct host_maker *m)
{
	struct host_path *p = &m->p;
	struct last_on on[HOST_LEGS];
	unsigned n = leg_tracks(p, on);
	int ret = 0;

	p->n = 0;
	sqlite3_bind_int64(m->range, 1, p->first.event - BEFORE_EVENTS + 1);
	sqlite3_bind_int64(m->range, 2, p->last.event);
	while (!ret && (ret = sql_step(m->range, m->e)) > 0) {
		int64_t track = sqlite3_column_int64(m->range, EVENT_COLUMN_TRACK);
		struct event_row ev;
		unsigned k = 0;

		ret = 0;
		while (k < n && on[k].track != track)
			k++;
		if (k == n)
			continue;
		derive_read_event(m->range, &ev);
		if (ev.id >= p->first.event && on_a_leg(p, track, ev.id))
			ret = add_event(m, &ev, &on[k].ev);
		on[k].ev = ev;
	}
	sqlite3_reset(m->range);
	return ret;
}

int host_find_path(struct host_maker *m)
{
	struct host_path *p = &m->p;
	int ret = 0;

	p->inject = p->entry = p->eoi = p->first = p->last = (struct mark){0, 0};
	p->wake = p->wake_irq = p->delivery = 0;
	p->legs = 0;
	if (p->irq)
		ret = find_delivery(m);
	if (!ret && p->kick)
		ret = kick_leg(m);
	if (!ret && p->call)
		ret = call_leg(m);
	if (!ret && p->irq)
		irq_legs(p);
	return ret ? ret : load_events(m);
}
