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

static bool is_wanted(const char *name, size_t len)
{
	for (size_t i = 0; i < WANTED; i++)
		if (strlen(wanted[i]) == len && !memcmp(name, wanted[i], len))
			return true;
	return false;
}

/* What the filter is to be: by name, and by line of available_filter_functions. */
struct picked {
	struct host_functions *f;
	char lines[8 * WANTED];
	unsigned n;
};

/* A line of the list, "NAME" or "NAME [MODULE]", with len letters of NAME. False: no room. */
static bool add_function(struct host_functions *f, const char *line, size_t len)
{
	size_t named = strlen(f->names), qualified = strlen(f->qualified);
	const char *module = strchr(line, '[');
	size_t in_module = module ? strcspn(++module, "]\n") : 0;

	if (named + len + 2 > sizeof(f->names) ||
		qualified + len + in_module + 3 > sizeof(f->qualified))
		return false;
	sprintf(f->names + named, "%s%.*s", named ? " " : "", (int)len, line);
	sprintf(f->qualified + qualified, "%s%.*s%s%.*s", qualified ? " " : "", (int)in_module,
		module ? module : "", module ? ":" : "", (int)len, line);
	return true;
}

/* The list has all functions of the kernel, and takes it a while to say: it is read once. */
static int pick(struct picked *p, struct err *e)
{
	const char *dir = host_tracefs(e);
	char path[128], line[512];
	size_t used = 0;
	FILE *f;

	if (!dir)
		return -ENOENT;
	snprintf(path, sizeof(path), "%s/available_filter_functions", dir);
	f = fopen(path, "re");
	for (unsigned at = 1; f && fgets(line, sizeof(line), f); at++) {
		size_t len = strcspn(line, " \t\n");

		if (!is_wanted(line, len) || used + 12 > sizeof(p->lines) ||
			!add_function(p->f, line, len))
			continue;
		used += (size_t)sprintf(p->lines + used, "%s%u", p->n ? " " : "", at);
		p->n++;
	}
	if (f)
		fclose(f);
	return p->n ? 0
		    : err_set(e, -ENOTSUP,
			      "this kernel has no function tracer for KVM's functions");
}

/* Does the kernel say that it filters these functions, and no others? */
static bool filters(const struct host_instance *in, const struct picked *p)
{
	char *text = host_instance_read(in, "set_ftrace_filter");
	bool others = false;
	unsigned n = 0;

	for (char *line = text; line && *line; n++) {
		size_t len = strcspn(line, "\n");

		others |= !is_wanted(line, strcspn(line, " \t\n"));
		line += len + (line[len] != '\0');
	}
	free(text);
	return n == p->n && !others;
}

/*
 * A number N is line N of the list (ftrace_match_records() in kernel/trace/ftrace.c, Linux 5.1), found at once; for each
 * name the kernel looks through all of its functions, which on an emulated CPU takes seconds. A module that comes between
 * the reading and the writing moves the lines: the kernel is asked what it has made of them.
 */
static int set_filter(const struct host_instance *in, const struct picked *p)
{
	if (host_instance_write(in, "set_ftrace_filter", p->lines) == 0 && filters(in, p))
		return 0;
	host_instance_clear(in, "set_ftrace_filter");
	return host_instance_write(in, "set_ftrace_filter", p->f->names);
}

int host_functions_enable(struct host_instance *in, struct host_functions *f, struct err *e)
{
	static const char *const tracers[] = {"function_graph", "function"};
	struct picked p = {.f = f};
	int ret;

	*f = (struct host_functions){0};
	ret = pick(&p, e);
	if (ret)
		return ret;
	ret = set_filter(in, &p);
	if (ret)
		return err_set(e, ret,
			"the kernel does not take the filter of its function tracer: %s",
			strerror(-ret));
	for (size_t i = 0; i < sizeof(tracers) / sizeof(tracers[0]); i++) {
		f->tracer = tracers[i];
		f->returns = i == 0;
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

static int by_addr(const void *a, const void *b)
{
	const struct best *x = a, *y = b;

	return (x->addr > y->addr) - (x->addr < y->addr);
}

/* To the first address that is not in front of it; those behind get it by inherit(). */
static void offer(struct best *b, unsigned n, uint64_t start, const char *name)
{
	unsigned low = 0, high = n;

	while (low < high) {
		unsigned mid = low + (high - low) / 2;

		if (b[mid].addr < start)
			low = mid + 1;
		else
			high = mid;
	}
	if (low == n || start <= b[low].start)
		return;
	b[low].start = start;
	snprintf(b[low].name, sizeof(b[low].name), "%s", name);
}

static void inherit(struct best *b, unsigned n)
{
	for (unsigned i = 1; i < n; i++)
		if (b[i - 1].start > b[i].start) {
			b[i].start = b[i - 1].start;
			memcpy(b[i].name, b[i - 1].name, sizeof(b[i].name));
		}
}

/* Lines "ADDRESS TYPE NAME [MODULE]", a hundred thousand and more. */
static void read_names(struct best *b, unsigned n, FILE *f)
{
	char line[512];

	while (n && fgets(line, sizeof(line), f)) {
		char *at, *name;
		uint64_t start = strtoull(line, &at, 16);

		if (!start || *at != ' ' || !at[1] || !strchr("tTwW", at[1]) || at[2] != ' ')
			continue;
		name = at + 3;
		name[strcspn(name, " \t\n")] = '\0';
		offer(b, n, start, name);
	}
	inherit(b, n);
}

int host_addresses_names(const struct host_addresses *a,
	int (*each)(void *ctx, uint64_t addr, const char *name), void *ctx)
{
	struct best *b = calloc(a->n + 1, sizeof(*b));
	FILE *f = fopen("/proc/kallsyms", "re");
	unsigned n = 0;
	int ret = 0;

	for (unsigned i = 0; b && i < HOST_ADDRESSES; i++)
		if (a->slot[i])
			b[n++].addr = a->slot[i];
	if (b && f) {
		qsort(b, n, sizeof(*b), by_addr);
		read_names(b, n, f);
	}
	for (unsigned i = 0; !ret && b && i < n; i++)
		if (*b[i].name)
			ret = each(ctx, b[i].addr, b[i].name);
	if (f)
		fclose(f);
	free(b);
	return b ? ret : -ENOMEM;
}
