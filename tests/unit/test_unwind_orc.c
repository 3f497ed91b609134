/* SPDX-License-Identifier: MIT */
/* Unwinding by ORC: a system call's stack, an interrupt's two, guesses, garbage; and all of it recorded. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <asm/ptrace.h>
#include <cmocka.h>

#include "tests/lib/scratch.h"
#include "tests/unit/kernel_image.h"
#include "tracer/guest_linux.h"
#include "tracer/recorder.h"
#include "tracer/recorder_linux.h"
#include "tracer/recording.h"
#include "tracer/unwind.h"

#define TASK_STACK 0xffffc90000013000u
#define IRQ_STACK 0xffffc90000003000u
#define SLOTS 80

struct world {
	struct kernel_image *k;
	struct guest_linux g;
	uint64_t task[SLOTS], irq[2];
	struct ew_regs regs;
};

static uint64_t slot(size_t n)
{
	return TASK_STACK + 8 * n;
}

static void put_regs(uint64_t *at, uint64_t ip, uint64_t sp, uint64_t bp, uint64_t cs)
{
	const struct pt_regs r = {.rip = ip,
		.rsp = sp,
		.rbp = bp,
		.cs = cs,
		.orig_rax = 18,
		.rdi = 3,
		.rsi = 0x25eeb000,
		.rdx = 512,
		.r10 = 4096,
		.r8 = 8,
		.r9 = 9};

	memcpy(at, &r, sizeof(r));
}

/* iowrite16 ← vp_notify ← blk_mq… ← __x64_sys_pwrite64 ← do_syscall_64 ← entry ← ring 3, from slot n on. */
static void put_syscall(struct world *w, size_t n)
{
	w->task[n] = F_VP_NOTIFY + 0x12;
	w->task[n + 1] = TEXT(F_BLK_MQ) + 0x20e;
	w->task[n + 5] = TEXT(F_SYS_PWRITE64) + 0x94;
	w->task[n + 7] = 0x1234; /* RBP of do_syscall_64 */
	w->task[n + 8] = TEXT(F_DO_SYSCALL) + 0x5d;
	w->task[n + 11] = TEXT(F_ENTRY) + 0x6e;
	put_regs(&w->task[n + 12], 0x43b0b9, 0x7ffe0000, 0, 0x33);
	w->regs = (struct ew_regs){
		.rip = TEXT(F_IOWRITE16) + 0x1e, .rsp = slot(n), .rbp = slot(n + 7)};
}

static const struct {
	uint64_t ip;
	enum unwind_how how;
} syscall_frames[] = {
	{TEXT(F_IOWRITE16) + 0x1e, UNWIND_RIP},
	{F_VP_NOTIFY + 0x12, UNWIND_ORC},
	{TEXT(F_BLK_MQ) + 0x20e, UNWIND_ORC},
	{TEXT(F_SYS_PWRITE64) + 0x94, UNWIND_ORC},
	{TEXT(F_DO_SYSCALL) + 0x5d, UNWIND_ORC},
	{TEXT(F_ENTRY) + 0x6e, UNWIND_ORC},
	{0x43b0b9, UNWIND_PT_REGS},
};
#define SYSCALL_FRAMES (sizeof(syscall_frames) / sizeof(syscall_frames[0]))

static bool find(void *ctx, uint64_t ip, struct orc *o)
{
	struct world *w = ctx;

	return guest_linux_orc(&w->g, &w->k->kmem, ip, o);
}

static size_t walk(struct world *w, const struct unwind_piece *p, size_t n, struct unwind_frame *f,
	struct unwind_call *call)
{
	return unwind_orc(&w->regs, p, n, find, w, f, UNWIND_MAX_FRAMES, call);
}

static size_t walk_task(struct world *w, size_t bytes, struct unwind_frame *f)
{
	const struct unwind_piece p = {
		(const uint8_t *)w->task + (w->regs.rsp - TASK_STACK), bytes, w->regs.rsp};
	struct unwind_call call;

	return walk(w, &p, 1, f, &call);
}

