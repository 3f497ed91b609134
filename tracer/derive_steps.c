/* SPDX-License-Identifier: MIT */
/* Turns the events of a request's window into its ordered steps, and writes its row and budget. */
#include "derive_guest.h"
#include "derive_guest_steps.h"
#include "derive_host.h"

#include <string.h>

static bool in_exit(const struct event_row *ev, int64_t track, int64_t exit_id)
{
	return exit_id && ev->exit_id == exit_id && ev->track == track;
}

static bool in_kick(const struct writer *w, const struct event_row *ev)
{
	return w->kick && in_exit(ev, w->kick->track, w->kick->exit_id);
}

bool steps_names(const struct writer *w, const struct event_row *ev)
{
	const struct request *r = w->r;
	const int64_t shared[] = {r->wake.event,
		r->notify == NO_INDEX ? 0 : w->d->notify[r->notify].at.event, r->submit,
		r->submit_ret, r->isr, r->pending, r->suppressed, r->unnotified, r->irq.event,
		r->irq_ret.event};

	if (derive_numbered(ev->kind))
		return ev->a[0] == r->id;
	for (size_t i = 0; i < sizeof(shared) / sizeof(shared[0]); i++)
		if (shared[i] == ev->id)
			return true;
	return false;
}

static const struct guest_call *call_of(const struct writer *w)
{
	return w->r->call == NO_INDEX ? NULL : &w->d->call[w->r->call];
}

/* The process goes on after its ENTER marker. */
static bool begins_call(const struct writer *w, const struct event_row *ev)
{
	const struct guest_call *c = call_of(w);

	return c && c->marked && ev->id == c->first.event;
}

/*
 * Is it a step? What names the request, its notification's and its acknowledgement's exits as a whole,
 * and all that a vCPU does while it carries the request. A thread serves many requests at once: of
 * what it does for others only its waiting and what was lost count.
 */
static bool concerns(struct writer *w, const struct event_row *ev)
{
	if (derive_is_guest(ev->kind))
		return w->guest.stage[ev - w->ev];
	if (derive_is_host(ev->kind))
		return derive_host_concerns(w, ev);
	if (begins_call(w, ev))
		return true;
	if (derive_numbered(ev->kind) || steps_names(w, ev))
		return steps_names(w, ev);
	if (in_kick(w, ev) || in_exit(ev, w->r->ack_track, w->r->ack_exit))
		return true;
	if (ev->track != w->carriers.at[w->carrier].track)
		return false;
	if (derive_is_vcpu(w->d, ev->track))
		return true;
	return ev->kind == EW_LOST || ev->kind == EW_LOCK_WAIT ||
	       (ev->kind == EW_GUEST_ERROR && w->current == w->r->id);
}

/* --- what is said beside the events ------------------------------------------------------------ */

/* No exit came to the VMM: the guest's own events may tell how it came to notify, but not the instruction. */
static int put_unseen_notify(struct writer *w)
{
	return steps_absent(w, 2, EW_LAYER_GUEST_KERNEL,
		w->guest.notified ? ABSENT_IOEVENTFD_INSN : ABSENT_IOEVENTFD_GUEST);
}

/* Nothing was recorded of the guest's notification: what stands in the place of stages 2 to 4. */
static int put_no_kick(struct writer *w)
{
	const struct notify *n = w->r->notify == NO_INDEX ? NULL : &w->d->notify[w->r->notify];
	int ret;

	w->kicked = true;
	if (n && n->threaded && w->side.waker)
		return steps_absent(w, 4, EW_LAYER_KVM, ABSENT_IOEVENTFD_RETURN);
	if (n && n->threaded) {
		ret = put_unseen_notify(w);
		if (!ret)
			ret = steps_absent(w, 3, EW_LAYER_KVM, ABSENT_IOEVENTFD_EXIT);
		if (!ret)
			ret = steps_absent(w, 4, EW_LAYER_KVM, ABSENT_IOEVENTFD_RETURN);
		return ret ? ret : steps_absent(w, 8, EW_LAYER_KVM, ABSENT_IOEVENTFD_ENTRY);
	}
	if (n || w->d->losses)
		return steps_absent(w, 2, EW_LAYER_GUEST_KERNEL, ABSENT_NO_KICK);
	ret = steps_absent(w, 2, EW_LAYER_GUEST_KERNEL, ABSENT_NO_NOTIFY);
	if (!ret)
		ret = steps_absent(w, 3, EW_LAYER_KVM, ABSENT_NO_EXIT);
	if (!ret)
		ret = steps_absent(w, 4, EW_LAYER_KVM, ABSENT_NO_EXIT);
	return ret ? ret : steps_absent(w, 8, EW_LAYER_KVM, ABSENT_NO_EXIT);
}

