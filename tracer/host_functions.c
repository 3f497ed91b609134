/* SPDX-License-Identifier: MIT */
/* Functions of KVM, as an instance's function tracer sees them. */
#include "host_functions.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The way of an exit, of an access and of an interrupt; most kernels inline some of them. */
static const char *const wanted[] = {"kvm_vcpu_ioctl", "kvm_arch_vcpu_ioctl_run", "vcpu_run",
	"vcpu_enter_guest", "vmx_vcpu_run", "svm_vcpu_run", "vmx_handle_exit", "svm_handle_exit",
	"handle_io", "io_interception", "kvm_fast_pio", "emulator_pio_in_out", "kvm_io_bus_write",
	"kvm_io_bus_read", "complete_fast_pio_out", "complete_fast_pio_in", "handle_ept_violation",
	"handle_ept_misconfig", "npf_interception", "kvm_mmu_page_fault", "x86_emulate_instruction",
	"complete_emulated_mmio", "ioeventfd_write", "eventfd_signal", "irqfd_wakeup",
	"irqfd_inject", "kvm_vm_ioctl_irq_line", "kvm_set_irq", "kvm_send_userspace_msi",
	"kvm_set_msi", "kvm_set_pic_irq", "kvm_set_ioapic_irq", "kvm_pic_set_irq",
	"kvm_ioapic_set_irq", "kvm_irq_delivery_to_apic", "kvm_apic_set_irq", "kvm_vcpu_kick",
	"vmx_inject_irq", "svm_inject_irq", "kvm_emulate_halt", "kvm_vcpu_halt", "kvm_vcpu_block"};
#define WANTED (sizeof(wanted) / sizeof(wanted[0]))

/* Which of them can be traced: the list has all functions of the kernel, so it is read once. */
static int pick(char *names, size_t size, struct err *e)
{
	const char *dir = host_tracefs(e);
	char path[128], line[512];
	FILE *f;

	*names = '\0';
	if (!dir)
		return -ENOENT;
	snprintf(path, sizeof(path), "%s/available_filter_functions", dir);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f)) {
		line[strcspn(line, " \t\n")] = '\0';
		for (size_t i = 0; i < WANTED; i++)
			if (!strcmp(line, wanted[i]) && strlen(names) + strlen(line) + 2 < size)
				sprintf(names + strlen(names), "%s%s", *names ? " " : "", line);
	}
	if (f)
		fclose(f);
	return *names ? 0
		      : err_set(e, -ENOTSUP,
				"this kernel has no function tracer for KVM's functions");
}

int host_functions_enable(
	struct host_instance *in, const char **tracer, char *names, size_t size, struct err *e)
{
	static const char *const tracers[] = {"function_graph", "function"};
	int ret = pick(names, size, e);

	if (ret)
		return ret;
	ret = host_instance_write(in, "set_ftrace_filter", names);
	if (ret)
		return err_set(e, ret,
			"the kernel does not take the filter of its function tracer: %s",
			strerror(-ret));
	for (size_t i = 0; i < sizeof(tracers) / sizeof(tracers[0]); i++) {
		*tracer = tracers[i];
		ret = host_instance_write(in, "current_tracer", tracers[i]);
		if (!ret)
			return 0;
	}
	return err_set(e, ret,
		"the kernel refuses its function tracer to an instance of tracefs: %s",
		strerror(-ret));
}

/* --- addresses -------------------------------------------------------------------------------- */

void host_addresses_add(struct host_addresses *a, uint64_t addr)
{
	unsigned i = (unsigned)((addr * 0x9e3779b97f4a7c15u) >> 52);

	while (a->slot[i] && a->slot[i] != addr)
		i = (i + 1) % HOST_ADDRESSES;
	if (!addr || a->slot[i] == addr || a->n == HOST_ADDRESSES / 2)
		return;
	a->slot[i] = addr;
	a->n++;
}

struct best {
	uint64_t addr, start;
	char name[96];
};

static void offer(struct best *b, unsigned n, uint64_t start, const char *name)
{
	for (unsigned i = 0; i < n; i++)
		if (start <= b[i].addr && start > b[i].start) {
			b[i].start = start;
			snprintf(b[i].name, sizeof(b[i].name), "%s", name);
		}
}

int host_addresses_names(const struct host_addresses *a,
	int (*each)(void *ctx, uint64_t addr, const char *name), void *ctx)
{
	struct best *b = calloc(a->n + 1, sizeof(*b));
	FILE *f = fopen("/proc/kallsyms", "re");
	char line[512], name[96], type;
	unsigned long long start;
	unsigned n = 0;
	int ret = 0;

	for (unsigned i = 0; b && i < HOST_ADDRESSES; i++)
		if (a->slot[i])
			b[n++].addr = a->slot[i];
	while (b && f && fgets(line, sizeof(line), f))
		if (sscanf(line, "%llx %c %95s", &start, &type, name) == 3 && start &&
			strchr("tTwW", type))
			offer(b, n, start, name);
	for (unsigned i = 0; !ret && b && i < n; i++)
		if (*b[i].name)
			ret = each(ctx, b[i].addr, b[i].name);
	if (f)
		fclose(f);
	free(b);
	return b ? ret : -ENOMEM;
}
