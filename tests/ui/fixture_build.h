/* SPDX-License-Identifier: MIT */
/*
 * A recording whose every byte is known: made through the recorder with times of our own, so that
 * screens of it can be compared. Used by the UI's screen tests and by the model's unit tests.
 */
#ifndef EXITWALK_TESTS_UI_FIXTURE_BUILD_H
#define EXITWALK_TESTS_UI_FIXTURE_BUILD_H

#include <stdio.h>
#include <string.h>
#include "tracer/probe.h"
#include "tracer/recorder.h"
#include "tracer/recording.h"
#include "vmm/guest_abi.h"

struct fixture {
	unsigned requests;   /* how many writes */
	bool hostile;        /* names full of control characters */
	bool snapshots;      /* copy registers and stack at each notification */
	bool unfinished;     /* stop without finishing: the recording is cut off */
	bool threads;        /* a second vCPU that takes interrupts, and an I/O thread */
	unsigned idle_exits; /* exits that belong to no request, in front of the first one */
	unsigned asides;     /* and in each, twice, for another device */
};

#define FIX_BASE 1000000000u /* the recording's first ns */
#define FIX_PORT 0xc010u
#define FIX_KERNEL 0xffffffff81000000u
#define FIX_STACK 0xffffffff82003e00u

/* The guest's functions: each 0x100 bytes, in calling order. */
static const char *const fix_functions[] = {"entry_SYSCALL_64", "do_syscall_64", "ksys_write",
	"vfs_write", "exitfs_write", "submit_bio", "virtio_queue_rq", "virtqueue_kick",
	"virtqueue_notify", "vp_notify", "iowrite16"};
#define FIX_FUNCTIONS (sizeof(fix_functions) / sizeof(fix_functions[0]))

enum fix_thread { FIX_VCPU0, FIX_VCPU1, FIX_IO, FIX_THREADS };

struct fix_state {
	struct probe *p; /* of the thread that goes on */
	struct probe *thread[FIX_THREADS];
	uint64_t ts, exit, run_exit;
	const struct fixture *f;
};

static void fix_emit(struct fix_state *s, unsigned after, enum ew_kind kind, const uint64_t a[6],
	const void *data, uint32_t len)
{
	s->ts += after;
	probe_emit_at(s->p, s->ts, kind, a, data, len);
}
#define FIX(after, kind, ...) fix_emit(s, after, kind, PROBE_ARGS(__VA_ARGS__), NULL, 0)

/* KVM_RUN returns with a port access; the dispatch begins. */
static void fix_exit(struct fix_state *s, unsigned after, unsigned port, unsigned size, bool write,
	uint64_t value, unsigned region, unsigned offset)
{
	struct ew_exit_payload x = {.rip = FIX_KERNEL + 0x100u * (FIX_FUNCTIONS - 1) + 0x12,
		.addr = port,
		.value = value,
		.count = 1,
		.size = (uint8_t)size,
		.space = EW_SPACE_PIO,
		.is_write = write,
		.insn_ok = 3};
	/* mov edx, esi; mov eax, edi; then out or in; ret */
	static const uint8_t code[24] = {0x90, 0x90, 0x90, 0x90, 0x89, 0xf2, 0x89, 0xf8};

	memcpy(x.insn, code, sizeof(code));
	if (size == 2)
		memcpy(x.insn + 8, write ? "\x66\xef\xc3\x90" : "\x66\xed\xc3\x90", 4);
	else if (size == 4)
		memcpy(x.insn + 8, write ? "\xef\xc3\x90\x90" : "\xed\xc3\x90\x90", 4);
	else
		memcpy(x.insn + 8, write ? "\xee\xc3\x90\x90" : "\xec\xc3\x90\x90", 4);
	memset(x.insn + 12, 0x90, 12);
	s->exit++;
	fix_emit(s, after, EW_RUN_EXIT, PROBE_ARGS(s->exit, 2), &x, sizeof(x));
	FIX(300, EW_DISPATCH, EW_SPACE_PIO, port, region, offset, size, write);
}

