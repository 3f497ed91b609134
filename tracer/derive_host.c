/* SPDX-License-Identifier: MIT */
/*
 * The host's tracepoints in the path of a request that a VMM recorded: which of them concern it, and where
 * the guest's side of an exit stands, which was copied after the tracepoints of the exit had fired.
 */
#include "derive_host.h"

#include "derive_guest.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

bool derive_is_host(int64_t kind)
{
	return kind >= EW_KVM_ENTRY && !derive_is_guest(kind);
}

static bool is_block(int64_t kind)
{
	return kind == EW_BLOCK_BIO_QUEUE || kind == EW_BLOCK_RQ_INSERT ||
	       kind == EW_BLOCK_RQ_ISSUE || kind == EW_BLOCK_RQ_COMPLETE;
}

static bool is_irq(int64_t kind)
{
	return kind == EW_KVM_SET_IRQ || kind == EW_KVM_MSI_SET_IRQ ||
	       kind == EW_KVM_APIC_ACCEPT_IRQ;
}

/* --- the guest's side of an exit -------------------------------------------------------------- */

/* Is it KVM's word of the access that the VMM dispatched after run_exit? A read's comes later. */
static bool is_access(const struct writer *w, const struct event_row *ev, size_t run_exit)
{
	for (size_t i = run_exit + 1; i < w->n; i++) {
		const struct event_row *d = &w->ev[i];

		if (d->track != ev->track)
			continue;
		if (d->kind == EW_RUN_ENTER || d->kind == EW_RUN_EXIT)
			return false;
		if (d->kind == EW_DISPATCH)
			return ev->kind == (d->a[0] == EW_SPACE_PIO ? EW_KVM_PIO : EW_KVM_MMIO) &&
			       ev->a[1] == d->a[1] && d->a[5];
	}
	return false;
}

/*
 * The first tracepoint of the exit that run_exit returns from: its kvm_exit; where the backend has none,
 * the access that went to user space. run_exit itself if there is none.
 */
static size_t first_of_exit(const struct writer *w, size_t run_exit)
{
	int64_t track = w->ev[run_exit].track;
	size_t found = run_exit, from = run_exit < w->in_front ? 0 : w->in_front;
	bool hw = false;

	for (size_t i = run_exit; i-- > from;) {
		const struct event_row *ev = &w->ev[i];

		if (ev->track != track || ev->kind == EW_SCHED_SWITCH ||
			ev->kind == EW_SCHED_WAKING)
			continue;
		if (derive_is_guest(ev->kind) && !hw)
			continue; /* its time is a little wrong: the guest does not run */
		if (!derive_is_host(ev->kind) || ev->kind == EW_KVM_ENTRY)
			break;
		if (hw && ev->kind != EW_HOST_FUNC && ev->kind != EW_HOST_FUNC_EXIT)
			break; /* the function in which kvm_exit fires has begun before it */
		hw |= ev->kind == EW_KVM_EXIT;
		if (hw) {
			found = i;
			continue;
		}
		if (found == run_exit ? ev->kind == EW_KVM_USERSPACE_EXIT
				      : is_access(w, ev, run_exit))
			found = i;
	}
	return found;
}

/* Is there such an event of that exit? */
static bool has(const struct writer *w, int64_t kind, int64_t exit_id)
{
	for (size_t i = 0; i < w->n; i++)
		if (w->ev[i].kind == kind && w->ev[i].exit_id == exit_id)
			return true;
	return false;
}

/* Did KVM say what it did with the interrupt of the request? */
static bool has_irq(const struct writer *w)
{
	const struct request *r = w->r;

	for (size_t i = 0; r->irq.event && i < w->n; i++)
		if (is_irq(w->ev[i].kind) && w->ev[i].id > r->irq.event &&
			(!r->irq_ret.event || w->ev[i].id < r->irq_ret.event ||
				w->ev[i].track != r->irq_track))
			return true;
	return false;
}

/* Where KVM gave the notification to an ioeventfd: the exit in which the request's thread was woken. */
static int64_t waker(const struct writer *w)
{
	const struct request *r = w->r;
	int64_t found = 0;

	if (w->kick || !r->wake.event)
		return 0;
	for (size_t i = 0; i < w->n && w->ev[i].id < r->wake.event; i++)
		if (w->ev[i].kind == EW_SCHED_WAKING && w->ev[i].a[0] == r->track &&
			w->ev[i].exit_id && derive_is_vcpu(w->d, w->ev[i].track))
			found = w->ev[i].exit_id;
	return found && has(w, EW_KVM_EXIT, found) ? found : 0;
}

