/* SPDX-License-Identifier: MIT */
/* Cuts the time axis into one window per request, and says who carries the request through it. */
#include "derive_guest.h"
#include "derive_guest_steps.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/syscall.h>

static const struct guest_call *call_of(const struct derive *d, const struct request *r)
{
	return r->call == NO_INDEX ? NULL : &d->call[r->call];
}

static void whole_window(const struct derive *d, struct request *r)
{
	const struct guest_call *c = call_of(d, r);
	const struct notify *k = derive_kick(d, r);

	if (c && c->first.event)
		r->first = c->first;
	else if (k && k->before.event)
		r->first = k->before;
	else if (k)
		r->first = k->exit;
	else
		r->first = r->wake.event ? r->wake : r->pop;
	if (!c)
		derive_guest_first(d, r);
	r->last = c && c->exit_event ? c->last : r->reach;
	/* An asynchronous call returns before its requests are complete. */
	if (r->last.event < r->own.event ||
		(c && c->nr == SYS_io_submit && r->last.event < r->reach.event))
		r->last = r->reach;
	/* Without a call nothing else says when the guest that notified goes on. */
	if (!c && k && k->entry.event > r->last.event)
		r->last = k->entry;
}

/*
 * Where the earlier of two requests ends: after the last thing that belongs to it if the later one had
 * not begun by then, else (one kick for both, or the later one overtook) at its own last event.
 */
static struct mark cut_between(
	const struct derive *d, const struct request *p, const struct request *r)
{
	const struct notify *k = derive_kick(d, r);
	int64_t begin = k && k->exit.event > p->own.event ? k->exit.event : r->pop.event;
	struct mark cut = p->reach.event < begin ? p->reach : p->own;

	return cut.event < p->first.event ? p->first : cut;
}

static void end_at(struct request *r, struct mark end)
{
	if (end.event < r->last.event)
		r->last = end.event < r->first.event ? r->first : end;
}

/*
 * Requests of one call, in the order of their pops. `head`: those that were in flight when the one
 * before was taken. The ones that were complete before r was taken end in front of it; if nothing else
 * is in flight, exactly where r begins.
 */
static void cut_windows(struct derive *d, size_t *head, struct request *r)
{
	struct request *before = NULL;
	size_t done = NO_INDEX, *link = head;

	while (*link != NO_INDEX) {
		struct request *p = &d->request[*link];
		size_t index = *link;

		if (p->own.event >= r->pop.event) {
			link = &p->next;
			continue;
		}
		*link = p->next;
		p->next = done;
		done = index;
		if (!before || p->own.event > before->own.event)
			before = p;
	}
	if (before && before->last.event > r->first.event) {
		struct mark cut = cut_between(d, before, r);

		for (; done != NO_INDEX; done = d->request[done].next) {
			struct request *p = &d->request[done];

			if (p->last.event > r->first.event)
				end_at(p, *head == NO_INDEX ? cut : p->reach);
		}
		if (cut.event > r->first.event)
			r->first = cut;
		if (r->last.event < r->first.event)
			r->last = r->first;
	}
	r->next = *head;
	*head = (size_t)(r - d->request);
}

/* The guest's kernel does it for itself, and its own events say from when to when: it shares its time with
 * no other one. */
static bool stands_alone(const struct request *r)
{
	return r->call == NO_INDEX && r->rq != NO_INDEX;
}

int derive_windows(struct derive *d)
{
	size_t *head = malloc((d->calls + 1) * sizeof(*head)); /* the last one: no call */

	if (!head)
		return err_set(d->e, -ENOMEM, "out of memory while deriving requests");
	for (size_t i = 0; i <= d->calls; i++)
		head[i] = NO_INDEX;
	for (size_t i = 0; i < d->requests; i++) {
		struct request *r = &d->request[i];

		whole_window(d, r);
		if (!stands_alone(r))
			cut_windows(d, &head[r->call == NO_INDEX ? d->calls : r->call], r);
	}
	free(head);
	return 0;
}

/* --- who carries it --------------------------------------------------------------------------- */

void carriers_hand_to(struct carriers *c, int64_t track, struct mark from)
{
	if (c->n && from.event <= c->at[c->n - 1].from.event) {
		c->at[c->n - 1].track = track;
		return;
	}
	if ((c->n && c->at[c->n - 1].track == track) || c->n == CARRIERS_MAX)
		return;
	c->at[c->n].track = track;
	c->at[c->n++].from = from;
}

/* A vCPU that was in the guest all the time since `since` was so when it took over; else it is known
 * from its last run_enter in front of what it does. */
static struct mark later(struct mark since, struct mark before)
{
	return before.event > since.event ? before : since;
}

/* From the beginning of the window to the thread that works on it. */
static void carried_in(const struct writer *w, struct carriers *c)
{
	const struct request *r = w->r;
	const struct guest_call *call = call_of(w->d, r);
	const struct notify *k = w->kick;
	struct mark begin = call && call->first.event ? call->first : r->first;

	if (!derive_guest_carried_in(w, c))
		carriers_hand_to(c, call ? call->track : k ? k->track : r->track, begin);
	if (k)
		carriers_hand_to(c, k->track, later(begin, k->before));
	if (k && k->track != r->track) {
		struct mark from = r->wake.event ? r->wake : r->pop;
		struct mark left = k->signal.event ? k->signal : k->at;

		if (left.event < from.event)
			carriers_hand_to(c, CARRIER_NONE, left);
		carriers_hand_to(c, r->track, from);
	} else if (!k) {
		carriers_hand_to(c, r->track, r->wake.event ? r->wake : r->pop);
	}
}

/* From the used entry to the end of the window. */
static void carried_out(const struct writer *w, struct carriers *c)
{
	const struct request *r = w->r;
	const struct guest_call *call = call_of(w->d, r);
	const struct notify *k = w->kick;
	struct mark done = r->used;

	if (!r->used.event)
		return;
	if (r->irq.event) {
		if (r->irq_track != r->track)
			carriers_hand_to(c, CARRIER_NONE, r->used);
		carriers_hand_to(c, r->irq_track, r->irq);
		done = r->irq_ret.event ? r->irq_ret : r->irq;
	}
	if (derive_guest_carried_out(w, c, done))
		return;
	if (r->ack.event && r->ack.event < r->last.event) {
		/* The guest may take it before the host's system call that raises it returns. */
		carriers_hand_to(
			c, r->ack_track, r->ack.event < done.event ? later(r->used, r->ack) : done);
		if (!r->ack_end.event)
			return;
		done = r->ack_end;
		if (call && call->exit_event && call->exit_before.event > done.event &&
			call->exit_track != r->ack_track)
			done = call->exit_before;
	}
	if (call && call->exit_event && call->last.event == r->last.event)
		carriers_hand_to(c, call->exit_track, done);
	else if (k && k->entry.event == r->last.event)
		carriers_hand_to(c, k->track, done);
}

void derive_carriers(const struct writer *w, struct carriers *c)
{
	const struct request *r = w->r;
	size_t skip = 0;

	c->n = 0;
	carried_in(w, c);
	carried_out(w, c);
	/* A window that was cut begins later. */
	while (skip + 1 < c->n && c->at[skip + 1].from.event <= r->first.event)
		skip++;
	for (size_t i = skip; i < c->n; i++)
		c->at[i - skip] = c->at[i];
	c->n -= skip;
	if (c->at[0].from.event < r->first.event)
		c->at[0].from = r->first;
}
