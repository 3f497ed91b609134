/* SPDX-License-Identifier: MIT */
/*
 * Exits that only pass by while a task of the guest carries a request: a timer's tick, its acknowledgement,
 * an address that KVM maps, another device, other requests. Where the guest's own events show what its kernel does for the request, one step
 * for each is enough; the exits that belong to it are shown as a whole.
 */
#include "derive_guest_steps.h"
#include "derive_host.h"

/* The notification's, the acknowledgement's, the one that an ioeventfd took, or that brought the interrupt. */
static bool belongs(const struct writer *w, int64_t exit)
{
	return exit && ((w->kick && exit == w->kick->exit_id) || exit == w->r->ack_exit ||
			       exit == w->side.waker || exit == w->guest.deliver);
}

bool derive_guest_foreign(const struct writer *w, int64_t exit)
{
	return w->guest.on && exit && !belongs(w, exit);
}

/* Is i the kvm_entry by which the process goes on after its ENTER marker? */
static bool begins(const struct writer *w, size_t i)
{
	const struct guest_call *c = w->r->call == NO_INDEX ? NULL : &w->d->call[w->r->call];
	const int64_t track = w->ev[i].track;

	while (c && c->marked && i-- > 0)
		if (w->ev[i].track == track && w->ev[i].id == c->first.event)
			return true;
		else if (w->ev[i].track == track && w->ev[i].kind == EW_KVM_EXIT)
			return false;
	return false;
}

bool derive_guest_passes(const struct writer *w, size_t i)
{
	if (!w->guest.on || belongs(w, derive_exit_of(w, i)))
		return false;
	switch (w->ev[i].kind) {
	case EW_KVM_EXIT:
	case EW_RUN_EXIT:
	case EW_LOST:
	case EW_GUEST_ERROR:
		return false;
	case EW_KVM_ENTRY:
		return !begins(w, i);
	default:
		return true;
	}
}

int64_t derive_guest_delivers(const struct writer *w)
{
	const struct request *r = w->r;
	const struct event_row *irq;

	if (w->guest.irq == NO_INDEX || !r->irq.event)
		return 0;
	irq = &w->ev[w->guest.irq];
	for (size_t i = w->guest.irq; i-- > 0 && w->ev[i].id > r->irq.event;)
		if (w->ev[i].track == irq->track && w->ev[i].kind == EW_KVM_INJ_VIRQ)
			return w->ev[i].exit_id;
	return 0;
}
