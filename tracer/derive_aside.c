/* SPDX-License-Identifier: MIT */
/*
 * Which steps of a request are asides. A vCPU that carries it makes exits that have nothing to do with it:
 * timers, other devices, the host's scheduler. They are part of its time and so of its path; but nothing of it
 * happens in them, so that a reader may pass over them.
 */
#include "derive_host.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "derive_guest.h"

/* An excursion: from where a vCPU has left the guest until it is in it again. */
struct excursion {
	bool own;  /* something of the request happens in it */
	bool exit; /* its kvm_exit was seen */
};

/* What a vCPU is in: index of its excursion, or NO_INDEX: the guest. */
struct place {
	int64_t track;
	size_t excursion;
};

struct asides {
	const struct writer *w;
	struct excursion *e;
	size_t n, cap;
	size_t *of; /* by event: its excursion, or NO_INDEX */
	struct place *place;
	size_t places;
	int64_t vector; /* of its interrupt; -1: not known */
	bool hw;        /* kvm_entry says when the guest runs */
};

/* Is it the system call's: its markers, or where it goes on? */
static bool of_call(const struct writer *w, const struct event_row *ev)
{
	const struct guest_call *c = w->r->call == NO_INDEX ? NULL : &w->d->call[w->r->call];

	if (!c)
		return false;
	if (ev->kind == EW_MARKER)
		return ev->a[2] == c->pid;
	if (ev->kind == EW_MARKER_BUFFER)
		return ev->a[0] == c->pid;
	return ev->id == c->first.event || ev->id == c->last.event || ev->id == c->exit_event;
}

/* The driver's interrupt handler asks the request's device, or a guest's mistake is to be seen. */
static bool of_device(const struct writer *w, const struct event_row *ev)
{
	switch (ev->kind) {
	case EW_ISR_READ:
	case EW_IRQ_STATUS:
	case EW_IRQ_ACK:
		return ev->a[0] == w->r->device;
	case EW_GUEST_ERROR:
	case EW_LOST:
		return true;
	default:
		return false;
	}
}

static bool is_own(const struct asides *a, const struct event_row *ev)
{
	const struct writer *w = a->w;
	const struct request *r = w->r;

	if (ev->id == r->first.event || ev->id == r->last.event)
		return true; /* the ends of its window */
	if (w->kick && ev->exit_id == w->kick->exit_id && ev->track == w->kick->track)
		return true;
	if (ev->exit_id && (ev->exit_id == w->side.waker || ev->exit_id == w->guest.deliver ||
				   (ev->exit_id == r->ack_exit && ev->track == r->ack_track)))
		return true;
	return steps_names(w, ev) || of_call(w, ev) || of_device(w, ev) ||
	       (derive_is_host(ev->kind) && derive_host_own(w, ev, a->vector));
}

/* The vCPU that the event is about; SQL_NULL: none. */
static int64_t vcpu_of(const struct writer *w, const struct event_row *ev)
{
	if (derive_is_guest(ev->kind))
		return SQL_NULL; /* it does not leave the guest */
	if (derive_is_vcpu(w->d, ev->track))
		return ev->track;
	return ev->kind == EW_SCHED_SWITCH && derive_is_vcpu(w->d, ev->a[2]) ? ev->a[2] : SQL_NULL;
}

static struct place *place_of(struct asides *a, int64_t track)
{
	size_t i = 0;

	while (i < a->places && a->place[i].track != track)
		i++;
	if (i == a->places)
		a->place[a->places++] = (struct place){.track = track, .excursion = NO_INDEX};
	return &a->place[i];
}

static int add_event(struct asides *a, size_t i)
{
	const struct event_row *ev = &a->w->ev[i];
	int64_t track = vcpu_of(a->w, ev);
	struct place *p;
	int ret;

	a->of[i] = NO_INDEX;
	if (track == SQL_NULL)
		return 0;
	p = place_of(a, track);
	/* Two exits without an entry between them: that one was lost. */
	if (p->excursion == NO_INDEX || (ev->kind == EW_KVM_EXIT && a->e[p->excursion].exit)) {
		ret = derive_grow((void **)&a->e, &a->cap, a->n, sizeof(*a->e), a->w->d->e);
		if (ret)
			return ret;
		p->excursion = a->n;
		a->e[a->n++] = (struct excursion){0};
	}
	a->of[i] = p->excursion;
	a->e[p->excursion].exit |= ev->kind == EW_KVM_EXIT;
	a->e[p->excursion].own |= is_own(a, ev);
	if (ev->kind == (a->hw ? EW_KVM_ENTRY : EW_RUN_ENTER))
		p->excursion = NO_INDEX;
	return 0;
}

static int find_excursions(struct asides *a)
{
	const struct writer *w = a->w;
	int ret = 0;

	for (size_t i = 0; i < w->n && !a->hw; i++)
		a->hw = w->ev[i].kind == EW_KVM_ENTRY || w->ev[i].kind == EW_KVM_EXIT;
	for (size_t i = 0; !ret && i < w->n; i++) {
		if (i == w->in_front)
			a->places = 0; /* what was in front of the window is no neighbour */
		ret = add_event(a, i);
	}
	return ret;
}

static int by_id(const void *key, const void *row)
{
	int64_t id = *(const int64_t *)key, other = ((const struct event_row *)row)->id;

	return (id > other) - (id < other);
}

/* Another interrupt that comes while the request's task runs. */
static bool is_other_irq(const struct writer *w, size_t i)
{
	return w->ev[i].kind == EW_GUEST_IRQ && w->guest.irq != NO_INDEX && i != w->guest.irq;
}

static bool is_aside(const struct asides *a, const struct step_row *s)
{
	const struct writer *w = a->w;
	const struct event_row *ev = NULL;
	size_t i;

	if (s->event != SQL_NULL && s->from_event == SQL_NULL && w->n)
		ev = bsearch(&s->event, w->ev, w->n, sizeof(*w->ev), by_id);
	if (!ev)
		return false; /* not recorded, a hand-over, or of another time */
	i = (size_t)(ev - w->ev);
	return a->of[i] == NO_INDEX ? is_other_irq(w, i) : !a->e[a->of[i]].own;
}

/* Each run of neighbours has a number. They are no stage of the path: it stays where it was. */
static void number_runs(const struct asides *a, struct step_row *step, size_t n)
{
	int64_t run = 0;
	bool inside = false;

	for (size_t i = 0; i < n; i++) {
		bool now = is_aside(a, &step[i]);

		run += now && !inside;
		inside = now;
		step[i].aside = now ? run : SQL_NULL;
		if (now && i > 0)
			step[i].stage = step[i - 1].stage;
	}
}

int derive_asides(struct writer *w)
{
	struct asides a = {.w = w, .vector = derive_host_vector(w)};
	int ret = 0;

	a.of = calloc(w->n + 1, sizeof(*a.of));
	a.place = calloc(w->d->vcpus + 1, sizeof(*a.place));
	if (!a.of || !a.place)
		ret = err_set(w->d->e, -ENOMEM, "out of memory while deriving requests");
	if (!ret)
		ret = find_excursions(&a);
	if (!ret)
		number_runs(&a, w->step, (size_t)w->steps);
	free(a.of);
	free(a.place);
	free(a.e);
	return ret;
}
