/* SPDX-License-Identifier: MIT */
/* Guest memory: bounds, and page tables of every page size. */
#include "tests/unit/fake_machine.h"

#include <errno.h>

#include "vmm/mem.h"

#define SIZE 0x10000u
#define PRESENT 1ull
#define LARGE 0x80ull

static int setup(void **state)
{
	struct guest_mem *m = calloc(1, sizeof(*m));
	struct err e = {0};

	*state = m;
	return m ? mem_alloc(m, SIZE, &e) : -1;
}

static int teardown(void **state)
{
	mem_free(*state);
	free(*state);
	return 0;
}

static void put64(struct guest_mem *m, uint64_t gpa, uint64_t v)
{
	memcpy(m->host + gpa, &v, sizeof(v));
}

/* Only then can KVM map it by huge pages. */
static void test_begins_at_2_mib(void **state)
{
	static const uint64_t sizes[] = {4096, 0x200000, 0x201000, 64u << 20};

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct guest_mem m;
		struct err e = {0};

		assert_int_equal(mem_alloc(&m, sizes[i], &e), 0);
		assert_int_equal((uintptr_t)m.host % 0x200000, 0);
		m.host[0] = m.host[sizes[i] - 1] = 1;
		mem_free(&m);
	}
}

static void test_alloc_refuses(void **state)
{
	struct guest_mem m;
	struct err e = {0};

	(void)state;
	assert_int_equal(mem_alloc(&m, 0, &e), -EINVAL);
	assert_int_equal(mem_alloc(&m, 4097, &e), -EINVAL);
	assert_int_equal(mem_alloc(&m, ~0ull << 12, &e), -EINVAL);
	assert_non_null(strstr(e.msg, "4 KiB"));
	assert_null(m.host);
}

static void test_bounds(void **state)
{
	struct guest_mem *m = *state;

	assert_ptr_equal(mem_ptr(m, 0, SIZE), m->host);
	assert_ptr_equal(mem_ptr(m, SIZE - 1, 1), m->host + SIZE - 1);
	assert_non_null(mem_ptr(m, SIZE, 0));
	assert_null(mem_ptr(m, SIZE + 1, 0));
	assert_null(mem_ptr(m, SIZE, 1));
	assert_null(mem_ptr(m, 0, SIZE + 1));
	assert_null(mem_ptr(m, UINT64_MAX, 1));
	assert_null(mem_ptr(m, 0x1000, UINT64_MAX));
	assert_null(mem_ptr(m, 0x1000, 0 - 0x1000ull));
}

static void test_translate(void **state)
{
	struct guest_mem *m = *state;
	uint64_t cr3 = 0x1000, gpa;

	put64(m, 0x1000, 0x2000 | PRESENT);                          /* PML4[0] */
	put64(m, 0x1000 + 8 * 511, 0x2000 | PRESENT);                /* PML4[511] */
	put64(m, 0x2000, 0x3000 | PRESENT);                          /* PDPT[0] */
	put64(m, 0x2008, 0x40000000 | LARGE | PRESENT | 1ull << 12); /* [1]: 1 GiB, PAT set */
	put64(m, 0x3000, 0x4000 | PRESENT);                          /* PD[0] */
	put64(m, 0x3008, 0x200000 | LARGE | PRESENT | 1ull << 63);   /* [1]: 2 MiB, NX set */
	put64(m, 0x4000 + 8 * 5, 0x7000 | PRESENT | LARGE);          /* PT[5]: 4 KiB, PAT set */
	put64(m, 0x4000 + 8 * 6, 0x8000);                            /* PT[6]: not present */

	assert_int_equal(mem_translate(m, cr3 | 0x18, 0x5123, &gpa), 0);
	assert_int_equal(gpa, 0x7123);
	assert_int_equal(mem_translate(m, cr3, 0x3abcde, &gpa), 0);
	assert_int_equal(gpa, 0x3abcde);
	assert_int_equal(mem_translate(m, cr3, 0x40000123, &gpa), 0);
	assert_int_equal(gpa, 0x40000123);
	assert_int_equal(mem_translate(m, cr3, 0x7fffffff, &gpa), 0);
	assert_int_equal(gpa, 0x7fffffff);
	assert_int_equal(mem_translate(m, cr3, 0xffffff8000005008, &gpa), 0);
	assert_int_equal(gpa, 0x7008);
	assert_int_equal(mem_translate(m, cr3, 0x6000, &gpa), -EFAULT);
	assert_int_equal(mem_translate(m, cr3, 0x0000800000005008, &gpa), -EFAULT);
	assert_int_equal(mem_translate(m, 0xffff000, 0x5000, &gpa), -EFAULT);
	/* A table outside memory. */
	put64(m, 0x3000, 0x7ffff000 | PRESENT);
	assert_int_equal(mem_translate(m, cr3, 0x5000, &gpa), -EFAULT);
}

static void test_read_virt(void **state)
{
	struct guest_mem *m = *state;
	char buf[0x2000];

	put64(m, 0x1000, 0x2000 | PRESENT);
	put64(m, 0x2000, 0x3000 | PRESENT);
	put64(m, 0x3000, 0x4000 | PRESENT);
	put64(m, 0x4000, 0x8000 | PRESENT);
	put64(m, 0x4008, 0x6000 | PRESENT); /* the next page lies elsewhere */
	put64(m, 0x4010, 0);
	put64(m, 0x4018, 0xfffff000 | PRESENT); /* mapped, but no memory there */
	memcpy(m->host + 0x8ffc, "abcd", 4);
	memcpy(m->host + 0x6000, "efgh", 4);
	assert_int_equal(mem_read_virt(m, 0x1000, 0xffc, buf, 8), 8);
	assert_memory_equal(buf, "abcdefgh", 8);
	assert_int_equal(mem_read_virt(m, 0x1000, 0x1f00, buf, 0x1000), 0x100);
	assert_int_equal(mem_read_virt(m, 0x1000, 0x3000, buf, 8), 0);
	assert_int_equal(mem_read_virt(m, 0x1000, UINT64_MAX - 3, buf, 8), 0);
	assert_int_equal(mem_read_virt(m, 0x1000, 0, buf, 0), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_begins_at_2_mib),
		cmocka_unit_test(test_alloc_refuses),
		cmocka_unit_test_setup_teardown(test_bounds, setup, teardown),
		cmocka_unit_test_setup_teardown(test_translate, setup, teardown),
		cmocka_unit_test_setup_teardown(test_read_virt, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
