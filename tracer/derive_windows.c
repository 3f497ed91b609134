/* SPDX-License-Identifier: MIT */
/* Cuts the time axis into one window per request, and a window into the layers' shares. */
#include "derive.h"

#include <string.h>

static void whole_window(const struct derive *d, struct request *r)
{
	const struct guest_call *c = r->call == NO_INDEX ? NULL : &d->call[r->call];

	if (c && c->first.event)
		r->first = c->first;
	else if (r->before.event)
		r->first = r->before;
	else if (r->kick.event)
		r->first = r->kick;
	else
		r->first = r->pop;
	r->last = c && c->exit_event ? c->last : r->reach;
}

/*
 * Where the earlier of two requests ends: after the last exit that belongs to it if the later one
 * had not begun by then, else (one kick for both, or the later one overtook) at its own last event.
 */
static struct mark cut_between(const struct request *p, const struct request *r)
{
	int64_t begin = r->kick.event > p->own.event ? r->kick.event : r->pop.event;
	struct mark cut = p->reach.event < begin ? p->reach : p->own;

	return cut.event < p->first.event ? p->first : cut;
}

void derive_windows(struct derive *d)
{
	for (size_t i = 0; i < d->requests; i++) {
		struct request *r = &d->request[i];
		struct request *p = NULL;

		whole_window(d, r);
		for (size_t k = i; k-- > 0;) {
			if (d->request[k].track != r->track)
				continue;
			p = &d->request[k];
			break;
		}
		if (!p || p->call != r->call || p->last.event <= r->first.event)
			continue;
		p->last = r->first = cut_between(p, r);
		p->shares_completion = p->kick_exit && p->kick_exit == r->kick_exit;
		if (r->last.event < r->first.event)
			r->last = r->first;
	}
}

/* --- the budget ----------------------------------------------------------------------------- */

/* The first loss of the track that reaches beyond ts: losses of one track follow each other. */
static size_t first_loss(const struct derive *d, int64_t track, int64_t ts)
{
	size_t low = 0, high = d->losses;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (d->loss[mid].track < track ||
			(d->loss[mid].track == track && d->loss[mid].ts1 <= ts))
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

/* Gives t0..t1 to a layer, except what a loss covers: nobody knows what happened there. */
static void add_span(const struct derive *d, int64_t track, int64_t ns[], enum ew_layer layer,
	int64_t t0, int64_t t1)
{
	for (size_t i = first_loss(d, track, t0); t0 < t1 && i < d->losses; i++) {
		const struct loss_range *l = &d->loss[i];
		int64_t end = l->ts1 < t1 ? l->ts1 : t1;

		if (l->track != track || l->ts0 >= t1)
			break;
		if (l->ts0 > t0) {
			ns[layer] += l->ts0 - t0;
			t0 = l->ts0;
		}
		if (end > t0) {
			ns[EW_LAYER_UNACCOUNTED] += end - t0;
			t0 = end;
		}
	}
	if (t1 > t0)
		ns[layer] += t1 - t0;
}

/* Who runs from this event on. */
static enum ew_layer layer_after(const struct event_row *ev)
{
	switch (ev->kind) {
	case EW_RUN_ENTER:
		return EW_LAYER_IN_KVM_RUN;
	case EW_HOST_CALL:
		return EW_LAYER_HOST_KERNEL;
	case EW_IRQ_LINE:
		return EW_LAYER_KVM;
	case EW_LOST:
		return EW_LAYER_UNACCOUNTED; /* until the next event says */
	default:
		return EW_LAYER_VMM;
	}
}

void derive_budget(const struct derive *d, const struct request *r, const struct event_row *ev,
	size_t n, int64_t ns[EW_LAYER_MAX + 1])
{
	enum ew_layer layer = EW_LAYER_UNACCOUNTED;
	int64_t t = r->first.ts, sum = 0;
	int64_t copied = t; /* until when the recorder copies the guest's stack */

	memset(ns, 0, (EW_LAYER_MAX + 1) * sizeof(*ns));
	for (size_t i = 0; i < n; i++) {
		if (ev[i].track != r->track || ev[i].ts < t)
			continue;
		if (copied > ev[i].ts)
			copied = ev[i].ts;
		if (copied > t) {
			add_span(d, r->track, ns, EW_LAYER_RECORDER, t, copied);
			t = copied;
		}
		add_span(d, r->track, ns, layer, t, ev[i].ts);
		t = ev[i].ts;
		layer = layer_after(&ev[i]);
		if (ev[i].kind == EW_SNAPSHOT && ev[i].dur > 0)
			copied = t + ev[i].dur;
	}
	for (int i = 0; i <= EW_LAYER_MAX; i++)
		sum += ns[i];
	ns[EW_LAYER_UNACCOUNTED] += r->last.ts - r->first.ts - sum;
}
