/* SPDX-License-Identifier: MIT */
/*
 * Exits that only pass by while a task of the guest carries a request: a timer's tick, its acknowledgement,
 * an address that KVM maps. Where the guest's own events show what its kernel does for the request, one step
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

/* Did the VMM run between this exit's kvm_exit and its kvm_entry, which is i? */
static bool came_back(const struct writer *w, size_t i)
{
	const int64_t track = w->ev[i].track;

	while (i-- > 0)
		if (w->ev[i].track == track && w->ev[i].kind == EW_KVM_EXIT)
			return false;
		else if (w->ev[i].track == track && w->ev[i].kind == EW_RUN_ENTER)
			return true;
	return false;
}

bool derive_guest_passes(const struct writer *w, size_t i)
{
	if (!w->guest.on || belongs(w, derive_exit_of(w, i)))
		return false;
	switch (w->ev[i].kind) {
	case EW_KVM_EXIT:
	case EW_KVM_PIO:
	case EW_KVM_MMIO:
	case EW_KVM_FAST_MMIO:
	case EW_KVM_USERSPACE_EXIT:
		return false;
	case EW_KVM_ENTRY:
		return !came_back(w, i);
	default:
		return true;
	}
}

bool derive_guest_aside(const struct writer *w, size_t i)
{
	const int64_t track = w->ev[i].track;

	if (!w->guest.on || w->ev[i].kind != EW_KVM_EXIT || belongs(w, w->ev[i].exit_id))
		return false;
	while (++i < w->n)
		if (w->ev[i].track != track)
			continue;
		else if (w->ev[i].kind == EW_KVM_USERSPACE_EXIT || w->ev[i].kind == EW_RUN_EXIT)
			return false;
		else if (w->ev[i].kind == EW_KVM_ENTRY)
			break;
	return true;
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
