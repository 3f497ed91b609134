/* SPDX-License-Identifier: MIT */
/*
 * Who carries a request inside the guest: the task that made the call, nobody while it sleeps and no other task
 * has taken the request on, the task that issues it; after the device, the interrupt, and again nobody from
 * when the first task is woken until it runs.
 */
#include "derive_guest.h"
#include "derive_guest_steps.h"

/* So many pieces at most for the tasks' sleeping, on each side of the device. */
#define PIECES_MAX 12

static struct mark mark_of(const struct event_row *ev)
{
	return (struct mark){ev->id, ev->ts};
}

/* A task that leaves its CPU carries nothing on, and does so again on the CPU that it comes back to. */
static void follow_task(
	const struct writer *w, struct carriers *c, int64_t pid, size_t from, size_t to, size_t max)
{
	for (size_t i = from; i < to && c->n < max; i++) {
		const struct event_row *ev = &w->ev[i];

		if (ev->kind != EW_GUEST_SWITCH)
			continue;
		if (ev->a[0] == pid)
			carriers_hand_to(c, CARRIER_NONE, mark_of(ev));
		else if (ev->a[2] == pid)
			carriers_hand_to(c, ev->track, mark_of(ev));
	}
}

/* A window that was cut begins while the task sleeps, if the first thing that is seen of it is that it wakes up. */
static bool begins_asleep(const struct writer *w)
{
	const int64_t pid = w->guest.caller;

	for (size_t i = w->in_front; i < w->n; i++) {
		const struct event_row *ev = &w->ev[i];

		if (ev->kind == EW_GUEST_SWITCH && ev->a[2] == pid)
			return true;
		if (derive_is_guest(ev->kind) && !derive_in_irq(ev) && ev->pid == pid)
			return false;
	}
	return false;
}

static size_t place_of(const struct writer *w, int64_t event)
{
	size_t i = 0;

	while (i < w->n && w->ev[i].id < event)
		i++;
	return i;
}

/* Where KVM enters the guest again after it has woken the thread that serves the queue. */
static const struct event_row *after_waker(const struct writer *w)
{
	for (size_t i = w->in_front; w->side.waker && i < w->n; i++)
		if (w->ev[i].kind == EW_KVM_ENTRY && w->ev[i].exit_id == w->side.waker)
			return &w->ev[i];
	return NULL;
}

/* Where the caller handed it over, or the window begins, if that is later. */
static struct mark handed_over(const struct writer *w)
{
	size_t i = place_of(w, w->guest.handed);

	return i >= w->in_front && i < w->n ? mark_of(&w->ev[i]) : w->r->first;
}

bool derive_guest_carried_in(const struct writer *w, struct carriers *c)
{
	const struct guest_side *g = &w->guest;
	const struct request *r = w->r;
	const struct guest_call *call = r->call == NO_INDEX ? NULL : &w->d->call[r->call];
	struct mark begin = call && call->first.event ? call->first : r->first;
	const struct event_row *left;
	size_t issue;

	if (!g->rq || w->n <= w->in_front)
		return false;
	issue = place_of(w, g->rq->issue.event);
	carriers_hand_to(c, call ? call->track : w->ev[w->in_front].track, begin);
	if (begin.event < r->first.event && begins_asleep(w))
		carriers_hand_to(c, CARRIER_NONE, r->first);
	if (g->worker == g->caller || g->begin == NO_INDEX) {
		follow_task(w, c, g->caller, w->in_front, issue, PIECES_MAX);
	} else {
		if (!call && g->handed) /* it goes on with something else */
			carriers_hand_to(c, CARRIER_NONE, handed_over(w));
		else
			follow_task(w, c, g->caller, w->in_front, g->begin, PIECES_MAX);
		carriers_hand_to(c, w->ev[g->begin].track, mark_of(&w->ev[g->begin]));
		follow_task(w, c, g->worker, g->begin, issue, PIECES_MAX);
	}
	carriers_hand_to(c, g->rq->issue_track, g->rq->issue);
	left = w->kick ? NULL : after_waker(w);
	if (left && left->id > g->rq->issue.event)
		carriers_hand_to(c, CARRIER_NONE, mark_of(left));
	return true;
}

bool derive_guest_carried_out(const struct writer *w, struct carriers *c, struct mark done)
{
	const struct guest_side *g = &w->guest;
	const struct request *r = w->r;
	size_t on = g->complete;

	if (g->complete == NO_INDEX)
		return false;
	if (g->irq != NO_INDEX) {
		const struct event_row *irq = &w->ev[g->irq];

		/* The guest may take it before the host's system call that raises it returns. */
		carriers_hand_to(c, irq->track, irq->id < done.event ? mark_of(irq) : done);
	}
	carriers_hand_to(c, w->ev[g->complete].track, mark_of(&w->ev[g->complete]));
	if (g->waking != NO_INDEX && g->back != NO_INDEX) {
		carriers_hand_to(c, CARRIER_NONE, mark_of(&w->ev[g->waking]));
		on = g->back;
	} else if (g->back != NO_INDEX) {
		on = g->back;
	} else if (r->call != NO_INDEX && w->d->call[r->call].exit_event > w->ev[on].id) {
		carriers_hand_to(c, w->d->call[r->call].exit_track,
			mark_of(&w->ev[g->waking != NO_INDEX ? g->waking : on]));
	}
	follow_task(w, c, g->caller, on, w->n, CARRIERS_MAX);
	if (r->call == NO_INDEX && w->kick && w->kick->entry.event == r->last.event)
		carriers_hand_to(c, w->kick->track, mark_of(&w->ev[g->complete]));
	return true;
}