int derive_host_load(struct writer *w)
{
	struct host_side *h = &w->side;

	if (w->n > h->cap) {
		size_t *lead = reallocarray(h->lead, w->cap, sizeof(*lead));

		if (!lead)
			return err_set(w->d->e, -ENOMEM, "out of memory while deriving requests");
		h->lead = lead;
		h->cap = w->cap;
	}
	if (w->n)
		memset(h->lead, 0, w->n * sizeof(*h->lead));
	for (size_t i = 0; i < w->n; i++) {
		size_t first = w->ev[i].kind == EW_RUN_EXIT ? first_of_exit(w, i) : i;

		if (first != i)
			h->lead[first] = i + 1;
	}
	h->hw_exit = w->kick && has(w, EW_KVM_EXIT, w->kick->exit_id);
	h->hw_entry = w->kick && has(w, EW_KVM_ENTRY, w->kick->exit_id);
	h->irq = has_irq(w);
	h->waker = waker(w);
	h->block = false;
	h->in_call = h->injected = false;
	h->sectors = 0;
	return 0;
}

/* --- what concerns the request ---------------------------------------------------------------- */

static bool knows_sector(const struct host_side *h, int64_t sector)
{
	for (unsigned i = 0; i < h->sectors; i++)
		if (h->sector[i] == sector)
			return true;
	return false;
}

/* What the block layer is given inside the request's own system call, and what becomes of it. */
static bool block_concerns(struct writer *w, const struct event_row *ev)
{
	struct host_side *h = &w->side;

	if (ev->track == w->r->track && h->in_call) {
		if (!knows_sector(h, ev->a[1]) && h->sectors < HOST_SIDE_SECTORS)
			h->sector[h->sectors++] = ev->a[1];
		h->block = true;
		return true;
	}
	return knows_sector(h, ev->a[1]);
}

/* Raised by the thread that signals it, or on its behalf by a worker of KVM. */
static bool irq_concerns(const struct writer *w, const struct event_row *ev)
{
	const struct request *r = w->r;

	if (!r->irq.event || ev->id < r->irq.event)
		return false;
	if (ev->track == r->irq_track)
		return !r->irq_ret.event || ev->id < r->irq_ret.event;
	return !derive_is_vcpu(w->d, ev->track) && (!r->ack.event || ev->id < r->ack.event);
}

static bool sched_concerns(const struct writer *w, const struct event_row *ev)
{
	int64_t carrier = w->carriers.at[w->carrier].track;

	if (ev->kind == EW_SCHED_SWITCH)
		return ev->track == carrier || ev->a[2] == carrier;
	for (size_t i = 0; i < w->carriers.n; i++)
		if (w->carriers.at[i].track == ev->a[0] && ev->a[0] != ev->track)
			return true;
	return false;
}

/* What the acknowledging vCPU does with the interrupt, while the thread that raised it is not through yet. */
static bool delivery_concerns(struct writer *w, const struct event_row *ev)
{
	const struct request *r = w->r;

	if (!r->ack.event || ev->track != r->ack_track || ev->id < r->irq.event)
		return false;
	if (ev->exit_id == r->ack_exit)
		return true;
	if (ev->kind == EW_KVM_INJ_VIRQ && ev->id < r->ack.event &&
		(!w->guest.deliver || ev->exit_id == w->guest.deliver))
		return w->side.injected = true;
	if (ev->kind != EW_KVM_ENTRY || !w->side.injected)
		return false;
	w->side.injected = false;
	return true;
}

void derive_host_note(struct writer *w, const struct event_row *ev)
{
	struct host_side *h = &w->side;

	if (!derive_numbered(ev->kind) || ev->a[0] != w->r->id)
		return;
	if (ev->kind == EW_HOST_CALL || ev->kind == EW_URING_SQE)
		h->in_call = true;
	else if (ev->kind == EW_HOST_RET || ev->kind == EW_URING_CQE)
		h->in_call = false;
}

bool derive_host_concerns(struct writer *w, const struct event_row *ev)
{
	int64_t carrier = w->carriers.at[w->carrier].track;
	const struct request *r = w->r;

	if (is_block(ev->kind))
		return block_concerns(w, ev);
	if (ev->kind == EW_SCHED_SWITCH || ev->kind == EW_SCHED_WAKING)
		return sched_concerns(w, ev);
	if (is_irq(ev->kind) && irq_concerns(w, ev))
		return true;
	if (w->kick && ev->exit_id == w->kick->exit_id && ev->track == w->kick->track)
		return true;
	if (r->irq.event && delivery_concerns(w, ev))
		return true;
	return ev->track == carrier && derive_is_vcpu(w->d, carrier);
}

