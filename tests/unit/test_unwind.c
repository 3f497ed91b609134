/* SPDX-License-Identifier: MIT */
/* Unwinding: chains of frame pointers, kernel entries, and stacks that are garbage. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <asm/ptrace.h>
#include <string.h>
#include <cmocka.h>

#include "tracer/unwind.h"

#define BASE 0xffffffff80100000u
#define CODE 0xffffffff80001000u

static uint64_t stack[128];

static uint64_t slot_addr(size_t slot)
{
	return BASE + 8 * slot;
}

static void put_frame(size_t slot, uint64_t caller_bp, uint64_t ret)
{
	stack[slot] = caller_bp;
	stack[slot + 1] = ret;
}

static void put_pt_regs(size_t slot, uint64_t ip, uint64_t bp, uint64_t cs)
{
	struct pt_regs regs = {.rip = ip, .rbp = bp, .cs = cs};

	memcpy(&stack[slot], &regs, sizeof(regs));
}

static int setup(void **state)
{
	(void)state;
	memset(stack, 0, sizeof(stack));
	return 0;
}

static size_t walk(uint64_t bp, struct unwind_frame *f, size_t max)
{
	struct ew_regs regs = {.rip = CODE, .rsp = BASE, .rbp = bp};

	return unwind_stack(&regs, stack, sizeof(stack), BASE, f, max);
}

/* iowrite16 ← vp_notify ← do_syscall_64 ← entry ← ring 3 */
static void to_user_space(void **state)
{
	struct unwind_frame f[UNWIND_MAX_FRAMES];

	(void)state;
	put_frame(2, slot_addr(6), CODE + 0x100);
	put_frame(6, slot_addr(10), CODE + 0x200);
	put_frame(10, slot_addr(14) | 1, CODE + 0x300);
	put_pt_regs(14, 0x401234, 0x7fff0000, 0x33);
	assert_int_equal(walk(slot_addr(2), f, UNWIND_MAX_FRAMES), 5);
	assert_int_equal(f[0].ip, CODE);
	assert_int_equal(f[0].how, UNWIND_RIP);
	assert_int_equal(f[3].ip, CODE + 0x300);
	assert_int_equal(f[3].how, UNWIND_FP);
	assert_false(f[3].user);
	assert_int_equal(f[4].ip, 0x401234);
	assert_int_equal(f[4].how, UNWIND_PT_REGS);
	assert_true(f[4].user);
	assert_string_equal(unwind_how_name(f[4].how), "pt_regs");
}

/* An interrupt handler's stack goes on in the kernel function that was interrupted. */
static void through_an_interrupt(void **state)
{
	struct unwind_frame f[UNWIND_MAX_FRAMES];

	(void)state;
	put_frame(2, slot_addr(4) | 1, CODE + 0x100);
	put_pt_regs(4, CODE + 0x500, slot_addr(30), 0x10);
	put_frame(30, slot_addr(40) | 1, CODE + 0x600);
	put_pt_regs(40, 0x401234, 0, 0x33);
	assert_int_equal(walk(slot_addr(2), f, UNWIND_MAX_FRAMES), 5);
	assert_int_equal(f[2].ip, CODE + 0x500);
	assert_int_equal(f[2].how, UNWIND_PT_REGS);
	assert_false(f[2].user);
	assert_int_equal(f[3].ip, CODE + 0x600);
	assert_true(f[4].user);
}

static void max_bounds_it(void **state)
{
	struct unwind_frame f[3] = {{0}};

	(void)state;
	put_frame(2, slot_addr(6), CODE + 0x100);
	put_frame(6, slot_addr(10), CODE + 0x200);
	assert_int_equal(walk(slot_addr(2), f, 2), 2);
	assert_int_equal(f[2].ip, 0);
	assert_int_equal(walk(slot_addr(2), f, 0), 0);
}

static void cycles_end(void **state)
{
	struct unwind_frame f[UNWIND_MAX_FRAMES];

	(void)state;
	put_frame(2, slot_addr(2), CODE + 0x100); /* itself */
	assert_int_equal(walk(slot_addr(2), f, UNWIND_MAX_FRAMES), 2);
	put_frame(2, slot_addr(6), CODE + 0x100); /* each other */
	put_frame(6, slot_addr(2), CODE + 0x200);
	assert_int_equal(walk(slot_addr(2), f, UNWIND_MAX_FRAMES), 3);
	put_pt_regs(20, CODE + 0x300, slot_addr(20) | 1, 0x10);
	assert_int_equal(walk(slot_addr(20) | 1, f, UNWIND_MAX_FRAMES), 2);
}

static void garbage_ends(void **state)
{
	struct unwind_frame f[UNWIND_MAX_FRAMES];
	static const uint64_t bad_bp[] = {0, 1, 2, BASE - 8, BASE + 4, UINT64_MAX, UINT64_MAX - 7,
		UINT64_MAX - 8, BASE + sizeof(stack), BASE + sizeof(stack) - 8,
		(BASE + sizeof(stack) - 16) | 1};

	(void)state;
	for (size_t i = 0; i < sizeof(bad_bp) / sizeof(bad_bp[0]); i++)
		assert_int_equal(walk(bad_bp[i], f, UNWIND_MAX_FRAMES), 1);
	put_frame(2, slot_addr(6), 0x1234567890abcdef); /* not canonical */
	assert_int_equal(walk(slot_addr(2), f, UNWIND_MAX_FRAMES), 1);
	put_frame(2, slot_addr(6), 0); /* the psABI's end */
	assert_int_equal(walk(slot_addr(2), f, UNWIND_MAX_FRAMES), 1);
}

/* Random stacks: whatever is on them, the walk stays inside and within its bound. */
static void random_stacks(void **state)
{
	struct unwind_frame f[UNWIND_MAX_FRAMES];
	uint64_t x = 88172645463325252u;

	(void)state;
	for (int round = 0; round < 2000; round++) {
		for (size_t i = 0; i < 128; i++) {
			x ^= x << 13;
			x ^= x >> 7;
			x ^= x << 17;
			stack[i] = x & 1 ? BASE + x % sizeof(stack) : CODE + x % 4096;
		}
		assert_in_range(
			walk(BASE + x % sizeof(stack), f, UNWIND_MAX_FRAMES), 1, UNWIND_MAX_FRAMES);
	}
}

static void no_stack_at_all(void **state)
{
	struct ew_regs regs = {.rip = CODE, .rsp = BASE, .rbp = BASE};
	struct unwind_frame f[4];

	(void)state;
	assert_int_equal(unwind_stack(&regs, NULL, 0, BASE, f, 4), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(to_user_space, setup),
		cmocka_unit_test_setup(through_an_interrupt, setup),
		cmocka_unit_test_setup(max_bounds_it, setup),
		cmocka_unit_test_setup(cycles_end, setup),
		cmocka_unit_test_setup(garbage_ends, setup),
		cmocka_unit_test_setup(random_stacks, setup),
		cmocka_unit_test_setup(no_stack_at_all, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
