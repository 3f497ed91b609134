/* SPDX-License-Identifier: MIT */
/*
 * Makes a trace.dat of about N events: two vCPUs; of 400 events 14 are a disk write, which an I/O thread and
 * a main thread carry out, the rest are exits that KVM serves (the rates of tests/import/svm-qemu.trace.dat).
 *
 *   gen_trace FILE N
 */
#include <inttypes.h>

#include "tests/lib/trace_dat.h"
#include "tracer/hw_exit.h"

#define STEP 20000 /* ns between two events */

struct gen {
	struct td t;
	uint64_t ts[TD_CPUS], events;
};

#define PUT(g, cpu, pid, id, ...)                                                                  \
	((g)->events++, TD(&(g)->t, 0, cpu, (g)->ts[cpu] += STEP, pid, id, __VA_ARGS__))

static void exit_to_kvm(struct gen *g, unsigned cpu, uint64_t reason)
{
	int pid = 100 + (int)cpu;

	PUT(g, cpu, pid, TD_EXIT, 0, 0, HW_SVM, reason, 0xffffffff81000000, 0, cpu);
	PUT(g, cpu, pid, TD_ENTRY, 0xffffffff81000002, cpu);
}

static void write_to_disk(struct gen *g, unsigned cpu, uint64_t sector)
{
	int pid = 100 + (int)cpu;

	PUT(g, cpu, pid, TD_EXIT, 0, 0xc0100020, HW_SVM, HW_SVM_IO, 0xffffffff81000100, 0, cpu);
	PUT(g, cpu, pid, TD_PIO, cpu, 1, 0xc010, 2, 1);
	PUT(g, cpu, pid, TD_USERSPACE_EXIT, 2, 0);
	PUT(g, cpu, pid, TD_SYS_EXIT_IOCTL, 16, 0);
	PUT(g, cpu, pid, TD_WAKING, 'v', 200, 2);
	g->ts[2] = g->ts[cpu];
	PUT(g, 2, 200, TD_SYS_ENTER_PWRITE, 18, 12, 0x7f0000000000, 512, sector * 512);
	PUT(g, 2, 200, TD_SYS_EXIT_PWRITE, 18, 512);
	PUT(g, 2, 200, TD_WAKING, 'v', 300, 3);
	g->ts[3] = g->ts[2];
	PUT(g, 3, 300, TD_SYS_ENTER_IOCTL, 16, 9, 0x4020aea5, 0);
	PUT(g, 3, 300, TD_MSI, 0xfee00000, 0x26);
	PUT(g, 3, 300, TD_SYS_EXIT_IOCTL, 16, 1);
	g->ts[cpu] = g->ts[3];
	PUT(g, cpu, pid, TD_SYS_ENTER_IOCTL, 16, 11, 0xae80, 0);
	PUT(g, cpu, pid, TD_INJ, 0x26, 0, 0);
	PUT(g, cpu, pid, TD_ENTRY, 0xffffffff81000102, cpu);
}

int main(int argc, char **argv)
{
	static const uint64_t reasons[] = {0x7c, 0x60, 0x72}; /* MSR, INTR, CPUID */
	static struct gen g;
	uint64_t n;

	if (argc != 3)
		return fprintf(stderr, "usage: gen_trace FILE EVENTS\n"), 64;
	n = strtoull(argv[2], NULL, 0);
	td_init(&g.t, 7, TD_CPUS);
	for (uint64_t i = 0; g.events < n; i++) {
		unsigned cpu = i & 1;

		if (g.ts[cpu] < g.ts[3])
			g.ts[cpu] = g.ts[3];
		for (unsigned k = 0; k < 193; k++)
			exit_to_kvm(&g, cpu, reasons[k % 3]);
		write_to_disk(&g, cpu, i);
	}
	td_write(&g.t, argv[1]);
	td_free(&g.t);
	printf("%" PRIu64 " events\n", g.events);
	return 0;
}
