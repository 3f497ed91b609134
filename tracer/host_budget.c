/* SPDX-License-Identifier: MIT */
/* The layer budget of a request, from the host's tracepoints. */
#include <linux/futex.h>
#include <linux/kvm.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

#include "host_path.h"

bool host_is_run(const struct event_row *ev)
{
	return ev->kind == EW_SYS_ENTER && ev->a[0] == SYS_ioctl && (uint32_t)ev->a[2] == KVM_RUN;
}

static bool sleeps(const struct event_row *ev)
{
	int64_t futex = ev->a[2] & FUTEX_CMD_MASK;

	switch (ev->a[0]) {
	case SYS_futex:
		return futex == FUTEX_WAIT || futex == FUTEX_WAIT_BITSET || futex == FUTEX_LOCK_PI;
	case SYS_poll:
	case SYS_ppoll:
	case SYS_select:
	case SYS_pselect6:
	case SYS_epoll_wait:
	case SYS_epoll_pwait:
	case SYS_nanosleep:
	case SYS_clock_nanosleep:
	case SYS_rt_sigtimedwait:
		return true;
	default:
		return false;
	}
}

/* Who has a thread from this event on; next: the thread's next event. */
static enum ew_layer layer_after(const struct event_row *ev, const struct event_row *next)
{
	if (next->kind == EW_KVM_VCPU_WAKEUP)
		return EW_LAYER_WAITING;
	switch (ev->kind) {
	case EW_KVM_ENTRY:
		return EW_LAYER_GUEST;
	case EW_KVM_EOI: /* with para-virtual EOI it is traced on the way out of the guest */
		return EW_LAYER_KVM;
	case EW_KVM_USERSPACE_EXIT: /* the system call's end, if that is traced */
		return next->kind == EW_SYS_EXIT ? EW_LAYER_KVM : EW_LAYER_VMM;
	case EW_SYS_EXIT:
		return EW_LAYER_VMM;
	case EW_SYS_ENTER:
		if (ev->a[0] == SYS_ioctl && _IOC_TYPE((uint32_t)ev->a[2]) == KVMIO)
			return EW_LAYER_KVM;
		return sleeps(ev) ? EW_LAYER_WAITING : EW_LAYER_HOST_KERNEL;
	case EW_BLOCK_BIO_QUEUE:
	case EW_BLOCK_RQ_INSERT:
	case EW_BLOCK_RQ_ISSUE:
	case EW_BLOCK_RQ_COMPLETE:
		return EW_LAYER_HOST_KERNEL;
	case EW_SCHED_SWITCH: /* away from it, else it would stand on another track */
		return EW_LAYER_WAITING;
	case EW_SCHED_WAKING: /* in a system call, in KVM, or in one that is not traced */
		return next->kind == EW_SYS_EXIT    ? EW_LAYER_HOST_KERNEL
		       : next->kind == EW_SYS_ENTER ? EW_LAYER_VMM
						    : EW_LAYER_KVM;
	default:
		return EW_LAYER_KVM;
	}
}

static bool lost_between(const struct derive *d, int64_t t0, int64_t t1)
{
	for (size_t i = 0; i < d->losses; i++)
		if (d->loss[i].ts0 < t1 && d->loss[i].ts1 > t0)
			return true;
	return false;
}

/* Where no kvm_entry and no kvm_exit fire, time in KVM_RUN is the guest's too, but for what leads out of it. */
static enum ew_layer silent_layer(
	enum ew_layer layer, const struct event_row *ev, const struct event_row *next)
{
	bool other_call = ev->kind == EW_SYS_ENTER && !host_is_run(ev);

	return layer == EW_LAYER_KVM && !other_call && next->kind != EW_SYS_EXIT &&
			       next->kind != EW_KVM_USERSPACE_EXIT
		       ? EW_LAYER_IN_KVM_RUN
		       : layer;
}

/*
 * Between two threads of the VMM of which none was seen to wake the other: from the notification to the system call,
 * from its return to the interrupt. The VMM has the request then; nothing says whether it ran or waited.
 */
static bool handed_on_unseen(
	const struct host_path *p, const struct event_row *a, const struct event_row *b)
{
	const struct host_call *c = p->call;

	if (!c || a->track == b->track)
		return false;
	if (p->kick && !p->wake && b->track == c->track && a->id >= p->kick->at.event &&
		b->id <= c->enter.event)
		return true;
	return p->irq && !p->wake_irq && c->exit.event && b->track == p->irq->track &&
	       a->id >= c->exit.event && b->id <= p->irq->at.event;
}

void host_budget(const struct derive *d, const struct host_path *p, const struct event_row *before,
	int64_t ns[EW_LAYER_MAX + 1])
{
	bool lost = lost_between(d, p->first.ts, p->last.ts);
	int64_t sum = 0;

	memset(ns, 0, (EW_LAYER_MAX + 1) * sizeof(*ns));
	for (size_t i = 1; i < p->n; i++) {
		int64_t t0 = p->ev[i - 1].ts, t1 = p->ev[i].ts;
		enum ew_layer layer = EW_LAYER_UNACCOUNTED;

		/* What the thread did that has the request now: its own event in front of this one says. */
		if (p->ev[i - 1].kind == EW_SCHED_WAKING && p->ev[i - 1].track != p->ev[i].track)
			layer = EW_LAYER_WAITING;
		else if (before[i].kind)
			layer = layer_after(&before[i], &p->ev[i]);
		if (p->silent && before[i].kind)
			layer = silent_layer(layer, &before[i], &p->ev[i]);
		/* A thread that had nothing to do with the request before: who knows what it did. */
		if (p->ev[i - 1].track != p->ev[i].track && before[i].id < p->first.event &&
			layer != EW_LAYER_WAITING)
			layer = handed_on_unseen(p, &p->ev[i - 1], &p->ev[i])
					? EW_LAYER_IN_VMM
					: EW_LAYER_UNACCOUNTED;
		if (lost && lost_between(d, t0, t1))
			layer = EW_LAYER_UNACCOUNTED;
		ns[layer] += t1 - t0;
		sum += t1 - t0;
	}
	ns[EW_LAYER_UNACCOUNTED] += p->last.ts - p->first.ts - sum;
}