static void in_a_system_call(void **state)
{
	struct world *w = *state;
	const struct unwind_piece p = {(const uint8_t *)w->task, sizeof(w->task), TASK_STACK};
	struct unwind_frame f[UNWIND_MAX_FRAMES];
	struct unwind_call call;

	put_syscall(w, 0);
	assert_int_equal(walk(w, &p, 1, f, &call), SYSCALL_FRAMES);
	for (size_t i = 0; i < SYSCALL_FRAMES; i++) {
		assert_int_equal(f[i].ip, syscall_frames[i].ip);
		assert_int_equal(f[i].how, syscall_frames[i].how);
		assert_int_equal(f[i].user, i == SYSCALL_FRAMES - 1);
	}
	assert_true(call.there);
	assert_int_equal(call.nr, 18);
	assert_memory_equal(
		call.arg, ((const uint64_t[]){3, 0x25eeb000, 512, 4096, 8, 9}), sizeof(call.arg));
	assert_string_equal(unwind_how_name(UNWIND_ORC), "orc");
	assert_string_equal(unwind_how_name(UNWIND_SCAN), "scan");
}

/* vp_interrupt ← common_interrupt, and on the other stack asm_common_interrupt ← iowrite16 ← … */
static void put_interrupt(struct world *w)
{
	put_syscall(w, 30);
	w->irq[0] = TEXT(F_CALL_IRQ) + 0x7d;
	w->irq[1] = slot(0);
	w->task[3] = TEXT(F_ASM_COMMON) + 0x22;
	put_regs(&w->task[4], TEXT(F_IOWRITE16) + 0x20, slot(30), slot(37), 0x10);
	w->regs = (struct ew_regs){.rip = F_VP_INTERRUPT + 0x18, .rsp = IRQ_STACK};
}

static void on_an_interrupt_stack(void **state)
{
	struct world *w = *state;
	const struct unwind_piece p[] = {{(const uint8_t *)w->irq, sizeof(w->irq), IRQ_STACK},
		{(const uint8_t *)w->task, sizeof(w->task), TASK_STACK}};
	struct unwind_frame f[UNWIND_MAX_FRAMES];
	struct unwind_call call;

	put_interrupt(w);
	assert_int_equal(walk(w, p, 2, f, &call), 3 + SYSCALL_FRAMES);
	assert_int_equal(f[1].ip, TEXT(F_CALL_IRQ) + 0x7d);
	assert_int_equal(f[2].ip, TEXT(F_ASM_COMMON) + 0x22);
	assert_int_equal(f[3].ip, TEXT(F_IOWRITE16) + 0x20);
	assert_int_equal(f[3].how, UNWIND_PT_REGS);
	assert_false(f[3].user);
	for (size_t i = 1; i < SYSCALL_FRAMES; i++)
		assert_int_equal(f[3 + i].ip, syscall_frames[i].ip);
	assert_true(call.there);
	/* Without the other stack it ends where the first does. */
	assert_int_equal(walk(w, p, 1, f, &call), 2);
	assert_false(call.there);
}

static void where_the_copy_ends(void **state)
{
	struct world *w = *state;
	struct unwind_frame f[UNWIND_MAX_FRAMES];

	put_syscall(w, 0);
	/* The frame of blk_mq… lies in part behind it: no guess is made from its first half. */
	w->task[3] = TEXT(F_SYS_PWRITE64) + 0x94;
	assert_int_equal(walk_task(w, 40, f), 3);
	assert_int_equal(walk_task(w, 0, f), 1);
	w->regs.rsp += 4;
	assert_int_equal(walk_task(w, 3, f), 1);
}

static void a_kernel_thread_has_no_caller(void **state)
{
	struct world *w = *state;
	struct unwind_frame f[UNWIND_MAX_FRAMES];

	w->regs = (struct ew_regs){.rip = TEXT(F_IDLE) + 8, .rsp = TASK_STACK};
	w->task[0] = TEXT(F_BLK_MQ) + 0x20e;
	assert_int_equal(walk_task(w, sizeof(w->task), f), 1);
}