/* Below the host's system call, when the completion begins. */
static int put_host_block(struct writer *w)
{
	if (w->host_said)
		return 0;
	w->host_said = true;
	if (w->side.block)
		return 0;
	return steps_absent(w, 6, EW_LAYER_HOST_KERNEL,
		!w->host             ? ABSENT_NO_HOST_CALL
		: w->d->block_traced ? ABSENT_NO_BLOCK
				     : ABSENT_HOST_BLOCK);
}

static int put_inject(struct writer *w)
{
	if (!w->inject)
		return 0;
	w->inject = false;
	return w->side.irq ? 0 : steps_absent(w, 7, EW_LAYER_KVM, ABSENT_IRQ_INJECT);
}

/* From the vCPU thread to the one that takes the request. */
static int put_handover(struct writer *w, int64_t taken)
{
	int64_t from = w->kick->signal.event ? w->kick->signal.event : w->kick->at.event;

	return steps_put(w, 5, EW_LAYER_WAITING, "handover", taken, SQL_NULL, SQL_NULL, from);
}

/* An asynchronous call returns on the way. */
static int put_early_return(struct writer *w, const struct event_row *ev)
{
	const struct guest_call *c = call_of(w);

	if (w->returned || !c || !c->marked || !c->exit_event || c->exit_event >= ev->id ||
		c->last.event >= w->r->last.event)
		return 0;
	w->returned = true;
	return steps_marker(w, 1, c->exit_event);
}

/* --- events ------------------------------------------------------------------------------------ */

static void note(struct writer *w, const struct event_row *ev)
{
	w->host |= ev->kind == EW_HOST_CALL || ev->kind == EW_URING_SQE;
	w->inject |= ev->kind == EW_IRQ_LINE || ev->kind == EW_MSI || ev->kind == EW_IRQFD;
}

static int put_kick_guest(struct writer *w, size_t run_exit)
{
	int ret = steps_guest_side(w, 2, run_exit, true);

	w->kicked = true;
	w->kick_stage = 3;
	return ret || w->side.hw_exit ? ret : steps_absent(w, 3, EW_LAYER_KVM, ABSENT_HW_EXIT);
}

/* The exit by which the driver notified the device: stages 2 to 8, if this thread serves it too. */
static int put_kick_event(struct writer *w, size_t i)
{
	const struct event_row *ev = &w->ev[i];
	int stage = derive_host_is_others(w, ev) ? 3 : steps_kind_stage(ev->kind);
	int ret = 0;

	if (ev->kind == EW_RUN_EXIT && w->side.lead[i] != LEAD_DONE)
		ret = put_kick_guest(w, i);
	note(w, ev);
	if (!ret && stage >= 7 && !w->r->threaded)
		ret = put_host_block(w);
	if (!ret && ev->kind == EW_RUN_ENTER && !w->r->threaded)
		ret = put_inject(w);
	if (stage > w->kick_stage)
		w->kick_stage = stage;
	if (!ret)
		ret = steps_event(w, w->kick_stage, ev);
	w->entered |= ev->kind == EW_RUN_ENTER;
	if (!ret && ev->kind == EW_RUN_ENTER && !w->side.hw_entry)
		ret = steps_absent(w, 8, EW_LAYER_KVM, ABSENT_HW_ENTRY);
	return ret;
}

/* What names the request outside of that exit, and what belongs to no exit. */
static int put_named_event(struct writer *w, const struct event_row *ev)
{
	const struct request *r = w->r;
	int stage = steps_kind_stage(ev->kind), ret = 0;
	int64_t taken = r->wake.event ? r->wake.event : r->pop.event;

	if (!w->kicked)
		ret = put_no_kick(w);
	if (!ret && r->threaded && w->kick && ev->id == taken)
		ret = put_handover(w, taken);
	if (!ret && stage >= 7 && derive_numbered(ev->kind))
		ret = put_host_block(w);
	note(w, ev);
	if (stage)
		w->thread_stage = stage;
	if (!ret)
		ret = steps_event(w, w->thread_stage, ev);
	if (!ret && (ev->id == r->irq_ret.event || (ev->id == r->irq.event && !r->irq_ret.event)))
		ret = put_inject(w);
	return ret;
}

