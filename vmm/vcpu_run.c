// SPDX-License-Identifier: MIT
/* The KVM_RUN loop, and what it records: the hot path. */
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>

#include "guest_kernel.h"
#include "tracer/clock_pair.h"
#include "tracer/recorder.h"
#include "tsc_offset.h"
#include "vcpu.h"

#define SNAPSHOT_STACK 4096
#define CODE_BEFORE 64
#define CODE_FROM 64
#define CR0_PG (1u << 31)
#define EFER_LMA (1u << 10)

void vcpu_stop(struct vcpu *v, enum ew_stop why, int status)
{
	stop_ask(v->stop, why, status, (int)v->id);
}

/*
 * CR3 has its price: KVM_GET_SREGS costs as much as a whole exit (4.5 us on kvm_pvm), and to have the
 * system registers with every return of KVM_RUN costs 0.2 us each time. Who needs CR3 needs it soon
 * again (markers, snapshots), while a polling loop never does. So they come along for the next exits
 * after they were needed, and the ioctl is only for the first of them.
 */
#define SREGS_FOR 64

/* A processor that starts up is in real mode at first: what CR3 holds then is no table of ours. */
static uint64_t tables(const struct kvm_sregs *s)
{
	return (s->efer & EFER_LMA) && (s->cr0 & CR0_PG) ? s->cr3 : VCPU_NO_TABLES;
}

static void take_sregs(struct vcpu *v, const struct kvm_sregs *s)
{
	v->cr3 = tables(s);
	if (v->cr3 != VCPU_NO_TABLES)
		v->last_tables = v->cr3;
	v->gs_base = s->gs.base;
	v->cr3_exit = v->exits;
}

bool vcpu_cr3_known(struct vcpu *v)
{
	if (v->cr3_exit != v->exits && (v->run->kvm_valid_regs & KVM_SYNC_X86_SREGS))
		take_sregs(v, &v->run->s.regs.sregs);
	return v->cr3_exit == v->exits;
}

uint64_t vcpu_cr3(struct vcpu *v)
{
	struct kvm_sregs sregs;

	v->sregs_until = v->exits + SREGS_FOR;
	if (!vcpu_cr3_known(v) && ioctl(v->fd, KVM_GET_SREGS, &sregs) == 0)
		take_sregs(v, &sregs);
	return v->cr3;
}

const struct kvm_regs *vcpu_regs(struct vcpu *v)
{
	struct kvm_regs *regs = &v->run->s.regs.regs;

	if (!(v->run->kvm_valid_regs & KVM_SYNC_X86_REGS) && v->regs_exit != v->exits &&
		ioctl(v->fd, KVM_GET_REGS, regs) == 0)
		v->regs_exit = v->exits;
	return regs;
}

/* Up to CODE_BEFORE bytes in front of rip and CODE_FROM from it on; *start is where they begin. */
static uint64_t code_window(
	struct vcpu *v, uint64_t cr3, uint64_t rip, uint8_t *buf, uint64_t *start)
{
	uint64_t before = CODE_BEFORE;

	/* The page in front may not be mapped: then the window begins with rip's own page. */
	if (mem_read_virt(v->mem, cr3, rip - before, buf, before) < before) {
		before = rip % 4096 < CODE_BEFORE ? rip % 4096 : CODE_BEFORE;
		if (mem_read_virt(v->mem, cr3, rip - before, buf, before) < before)
			before = 0;
	}
	*start = rip - before;
	return before + mem_read_virt(v->mem, cr3, rip, buf + before, CODE_FROM);
}

/* What an interrupt's stack says of the one that it left, and whom a Linux guest runs. */
struct linux_side {
	struct guest_task task;
	uint64_t part, part_len; /* part_len 0: there is no such stack */
	bool has_task;
	uint8_t bytes[SNAPSHOT_STACK];
};

static void look_at_linux(struct vcpu *v, uint64_t cr3, uint64_t rsp, const uint8_t *stack,
	uint64_t len, struct linux_side *l)
{
	l->part_len = 0;
	l->has_task = v->linux_kernel &&
		      guest_kernel_task(v->linux_kernel, cr3, v->gs_base, &l->task);
	if (v->linux_kernel && len < SNAPSHOT_STACK &&
		guest_kernel_left_stack(rsp, stack, len, &l->part))
		l->part_len = mem_read_virt(v->mem, cr3, l->part, l->bytes, sizeof(l->bytes));
}

/*
 * `cost` is what reading the registers and gathering stack and code took; the copy of the gathered
 * bytes into the ring comes after it, because the record must carry the number.
 */
