/* SPDX-License-Identifier: MIT */
/* The buffers of system calls, found in guest memory by page tables that the test writes. */
#include "tests/unit/fake_machine.h"

#include <linux/aio_abi.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "vmm/marker_buffer.h"

#define RAM (8u << 20)
#define PML4 0x1000u
#define PDPT 0x2000u
#define PD 0x3000u
#define PT 0x4000u /* eight of them, for the first 16 MiB of addresses */
#define VA 0x400000ull
#define PRESENT 1u
#define NOWHERE UINT64_MAX

static struct fake_probe fake;
static struct guest_mem mem;

static void entry(uint64_t table, unsigned i, uint64_t value)
{
	memcpy(mem.host + table + 8 * i, &value, sizeof(value));
}

static void map(uint64_t va, uint64_t gpa)
{
	entry(PT + 0x1000 * (va >> 21), va >> 12 & 511, gpa ? gpa | PRESENT : 0);
}

static int setup(void **state)
{
	(void)state;
	fake_probe_init(&fake);
	assert_int_equal(mem_alloc(&mem, RAM, NULL), 0);
	entry(PML4, 0, PDPT | PRESENT);
	entry(PDPT, 0, PD | PRESENT);
	for (unsigned i = 0; i < 8; i++)
		entry(PD, i, (PT + 0x1000 * i) | PRESENT);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	mem_free(&mem);
	return 0;
}

static void record(uint32_t nr, uint64_t a1, uint64_t a2)
{
	struct ew_marker m = {.nr = nr, .pid = 42, .args = {3, a1, a2}};

	fake.n = 0;
	marker_buffer_record(&mem, PML4, &m, &fake.probe);
}

static void expect(unsigned n, uint64_t va, uint64_t gpa, uint64_t len)
{
	assert_true(n < fake.n);
	assert_int_equal(fake.rec[n].kind, EW_MARKER_BUFFER);
	assert_int_equal(fake.rec[n].a[0], 42);
	assert_int_equal(fake.rec[n].a[1], va);
	assert_int_equal(fake.rec[n].a[2], gpa);
	assert_int_equal(fake.rec[n].a[3], len);
}

static void test_pieces(void **state)
{
	(void)state;
	map(VA, 0x100000);
	map(VA + 0x1000, 0x101000); /* goes on */
	map(VA + 0x2000, 0x180000); /* is somewhere else */
	map(VA + 0x4000, 0x102000); /* behind a page that is not mapped */
	record(SYS_pwrite64, VA + 0x10, 100);
	assert_int_equal(fake.n, 1);
	expect(0, VA + 0x10, 0x100010, 100);
	record(SYS_write, VA + 0xff0, 0x20); /* over the border of two pages that are neighbours */
	assert_int_equal(fake.n, 1);
	expect(0, VA + 0xff0, 0x100ff0, 0x20);
	record(SYS_read, VA + 0x800, 0x4000);
	assert_int_equal(fake.n, 4);
	expect(0, VA + 0x800, 0x100800, 0x1800);
	expect(1, VA + 0x2000, 0x180000, 0x1000);
	expect(2, VA + 0x3000, NOWHERE, 0x1000);
	expect(3, VA + 0x4000, 0x102000, 0x800);
	record(SYS_write, VA, 0);
	assert_int_equal(fake.n, 0);
	record(SYS_close, VA, 100); /* has no buffer */
	assert_int_equal(fake.n, 0);
}

static void test_vectors(void **state)
{
	struct iovec v[3] = {{(void *)(VA + 0x10), 0x20}, {NULL, 0}, {(void *)(VA + 0x1000), 8}};

	(void)state;
	map(VA, 0x100000);
	map(VA + 0x1000, 0x200000);
	memcpy(mem.host + 0x100800, v, sizeof(v));
	record(SYS_pwritev, VA + 0x800, 3);
	assert_int_equal(fake.n, 2);
	expect(0, VA + 0x10, 0x100010, 0x20);
	expect(1, VA + 0x1000, 0x200000, 8);
	record(SYS_readv, VA + 0x2000, 3); /* the vectors themselves are not mapped */
	assert_int_equal(fake.n, 0);
}

static void test_control_blocks(void **state)
{
	struct iocb one = {
		.aio_lio_opcode = IOCB_CMD_PWRITE, .aio_buf = VA + 0x1000, .aio_nbytes = 512};
	struct iocb two = {
		.aio_lio_opcode = IOCB_CMD_PREADV, .aio_buf = VA + 0x200, .aio_nbytes = 1};
	struct iocb fsync = {.aio_lio_opcode = IOCB_CMD_FSYNC, .aio_buf = VA, .aio_nbytes = 1};
	struct iovec v = {(void *)(VA + 0x1800), 16};
	uint64_t list[] = {VA + 0x300, VA + 0x400, VA + 0x500};

	(void)state;
	map(VA, 0x100000);
	map(VA + 0x1000, 0x200000);
	memcpy(mem.host + 0x100100, list, sizeof(list));
	memcpy(mem.host + 0x100200, &v, sizeof(v));
	memcpy(mem.host + 0x100300, &one, sizeof(one));
	memcpy(mem.host + 0x100400, &fsync, sizeof(fsync));
	memcpy(mem.host + 0x100500, &two, sizeof(two));
	record(SYS_io_submit, 3, VA + 0x100);
	assert_int_equal(fake.n, 2);
	expect(0, VA + 0x1000, 0x200000, 512);
	expect(1, VA + 0x1800, 0x200800, 16);
}

/* No two pages of it are neighbours: the looking ends, and where it ended is recorded. */
static void test_many_pieces(void **state)
{
	uint64_t len = 2000 * 0x1000ull;
	const struct ew_rec *last;

	(void)state;
	for (unsigned i = 0; i < 2000; i++)
		map(VA + 0x1000 * i, 0x100000 + 0x1000 * (i ^ 1));
	record(SYS_write, VA, len);
	assert_int_equal(fake.n, MARKER_BUFFER_PIECES);
	last = &fake.rec[fake.n - 1];
	assert_int_equal(last->a[2], NOWHERE);
	assert_int_equal(last->a[1] + last->a[3], VA + len);
}

static void test_hostile(void **state)
{
	struct iovec v[4] = {{(void *)0, SIZE_MAX}, {(void *)VA, 16}};
	uint64_t sum = 0;

	(void)state;
	map(VA, 0x100000);
	map(VA + 0x1000, RAM); /* the page tables point outside memory */
	record(SYS_write, VA + 0xff0, UINT64_MAX);
	assert_true(fake.n <= 4);
	expect(0, VA + 0xff0, 0x100ff0, 0x10);
	expect(1, VA + 0x1000, NOWHERE, fake.rec[1].a[3]);
	for (unsigned i = 0; i < fake.n; i++)
		sum += fake.rec[i].a[3];
	assert_int_equal(sum, UINT64_MAX - (VA + 0xff0) + 1); /* no wrapping */
	memcpy(mem.host + 0x100800, v, sizeof(v));
	record(SYS_writev, VA + 0x800, UINT64_MAX);
	assert_true(fake.n <= 4);
	record(SYS_io_submit, UINT64_MAX, VA + 0x800);
	assert_true(fake.n <= 4);
	record(SYS_readv, UINT64_MAX - 7, 4);
	assert_int_equal(fake.n, 0);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_pieces),
		T(test_vectors),
		T(test_control_blocks),
		T(test_many_pieces),
		T(test_hostile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
