/* SPDX-License-Identifier: MIT */
/*
 * The guest's events that are steps of a request: those of the task that made the call, of the one that
 * issued the request, and of the interrupt that completed it. A task that works on several requests says by
 * its block layer's events which one a function is about: submit_bio() stands in front of a bio's event,
 * virtio_queue_rq() in front of the issue; what is for all of them (a plug is flushed, the queue is notified)
 * is a step of each.
 */
#include "derive_guest_steps.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "derive_guest.h"

/* --- places ----------------------------------------------------------------------------------- */

static size_t index_of(const struct writer *w, int64_t event)
{
	size_t at = event_rows_from(w->ev, w->n, event);

	return event && at < w->n && w->ev[at].id == event ? at : NO_INDEX;
}

static bool of_task(const struct event_row *ev, int64_t pid)
{
	return derive_is_guest(ev->kind) && !derive_in_irq(ev) && ev->pid == pid && pid >= 0;
}

static void mark_step(struct writer *w, size_t i)
{
	const struct event_row *ev = &w->ev[i];
	bool after = w->r->used.event && ev->id > w->r->used.event;
	const int early = ev->kind == EW_GUEST_SYS_ENTER || ev->kind == EW_GUEST_SYS_EXIT ? 1 : 2;

	w->guest.stage[i] = (unsigned char)(after ? 9 : early);
}

static bool own_bio(const struct writer *w, int64_t event)
{
	const struct guest_io *io = w->d->guest;
	const struct guest_rq *rq = w->guest.rq;

	for (size_t i = 0; i < rq->bios; i++)
		if (io->bio[io->rq_bio[rq->bio + i]].queued.event == event)
			return true;
	return false;
}

/* Is this event of the block layer the request's? */
static bool own_block(const struct writer *w, const struct event_row *ev)
{
	const struct guest_rq *rq = w->guest.rq;
	struct guest_extent at;

	if (!rq)
		return true; /* nothing is known against it */
	if (ev->kind == EW_GUEST_RQ_ISSUE)
		return ev->id == rq->issue.event;
	if (ev->kind == EW_GUEST_RQ_COMPLETE)
		return ev->id == rq->complete.event;
	if (ev->kind == EW_GUEST_BIO_QUEUE)
		return own_bio(w, ev->id);
	derive_guest_extent(ev, &at);
	return derive_guest_overlap(&at, &rq->at) && ev->id < rq->issue.event &&
	       ev->id >= rq->insert.event;
}

/* The next event of this kind of the task, from i on. */
static size_t next_of(const struct writer *w, size_t i, int64_t pid, int64_t kind)
{
	while (i < w->n && (w->ev[i].kind != kind || !of_task(&w->ev[i], pid)))
		i++;
	return i < w->n ? i : NO_INDEX;
}

/* Where the part of the task that issues begins: with its work, or when it came to the request. */
static void find_section(struct writer *w)
{
	struct guest_side *g = &w->guest;
	size_t issue = index_of(w, g->rq->issue.event);
	int64_t earliest = derive_guest_from(w, INT64_MAX);

	g->begin = issue;
	for (size_t i = issue; issue != NO_INDEX && i-- > 0 && w->ev[i].id >= earliest;) {
		const struct event_row *ev = &w->ev[i];

		if (!of_task(ev, g->worker))
			continue;
		if (ev->kind == EW_GUEST_WORK_END || (ev->kind == EW_GUEST_SWITCH && ev->a[1]) ||
			derive_guest_class(w->d, ev) == GUEST_FUNC_NOTIFY)
			break;
		g->begin = i;
		if (ev->kind == EW_GUEST_WORK_START)
			break;
	}
}

/* By what the caller handed it to the worker: the work, else the request's way into a queue. */
static void find_handover(struct writer *w)
{
	struct guest_side *g = &w->guest;
	const struct event_row *work = g->begin == NO_INDEX ? NULL : &w->ev[g->begin];

	if (!work || g->worker == g->caller || g->worker < 0 || g->caller < 0)
		return;
	for (size_t i = g->begin; work->kind == EW_GUEST_WORK_START && i-- > 0;)
		if (w->ev[i].kind == EW_GUEST_WORK_QUEUE && of_task(&w->ev[i], g->caller) &&
			w->ev[i].a[0] == work->a[0]) {
			g->handed = w->ev[i].id;
			return;
		}
	g->handed = g->rq->insert.event && g->rq->insert_pid == g->caller ? g->rq->insert.event
		    : g->rq->bios ? derive_guest_from(w, INT64_MAX)
				  : 0;
}