/* Does the driver's interrupt handler ask the device in this exit? */
static bool is_handler(const struct writer *w, size_t run_exit)
{
	for (size_t i = run_exit + 1; i < w->n; i++) {
		const struct event_row *ev = &w->ev[i];

		if (ev->track != w->ev[run_exit].track)
			continue;
		if (ev->kind == EW_ISR_READ || ev->kind == EW_IRQ_STATUS || ev->kind == EW_IRQ_ACK)
			return true;
		if (ev->kind == EW_RUN_ENTER || ev->kind == EW_RUN_EXIT)
			return false;
	}
	return false;
}

/* The guest's side of an exit stands in front of the exit's first tracepoint. */
static int put_led(struct writer *w, size_t i)
{
	size_t run_exit = w->side.lead[i];

	if (!run_exit || run_exit == LEAD_DONE)
		return 0;
	w->side.lead[--run_exit] = LEAD_DONE;
	if (in_kick(w, &w->ev[run_exit]))
		return put_kick_guest(w, run_exit);
	if (w->kicked && is_handler(w, run_exit))
		w->handler = w->ev[run_exit].a[0];
	return steps_guest_side(w, w->kicked ? 9 : 2, run_exit, false);
}

/* Has the guest's kernel said that the call is over? */
static bool has_returned(const struct writer *w, const struct event_row *ev)
{
	const struct guest_call *c = call_of(w);

	return c && w->guest.on && c->sys_exit.event && ev->id > c->sys_exit.event &&
	       w->r->used.event && c->sys_exit.event > w->r->used.event;
}

/*
 * The stage of a tracepoint. Up to the first entry of the path the call has not begun; from the exit on in which the
 * interrupt is acknowledged, and when the call has returned, it is the guest that goes on.
 */
static int host_stage(const struct writer *w, const struct event_row *ev)
{
	int kind = steps_kind_stage(ev->kind);

	if (has_returned(w, ev) || (w->r->ack.event && ev->id > w->r->ack.event) ||
		(w->handler && derive_exit_of(w, (size_t)(ev - w->ev)) == w->handler))
		return 9;
	if (w->stage == 1 && !w->kicked && (kind == 0 || kind == 7 || kind == 9))
		return 1;
	return derive_host_stage(w, ev);
}

/* Any other exit: one of the interrupt handler's is stage 9, the rest 4 and 8. */
static int put_other_event(struct writer *w, size_t i)
{
	const struct event_row *ev = &w->ev[i];
	bool handler;
	int ret = 0;

	if (ev->kind == EW_RUN_EXIT && w->kicked && is_handler(w, i))
		w->handler = ev->a[0];
	handler = w->handler && w->handler == ev->exit_id;
	w->acked |= handler;
	if (ev->kind == EW_RUN_EXIT && w->side.lead[i] != LEAD_DONE)
		ret = steps_guest_side(w, w->kicked ? 9 : 2, i, false);
	if (ret || (derive_is_host(ev->kind) && !handler))
		return ret ? ret : steps_event(w, host_stage(w, ev), ev);
	return steps_event(w, handler ? 9 : ev->kind == EW_RUN_ENTER ? 8 : 4, ev);
}

static int put_one(struct writer *w, size_t i)
{
	const struct event_row *ev = &w->ev[i];
	int ret = put_early_return(w, ev);

	if (!ret && derive_is_guest(ev->kind)) {
		w->returned |= call_of(w) && ev->id == call_of(w)->exit_event;
		return derive_guest_put(w, i);
	}
	if (!ret)
		ret = put_led(w, i);
	if (!ret && ev->kind == EW_KVM_EXIT && w->side.waker == ev->exit_id && !w->kicked)
		ret = put_unseen_notify(w);
	if (ret)
		return ret;
	derive_host_note(w, ev);
	w->exits += ev->kind == EW_RUN_EXIT && i >= w->in_front;
	if (ev->kind == EW_TASK)
		return 0; /* steps_guest_side puts it where it says who ran */
	if (in_kick(w, ev))
		return put_kick_event(w, i);
	if (steps_names(w, ev))
		return put_named_event(w, ev);
	if (begins_call(w, ev) || (ev->kind == EW_RUN_ENTER && i == w->in_front))
		return steps_event(w, w->stage == 1 ? 1 : 8, ev);
	/* The process's system call has not begun yet. */
	if (ev->kind == EW_KVM_ENTRY && w->guest.on && w->stage == 1 && !w->kicked)
		return steps_event(w, 1, ev);
	if (ev->kind == EW_RUN_EXIT || ev->exit_id)
		return put_other_event(w, i);
	if (derive_is_host(ev->kind))
		return steps_event(w, host_stage(w, ev), ev);
	if (!derive_is_vcpu(w->d, ev->track))
		return steps_event(w, w->thread_stage, ev);
	return steps_event(w, steps_kind_stage(ev->kind) ?: w->stage, ev);
}