static void fix_enter(struct fix_state *s, unsigned region, uint64_t value)
{
	FIX(250, EW_DISPATCH_END, region, EW_BUS_HANDLED, value);
	FIX(400, EW_RUN_ENTER, s->exit);
}

static void fix_marker(struct fix_state *s, unsigned phase, unsigned n, unsigned bytes, int64_t ret)
{
	struct ew_marker m = {.magic = EW_MARKER_MAGIC,
		.version = 1,
		.phase = (uint16_t)phase,
		.nr = 1,
		.pid = 42,
		.args = {3, 0x601000, bytes},
		.ret = ret};

	snprintf(m.comm, sizeof(m.comm), "%s", s->f->hostile ? "\033[31mred\a" : "writer");
	snprintf(m.path, sizeof(m.path), "%s",
		s->f->hostile ? "/\033]0;owned\a\xc2\x9b"
				"2J\xff\t\n\r\x7f\xe2\x80\xae"
				"end"
			      : "/data");
	(void)n;
	fix_exit(
		s, phase == EW_MARKER_ENTER ? 5000 : 9000, EW_MARKER_PORT, 4, true, 0x601000, 2, 0);
	fix_emit(s, 200, EW_MARKER, PROBE_ARGS(phase, 1, 42, (uint64_t)ret, 3, bytes), &m,
		sizeof(m));
	fix_enter(s, 2, 0x601000);
}

static void fix_snapshot(struct fix_state *s, enum ew_snapshot_why why)
{
	struct {
		struct ew_regs regs;
		uint64_t stack[4 * FIX_FUNCTIONS];
		uint8_t code
			[32]; /* push rbp; mov rbp, rsp; …; mov edx, esi; mov eax, edi; out or in */
	} snap = {.code = {0x55, 0x48, 0x89, 0xe5, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90,
			  0x90, 0x90, 0x89, 0xf2, 0x89, 0xf8, 0x66, 0xef, 0x5d, 0xc3},
		.regs = {.rax = 0,
			.rdx = FIX_PORT,
			.rsi = FIX_PORT,
			.rsp = FIX_STACK,
			.rbp = FIX_STACK + 16,
			.rip = FIX_KERNEL + 0x100u * (FIX_FUNCTIONS - 1) + 0x12,
			.rflags = 0x246,
			.rbx = 0x1111,
			.r12 = 0x2222}};
	size_t n = sizeof(snap.stack) / sizeof(snap.stack[0]);

	/* Frame k: a saved rbp that points to the next frame, and a return address. */
	for (size_t k = 0; k + 1 < FIX_FUNCTIONS; k++) {
		snap.stack[2 + 4 * k] = FIX_STACK + 8 * (2 + 4 * (k + 1));
		snap.stack[3 + 4 * k] = FIX_KERNEL + 0x100u * (FIX_FUNCTIONS - 2 - k) + 0x40 + k;
	}
	snap.stack[2 + 4 * (FIX_FUNCTIONS - 2)] = 0;
	(void)n;
	if (why == EW_SNAPSHOT_ISR_READ)
		memcpy(snap.code + 0x12, "\xec\x5d\xc3", 3);
	fix_emit(s, 600, EW_SNAPSHOT,
		PROBE_ARGS(why, 0x1000, FIX_STACK, sizeof(snap.stack), 0, snap.regs.rip - 0x12),
		&snap, sizeof(snap));
}

static void fix_on(struct fix_state *s, enum fix_thread thread)
{
	if (s->f->threads)
		s->p = s->thread[thread];
}

static void fix_take(struct fix_state *s, unsigned r, unsigned bytes, unsigned sector)
{
	unsigned head = (r * 3) % 126;

	FIX(300, EW_QUEUE_POP, r + 1, 1, 0, head, r + 1, r + 1);
	FIX(150, EW_DESCRIPTOR, r + 1, head, 0x1f3000, 16, 1, head + 1);
	FIX(100, EW_DESCRIPTOR, r + 1, head + 1, 0x200000, bytes, 1, head + 2);
	FIX(100, EW_DESCRIPTOR, r + 1, head + 2, 0x1f3010, 1, 2, 0);
	FIX(200, EW_REQUEST, r + 1, 1, sector, bytes, 3, 0x1f3000);
}