static void guesses(void **state)
{
	struct world *w = *state;
	struct unwind_frame f[UNWIND_MAX_FRAMES];

	poke(&w->k->image, 0x1000 * F_SYS_PWRITE64 + 0x8f, "\xe8\1\2\3\4", 5);
	poke(&w->k->image, 0x1000 * F_IDLE + 0xe, "\xff\xd0", 2);
	w->task[0] = TEXT(F_BLK_MQ) + 0x10; /* code, but behind no call */
	w->task[1] = 7;
	w->task[2] = TEXT(F_SYS_PWRITE64) + 0x94; /* goes on by RBP, which nobody knows here */
	w->task[4] = TEXT(F_IDLE) + 0x10;
	w->task[5] = TEXT(F_SYS_PWRITE64) + 0x94;
	w->regs = (struct ew_regs){
		.rip = TEXT(F_BLK_MQ) + 0x900, .rsp = TASK_STACK, .rbp = TASK_STACK};
	assert_int_equal(walk_task(w, sizeof(w->task), f), 3);
	assert_int_equal(f[1].ip, TEXT(F_SYS_PWRITE64) + 0x94);
	assert_int_equal(f[1].how, UNWIND_SCAN);
	assert_int_equal(f[2].ip, TEXT(F_IDLE) + 0x10);
	assert_int_equal(f[2].how, UNWIND_SCAN);
}

/* RBP leads back down, and random words: the walk ends. */
static void garbage(void **state)
{
	static const uint64_t place[] = {TEXT(0), TASK_STACK, MODULE_BASE};
	struct world *w = *state;
	struct unwind_frame f[UNWIND_MAX_FRAMES];
	uint64_t seed = 1;

	w->regs = (struct ew_regs){.rip = TEXT(F_SYS_PWRITE64), .rsp = slot(4), .rbp = TASK_STACK};
	w->task[1] = TEXT(F_SYS_PWRITE64) + 1;
	assert_int_equal(walk_task(w, sizeof(w->task) - 32, f), 1);
	for (size_t i = 0; i < 3000; i++) {
		for (size_t n = 0; n < SLOTS; n++) {
			seed = seed * 6364136223846793005u + 1442695040888963407u;
			w->task[n] = place[seed >> 40 & 1     ? 0
					     : seed >> 41 & 1 ? 1
							      : 2] +
				     (seed >> 44) % 0x9000;
		}
		w->regs = (struct ew_regs){
			.rip = TEXT(1 + i % 8) + i % 64, .rsp = slot(i % 8), .rbp = w->task[0]};
		assert_in_range(
			walk_task(w, sizeof(w->task) - 8 * (i % 8), f), 1, UNWIND_MAX_FRAMES);
	}
}

/* --- recorded --------------------------------------------------------------------------------- */

static void say_snapshot(struct probe *p, uint64_t exit, const struct ew_regs *regs,
	const void *stack, uint32_t len, enum ew_snapshot_why why)
{
	uint8_t payload[sizeof(*regs) + SLOTS * 8];
	struct ew_exit_payload x = {.rip = regs->rip, .count = 1, .space = EW_SPACE_MAX};

	PROBE_AT(p, probe_now(), EW_RUN_ENTER, exit - 1);
	PROBE_DATA(p, probe_now(), EW_RUN_EXIT, &x, sizeof(x), exit, 2);
	memcpy(payload, regs, sizeof(*regs));
	memcpy(payload + sizeof(*regs), stack, len);
	PROBE_DATA(p, probe_now(), EW_SNAPSHOT, payload, (uint32_t)sizeof(*regs) + len, why, 0x1000,
		regs->rsp, len, 0, 0);
}

static void record(struct world *w, const char *file)
{
	struct err e = {""};
	struct recorder *r;
	struct probe *p;

	if (recorder_open(&r, file, NULL, &e))
		fail_msg("%s", e.msg);
	p = recorder_track(r, "vcpu", 0, "vCPU 0");
	assert_non_null(p);
	assert_int_equal(recorder_start(r, &e), 0);
	put_syscall(w, 0);
	say_snapshot(p, 1, &w->regs, w->task, sizeof(w->task), EW_SNAPSHOT_NOTIFY);
	PROBE_DATA(p, probe_now(), EW_TASK, "writer", 6, 99, 98);
	put_interrupt(w);
	say_snapshot(p, 2, &w->regs, w->irq, sizeof(w->irq), EW_SNAPSHOT_ISR_READ);
	PROBE_DATA(p, probe_now(), EW_STACK_PART, w->task, sizeof(w->task), TASK_STACK,
		sizeof(w->task));
	PROBE_AT(p, probe_now(), EW_RUN_ENTER, 2);
	assert_int_equal(recorder_stop(r, &e), 0);
	if (recorder_linux(r, &w->g, &w->k->kmem, &e))
		fail_msg("%s", e.msg);
	if (recorder_finish(r, &e))
		fail_msg("%s", e.msg);
	recorder_free(r);
}