/* --- one task's events ------------------------------------------------------------------------- */

/* What the events of a task are about while they are gone through. */
struct subject {
	int64_t pid;
	bool other;      /* another request */
	bool issued;     /* ours was issued, and the queue not yet notified of it */
	bool notified;   /* it was */
	unsigned listed; /* issues since virtio_queue_rq() */
};

static bool function_concerns(struct writer *w, struct subject *s, size_t i)
{
	enum guest_func_class class = derive_guest_class(w->d, &w->ev[i]);
	size_t next;

	if (class != GUEST_FUNC_NOTIFY && s->issued && w->guest.notified)
		s->notified = true;
	switch (class) {
	case GUEST_FUNC_SUBMIT:
	case GUEST_FUNC_QUEUE:
		next = next_of(w, i, s->pid,
			class == GUEST_FUNC_QUEUE ? EW_GUEST_RQ_ISSUE : EW_GUEST_BIO_QUEUE);
		s->other = next != NO_INDEX && !own_block(w, &w->ev[next]);
		s->listed = 0;
		return !s->other;
	case GUEST_FUNC_PLUG:
		s->other = false;
		return true;
	case GUEST_FUNC_NOTIFY:
		if (!s->issued || s->notified)
			return !w->guest.rq;
		w->guest.notified = true;
		return true;
	default:
		return !s->other;
	}
}

/* Is this event of the task a step? */
static bool task_concerns(struct writer *w, struct subject *s, size_t i)
{
	const struct event_row *ev = &w->ev[i];

	switch (ev->kind) {
	case EW_GUEST_FUNC:
		return function_concerns(w, s, i);
	case EW_GUEST_BIO_QUEUE:
		s->other = !own_block(w, ev);
		return !s->other;
	case EW_GUEST_RQ_INSERT:
		s->other = false;
		return own_block(w, ev);
	case EW_GUEST_RQ_ISSUE:
		s->issued |= own_block(w, ev);
		s->other = !own_block(w, ev) && !s->listed;
		s->listed++;
		return own_block(w, ev);
	case EW_GUEST_RQ_COMPLETE:
		return own_block(w, ev);
	case EW_GUEST_WAKING:
		return ev->a[0] == w->guest.worker || ev->a[0] == w->guest.caller;
	case EW_GUEST_SOFTIRQ:
	case EW_GUEST_SOFTIRQ_RET:
		return false;
	default:
		return true;
	}
}

/* The events of a task from a place up to another one; where it is interrupted, one step says so. */
static void mark_task(struct writer *w, int64_t pid, size_t from, size_t to, bool only_this)
{
	struct subject s = {.pid = pid};

	for (size_t i = from; i < to && pid >= 0; i++) {
		const struct event_row *ev = &w->ev[i];

		if (ev->kind == EW_GUEST_IRQ && ev->pid == pid)
			mark_step(w, i);
		else if (ev->kind == EW_GUEST_SWITCH && ev->a[2] == pid)
			mark_step(w, i);
		if (!of_task(ev, pid))
			continue;
		if (only_this && s.issued && w->guest.notified &&
			derive_guest_class(w->d, ev) != GUEST_FUNC_NOTIFY)
			return; /* the device has been told: what follows is another matter */
		if (task_concerns(w, &s, i) && !(only_this && s.notified))
			mark_step(w, i);
		if (only_this && (s.notified || (s.issued && ev->kind == EW_GUEST_WORK_END)))
			return;
	}
}

/* A worker's part ends with the exit by which it notified. */
static size_t end_of_section(const struct writer *w)
{
	const struct guest_side *g = &w->guest;
	size_t exit = w->kick ? index_of(w, w->kick->entry.event ?: w->kick->exit.event) : NO_INDEX;

	if (exit != NO_INDEX && w->kick->track == g->rq->issue_track && exit > g->begin)
		return exit;
	return w->n;
}

