/* SPDX-License-Identifier: MIT */
/*
 * The mix of events that a guest with a virtio-blk disk makes: serial and PCI exits, and requests from
 * marker to interrupt. Times are invented; everything else is as the machine would say it.
 */
#ifndef EXITWALK_TESTS_MIX_H
#define EXITWALK_TESTS_MIX_H

#include <string.h>
#include <time.h>

#include "tests/lib/elf_image.h"
#include "tracer/recorder.h"
#include "vmm/guest_abi.h"

#define REGION_UART 1
#define REGION_PCI_ADDR 2
#define REGION_PCI_DATA 3
#define REGION_BAR0 4
#define REGION_MARKER 5
#define DEVICE_BLK 1
#define DEVICE_UART 2
#define STACK_BYTES 512
#define KERNEL 0xffffffff80100000u
#define BACKLOG_MAX 32768 /* slots: half the ring */

struct mix {
	struct recorder *r;
	struct probe *p;
	uint64_t ts, exit, request, events;
};

static inline uint64_t mix_later(struct mix *g, uint64_t ns)
{
	g->ts += ns;
	return g->ts;
}

#define MIX_SAY(g, ns, kind, ...)                                                                  \
	do {                                                                                       \
		PROBE_AT((g)->p, mix_later(g, ns), kind, __VA_ARGS__);                             \
		(g)->events++;                                                                     \
	} while (0)

/* One exit up to the device's handler, at `out dx, ax` or `in al, dx` in a function of the guest. */
static inline void mix_exit_begins(struct mix *g, unsigned region, uint64_t base, uint64_t offset,
	uint8_t size, bool is_write, uint64_t value)
{
	struct ew_exit_payload x = {.rip = KERNEL + 0x20 + region * 0x100,
		.addr = base + offset,
		.value = value,
		.count = 1,
		.size = size,
		.space = EW_SPACE_PIO,
		.is_write = is_write,
		.insn_ok = 3,
		.insn = {0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90}};
	uint8_t *insn = x.insn + 8;

	if (size != 1 && size != 4)
		*insn++ = 0x66;
	*insn++ = (uint8_t)(is_write ? 0xee : 0xec) | (size > 1);
	*insn = 0xc3;
	PROBE_DATA(g->p, mix_later(g, 6000), EW_RUN_EXIT, &x, sizeof(x), ++g->exit, 2);
	MIX_SAY(g, 150, EW_DISPATCH, EW_SPACE_PIO, x.addr, region, offset, size, is_write);
	g->events++;
}

static inline void mix_exit_ends(struct mix *g, unsigned region, uint64_t value)
{
	MIX_SAY(g, 100, EW_DISPATCH_END, region, EW_BUS_HANDLED, value);
	MIX_SAY(g, 80, EW_RUN_ENTER, g->exit);
}

static inline void mix_plain_exit(struct mix *g, unsigned region, uint64_t base, uint64_t offset,
	uint8_t size, bool is_write, uint64_t value)
{
	mix_exit_begins(g, region, base, offset, size, is_write, value);
	mix_exit_ends(g, region, value);
}

static inline void mix_marker(struct mix *g, uint16_t phase, uint64_t bytes)
{
	struct ew_marker m = {.magic = EW_MARKER_MAGIC,
		.version = 1,
		.phase = phase,
		.nr = 1,
		.pid = 7,
		.args = {3, 0x400000, bytes},
		.ret = phase == EW_MARKER_EXIT ? (int64_t)bytes : 0,
		.comm = "writer",
		.path = "/data"};

	mix_exit_begins(g, REGION_MARKER, EW_MARKER_PORT, 0, 4, true, 0x400800);
	PROBE_DATA(g->p, mix_later(g, 50), EW_MARKER, &m, sizeof(m), phase, m.nr, m.pid,
		(uint64_t)m.ret, m.args[0], m.args[2]);
	g->events++;
	mix_exit_ends(g, REGION_MARKER, 0x400800);
}

static inline void mix_snapshot(struct mix *g)
{
	struct {
		struct ew_regs regs;
		uint64_t stack[STACK_BYTES / 8];
	} s = {.regs = {.rsp = KERNEL + 0x100000, .rip = KERNEL + 0x420}};

	/* A chain of frame pointers, each with a return address into the next function. */
	s.regs.rbp = s.regs.rsp + 16;
	for (unsigned i = 0; i < 6; i++) {
		s.stack[2 + i * 4] = i < 5 ? s.regs.rbp + (i + 1) * 32 : 0;
		s.stack[3 + i * 4] = KERNEL + 0x1010 + i * 0x100;
	}
	PROBE_DATA(g->p, mix_later(g, 20), EW_SNAPSHOT, &s, sizeof(s), EW_SNAPSHOT_NOTIFY, 0x1000,
		s.regs.rsp, STACK_BYTES, 400);
	g->ts += 400;
	g->events++;
}

