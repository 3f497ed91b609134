/* SPDX-License-Identifier: MIT */
/* The steps of a request in a recording of host tracepoints, those that are missing included. */
#include "host_maker.h"

/* What a trace of the host cannot show, or what this one lacks. Numbers of derive.h's come before. */
#define ABSENT(X)                                                                                    \
	X(GUEST_CALL,                                                                                \
		"not recorded: the guest's system call; a trace of the host does not see into"       \
		" the guest")                                                                        \
	X(GUEST_KERNEL,                                                                              \
		"not recorded: the guest kernel's way to this instruction; the exit's rip is"        \
		" where it ends")                                                                    \
	X(SILENT_RIP, "not recorded: the guest kernel's way to this instruction, and where it is")   \
	X(NO_KICK, "no notification by the driver was seen in front of this system call")            \
	X(HANDLER,                                                                                   \
		"not recorded: KVM's functions between the exit and this; needs function_graph")     \
	X(SILENT, "not recorded: the exit with its reason, and the entry behind it: kvm_exit and"    \
		  " kvm_entry never fire on this KVM")                                               \
	X(IOEVENTFD,                                                                                 \
		"KVM_RUN did not return for this exit: an ioeventfd took it, and woke the thread"    \
		" that waits for it")                                                                \
	X(DEVICE,                                                                                    \
		"not recorded: the VMM's device model (ring, descriptors, header); the sector shown" \
		" is the host file's offset / 512, which is the guest's if the image is raw")        \
	X(HANDOVER,                                                                                  \
		"not recorded: how this thread came to it; needs sched_waking, futex, eventfd")      \
	X(NO_CALL, "no system call of the disk was recorded before its interrupt; needs pread64,"    \
		   " preadv, pwrite64, pwritev, fdatasync, io_submit, io_uring_enter")               \
	X(BLOCK, "no block event in this system call: the page cache took it, or they were not"      \
		 " recorded")                                                                        \
	X(NO_IRQ, "no interrupt was recorded behind it; needs kvm_set_irq and kvm_msi_set_irq")      \
	X(NO_INJECT,                                                                                 \
		"not recorded: the injection; with APICv, AVIC or posted interrupts the hardware"    \
		" delivers without kvm_inj_virq")                                                    \
	X(NO_ENTRY, "no VM entry was recorded behind it")                                            \
	X(GUEST_END,                                                                                 \
		"not recorded: the guest's interrupt handler (vring_interrupt, virtblk_done) and"    \
		" the return of its system call")

_Static_assert(ABSENT_MAX <= HOST_ABSENT_FIRST, "derive.h's numbers come before these");
enum host_absent {
	HOST_ABSENT_NOTHING = HOST_ABSENT_FIRST - 1,
#define X(id, text) HOST_ABSENT_##id,
	ABSENT(X)
#undef X
};

static const char *const absent_text[] = {
#define X(id, text) text,
	ABSENT(X)
#undef X
};

/* --- steps ---------------------------------------------------------------------------------- */

static const unsigned char kind_layer[] = {
#define EV(id, name, NAME, stage, layer, source, text, doc, a0, a1, a2, a3, a4, a5)                \
	[id] = EW_LAYER_##layer,
#include "events.def"
#undef EV
};

static int put(
	struct host_maker *m, int stage, int layer, const char *what, int64_t event, int64_t other)
{
	bool absent = *what == 'a', handover = *what == 'h';

	if (stage > m->stage)
		m->stage = stage;
	sqlite3_bind_text(m->step, 8, what, -1, SQLITE_STATIC);
	return sql_insert(m->step, m->e, 7,
		(int64_t[]){m->id, ++m->steps, m->stage, layer, event, absent ? other : SQL_NULL,
			handover ? other : SQL_NULL});
}

static int layer_of(const struct event_row *ev)
{
	bool known = ev->kind > 0 &&
		     ev->kind < (int64_t)(sizeof(kind_layer) / sizeof(kind_layer[0]));

	return known ? kind_layer[ev->kind] : EW_LAYER_NONE;
}

static int put_absent(struct host_maker *m, int stage, int layer, enum host_absent absent)
{
	m->used[absent - HOST_ABSENT_FIRST] = true;
	return put(m, stage, layer, "absent", SQL_NULL, absent);
}

/* Which stage an event of the path is part of. */
static int stage_of(const struct host_maker *m, const struct event_row *ev)
{
	const struct host_path *p = &m->p;

	if (p->entry.event && ev->id > p->entry.event)
		return 9;
	if (p->irq && ev->id > p->irq->at.event && ev->track == p->delivery &&
		(ev->id == p->entry.event || ev->id == p->inject.event || host_is_run(ev)))
		return 8;
	if (p->call && ev->id >= p->call->enter.event)
		return ev->id <= p->call->exit.event || !p->call->exit.event ? 6 : 7;
	if (p->irq && ev->id >= (p->irq->begin.event ? p->irq->begin.event : p->irq->at.event) &&
		ev->track == p->irq->track)
		return 7;
	if (!p->kick || ev->id < p->kick->at.event)
		return 2;
	if (ev->kind == EW_KVM_USERSPACE_EXIT)
		return 4;
	if (m->stage < 4)
		return 3;
	return m->stage == 4 && ev->kind == EW_SYS_EXIT ? 4 : 5;
}

