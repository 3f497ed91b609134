// SPDX-License-Identifier: MIT
/* Every reason for which KVM_RUN returns, by name, and what this machine does about it. */
#include <string.h>

#include "vcpu.h"

static const struct {
	const char *list;
	uint32_t value;
	const char *name;
} names[] = {
#define NAME(e, v, n) {#e, v, n},
#include "tracer/names.def"
};

const char *exit_name(uint32_t reason)
{
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (names[i].value == reason && strcmp(names[i].list, "kvm_exit") == 0)
			return names[i].name;
	return "unknown exit reason";
}

static uint64_t little_endian(const void *p, size_t len)
{
	uint64_t value = 0;

	memcpy(&value, p, len < sizeof(value) ? len : sizeof(value));
	return value;
}

void exit_access(const struct kvm_run *run, struct ew_exit_payload *x)
{
	*x = (struct ew_exit_payload){.count = 1, .space = EW_SPACE_MAX};
	if (run->exit_reason == KVM_EXIT_IO) {
		x->space = EW_SPACE_PIO;
		x->addr = run->io.port;
		x->size = run->io.size;
		x->count = run->io.count;
		x->is_write = run->io.direction == KVM_EXIT_IO_OUT;
		if (x->is_write)
			x->value = little_endian((const uint8_t *)run + run->io.data_offset,
				(size_t)x->size * x->count);
	} else if (run->exit_reason == KVM_EXIT_MMIO) {
		x->space = EW_SPACE_MMIO;
		x->addr = run->mmio.phys_addr;
		x->size = (uint8_t)run->mmio.len;
		x->is_write = run->mmio.is_write;
		if (x->is_write)
			x->value = little_endian(run->mmio.data, run->mmio.len);
	}
}

static void device_access(struct vcpu *v, enum ew_space space, uint64_t addr, unsigned size,
	bool is_write, uint64_t *value)
{
	turn_take_vcpu(v->turn, v->probe, v);
	bus_access(v->bus, v->probe, space, addr, size, is_write, value);
	turn_give(v->turn);
}

/* String instructions come as one exit: the port stays, the data advance. One dispatch each. */
static void handle_io(struct vcpu *v)
{
	struct kvm_run *run = v->run;
	uint8_t *data = (uint8_t *)run + run->io.data_offset;
	bool is_write = run->io.direction == KVM_EXIT_IO_OUT;
	unsigned size = run->io.size;

	for (uint32_t i = 0; i < run->io.count; i++, data += size) {
		uint64_t value = is_write ? little_endian(data, size) : 0;

		device_access(v, EW_SPACE_PIO, run->io.port, size, is_write, &value);
		if (!is_write)
			memcpy(data, &value, size);
	}
}

static void handle_mmio(struct vcpu *v)
{
	struct kvm_run *run = v->run;
	bool is_write = run->mmio.is_write;
	unsigned size = run->mmio.len;
	uint64_t value = is_write ? little_endian(run->mmio.data, size) : 0;

	device_access(v, EW_SPACE_MMIO, run->mmio.phys_addr, size, is_write, &value);
	if (!is_write)
		memcpy(run->mmio.data, &value, size < sizeof(value) ? size : sizeof(value));
}

static void handle_system_event(struct vcpu *v)
{
	switch (v->run->system_event.type) {
	case KVM_SYSTEM_EVENT_SHUTDOWN:
	case KVM_SYSTEM_EVENT_RESET:
	case KVM_SYSTEM_EVENT_CRASH:
		vcpu_stop(v, EW_STOP_SHUTDOWN, (int)v->run->system_event.type);
		break;
	default:
		vcpu_stop(v, EW_STOP_UNHANDLED, (int)v->run->exit_reason);
		break;
	}
}

void exit_handle(struct vcpu *v)
{
	struct kvm_run *run = v->run;

	switch (run->exit_reason) {
	case KVM_EXIT_IO:
		handle_io(v);
		break;
	case KVM_EXIT_MMIO:
		handle_mmio(v);
		break;

	/* Nothing to do but to go on. */
	case KVM_EXIT_INTR:            /* a signal: the loop looks at v->stop */
	case KVM_EXIT_IRQ_WINDOW_OPEN: /* KVM delivers interrupts by itself */
	case KVM_EXIT_SET_TPR:
	case KVM_EXIT_IOAPIC_EOI:
	case KVM_EXIT_X86_BUS_LOCK: /* only told */
	case KVM_EXIT_AP_RESET_HOLD:
		break;

	/* Requests that are refused, as hardware without the feature would. */
	case KVM_EXIT_HYPERCALL:
		run->hypercall.ret = (uint64_t)-1000; /* -KVM_ENOSYS, <linux/kvm_para.h> */
		break;
	case KVM_EXIT_X86_RDMSR:
	case KVM_EXIT_X86_WRMSR:
		run->msr.error = 1; /* #GP */
		break;
	case KVM_EXIT_NOTIFY:
		if (run->notify.flags & KVM_NOTIFY_CONTEXT_INVALID)
			vcpu_stop(v, EW_STOP_UNHANDLED, KVM_EXIT_NOTIFY);
		break;

	/* The end of the run. */
	case KVM_EXIT_HLT: /* with LAPICs in the kernel KVM waits by itself */
		vcpu_stop(v, EW_STOP_HALT, 0);
		break;
	case KVM_EXIT_SHUTDOWN:
		vcpu_stop(v, EW_STOP_SHUTDOWN, 0);
		break;
	case KVM_EXIT_SYSTEM_EVENT:
		handle_system_event(v);
		break;
	case KVM_EXIT_INTERNAL_ERROR:
		vcpu_stop(v, EW_STOP_INTERNAL_ERROR, (int)run->internal.suberror);
		break;
	case KVM_EXIT_FAIL_ENTRY:
		vcpu_stop(
			v, EW_STOP_FAIL_ENTRY, (int)run->fail_entry.hardware_entry_failure_reason);
		break;

	/* Asked for by nobody here, so a surprise. */
	case KVM_EXIT_UNKNOWN: /* run->hw.hardware_exit_reason */
	case KVM_EXIT_EXCEPTION:
	case KVM_EXIT_DEBUG:
	case KVM_EXIT_TPR_ACCESS:
	case KVM_EXIT_NMI:
	case KVM_EXIT_HYPERV:
	case KVM_EXIT_DIRTY_RING_FULL:
	case KVM_EXIT_XEN:
	case KVM_EXIT_MEMORY_FAULT:
	default: /* another architecture's, or one of a newer kernel */
		vcpu_stop(v, EW_STOP_UNHANDLED, (int)run->exit_reason);
		break;
	}
}