int64_t derive_host_vector(const struct writer *w)
{
	for (size_t i = 0; w->r->irq.event && i < w->n; i++)
		if (w->ev[i].kind == EW_KVM_APIC_ACCEPT_IRQ && irq_concerns(w, &w->ev[i]))
			return w->ev[i].a[3];
	return -1;
}

/* An interrupt on its way to the guest, or ended by it: is it the request's? */
static bool is_its(const struct writer *w, const struct event_row *ev, int64_t vector, int64_t its)
{
	const struct request *r = w->r;

	if (!r->irq.event || ev->id < r->irq.event)
		return false;
	return its >= 0 ? vector == its : !r->ack_end.event || ev->id < r->ack_end.event;
}

bool derive_host_own(const struct writer *w, const struct event_row *ev, int64_t vector)
{
	if (is_block(ev->kind))
		return knows_sector(&w->side, ev->a[1]);
	switch (ev->kind) {
	case EW_KVM_SET_IRQ:
	case EW_KVM_MSI_SET_IRQ:
		return irq_concerns(w, ev);
	case EW_KVM_APIC_ACCEPT_IRQ:
		return irq_concerns(w, ev) || is_its(w, ev, ev->a[3], vector);
	case EW_KVM_INJ_VIRQ:
		return is_its(w, ev, ev->a[0], vector);
	case EW_KVM_EOI:
		return is_its(w, ev, ev->a[1], vector);
	case EW_SCHED_WAKING:
		return sched_concerns(w, ev);
	default:
		return false;
	}
}

int64_t derive_exit_of(const struct writer *w, size_t i)
{
	const int64_t track = w->ev[i].track;

	if (w->ev[i].exit_id)
		return w->ev[i].exit_id;
	for (; i < w->n; i++)
		if (w->ev[i].track == track &&
			(w->ev[i].kind == EW_KVM_EXIT || w->ev[i].kind == EW_RUN_EXIT))
			return w->ev[i].exit_id;
	return 0;
}

bool derive_host_is_others(const struct writer *w, const struct event_row *ev)
{
	int stage = steps_kind_stage(ev->kind);

	return derive_is_host(ev->kind) && (stage == 7 || stage == 9) &&
	       (!w->r->irq.event || ev->id < w->r->irq.event);
}

int derive_host_stage(const struct writer *w, const struct event_row *ev)
{
	bool function = ev->kind == EW_HOST_FUNC || ev->kind == EW_HOST_FUNC_EXIT;

	/* The guest has stopped, and kvm_exit is about to say so. */
	if (function && !ev->exit_id &&
		(w->stage == 2 || w->stage == 9 || w->shown.kind == EW_KVM_ENTRY))
		return 3;
	if (derive_host_is_others(w, ev))
		return 3;
	return steps_kind_stage(ev->kind) ?: w->stage;
}

bool derive_host_elsewhere(int64_t kind)
{
	switch (kind) {
	case EW_LOST:
	case EW_BLOCK_BIO_QUEUE:
	case EW_BLOCK_RQ_INSERT:
	case EW_BLOCK_RQ_ISSUE:
	case EW_BLOCK_RQ_COMPLETE:
	case EW_KVM_SET_IRQ:
	case EW_KVM_MSI_SET_IRQ:
	case EW_KVM_APIC_ACCEPT_IRQ:
	case EW_SCHED_SWITCH:
		return true;
	default:
		return false;
	}
}

/* --- the budget ------------------------------------------------------------------------------- */

enum ew_layer derive_host_after(const struct event_row *ev, enum ew_layer now)
{
	switch (ev->kind) {
	case EW_KVM_ENTRY:
		return EW_LAYER_GUEST;
	case EW_KVM_EXIT:
		return EW_LAYER_KVM;
	case EW_KVM_USERSPACE_EXIT:
		return now == EW_LAYER_KVM ? EW_LAYER_EXIT_ENTRY : now;
	case EW_HOST_FUNC: /* it runs: the guest does not */
	case EW_HOST_FUNC_EXIT:
		return now == EW_LAYER_GUEST ? EW_LAYER_KVM : now;
	case EW_KVM_VCPU_WAKEUP:
		return now == EW_LAYER_WAITING ? EW_LAYER_KVM : now;
	default:
		return now;
	}
}

enum ew_layer derive_host_before(const struct event_row *ev)
{
	return ev->kind == EW_KVM_EXIT ? EW_LAYER_GUEST : EW_LAYER_KVM;
}