static inline void mix_request(struct mix *g, uint64_t sector, uint64_t bytes)
{
	uint64_t n = ++g->request, idx = n & 0xffff, head = n * 3 % 128;

	mix_marker(g, EW_MARKER_ENTER, bytes);
	mix_exit_begins(g, REGION_BAR0, EW_VIRTIO_BLK_IOBASE, 16, 2, true, 0);
	mix_snapshot(g);
	MIX_SAY(g, 50, EW_QUEUE_NOTIFY, DEVICE_BLK, 0, idx, idx - 1);
	MIX_SAY(g, 60, EW_QUEUE_POP, n, DEVICE_BLK, 0, head, idx, idx);
	MIX_SAY(g, 60, EW_DESCRIPTOR, n, head, 0x200000, 16, 1, head + 1);
	MIX_SAY(g, 60, EW_DESCRIPTOR, n, head + 1, 0x300000, bytes, 1, head + 2);
	MIX_SAY(g, 60, EW_DESCRIPTOR, n, head + 2, 0x200010, 1, 2, 0);
	MIX_SAY(g, 60, EW_REQUEST, n, 1, sector, bytes, 3, 0x200000);
	MIX_SAY(g, 70, EW_HOST_CALL, n, 18, 5, bytes, sector * 512, 1);
	MIX_SAY(g, 9000 + bytes / 8, EW_HOST_RET, n, 18, bytes);
	MIX_SAY(g, 60, EW_REQ_STATUS, n, 0, 0x200010);
	MIX_SAY(g, 60, EW_QUEUE_USED, n, DEVICE_BLK, 0, head, 1, idx);
	MIX_SAY(g, 60, EW_ISR_SET, DEVICE_BLK, 1);
	MIX_SAY(g, 60, EW_IRQ_LINE, 11, 1, DEVICE_BLK);
	MIX_SAY(g, 1500, EW_IRQ_LINE_RET, 11, 1, 0);
	mix_exit_ends(g, REGION_BAR0, 0);
	mix_exit_begins(g, REGION_BAR0, EW_VIRTIO_BLK_IOBASE, 19, 1, false, 0);
	MIX_SAY(g, 60, EW_ISR_READ, DEVICE_BLK, 1);
	MIX_SAY(g, 60, EW_IRQ_LINE, 11, 0, DEVICE_BLK);
	MIX_SAY(g, 1500, EW_IRQ_LINE_RET, 11, 0, 0);
	mix_exit_ends(g, REGION_BAR0, 1);
	mix_marker(g, EW_MARKER_EXIT, bytes);
}

/* The generator is faster than any guest: it leaves the writer some room. */
static inline void mix_pace(struct mix *g)
{
	const struct timespec nap = {.tv_nsec = 200000};

	while (recorder_backlog(g->r) > BACKLOG_MAX && recorder_status(g->r) == 0)
		nanosleep(&nap, NULL);
}

static inline void mix_generate(struct mix *g, uint64_t events)
{
	MIX_SAY(g, 0, EW_MACHINE_START, 0);
	MIX_SAY(g, 1000, EW_RUN_ENTER, 0);
	MIX_SAY(g, 10, EW_QUEUE_SETUP, DEVICE_BLK, 0, 128, 0x10000, 0x10800, 0x11000);
	while (g->events < events && recorder_status(g->r) == 0) {
		for (unsigned i = 0; i < 4; i++)
			mix_plain_exit(g, REGION_UART, EW_COM1_PORT, 5, 1, false, 0x60);
		mix_plain_exit(g, REGION_PCI_ADDR, EW_PCI_ADDR_PORT, 0, 4, true, 0x80000800);
		mix_plain_exit(g, REGION_PCI_DATA, EW_PCI_DATA_PORT, 0, 4, false, 0x10011af4);
		mix_request(g, g->request * 8 % 100000, 512u << g->request % 8);
		mix_pace(g);
	}
	MIX_SAY(g, 1000, EW_MACHINE_STOP, EW_STOP_GUEST_EXIT, 0);
}

static inline void mix_describe(struct recorder *r)
{
	static const struct elf_image_symbol symbols[] = {
		{"inb", KERNEL + 0x120, 16, STT_FUNC},
		{"outl", KERNEL + 0x220, 16, STT_FUNC},
		{"inl", KERNEL + 0x320, 16, STT_FUNC},
		{"iowrite16", KERNEL + 0x420, 16, STT_FUNC},
		{"marker", KERNEL + 0x520, 16, STT_FUNC},
		{"vp_notify", KERNEL + 0x1000, 64, STT_FUNC},
		{"virtqueue_notify", KERNEL + 0x1100, 64, STT_FUNC},
		{"virtio_queue_rq", KERNEL + 0x1200, 64, STT_FUNC},
		{"submit_bio", KERNEL + 0x1300, 64, STT_FUNC},
		{"vfs_write", KERNEL + 0x1400, 64, STT_FUNC},
		{"ksys_write", KERNEL + 0x1500, 64, STT_FUNC},
	};
	struct elf_image elf;

	elf_image_make(&elf, symbols, sizeof(symbols) / sizeof(symbols[0]));
	recorder_symbols_elf(r, &elf, sizeof(elf), "mix", NULL);
	recorder_meta(r, "generated", "tests/bench");
	recorder_device(r, DEVICE_BLK, "virtio-blk0", "virtio-blk, legacy PCI");
	recorder_device(r, DEVICE_UART, "com1", "16550A");
	recorder_region(r, REGION_UART, EW_SPACE_PIO, EW_COM1_PORT, 8, DEVICE_UART, "com1");
	recorder_region(r, REGION_PCI_ADDR, EW_SPACE_PIO, EW_PCI_ADDR_PORT, 4, 0, "PCI address");
	recorder_region(r, REGION_PCI_DATA, EW_SPACE_PIO, EW_PCI_DATA_PORT, 4, 0, "PCI data");
	recorder_region(r, REGION_BAR0, EW_SPACE_PIO, EW_VIRTIO_BLK_IOBASE, 64, DEVICE_BLK,
		"virtio-blk0 BAR0");
	recorder_region(r, REGION_MARKER, EW_SPACE_PIO, EW_MARKER_PORT, 4, 0, "marker port");
}

#endif
