/* SPDX-License-Identifier: MIT */
/* Divides a request's window among the layers: whose time is each nanosecond of its carriers'? */
#include "derive_guest.h"
#include "derive_host.h"

#include <string.h>

#define TRACKS_MAX CARRIERS_MAX

/* What a track does, as far as its events up to now say. */
struct track_now {
	int64_t id;
	enum ew_layer layer;
	int64_t copied; /* until when the recorder copies the guest's stack */
	bool known;
	enum ew_layer resume; /* while the thread has no CPU: what it goes on with */
};

struct budget {
	const struct derive *d;
	const struct request *r;
	const struct carriers *c;
	int64_t *ns;
	struct track_now track[TRACKS_MAX];
	size_t tracks, carrier;
	int64_t t;              /* up to here it is given away */
	bool filled, in_kernel; /* the request is in the submission queue; in the kernel's hands */
	bool others;            /* its thread serves other requests first */
	bool hw;                /* kvm_entry and kvm_exit tell the guest's time from KVM's */
	enum ew_layer guest;    /* what the guest does, by its own events; NONE: they do not tell */
};

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
	case EW_IO_SIGNAL:
	case EW_URING_ENTER:
		return EW_LAYER_HOST_KERNEL;
	case EW_IRQ_LINE:
	case EW_MSI:
	case EW_IRQFD:
		return EW_LAYER_KVM;
	case EW_IO_SLEEP:
		return EW_LAYER_WAITING;
	case EW_LOST:
		return EW_LAYER_UNACCOUNTED; /* until the next event says */
	default:
		return EW_LAYER_VMM;
	}
}

/* Who ran up to this event, where nothing in front of it says so. */
static enum ew_layer layer_before(const struct event_row *ev)
{
	switch (ev->kind) {
	case EW_RUN_EXIT:
		return EW_LAYER_IN_KVM_RUN;
	case EW_HOST_RET:
	case EW_IO_SIGNAL_RET:
	case EW_URING_ENTER_RET:
		return EW_LAYER_HOST_KERNEL;
	case EW_IRQ_LINE_RET:
	case EW_MSI_RET:
	case EW_IRQFD_RET:
		return EW_LAYER_KVM;
	case EW_IO_WAKE:
		return EW_LAYER_WAITING;
	case EW_LOST:
		return EW_LAYER_UNACCOUNTED;
	default:
		return EW_LAYER_VMM;
	}
}

static struct track_now *track_now(struct budget *b, int64_t id)
{
	for (size_t i = 0; i < b->tracks; i++)
		if (b->track[i].id == id)
			return &b->track[i];
	if (b->tracks == TRACKS_MAX)
		return NULL; /* there are no more carriers than that */
	b->track[b->tracks] = (struct track_now){.id = id, .layer = EW_LAYER_UNACCOUNTED};
	return &b->track[b->tracks++];
}

/* b->t … ts is the carrier's. */
static void give(struct budget *b, int64_t ts)
{
	int64_t id = b->c->at[b->carrier].track;
	struct track_now *now = id == CARRIER_NONE ? NULL : track_now(b, id);
	int64_t copied = now && now->copied < ts ? now->copied : ts;

	if (ts <= b->t)
		return;
	if (!now) {
		b->ns[EW_LAYER_WAITING] += ts - b->t;
	} else {
		if (now->copied > b->t) {
			add_span(b->d, id, b->ns, EW_LAYER_RECORDER, b->t, copied);
			b->t = copied;
		}
		add_span(b->d, id, b->ns,
			now->layer == EW_LAYER_GUEST && b->guest ? b->guest : now->layer, b->t, ts);
	}
	b->t = ts;
}

/* Does this event tell what its thread did before it? */
static bool says(const struct budget *b, const struct event_row *ev)
{
	if (derive_is_guest(ev->kind))
		return b->hw;
	if (!derive_is_host(ev->kind))
		return true;
	return b->hw && (ev->kind == EW_KVM_ENTRY || ev->kind == EW_KVM_EXIT);
}

/* Where a vCPU was of which the window has no event. */
static void look_behind(const struct budget *b, struct track_now *now)
{
	enum vcpu_at at = derive_vcpu_at(b->d, now->id, b->c->at[b->carrier].from.event);

	if (at == VCPU_UNKNOWN)
		return;
	now->layer = at == VCPU_IN_KVM_RUN ? EW_LAYER_IN_KVM_RUN : EW_LAYER_VMM;
	now->known = true;
}