static void mark_worker(struct writer *w)
{
	struct guest_side *g = &w->guest;

	find_section(w);
	if (g->begin != NO_INDEX)
		mark_task(w, g->worker, g->begin, end_of_section(w), true);
}

/* In front of a window that was cut the caller's block events are its own, the rest is shown elsewhere. */
static void mark_in_front(struct writer *w)
{
	for (size_t i = 0; i < w->in_front; i++) {
		const struct event_row *ev = &w->ev[i];

		if ((ev->kind == EW_GUEST_BIO_QUEUE || ev->kind == EW_GUEST_RQ_INSERT) &&
			w->guest.rq && own_block(w, ev))
			mark_step(w, i);
	}
}

/* Also those that other tasks queued: the block layer made one request of them. */
static void mark_bios(struct writer *w)
{
	for (size_t i = 0; w->r->call_how == CALL_SHARED && i < w->n; i++)
		if (w->ev[i].kind == EW_GUEST_BIO_QUEUE && own_block(w, &w->ev[i]))
			mark_step(w, i);
}

static void mark_caller(struct writer *w)
{
	struct guest_side *g = &w->guest;
	const struct guest_call *c = w->r->call == NO_INDEX ? NULL : &w->d->call[w->r->call];
	size_t from = w->in_front, to = w->n, at;
	int64_t first;

	if (c) {
		at = index_of(w, c->sys_enter.event);
		from = at != NO_INDEX ? at : from;
		at = index_of(w, c->sys_exit.event);
		to = at != NO_INDEX ? at + 1 : to;
		mark_task(w, g->caller, from, to, false);
		return;
	}
	first = derive_guest_from(w, INT64_MAX);
	/* A task without a call: what it does up to its handing it over, or until it sleeps. */
	for (at = from; at < to && g->caller >= 0; at++) {
		const struct event_row *ev = &w->ev[at];

		if (of_task(ev, g->caller) && ev->id > first &&
			(ev->kind == EW_GUEST_WORK_END ||
				(ev->kind == EW_GUEST_SWITCH && ev->a[1])))
			break;
	}
	mark_task(w, g->caller, from, at < to ? at + 1 : to, true);
}

/* --- completion ------------------------------------------------------------------------------- */

/* The interrupt's handler in front of an event: on its vCPU, else anywhere. */
static size_t find_irq(const struct writer *w, size_t from, bool anywhere)
{
	const struct event_row *done = &w->ev[from];
	bool inside = done->flags & GUEST_IN_HARDIRQ;

	for (size_t i = from; i-- > 0;) {
		const struct event_row *ev = &w->ev[i];

		if (!derive_is_guest(ev->kind) || (!anywhere && ev->track != done->track))
			continue;
		if (w->r->used.event &&
			ev->ts + (ev->error == SQL_NULL ? 0 : ev->error) < w->r->used.ts)
			return NO_INDEX;
		if (ev->kind == EW_GUEST_IRQ)
			return i;
		if (inside && !anywhere && ev->kind == EW_GUEST_IRQ_RET)
			return NO_INDEX;
	}
	return NO_INDEX;
}

/* What happens in an interrupt from its first event on; of the completions in it only ours counts. */
static void mark_interrupt(struct writer *w, size_t from, int64_t context, int64_t last)
{
	const struct guest_side *g = &w->guest;
	const int64_t track = w->ev[from].track;
	bool mine = true; /* in front of the first completion: for all */

	for (size_t i = from; i < w->n; i++) {
		const struct event_row *ev = &w->ev[i];

		if (!derive_is_guest(ev->kind) || ev->track != track)
			continue;
		if (ev->kind == EW_GUEST_RQ_COMPLETE)
			mine = ev->id == g->rq->complete.event;
		if (ev->kind == last ||
			(mine && (ev->flags & context) && ev->kind != EW_GUEST_WAKING))
			mark_step(w, i);
		if (ev->kind == last || (i > from && !(ev->flags & context)))
			return;
	}
}