void vcpu_snapshot(struct vcpu *v, enum ew_snapshot_why why)
{
	struct {
		struct ew_regs regs;
		uint8_t bytes[SNAPSHOT_STACK + CODE_BEFORE + CODE_FROM];
	} s;
	uint64_t begin, end, cr3, stack, code, start = 0;
	struct linux_side l;

	_Static_assert(sizeof(struct ew_regs) == sizeof(struct kvm_regs), "the same order");
	if (!v->probe)
		return;
	begin = probe_now();
	memcpy(&s.regs, vcpu_regs(v), sizeof(s.regs));
	cr3 = vcpu_cr3(v);
	stack = mem_read_virt(v->mem, cr3, s.regs.rsp, s.bytes, SNAPSHOT_STACK);
	code = code_window(v, cr3, s.regs.rip, s.bytes + stack, &start);
	look_at_linux(v, cr3, s.regs.rsp, s.bytes, stack, &l);
	end = probe_now();
	PROBE_DATA(v->probe, begin, EW_SNAPSHOT, &s, (uint32_t)(sizeof(s.regs) + stack + code), why,
		cr3, s.regs.rsp, stack, end - begin, start);
	if (l.part_len)
		PROBE_DATA(v->probe, end, EW_STACK_PART, l.bytes, (uint32_t)l.part_len, l.part,
			l.part_len);
	if (l.has_task)
		PROBE_DATA(v->probe, end, EW_TASK, l.task.comm, (uint32_t)strlen(l.task.comm),
			(uint64_t)(int64_t)l.task.pid, (uint64_t)(int64_t)l.task.tgid);
}

static void note(struct vcpu *v, const struct ew_exit_payload *x, uint32_t reason)
{
	v->history[v->exits % VCPU_HISTORY] = (struct exit_note){
		.number = v->number,
		.reason = reason,
		.addr = x->addr,
		.rip = x->rip,
		.count = x->count,
		.size = x->size,
		.space = x->space,
		.is_write = x->is_write,
	};
}

/*
 * On an error exit_reason is that of an exit before, "stale/undefined", except that EFAULT and
 * EHWPOISON may come with KVM_EXIT_MEMORY_FAULT (kvm/api.rst, there). UNKNOWN tells no untruth.
 */
static uint32_t exit_reason(const struct kvm_run *run, int error)
{
	if (error == EINTR || error == EAGAIN)
		return KVM_EXIT_INTR;
	if (error && run->exit_reason != KVM_EXIT_MEMORY_FAULT)
		return KVM_EXIT_UNKNOWN;
	return run->exit_reason;
}

/* One round: KVM_RUN, and its record. Returns the errno of KVM_RUN, 0 on success. */
static int enter(struct vcpu *v)
{
	struct kvm_run *run = v->run;
	struct ew_exit_payload x;
	uint32_t reason;
	uint64_t ts = 0;
	int error = 0;

	if (v->probe) {
		run->kvm_valid_regs = v->exits < v->sregs_until
					      ? v->sync_regs
					      : v->sync_regs & ~(unsigned)KVM_SYNC_X86_SREGS;
		PROBE_AT(v->probe, probe_now(), EW_RUN_ENTER, v->number);
	}
	if (ioctl(v->fd, KVM_RUN, 0) < 0)
		error = errno;
	if (v->probe)
		ts = probe_now();
	v->exits++;
	v->number = __atomic_add_fetch(v->numbers, 1, __ATOMIC_RELAXED);
	reason = exit_reason(run, error);
	if (reason == KVM_EXIT_IO || reason == KVM_EXIT_MMIO)
		exit_access(run, &x);
	else
		x = (struct ew_exit_payload){.count = 1, .space = EW_SPACE_MAX};
	if (v->probe) {
		x.rip = vcpu_regs(v)->rip;
		insn_bytes(v, reason, &x);
		PROBE_DATA(v->probe, ts, EW_RUN_EXIT, &x, sizeof(x), v->number, reason);
	}
	note(v, &x, reason);
	return error;
}

/*
 * EAGAIN is how KVM says that a processor which waits for INIT and SIPI was woken up
 * (kvm_arch_vcpu_ioctl_run, arch/x86/kvm/x86.c): the next KVM_RUN goes on waiting, or runs. A guest can
 * leave something pending that wakes it up each time, so from some number on it is given time.
 */
static void try_again(unsigned in_a_row)
{
	static const struct timespec wait = {.tv_nsec = 10000000};

	if (in_a_row > 100)
		nanosleep(&wait, NULL); /* the kick ends it */
}

/* Where the guest's times are to be converted: now and then, since the guest may change it. */
static void say_tsc_offset(struct vcpu *v)
{
	uint64_t now;

	if (!v->tsc_next)
		return;
	now = probe_now();
	if (now >= v->tsc_next)
		v->tsc_next = tsc_offset_say(v, now) ? now + CLOCK_PAIR_EVERY : 0;
}

void vcpu_run(struct vcpu *v)
{
	unsigned again = 0;

	say_tsc_offset(v);
	stop_enter(v->stop, &v->stop_thread, &v->run->immediate_exit);
	while (!stop_why(v->stop)) {
		int error = enter(v);

		again = error == EAGAIN ? again + 1 : 0;
		if (error == 0)
			exit_handle(v);
		else if (error == EAGAIN)
			try_again(again);
		else if (error != EINTR)
			vcpu_stop(v, EW_STOP_RUN_FAILED, error);
		else if (v->kicked)
			v->kicked(v->kicked_ctx, v);
		say_tsc_offset(v);
		if (v->recorder && recorder_status(v->recorder))
			stop_ask(v->stop, EW_STOP_RECORDER, 0, STOP_NO_VCPU);
	}
	stop_leave(v->stop, &v->stop_thread);
	if (v->tsc_next)
		tsc_offset_say(v, probe_now());
}