static void fix_complete(struct fix_state *s, unsigned r)
{
	FIX(150, EW_REQ_STATUS, r + 1, 0, 0x1f3010);
	FIX(150, EW_QUEUE_USED, r + 1, 1, 0, (r * 3) % 126, 1, r + 1);
	FIX(120, EW_ISR_SET, 1, 1);
	FIX(150, EW_IRQ_LINE, 11, 1, 1);
	FIX(1800, EW_IRQ_LINE_RET, 11, 1, 0);
}

/* The device on the vCPU's own thread. */
static void fix_device(struct fix_state *s, unsigned r, unsigned bytes, unsigned sector)
{
	fix_take(s, r, bytes, sector);
	FIX(700, EW_HOST_CALL, r + 1, 18, 7, bytes, (uint64_t)sector * 512, 1);
	FIX(20000 + bytes, EW_HOST_RET, r + 1, 18, bytes);
	fix_complete(s, r);
	fix_enter(s, 1, 0);
}

/* The device on the I/O thread, which works while the guest goes on. */
static void fix_io_thread(struct fix_state *s, unsigned r, unsigned bytes, unsigned sector)
{
	FIX(150, EW_IO_SIGNAL, 1, 0, 9);
	FIX(1200, EW_IO_SIGNAL_RET, 1, 0, 8);
	fix_enter(s, 1, 0);
	fix_on(s, FIX_IO);
	FIX(5000, EW_IO_WAKE, 1, 0, 1, 0, 9);
	fix_take(s, r, bytes, sector);
	FIX(300, EW_URING_SQE, r + 1, 23, 7, bytes, (uint64_t)sector * 512, 1);
	FIX(100, EW_URING_ENTER, 1, 8);
	FIX(2500, EW_URING_ENTER_RET, 1);
	FIX(100, EW_IO_SLEEP, 1);
	FIX(18000 + bytes, EW_URING_CQE, r + 1, 23, bytes);
	fix_complete(s, r);
	FIX(200, EW_IO_SLEEP, 0);
}

/* Exits that have nothing to do with a request. */
static void fix_others(struct fix_state *s, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		fix_exit(s, 4000, EW_POST_PORT, 1, true, i & 0xff, 3, 0);
		fix_enter(s, 3, i & 0xff);
	}
}

/* One write(3, buffer, bytes) from the process's marker to its marker. */
static void fix_write(struct fix_state *s, unsigned r)
{
	static const unsigned sizes[] = {512, 4096, 65536};
	unsigned bytes = sizes[r % 3], sector = 8 + 8 * r;

	fix_marker(s, EW_MARKER_ENTER, r, bytes, 0);
	fix_others(s, s->f->asides);
	fix_exit(s, 12000, FIX_PORT, 2, true, 0, 1, 0x10);
	if (s->f->snapshots)
		fix_snapshot(s, EW_SNAPSHOT_NOTIFY);
	FIX(200, EW_QUEUE_NOTIFY, 1, 0, r + 1, r);
	if (s->f->threads)
		fix_io_thread(s, r, bytes, sector);
	else
		fix_device(s, r, bytes, sector);
	fix_others(s, s->f->asides);
	fix_on(s, FIX_VCPU1);
	fix_exit(s, 7000, 0xc013, 1, false, 0, 1, 0x13);
	FIX(200, EW_ISR_READ, 1, 1);
	FIX(200, EW_IRQ_LINE, 11, 0, 1);
	FIX(900, EW_IRQ_LINE_RET, 11, 0, 0);
	fix_enter(s, 1, 1);
	fix_on(s, FIX_VCPU0);
	fix_marker(s, EW_MARKER_EXIT, r, bytes, bytes);
}