static bool is_block(const struct event_row *ev)
{
	return ev->kind >= EW_BLOCK_BIO_QUEUE && ev->kind <= EW_BLOCK_RQ_COMPLETE;
}

/* Everything that is missing between the stage of the last step and this one. */
static int put_missing(struct host_maker *m, int stage, bool block)
{
	const struct host_path *p = &m->p;
	int ret = 0, was = m->stage;

	if (was < 2 && stage >= 2) {
		ret = put_absent(m, 1, EW_LAYER_GUEST_USER, HOST_ABSENT_GUEST_CALL);
		if (!ret && !p->kick)
			ret = put_absent(m, 2, EW_LAYER_GUEST_KERNEL, HOST_ABSENT_NO_KICK);
	}
	if (!ret && p->kick && was < 3 && stage >= 3)
		ret = put_absent(m, 2, EW_LAYER_GUEST_KERNEL,
			p->silent ? HOST_ABSENT_SILENT_RIP : HOST_ABSENT_GUEST_KERNEL);
	if (!ret && p->kick && was < 4 && stage >= 4) {
		ret = put_absent(
			m, 3, EW_LAYER_KVM, p->silent ? HOST_ABSENT_SILENT : HOST_ABSENT_HANDLER);
		if (!ret && !p->kick->to_vmm)
			ret = put_absent(m, 4, EW_LAYER_KVM, HOST_ABSENT_IOEVENTFD);
	}
	if (!ret && was < 6 && stage >= 6) {
		ret = put_absent(m, 5, EW_LAYER_VMM, HOST_ABSENT_DEVICE);
		if (!ret && p->kick && p->call && p->call->track != p->kick->track && !p->wake)
			ret = put_absent(m, 5, EW_LAYER_VMM, HOST_ABSENT_HANDOVER);
	}
	if (!ret && was < 7 && stage >= 7) {
		if (!p->call)
			ret = put_absent(m, 6, EW_LAYER_HOST_KERNEL, HOST_ABSENT_NO_CALL);
		else if (!block)
			ret = put_absent(m, 6, EW_LAYER_HOST_KERNEL, HOST_ABSENT_BLOCK);
		if (!ret && !p->irq)
			ret = put_absent(m, 7, EW_LAYER_KVM, HOST_ABSENT_NO_IRQ);
		else if (!ret && p->call && p->irq->track != p->call->track && !p->wake_irq)
			ret = put_absent(m, 7, EW_LAYER_VMM, HOST_ABSENT_HANDOVER);
	}
	if (!ret && was < 8 && stage >= 8 && p->irq && !p->inject.event)
		ret = put_absent(m, 7, EW_LAYER_KVM, HOST_ABSENT_NO_INJECT);
	if (!ret && was < 9 && stage >= 9 && !p->entry.event)
		ret = put_absent(m, 8, EW_LAYER_KVM, HOST_ABSENT_NO_ENTRY);
	return ret;
}

int host_put_steps(struct host_maker *m)
{
	struct host_path *p = &m->p;
	bool block = false;
	int ret = 0;

	m->steps = m->stage = m->exits = 0;
	for (size_t i = 0; !ret && i < p->n; i++) {
		const struct event_row *ev = &p->ev[i];
		int stage = stage_of(m, ev);

		m->exits += ev->kind == EW_KVM_EXIT;
		block |= is_block(ev);
		ret = put_missing(m, stage, block);
		if (!ret && i > 0 && (ev[-1].id == p->wake || ev[-1].id == p->wake_irq) &&
			ev[-1].track != ev->track)
			ret = put(m, stage, EW_LAYER_WAITING, "handover", ev->id, ev[-1].id);
		if (!ret)
			ret = put(m, stage, layer_of(ev), "event", ev->id, SQL_NULL);
	}
	if (!ret)
		ret = put_missing(m, 9, block);
	return ret ? ret : put_absent(m, 9, EW_LAYER_GUEST_KERNEL, HOST_ABSENT_GUEST_END);
}

int host_put_absent_texts(struct host_maker *m)
{
	int ret = 0;

	for (size_t i = 0; !ret && i < sizeof(absent_text) / sizeof(absent_text[0]); i++) {
		if (!m->used[i])
			continue;
		sqlite3_bind_text(m->absent, 2, absent_text[i], -1, SQLITE_STATIC);
		ret = sql_insert(m->absent, m->e, 1, (int64_t[]){HOST_ABSENT_FIRST + (int64_t)i});
	}
	return ret;
}