static void mark_completion(struct writer *w)
{
	struct guest_side *g = &w->guest;
	size_t soft;

	g->complete = index_of(w, g->rq->complete.event);
	if (g->complete == NO_INDEX)
		return;
	g->irq = find_irq(w, g->complete, false);
	if (g->irq == NO_INDEX)
		g->irq = find_irq(w, g->complete, true);
	if (g->irq != NO_INDEX)
		mark_interrupt(w, g->irq, GUEST_IN_HARDIRQ, EW_GUEST_IRQ_RET);
	mark_step(w, g->complete);
	for (soft = g->complete; !(w->ev[g->complete].flags & GUEST_IN_HARDIRQ) && soft-- > 0;)
		if (w->ev[soft].kind == EW_GUEST_SOFTIRQ &&
			w->ev[soft].track == w->ev[g->complete].track) {
			mark_interrupt(w, soft, GUEST_IN_SOFTIRQ, EW_GUEST_SOFTIRQ_RET);
			break;
		}
}

static void find_return(struct writer *w)
{
	struct guest_side *g = &w->guest;

	for (size_t i = g->complete; g->complete != NO_INDEX && g->caller >= 0 && i < w->n; i++) {
		const struct event_row *ev = &w->ev[i];

		if (ev->kind == EW_GUEST_WAKING && ev->a[0] == g->caller && g->waking == NO_INDEX) {
			g->waking = i;
			mark_step(w, i);
		}
		if (ev->kind == EW_GUEST_SWITCH && ev->a[2] == g->caller) {
			g->back = i;
			return;
		}
	}
}

/* The exit at whose end the interrupt was injected. */
static void find_delivery(struct writer *w)
{
	struct guest_side *g = &w->guest;
	const struct request *r = w->r;

	if (g->irq == NO_INDEX || !r->irq.event)
		return;
	for (size_t i = g->irq; i-- > 0 && w->ev[i].id > r->irq.event;)
		if (w->ev[i].track == w->ev[g->irq].track && w->ev[i].kind == EW_KVM_INJ_VIRQ) {
			g->deliver = w->ev[i].exit_id;
			return;
		}
}

/* --- all of it -------------------------------------------------------------------------------- */

static void find_tasks(struct writer *w)
{
	struct guest_side *g = &w->guest;
	const struct guest_io *io = w->d->guest;
	const struct guest_call *c = w->r->call == NO_INDEX ? NULL : &w->d->call[w->r->call];

	g->rq = w->r->rq == NO_INDEX ? NULL : &io->rq[w->r->rq];
	g->caller = c ? c->pid : -1;
	if (!c && g->rq && g->rq->bios)
		g->caller = io->bio[io->rq_bio[g->rq->bio]].pid;
	g->worker = g->rq ? g->rq->issue_pid : -1;
	g->on = g->rq || (c && c->sys_enter.event);
}

int derive_guest_load(struct writer *w)
{
	struct guest_side *g = &w->guest;

	g->on = g->notified = false;
	g->begin = g->irq = g->complete = g->waking = g->back = NO_INDEX;
	g->handed = g->deliver = 0;
	if (w->n > g->cap) {
		unsigned char *stage = realloc(g->stage, w->cap);

		if (!stage)
			return err_set(w->d->e, -ENOMEM, "out of memory while deriving requests");
		g->stage = stage;
		g->cap = w->cap;
	}
	if (w->n)
		memset(g->stage, 0, w->n);
	if (!w->d->guest)
		return 0;
	find_tasks(w);
	if (!g->on)
		return 0;
	mark_in_front(w);
	mark_caller(w);
	mark_bios(w);
	if (!g->rq)
		return 0;
	if (g->worker != g->caller)
		mark_worker(w);
	find_handover(w);
	mark_completion(w);
	find_return(w);
	find_delivery(w);
	return 0;
}

static int put_handover(struct writer *w, int stage, int64_t from, int64_t to)
{
	return steps_put(w, stage, EW_LAYER_WAITING, "handover", to, SQL_NULL, SQL_NULL, from);
}

int derive_guest_put(struct writer *w, size_t i)
{
	const struct guest_side *g = &w->guest;
	const struct event_row *ev = &w->ev[i];
	int stage = g->stage[i], ret = 0;

	if (i == g->begin && g->handed && g->handed < ev->id)
		ret = put_handover(w, stage, g->handed, ev->id);
	if (!ret)
		ret = steps_event(w, stage, ev);
	/* Who was woken runs when the other one has been left. */
	if (!ret && i == g->back && g->waking != NO_INDEX)
		ret = put_handover(w, stage, w->ev[g->waking].id, ev->id);
	return ret;
}