static const char every_frame[] =
	"SELECT group_concat(f.how || ' ' || coalesce(y.name || y.module, printf('0x%x', f.ip)), '; ')"
	" FROM (SELECT * FROM frame ORDER BY event_id, n) f LEFT JOIN symbol y ON y.id = f.symbol";

/* The recording has all that its frames follow from, and no symbol or entry that it does not need. */
static void a_recording_unwinds_by_itself(void **state)
{
	static const char chain[] =
		"orc vp_notify[virtio_pci]; orc blk_mq_dispatch_rq_listvmlinux; orc "
		"__x64_sys_pwrite64vmlinux; orc do_syscall_64vmlinux; orc "
		"entry_SYSCALL_64_after_hwframevmlinux; pt_regs 0x43b0b9";
	struct world *w = *state;
	struct err e = {""};
	struct scratch s;
	char want[1024];
	sqlite3 *db;

	scratch_make(&s);
	/* The modules' names come by recorder_linux(). */
	guest_linux_free(&w->g);
	assert_int_equal(
		guest_linux_find(&w->g, w->k->image.bytes, w->k->image.size, IMAGE_BASE, NULL), 0);
	record(w, s.file);
	snprintf(want, sizeof(want),
		"rip iowrite16vmlinux; %s; rip vp_interrupt[virtio_pci]; orc common_interruptvmlinux;"
		" orc asm_common_interruptvmlinux; pt_regs iowrite16vmlinux; %s",
		chain, chain);
	assert_int_equal(sqlite3_open(s.file, &db), SQLITE_OK);
	assert_string_equal(query_text(db, every_frame), want);
	assert_int_equal(derive_all(db, &e), 0);
	assert_string_equal(query_text(db, every_frame), want);
	assert_int_equal(query_int(db, "SELECT count(*) FROM symbol"), 9);
	assert_int_equal(query_int(db, "SELECT count(*) FROM orc"), 10);
	assert_int_equal(query_int(db, "SELECT count(*) FROM entry_call WHERE nr = 18"), 2);
	assert_string_equal(query_text(db, "SELECT text FROM v_call_text WHERE source = 'entry'"),
		"pwrite64(3, 0x25eeb000, 512, 4096)");
	assert_string_equal(
		query_text(db, "SELECT comm || pid || ' ' || tgid FROM guest_task"), "writer99 98");
	assert_int_equal(
		query_int(db, "SELECT value FROM meta WHERE key = 'guest_linux.modules'"), 1);
	assert_int_equal(
		query_int(db, "SELECT value FROM meta WHERE key = 'guest_linux.frames'"), 17);
	sqlite3_close(db);
	scratch_remove(&s);
}

static int setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	if (!w)
		return -1;
	w->k = kernel_image_new(LAYOUT_6_1);
	*state = w;
	return guest_linux_find(&w->g, w->k->image.bytes, w->k->image.size, IMAGE_BASE, NULL) < 0 ||
	       guest_linux_modules(&w->g, &w->k->kmem) != 1;
}

static int teardown(void **state)
{
	struct world *w = *state;

	guest_linux_free(&w->g);
	kernel_image_free(w->k);
	free(w);
	return 0;
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(in_a_system_call),
		TEST(on_an_interrupt_stack),
		TEST(where_the_copy_ends),
		TEST(a_kernel_thread_has_no_caller),
		TEST(guesses),
		TEST(garbage),
		TEST(a_recording_unwinds_by_itself),
	};
#undef TEST

	return cmocka_run_group_tests(tests, NULL, NULL);
}