/* What a track does when it becomes the carrier: its next event tells, if none in front did. */
static void look_ahead(struct budget *b, const struct event_row *ev, size_t n)
{
	int64_t id = b->c->at[b->carrier].track;
	struct track_now *now = id == CARRIER_NONE ? NULL : track_now(b, id);

	for (size_t i = 0; now && !now->known && i < n; i++)
		if (ev[i].track == id && says(b, &ev[i])) {
			now->layer = derive_is_guest(ev[i].kind)  ? EW_LAYER_GUEST
				     : derive_is_host(ev[i].kind) ? derive_host_before(&ev[i])
								  : layer_before(&ev[i]);
			now->known = true;
		}
	if (now && !now->known)
		look_behind(b, now);
}

/* The carriers that took over up to this event; `ev` … are those that follow. */
static void take_over(struct budget *b, const struct event_row *ev, size_t n)
{
	while (b->carrier + 1 < b->c->n && b->c->at[b->carrier + 1].from.event <= ev->id) {
		give(b, b->c->at[b->carrier + 1].from.ts);
		b->carrier++;
		look_ahead(b, ev, n);
	}
}

/* Another request's event: its thread works for that one. The first one is where this one begins. */
static bool of_another(const struct budget *b, const struct event_row *ev)
{
	return derive_numbered(ev->kind) && ev->a[0] != b->r->id && ev->id != b->r->first.event;
}

/* --- the host's tracepoints ------------------------------------------------------------------- */

static bool is_carrier(const struct budget *b, int64_t track)
{
	for (size_t i = 0; i < b->c->n; i++)
		if (b->c->at[i].track == track)
			return true;
	return false;
}

static void set_layer(struct budget *b, int64_t track, int64_t ts, enum ew_layer layer)
{
	struct track_now *now = track_now(b, track);

	if (!now)
		return;
	if (track == b->c->at[b->carrier].track)
		give(b, ts);
	now->layer = layer;
	now->known = true;
}

/* A thread that is taken from its CPU waits; one that sleeps in its own system call waits for what that does. */
static void on_switch(struct budget *b, const struct event_row *ev)
{
	struct track_now *now;

	if (is_carrier(b, ev->track) && (now = track_now(b, ev->track)) && now->known &&
		(!ev->a[1] || now->layer != EW_LAYER_HOST_KERNEL)) {
		now->resume = now->layer;
		set_layer(b, ev->track, ev->ts, EW_LAYER_WAITING);
	}
	if (is_carrier(b, ev->a[2]) && (now = track_now(b, ev->a[2])) && now->resume) {
		set_layer(b, ev->a[2], ev->ts, now->resume);
		now->resume = EW_LAYER_NONE;
	}
}

static void host_event(struct budget *b, const struct event_row *ev)
{
	struct track_now *now;

	if (ev->kind == EW_SCHED_SWITCH) {
		on_switch(b, ev);
		return;
	}
	if (!b->hw || !is_carrier(b, ev->track) || !(now = track_now(b, ev->track)))
		return;
	if (ev->kind == EW_KVM_ENTRY || ev->kind == EW_KVM_EXIT || now->known)
		set_layer(b, ev->track, ev->ts, derive_host_after(ev, now->layer));
}

/* Records of the host were lost: what a vCPU does in KVM_RUN is not known until it says so again. */
static void host_lost(struct budget *b, const struct event_row *ev)
{
	for (size_t i = 0; i < b->tracks; i++)
		if (b->track[i].layer == EW_LAYER_GUEST || b->track[i].layer == EW_LAYER_KVM ||
			b->track[i].resume)
			set_layer(b, b->track[i].id, ev->ts, EW_LAYER_IN_KVM_RUN);
}

/* --- the guest's own events ------------------------------------------------------------------- */

static const struct guest_call *call_of(const struct budget *b)
{
	return b->r->call == NO_INDEX ? NULL : &b->d->call[b->r->call];
}

/* Up to its system call, and after that, a process is itself; NONE: nobody has traced the call. */
static enum ew_layer guest_at(const struct budget *b, int64_t event)
{
	const struct guest_call *c = call_of(b);

	if (c && !c->sys_enter.event)
		return EW_LAYER_NONE;
	return c && (event < c->sys_enter.event ||
			    (c->sys_exit.event && event >= c->sys_exit.event))
		       ? EW_LAYER_GUEST_USER
		       : EW_LAYER_GUEST_KERNEL;
}