static void fix_run(struct fix_state *s)
{
	FIX(0, EW_MACHINE_START, 0);
	FIX(1000, EW_RUN_ENTER, 0);
	if (s->f->threads) {
		fix_on(s, FIX_VCPU1);
		FIX(500, EW_RUN_ENTER, 0);
		fix_on(s, FIX_IO);
		FIX(500, EW_IO_SLEEP, 0);
		fix_on(s, FIX_VCPU0);
	}
	fix_exit(s, 30000, 0xc008, 4, true, 0x1f0, 1, 8);
	FIX(300, EW_QUEUE_SETUP, 1, 0, 128, 0x1f0000, 0x1f0800, 0x1f1000);
	fix_enter(s, 1, 0x1f0);
	fix_others(s, s->f->idle_exits);
	for (unsigned r = 0; r < s->f->requests; r++)
		fix_write(s, r);
	fix_exit(s, 8000, EW_EXIT_PORT, 1, true, 0, 4, 0);
	FIX(200, EW_GUEST_EXIT, 0);
	FIX(250, EW_DISPATCH_END, 4, EW_BUS_HANDLED, 0);
	FIX(5000, EW_MACHINE_STOP, EW_STOP_GUEST_EXIT, 0);
}

static int fix_describe(struct recorder *r, const struct fixture *f)
{
	const char *blk = f->hostile ? "virtio\033[2J-blk0" : "virtio-blk0";
	int ret = recorder_meta(r, "kvm_backend", "fixture");

	if (!ret)
		ret = recorder_device(r, 1, blk, "virtio-blk, legacy PCI");
	if (!ret)
		ret = recorder_region(
			r, 1, EW_SPACE_PIO, 0xc000, 0x40, 1, "virtio-blk0 legacy BAR0");
	if (!ret)
		ret = recorder_region(r, 2, EW_SPACE_PIO, EW_MARKER_PORT, 4, 0, "marker port");
	if (!ret)
		ret = recorder_region(r, 3, EW_SPACE_PIO, EW_POST_PORT, 1, 0, "POST code port");
	if (!ret)
		ret = recorder_region(r, 4, EW_SPACE_PIO, EW_EXIT_PORT, 1, 0, "exit port");
	return ret;
}

/* Symbols come from an ELF file otherwise; here the guest has none, so they are rows of our own. */
static int fix_symbols(const char *path, const struct fixture *f, struct err *e)
{
	sqlite3 *db = NULL;
	char sql[256];
	int ret = 0;

	if (sqlite3_open(path, &db) != SQLITE_OK)
		ret = err_set(e, -5, "%s cannot be opened again", path);
	for (size_t i = 0; !ret && i < FIX_FUNCTIONS; i++) {
		snprintf(sql, sizeof(sql),
			"INSERT INTO symbol(addr, size, name, module) VALUES(%lld, 256, '%s%s', "
			"'guest')",
			(long long)(FIX_KERNEL + 0x100 * i), fix_functions[i],
			f->hostile ? "\033[7m" : "");
		if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
			ret = err_set(e, -5, "symbol: %s", sqlite3_errmsg(db));
	}
	if (!ret)
		ret = derive_all(db, e);
	sqlite3_close(db);
	return ret;
}

static int fixture_write(const char *path, const struct fixture *f, struct err *e)
{
	struct recorder *r = NULL;
	struct fix_state s = {.ts = FIX_BASE, .f = f};
	int ret = recorder_open(&r, path, NULL, e);

	if (ret)
		return ret;
	ret = fix_describe(r, f);
	s.p = s.thread[FIX_VCPU0] = recorder_track(r, "vcpu", 0, "vCPU 0");
	if (f->threads) {
		s.thread[FIX_VCPU1] = recorder_track(r, "vcpu", 1, "vCPU 1");
		s.thread[FIX_IO] = recorder_track(r, "thread", -1, "I/O thread");
	}
	if (!ret)
		ret = s.p && (!f->threads || (s.thread[FIX_VCPU1] && s.thread[FIX_IO]))
			      ? recorder_start(r, e)
			      : err_set(e, -12, "no track");
	if (!ret) {
		fix_run(&s);
		ret = recorder_stop(r, e);
	}
	if (!ret && !f->unfinished)
		ret = recorder_finish(r, e);
	recorder_free(r);
	if (!ret && !f->unfinished)
		ret = fix_symbols(path, f, e);
	return ret;
}

#endif