static int put_middle(struct writer *w, size_t n)
{
	int ret = 0;

	for (size_t i = 0; !ret && i < n; i++) {
		const struct event_row *ev = &w->ev[i];

		while (w->carrier + 1 < w->carriers.n &&
			w->carriers.at[w->carrier + 1].from.event <= ev->id)
			w->carrier++;
		if (derive_numbered(ev->kind) && ev->track == w->r->track)
			w->current = ev->a[0];
		if ((i < w->in_front && !derive_is_guest(ev->kind)) || concerns(w, ev))
			ret = put_one(w, i);
	}
	return ret;
}

/* --- the whole path --------------------------------------------------------------------------- */

static enum absent no_call(const struct request *r)
{
	switch (r->call_how) {
	case CALL_SEVERAL:
		return ABSENT_SEVERAL_CALLS;
	case CALL_OF_KERNEL:
		return ABSENT_KERNEL_TASK;
	case CALL_SHARED:
		return ABSENT_SHARED_BIOS;
	case CALL_UNSEEN:
		return ABSENT_UNSEEN_CALL;
	default:
		return ABSENT_NO_CALL;
	}
}

/* A call that was not marked begins with an event of the window, unless that was cut. */
static int put_begin(struct writer *w)
{
	const struct request *r = w->r;
	const struct guest_call *c = call_of(w);
	int ret = 0;

	if (!c)
		return steps_absent(w, 1, EW_LAYER_GUEST_USER, no_call(r));
	if (c->marked)
		ret = steps_marker(w, 1, c->enter_event);
	else if (c->enter_event < r->first.event)
		ret = steps_traced(w, 1, c->enter_event);
	return !ret && r->buffer ? steps_marker(w, 1, r->buffer) : ret;
}

/* Why no exit shows the guest's interrupt handler. */
static enum absent no_handler(const struct request *r)
{
	if (r->suppressed)
		return ABSENT_NO_IRQ;
	return r->irq.event && !r->isr ? ABSENT_MSI_NO_EXIT : ABSENT_NO_ISR_READ;
}

static int put_return(struct writer *w)
{
	const struct guest_call *c = call_of(w);

	if (!c || w->returned)
		return 0;
	if (c->exit_event && c->marked)
		return steps_marker(w, 9, c->exit_event);
	if (c->exit_event)
		return steps_traced(w, 9, c->exit_event);
	if (c->sys_exit.event)
		return 0;
	return steps_absent(w, 9, EW_LAYER_GUEST_USER, ABSENT_NO_RETURN);
}

static int put_end(struct writer *w, const struct event_row *last)
{
	const struct request *r = w->r;
	bool shared = r->irq.event > r->last.event;
	int ret = 0;

	if (!w->kicked)
		ret = put_no_kick(w);
	if (!ret && shared)
		ret = steps_absent(w, 7, EW_LAYER_KVM, ABSENT_SHARED_COMPLETION);
	if (!ret && w->kick && !w->entered && (r->threaded || !shared))
		ret = steps_absent(w, 8, EW_LAYER_KVM, ABSENT_NOT_ENTERED);
	if (!ret && !w->acked && !shared && w->guest.irq == NO_INDEX)
		ret = steps_absent(w, 9, EW_LAYER_GUEST_KERNEL, no_handler(r));
	if (!ret && r->used.event && w->guest.complete == NO_INDEX)
		ret = steps_absent(w, 9, EW_LAYER_GUEST_KERNEL, ABSENT_GUEST_COMPLETION);
	if (!ret && last)
		ret = steps_event(w, 9, last);
	if (last && derive_is_guest(last->kind))
		w->returned = true; /* that was it */
	return ret ? ret : put_return(w);
}

static int add_row(struct writer *w, const struct event_row *ev)
{
	int ret = derive_grow((void **)&w->ev, &w->cap, w->n, sizeof(*w->ev), w->d->e);

	if (!ret)
		w->ev[w->n++] = *ev;
	return ret;
}

/* Of the tracks that have to do with the request, or what names it, or what the host's tracepoints say elsewhere. */
static bool is_wanted(const struct event_row *ev, int64_t request, const int64_t *track, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (ev->track == track[i])
			return true;
	return (ev->a[0] == request && derive_numbered(ev->kind)) ||
	       derive_host_elsewhere(ev->kind);
}

