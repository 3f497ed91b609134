/* SPDX-License-Identifier: MIT */
/* A Linux kernel in guest memory, found through page tables that the guest wrote. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "tests/unit/kernel_image.h"
#include "vmm/guest_kernel.h"

#define RAM (8u << 20)
#define CR3 0x1000u
#define TABLES 0x2000u /* the next ones */
#define IMAGE_GPA (2u << 20)
#define OTHER_GPA (4u << 20)

struct world {
	struct guest_mem mem;
	uint64_t next;
	struct kernel_image *k;
	struct guest_kernel g;
};

static uint64_t *entry(struct world *w, uint64_t table, uint64_t va, unsigned shift)
{
	return (uint64_t *)(w->mem.host + table) + (va >> shift & 511);
}

/* Present, writable; bit 7: a page of 2 MiB. */
static void map(struct world *w, uint64_t va, uint64_t gpa, bool large)
{
	uint64_t table = CR3;

	for (unsigned shift = 39; shift > (large ? 21u : 12u); shift -= 9) {
		uint64_t *e = entry(w, table, va, shift);

		if (!(*e & 1)) {
			*e = w->next | 3;
			w->next += 4096;
		}
		table = *e & ~4095ull;
	}
	*entry(w, table, va, large ? 21 : 12) = gpa | (large ? 0x83 : 3);
}

static void put_area(struct world *w, const struct area *a, uint64_t gpa)
{
	memcpy(w->mem.host + gpa, a->bytes, a->size);
	for (size_t at = 0; at < a->size; at += 4096)
		map(w, a->base + at, gpa + at, false);
}

static int setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	struct err e = {""};

	if (!w || mem_alloc(&w->mem, RAM, &e))
		return -1;
	w->next = TABLES;
	w->k = kernel_image_new(LAYOUT_6_1);
	memcpy(w->mem.host + IMAGE_GPA, w->k->image.bytes, w->k->image.size);
	put_area(w, &w->k->module, OTHER_GPA);
	put_area(w, &w->k->percpu, OTHER_GPA + w->k->module.size);
	guest_kernel_init(&w->g, &w->mem);
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;

	guest_kernel_free(&w->g);
	kernel_image_free(w->k);
	mem_free(&w->mem);
	free(w);
	return 0;
}

static void found_at_the_first_question(void **state)
{
	struct world *w = *state;
	struct guest_task t;
	uint64_t node;

	map(w, IMAGE_BASE, IMAGE_GPA, true);
	assert_true(guest_kernel_task(&w->g, CR3, GS_BASE, &t));
	assert_int_equal(t.pid, 42);
	assert_string_equal(t.comm, "kworker/0:1H");
	assert_int_equal(w->g.base, IMAGE_BASE);
	assert_int_equal(w->g.bytes, 2u << 20);
	assert_int_equal(w->g.tries, 1);
	/* What is read later is read from the guest as it is then. */
	assert_true(kmem_read(&w->g.kmem, w->g.kernel.modules, &node, sizeof(node)));
	assert_int_equal(guest_linux_modules(&w->g.kernel, &w->g.kmem), 1);
	w->mem.host[OTHER_GPA + w->k->module.size + TASK + T_PID] = 43;
	assert_true(guest_kernel_task(&w->g, CR3, GS_BASE, &t));
	assert_int_equal(t.pid, 43);
	assert_false(guest_kernel_task(&w->g, CR3, 0, &t));
}

/* It is looked for at the 1st, 10th, 100th and 1000th question, and no more. */
static void asked_too_early(void **state)
{
	struct world *w = *state;
	struct guest_task t;

	for (unsigned i = 1; i < 10; i++)
		assert_false(guest_kernel_task(&w->g, CR3, GS_BASE, &t));
	assert_int_equal(w->g.tries, 1);
	map(w, IMAGE_BASE, IMAGE_GPA, true);
	assert_true(guest_kernel_task(&w->g, CR3, GS_BASE, &t));
	assert_int_equal(w->g.tries, 2);
	guest_kernel_free(&w->g);
	guest_kernel_init(&w->g, &w->mem);
	for (unsigned i = 0; i < 2000; i++)
		guest_kernel_task(&w->g, ~0ull, GS_BASE, &t);
	assert_int_equal(w->g.tries, 4);
	assert_false(w->g.found);
}

/* All of the range is mapped to one page: a part of it is looked at, and nothing is found. */
static void an_image_of_a_gigabyte(void **state)
{
	struct world *w = *state;
	struct guest_task t;

	for (uint64_t va = 0xffffffff80000000u; va < 0xffffffffc0000000u; va += 2u << 20)
		map(w, va, IMAGE_GPA + (2u << 20), true);
	assert_false(guest_kernel_task(&w->g, CR3, GS_BASE, &t));
	assert_int_equal(w->g.bytes, 128u << 20);
	assert_false(w->g.found);
}

static void the_stack_that_was_left(void **state)
{
	const uint64_t rsp = 0xffffc90000003f00u;
	uint64_t stack[32] = {0}, left;

	(void)state;
	stack[31] = 0xffffc90000013e00u;
	assert_true(guest_kernel_left_stack(rsp, (uint8_t *)stack, sizeof(stack), &left));
	assert_int_equal(left, 0xffffc90000013e00u);
	assert_false(guest_kernel_left_stack(rsp, (uint8_t *)stack, 4, &left));
	stack[31] = 0x2b; /* a system call's stack ends with the process's SS */
	assert_false(guest_kernel_left_stack(rsp, (uint8_t *)stack, sizeof(stack), &left));
	stack[31] = rsp + 16; /* into itself */
	assert_false(guest_kernel_left_stack(rsp, (uint8_t *)stack, sizeof(stack), &left));
	stack[31] = 0xffffc90000013e04u;
	assert_false(guest_kernel_left_stack(rsp, (uint8_t *)stack, sizeof(stack), &left));
}

/* Names of a file count if it is of this kernel. */
static void symbols_of_a_file(void **state)
{
	static const char other[] = "other.map";
	struct world *w = *state;
	struct ksyms s = {0};
	struct guest_task t;

	map(w, IMAGE_BASE, IMAGE_GPA, true);
	assert_int_equal(ksyms_module(&s, "vmlinux"), 0);
	assert_int_equal(
		ksyms_add(&s, &(struct ksym){.addr = 0xffffffff81000000u, .type = 'T'}, "_text", 5),
		0);
	guest_kernel_symbols(&w->g, &s, other);
	assert_int_equal(s.n, 0);
	assert_true(guest_kernel_task(&w->g, CR3, GS_BASE, &t)); /* by the tables in memory */
	assert_true(w->g.refused);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(found_at_the_first_question),
		TEST(asked_too_early),
		TEST(an_image_of_a_gigabyte),
		TEST(the_stack_that_was_left),
		TEST(symbols_of_a_file),
	};
#undef TEST

	return cmocka_run_group_tests(tests, NULL, NULL);
}