static void guest_event(struct budget *b, const struct event_row *ev)
{
	struct track_now *now = is_carrier(b, ev->track) ? track_now(b, ev->track) : NULL;
	enum ew_layer layer;

	if (b->hw && now && now->layer == EW_LAYER_IN_KVM_RUN)
		set_layer(b, ev->track, ev->ts, EW_LAYER_GUEST);
	if (!b->guest)
		return;
	if (ev->kind == EW_GUEST_IRQ && ev->track == b->c->at[b->carrier].track)
		layer = EW_LAYER_GUEST_KERNEL;
	else if (ev->kind == EW_GUEST_SYS_ENTER || ev->kind == EW_GUEST_SYS_EXIT ||
		 ev->kind == EW_GUEST_IRQ_RET)
		layer = guest_at(b, ev->id);
	else
		return;
	give(b, ev->ts);
	b->guest = layer;
}

/* --- the VMM's events ------------------------------------------------------------------------- */

static enum ew_layer now_runs(struct budget *b, const struct event_row *ev, bool other)
{
	bool own = derive_numbered(ev->kind) && ev->a[0] == b->r->id;

	if (own && ev->kind == EW_URING_SQE)
		b->filled = true;
	if (own && ev->kind == EW_URING_CQE)
		b->filled = b->in_kernel = false;
	if (b->filled && ev->kind == EW_URING_ENTER && ev->track == b->r->track)
		b->in_kernel = true;
	if (ev->kind == EW_LOST)
		return EW_LAYER_UNACCOUNTED;
	if (b->in_kernel && ev->track == b->r->track)
		return EW_LAYER_HOST_KERNEL; /* whatever its thread does meanwhile */
	b->others |= other && ev->track == b->r->track;
	if (b->others && ev->track == b->r->track && ev->id < b->r->pop.event)
		return EW_LAYER_WAITING;
	if (b->hw && ev->kind == EW_RUN_ENTER)
		return EW_LAYER_KVM;
	return other ? EW_LAYER_WAITING : layer_after(ev);
}

static void one_event(struct budget *b, const struct event_row *ev)
{
	bool carries = ev->track == b->c->at[b->carrier].track;
	struct track_now *now;

	if (derive_is_guest(ev->kind)) {
		guest_event(b, ev);
		return;
	}
	if (derive_is_host(ev->kind)) {
		host_event(b, ev);
		return;
	}
	if (ev->kind == EW_LOST && !is_carrier(b, ev->track)) {
		host_lost(b, ev);
		return;
	}
	now = track_now(b, ev->track);
	if (!now)
		return;
	now->resume = EW_LAYER_NONE;
	if (carries && now->copied > ev->ts)
		now->copied = ev->ts;
	if (carries && ev->kind == EW_LOCK_WAIT && ev->a[0] < ev->ts && !b->in_kernel) {
		give(b, ev->a[0]);
		now->layer = EW_LAYER_WAITING;
	}
	if (carries)
		give(b, ev->ts);
	now->layer = now_runs(b, ev, of_another(b, ev));
	now->copied = ev->kind == EW_SNAPSHOT && ev->dur > 0 ? ev->ts + ev->dur : 0;
	now->known = true;
}

void derive_budget(
	const struct writer *w, const struct event_row *ev, size_t n, int64_t ns[EW_LAYER_MAX + 1])
{
	const struct request *r = w->r;
	struct budget b = {.d = w->d, .r = r, .c = &w->carriers, .ns = ns, .t = r->first.ts};
	int64_t sum = 0;

	memset(ns, 0, (EW_LAYER_MAX + 1) * sizeof(*ns));
	for (size_t i = 0; i < n && !b.hw; i++)
		b.hw = ev[i].kind == EW_KVM_ENTRY || ev[i].kind == EW_KVM_EXIT;
	if (w->guest.on)
		b.guest = guest_at(&b, r->first.event);
	look_ahead(&b, ev, n);
	for (size_t i = 0; i < n; i++) {
		take_over(&b, &ev[i], n - i);
		one_event(&b, &ev[i]);
	}
	if (n)
		give(&b, r->last.ts);
	for (int i = 0; i <= EW_LAYER_MAX; i++)
		sum += ns[i];
	ns[EW_LAYER_UNACCOUNTED] += r->last.ts - r->first.ts - sum;
}