static int load_kick(struct writer *w, int64_t from, int64_t notified)
{
	int ret = 0;

	sqlite3_bind_int64(w->prefix, 1, from);
	sqlite3_bind_int64(w->prefix, 2, w->r->first.event - 1);
	sqlite3_bind_int64(w->prefix, 3, w->kick ? w->kick->track : 0);
	sqlite3_bind_int64(w->prefix, 4, w->kick ? w->kick->exit_id : 0);
	sqlite3_bind_int64(w->prefix, 5, notified);
	sqlite3_bind_int64(w->prefix, 6, w->r->wake.event);
	/* Of the host's tracepoints those up to the return: what follows is of other requests. */
	sqlite3_bind_int64(w->prefix, 7, w->kick ? w->kick->exit.event : 0);
	while (!ret && (ret = sql_step(w->prefix, w->d->e)) > 0) {
		struct event_row ev;

		derive_read_event(w->prefix, &ev);
		ret = add_row(w, &ev);
	}
	sqlite3_reset(w->prefix);
	return ret;
}

/* A window that was cut may have the notification, or the thread's wake-up, in front of it. */
static int load_prefix(struct writer *w)
{
	const struct request *r = w->r;
	int64_t notified = r->notify == NO_INDEX ? 0 : w->d->notify[r->notify].at.event;
	const int64_t marks[] = {w->kick ? w->kick->exit.event : 0, notified, r->wake.event};
	int64_t from = r->first.event;
	int ret = 0;

	for (size_t i = 0; i < sizeof(marks) / sizeof(marks[0]); i++)
		if (marks[i] && marks[i] < from)
			from = marks[i];
	if (from < r->first.event)
		ret = load_kick(w, from, notified);
	if (!ret)
		ret = derive_guest_front(w);
	w->in_front = w->n;
	return ret;
}

static int load_events(struct writer *w)
{
	const struct request *r = w->r;
	const struct guest_call *c = call_of(w);
	const struct guest_rq *rq = r->rq == NO_INDEX ? NULL : &w->d->guest->rq[r->rq];
	const int64_t track[] = {r->track, c ? c->track : r->track,
		w->kick ? w->kick->track : r->track, r->irq.event ? r->irq_track : r->track,
		r->ack.event ? r->ack_track : r->track,
		c && c->exit_event ? c->exit_track : r->track, rq ? rq->issue_track : r->track,
		rq && rq->complete.event ? rq->complete_track : r->track};
	const struct event_row *row = NULL;
	size_t rows = 0;
	int ret;

	w->n = w->in_front = 0;
	ret = load_prefix(w);
	if (!ret)
		ret = event_window_read(
			&w->window, r->first.event, r->last.event, &row, &rows, w->d->e);
	for (size_t i = 0; !ret && i < rows; i++)
		if (is_wanted(&row[i], r->id, track, sizeof(track) / sizeof(track[0])))
			ret = add_row(w, &row[i]);
	return ret ? ret : derive_guest_rows(w, r->first.event, r->last.event, w->in_front);
}

static int one_request(struct writer *w)
{
	const struct request *r = w->r;
	const struct event_row *last = NULL;
	int ret;

	w->kick = derive_kick(w->d, r);
	ret = load_events(w);
	if (!ret)
		ret = derive_guest_load(w);
	if (!ret)
		ret = derive_host_load(w);
	if (!ret)
		derive_carriers(w, &w->carriers);
	w->shown.id = 0;
	w->steps = w->exits = w->current = w->handler = 0;
	w->stage = w->kick_stage = 0;
	w->thread_stage = 5;
	w->carrier = 0;
	w->kicked = w->acked = w->host = w->host_said = w->inject = w->returned = w->entered =
		false;
	if (ret)
		return ret;
	/* The EXIT marker's exit ends the window; it is not one of the path. */
	if (w->n > w->in_front && r->call != NO_INDEX && w->d->call[r->call].exit_event &&
		w->ev[w->n - 1].id == w->d->call[r->call].last.event)
		last = &w->ev[w->n - 1];
	ret = put_begin(w);
	if (!ret)
		ret = put_middle(w, w->n - !!last);
	if (!ret)
		ret = put_end(w, last);
	if (!ret)
		ret = derive_asides(w);
	return ret ? ret : steps_request(w);
}

int derive_requests(struct derive *d)
{
	struct writer w = {.d = d};
	int ret = steps_prepare(&w);

	for (size_t i = 0; !ret && i < d->requests; i++) {
		w.r = &d->request[i];
		ret = one_request(&w);
	}
	steps_finish(&w);
	return ret;
}
