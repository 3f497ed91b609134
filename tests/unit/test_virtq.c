/* SPDX-License-Identifier: MIT */
/* The split ring against hostile drivers: every walk ends, every fault is said, indexes wrap. */
#include "tests/unit/fake_machine.h"

#include <errno.h>

#include "vmm/virtq.h"

#define RAM 0x10000u
#define SIZE 8u
#define DESC 0x1000u
#define DATA 0x4000u
#define W VRING_DESC_F_WRITE
#define N VRING_DESC_F_NEXT

struct machine {
	struct guest_mem mem;
	struct fake_probe fake;
	struct probe *probe;
	uint64_t next_request;
	struct virtq q;
	struct fake_driver drv;
	struct virtq_chain c;
};

static int setup_ring(struct machine *m)
{
	uint64_t avail = DESC + SIZE * sizeof(struct vring_desc);

	return virtq_setup(&m->q, DESC, avail, DESC + 0x1000);
}

static int setup(void **state)
{
	struct machine *m = calloc(1, sizeof(*m));

	*state = m;
	fake_probe_init(&m->fake);
	m->probe = &m->fake.probe;
	m->next_request = 1;
	assert_int_equal(mem_alloc(&m->mem, RAM, NULL), 0);
	virtq_init(&m->q, &m->mem, &m->probe, &m->next_request, 5, 0, SIZE);
	fake_driver_init(&m->drv, m->mem.host + DESC, SIZE);
	assert_int_equal(setup_ring(m), 0);
	m->fake.n = 0;
	return 0;
}

static int teardown(void **state)
{
	struct machine *m = *state;

	mem_free(&m->mem);
	free(m);
	return 0;
}

static void expect_error(
	struct machine *m, enum ew_guest_error error, uint64_t d0, uint64_t d1, uint64_t d2)
{
	const struct ew_rec *r = fake_last(&m->fake, EW_GUEST_ERROR);

	assert_int_equal(fake_count(&m->fake, EW_GUEST_ERROR), 1);
	assert_int_equal(r->a[0], error);
	assert_int_equal(r->a[1], 5);
	assert_int_equal(r->a[2], d0);
	assert_int_equal(r->a[3], d1);
	assert_int_equal(r->a[4], d2);
	m->fake.n = 0;
}

/* The chain is taken in spite of its fault, goes back like any other, and the next one is served. */
static void expect_fault(
	struct machine *m, enum ew_guest_error error, uint64_t d0, uint64_t d1, uint64_t d2)
{
	uint16_t used = m->drv.vr.used->idx;

	assert_int_equal(virtq_pop(&m->q, &m->c), 1);
	assert_int_equal(m->c.fault, error);
	expect_error(m, error, d0, d1, d2);
	virtq_push(&m->q, &m->c, 0);
	assert_int_equal((uint16_t)(m->drv.vr.used->idx - used), 1);
	assert_int_equal(m->drv.vr.used->ring[used % SIZE].id, m->c.head);
	assert_int_equal(virtq_pop(&m->q, &m->c), 0);
	assert_false(m->q.broken);
	m->fake.n = 0;
}

static void test_good_chain(void **state)
{
	struct machine *m = *state;
	const struct ew_rec *r = m->fake.rec;

	assert_int_equal(virtq_pop(&m->q, &m->c), 0);
	fake_desc(&m->drv, 3, DATA, 16, N, 7);
	fake_desc(&m->drv, 7, DATA + 0x100, 512, N, 0);
	fake_desc(&m->drv, 0, DATA + 0x800, 1, W, 6);
	fake_avail(&m->drv, 3);
	assert_int_equal(virtq_pop(&m->q, &m->c), 1);
	assert_int_equal(m->c.request, 1);
	assert_int_equal(m->next_request, 2);
	assert_int_equal(m->c.head, 3);
	assert_int_equal(m->c.fault, 0);
	assert_int_equal(m->c.descriptors, 3);
	assert_int_equal(m->c.readable, 2);
	assert_int_equal(m->c.writable, 1);
	assert_int_equal(m->c.readable_bytes, 528);
	assert_int_equal(m->c.writable_bytes, 1);
	assert_true(m->c.ends_writable);
	assert_ptr_equal(m->c.buf[1].host, m->mem.host + DATA + 0x100);
	assert_int_equal(m->c.buf[2].index, 0);
	virtq_push(&m->q, &m->c, 1);
	assert_int_equal(m->drv.vr.used->ring[0].id, 3);
	assert_int_equal(m->drv.vr.used->ring[0].len, 1);
	assert_int_equal(m->drv.vr.used->idx, 1);
	assert_int_equal(virtq_pop(&m->q, &m->c), 0);

	assert_int_equal(m->fake.n, 5);
	assert_int_equal(r[0].kind, EW_QUEUE_POP);
	assert_int_equal(r[0].a[0], 1); /* request */
	assert_int_equal(r[0].a[1], 5); /* device */
	assert_int_equal(r[0].a[3], 3); /* head */
	assert_int_equal(r[0].a[4], 1); /* avail idx */
	assert_int_equal(r[0].a[5], 1); /* seen */
	assert_int_equal(r[2].kind, EW_DESCRIPTOR);
	assert_int_equal(r[2].a[1], 7);
	assert_int_equal(r[2].a[2], DATA + 0x100);
	assert_int_equal(r[2].a[3], 512);
	assert_int_equal(r[2].a[4], N);
	assert_int_equal(r[2].a[5], 0);
	assert_int_equal(r[4].kind, EW_QUEUE_USED);
	assert_int_equal(r[4].a[3], 3);
	assert_int_equal(r[4].a[4], 1);
	assert_int_equal(r[4].a[5], 1);
}

static void test_cycle(void **state)
{
	struct machine *m = *state;

	fake_desc(&m->drv, 2, DATA, 16, N, 2);
	fake_avail(&m->drv, 2);
	expect_fault(m, EW_GERR_DESC_LOOP, 2, SIZE, 0);
	for (unsigned i = 0; i < SIZE; i++)
		fake_desc(&m->drv, i, DATA, 16, N, (uint16_t)((i + 1) % SIZE));
	fake_avail(&m->drv, 5);
	expect_fault(m, EW_GERR_DESC_LOOP, 5, SIZE, 0);
	assert_int_equal(m->c.descriptors, SIZE);
	/* As long as the ring is still good. */
	fake_desc(&m->drv, SIZE - 1, DATA, 16, W, 0);
	fake_avail(&m->drv, 0);
	assert_int_equal(virtq_pop(&m->q, &m->c), 1);
	assert_int_equal(m->c.fault, 0);
	assert_int_equal(m->c.descriptors, SIZE);
}

static void test_bad_next(void **state)
{
	struct machine *m = *state;

	fake_desc(&m->drv, 0, DATA, 16, N, SIZE);
	fake_avail(&m->drv, 0);
	expect_fault(m, EW_GERR_DESC_RANGE, SIZE, SIZE, 0);
	assert_false(m->c.ends_writable);
	fake_desc(&m->drv, 0, DATA, 16, W | N, 0xffff);
	fake_avail(&m->drv, 0);
	expect_fault(m, EW_GERR_DESC_RANGE, 0xffff, SIZE, 0);
	assert_false(m->c.ends_writable);
	/* Without NEXT it means nothing. */
	fake_desc(&m->drv, 0, DATA, 16, W, 0xffff);
	fake_avail(&m->drv, 0);
	assert_int_equal(virtq_pop(&m->q, &m->c), 1);
	assert_int_equal(m->c.fault, 0);
}

static void test_bad_buffers(void **state)
{
	struct machine *m = *state;
	const struct {
		uint64_t gpa;
		uint32_t len;
	} outside[] = {
		{RAM - 8, 9},               /* over the end */
		{RAM, 1},                   /* just behind it */
		{0xfffff000, 0x2000},       /* over 4 GiB */
		{0x1000, 0xffffffff},       /* 32-bit sum wraps */
		{UINT64_MAX, 1},            /* the last byte there is */
		{0 - 0x1000ull, 0x2000},    /* 64-bit sum wraps to 0x1000 */
		{0x100000000ull + DATA, 4}, /* a truncated address would be inside */
	};

	for (unsigned i = 0; i < sizeof(outside) / sizeof(outside[0]); i++) {
		fake_desc(&m->drv, 1, outside[i].gpa, outside[i].len, W, 0);
		fake_avail(&m->drv, 1);
		expect_fault(m, EW_GERR_DESC_OUT_OF_RAM, outside[i].gpa, outside[i].len, 1);
		assert_int_equal(m->c.writable, 0);
		assert_false(m->c.ends_writable);
	}
	fake_desc(&m->drv, 1, RAM - 8, 8, W, 0); /* exactly to the end */
	fake_avail(&m->drv, 1);
	assert_int_equal(virtq_pop(&m->q, &m->c), 1);
	assert_int_equal(m->c.fault, 0);
	fake_desc(&m->drv, 1, DATA, 0, 0, 0);
	fake_avail(&m->drv, 1);
	expect_fault(m, EW_GERR_DESC_ZERO_LEN, DATA, 1, 0);
	fake_desc(&m->drv, 1, DATA, 16, VRING_DESC_F_INDIRECT, 0);
	fake_avail(&m->drv, 1);
	expect_fault(m, EW_GERR_DESC_INDIRECT, 1, 0, 0);
	/* Readable behind writable; the walk goes on and knows the end. */
	fake_desc(&m->drv, 1, DATA, 16, W | N, 4);
	fake_desc(&m->drv, 4, DATA, 16, N, 6);
	fake_desc(&m->drv, 6, DATA, 1, W, 0);
	fake_avail(&m->drv, 1);
	expect_fault(m, EW_GERR_DESC_ORDER, 4, 0, 0);
	assert_true(m->c.ends_writable);
	assert_int_equal(m->c.writable, 2);
}

static void test_too_long(void **state)
{
	struct machine *m = *state;
	struct guest_mem big = {.host = m->mem.host, .size = 1ull << 33};

	/* No byte of it is touched by the walk, so the memory need not be there. */
	m->q.mem = &big;
	fake_desc(&m->drv, 0, 0, 0x80000000, W | N, 1);
	fake_desc(&m->drv, 1, 0, 0x80000000, W, 0);
	fake_avail(&m->drv, 0);
	expect_fault(m, EW_GERR_CHAIN_TOO_LONG, 0x100000000ull, 0, 0);
	fake_desc(&m->drv, 1, 0, 0x7fffffff, W, 0);
	fake_avail(&m->drv, 0);
	assert_int_equal(virtq_pop(&m->q, &m->c), 1);
	assert_int_equal(m->c.fault, 0);
	m->q.mem = &m->mem;
}

static void test_avail_idx_jump(void **state)
{
	struct machine *m = *state;

	m->drv.vr.avail->idx = SIZE + 1;
	assert_int_equal(virtq_pop(&m->q, &m->c), -EPROTO);
	expect_error(m, EW_GERR_AVAIL_IDX_JUMP, SIZE + 1, 0, SIZE);
	assert_true(m->q.broken);
	m->drv.vr.avail->idx = 1; /* too late */
	assert_int_equal(virtq_pop(&m->q, &m->c), 0);
	assert_int_equal(m->fake.n, 0);
	virtq_reset(&m->q);
	assert_false(virtq_is_set_up(&m->q));
	assert_int_equal(virtq_pop(&m->q, &m->c), 0);
	assert_int_equal(setup_ring(m), 0);
	fake_desc(&m->drv, 0, DATA, 1, W, 0);
	m->drv.vr.avail->ring[0] = 0;
	assert_int_equal(virtq_pop(&m->q, &m->c), 1);
	/* Backwards is a jump too. */
	m->fake.n = 0;
	m->drv.vr.avail->idx = 0;
	assert_int_equal(virtq_pop(&m->q, &m->c), -EPROTO);
	expect_error(m, EW_GERR_AVAIL_IDX_JUMP, 0, 1, SIZE);
}

static void test_head_range(void **state)
{
	struct machine *m = *state;

	fake_avail(&m->drv, SIZE);
	assert_int_equal(virtq_pop(&m->q, &m->c), -EPROTO);
	expect_error(m, EW_GERR_HEAD_RANGE, SIZE, SIZE, 0);
	assert_true(m->q.broken);
	assert_int_equal(m->next_request, 1); /* no chain, no number */
	assert_int_equal(m->drv.vr.used->idx, 0);
}

static void test_ring_out_of_ram(void **state)
{
	struct machine *m = *state;
	uint64_t desc_len = SIZE * sizeof(struct vring_desc);
	uint64_t avail_len = 6 + 2 * SIZE, used_len = 6 + 8 * SIZE;

	assert_int_equal(virtq_setup(&m->q, RAM - desc_len + 16, DESC, DATA), -EFAULT);
	expect_error(m, EW_GERR_RING_OUT_OF_RAM, RAM - desc_len + 16, desc_len, 0);
	assert_true(m->q.broken);
	assert_false(virtq_is_set_up(&m->q));
	assert_int_equal(virtq_pop(&m->q, &m->c), 0);
	assert_int_equal(virtq_setup(&m->q, DESC, RAM - avail_len + 2, DATA), -EFAULT);
	expect_error(m, EW_GERR_RING_OUT_OF_RAM, RAM - avail_len + 2, avail_len, 0);
	assert_int_equal(virtq_setup(&m->q, DESC, DATA, RAM - 4), -EFAULT);
	expect_error(m, EW_GERR_USED_OUT_OF_RAM, RAM - 4, used_len, 0);
	assert_int_equal(virtq_setup(&m->q, DESC, DATA, 0xfffffffffffff000), -EFAULT);
	expect_error(m, EW_GERR_USED_OUT_OF_RAM, 0xfffffffffffff000, used_len, 0);
	assert_int_equal(virtq_setup(&m->q, RAM - desc_len, DESC, DATA), 0);
	assert_false(m->q.broken);
}

static void test_index_wrap(void **state)
{
	struct machine *m = *state;

	for (unsigned i = 0; i < SIZE; i++)
		fake_desc(&m->drv, i, DATA + i, 1, W, 0);
	/* Over 2^16, with up to a full ring outstanding. */
	for (unsigned n = 0; n < 0x10000 + 3 * SIZE;) {
		unsigned batch = 1 + n % SIZE;

		m->fake.n = 0;
		for (unsigned i = 0; i < batch; i++)
			fake_avail(&m->drv, (uint16_t)((n + i) % SIZE));
		for (unsigned i = 0; i < batch; i++, n++) {
			assert_int_equal(virtq_pop(&m->q, &m->c), 1);
			assert_int_equal(m->c.head, n % SIZE);
			virtq_push(&m->q, &m->c, n + 1);
			assert_int_equal(m->drv.vr.used->idx, (uint16_t)(n + 1));
			assert_int_equal(m->drv.vr.used->ring[n % SIZE].id, n % SIZE);
			assert_int_equal(m->drv.vr.used->ring[n % SIZE].len, n + 1);
		}
		assert_int_equal(virtq_pop(&m->q, &m->c), 0);
	}
	assert_false(m->q.broken);
}

/* What the guest writes into the used ring has no effect on where we write. */
static void test_used_idx_is_ours(void **state)
{
	struct machine *m = *state;

	fake_desc(&m->drv, 0, DATA, 1, W, 0);
	m->drv.vr.used->idx = 0x7777;
	fake_avail(&m->drv, 0);
	assert_int_equal(virtq_pop(&m->q, &m->c), 1);
	virtq_push(&m->q, &m->c, 1);
	assert_int_equal(m->drv.vr.used->idx, 1);
	assert_int_equal(m->drv.vr.used->ring[0].len, 1);
}

static void test_no_interrupt_flag(void **state)
{
	struct machine *m = *state;

	assert_true(virtq_wants_interrupt(&m->q));
	m->drv.vr.avail->flags = VRING_AVAIL_F_NO_INTERRUPT;
	assert_int_equal(m->fake.n, 0);
	assert_false(virtq_wants_interrupt(&m->q));
	assert_int_equal(fake_last(&m->fake, EW_IRQ_SUPPRESSED)->a[5], VRING_AVAIL_F_NO_INTERRUPT);
}

#define TABLE 0x5000u

static struct vring_desc *table(struct machine *m, unsigned entries, uint16_t last_flags)
{
	struct vring_desc *t = (void *)(m->mem.host + TABLE);

	for (unsigned i = 0; i < entries; i++)
		t[i] = (struct vring_desc){
			.addr = DATA + i, .len = 1, .flags = N, .next = (uint16_t)(i + 1)};
	t[entries - 1].flags = last_flags;
	return t;
}

static void indirect(struct machine *m, uint64_t gpa, uint32_t len, uint16_t flags)
{
	fake_desc(&m->drv, 1, gpa, len, VRING_DESC_F_INDIRECT | flags, 0);
	fake_avail(&m->drv, 1);
}

static void test_indirect(void **state)
{
	struct machine *m = *state;
	const unsigned entries[] = {1, 3, SIZE, VIRTQ_MAX_SIZE};
	const struct ew_rec *r = m->fake.rec;

	m->q.indirect = true;
	/* WRITE means nothing in the descriptor that refers to a table. */
	for (unsigned i = 0; i < sizeof(entries) / sizeof(entries[0]); i++) {
		table(m, entries[i], W);
		indirect(m, TABLE, entries[i] * 16, i & 1 ? W : 0);
		assert_int_equal(virtq_pop(&m->q, &m->c), 1);
		assert_int_equal(m->c.fault, 0);
		assert_int_equal(m->c.head, 1);
		assert_int_equal(m->c.descriptors, entries[i] + 1);
		assert_int_equal(m->c.readable, entries[i] - 1);
		assert_int_equal(m->c.writable, 1);
		assert_true(m->c.ends_writable);
		virtq_push(&m->q, &m->c, 1);
	}
	/* Behind an ordinary descriptor; the table need not be aligned. */
	m->fake.n = 0;
	memmove(m->mem.host + TABLE + 5, table(m, 2, W), 32);
	fake_desc(&m->drv, 4, DATA + 0x100, 16, N, 1);
	fake_desc(&m->drv, 1, TABLE + 5, 32, VRING_DESC_F_INDIRECT, 0);
	fake_avail(&m->drv, 4);
	assert_int_equal(virtq_pop(&m->q, &m->c), 1);
	assert_int_equal(m->c.fault, 0);
	assert_int_equal(m->c.readable, 2);
	assert_ptr_equal(m->c.buf[1].host, m->mem.host + DATA);
	assert_int_equal(fake_count(&m->fake, EW_DESCRIPTOR), 4);
	assert_int_equal(r[2].a[4], VRING_DESC_F_INDIRECT);
	assert_int_equal(r[3].a[1], 0); /* its index in the table */
}

static void test_bad_tables(void **state)
{
	struct machine *m = *state;
	const struct {
		uint64_t gpa;
		uint32_t len;
	} bad[] = {
		{TABLE, 0},
		{TABLE, 8},
		{TABLE, 33},
		{TABLE, (VIRTQ_MAX_SIZE + 1) * 16},
		{TABLE, 0xfffffff0},
		{RAM - 16, 32},
		{UINT64_MAX - 15, 16},
		{0 - 16ull, 32},
		{1ull << 32 | TABLE, 16},
	};

	m->q.indirect = true;
	table(m, 3, W);
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		indirect(m, bad[i].gpa, bad[i].len, 0);
		expect_fault(m, EW_GERR_INDIRECT_TABLE, bad[i].gpa, bad[i].len, 1);
		assert_int_equal(m->c.readable + m->c.writable, 0);
	}
	indirect(m, TABLE, 48, N);
	expect_fault(m, EW_GERR_INDIRECT_CHAIN, 1, VRING_DESC_F_INDIRECT | N, 0);
	table(m, 3, W)[1].flags = VRING_DESC_F_INDIRECT;
	indirect(m, TABLE, 48, 0);
	expect_fault(m, EW_GERR_INDIRECT_CHAIN, 1, VRING_DESC_F_INDIRECT, 0);
	/* Inside the table, indexes are the table's. */
	table(m, 3, W)[1].next = 3;
	indirect(m, TABLE, 48, 0);
	expect_fault(m, EW_GERR_DESC_RANGE, 3, 3, 0);
	table(m, 3, W)[1].next = 0;
	indirect(m, TABLE, 48, 0);
	expect_fault(m, EW_GERR_DESC_LOOP, 1, 3, 0);
	assert_int_equal(m->c.descriptors, 4);
	/* No room left in the chain: seven of the ring, and then a table of all. */
	for (uint16_t i = 0; i < SIZE - 1; i++)
		fake_desc(&m->drv, i, DATA, 1, N, (uint16_t)(i + 1));
	fake_desc(&m->drv, SIZE - 1, TABLE, VIRTQ_MAX_SIZE * 16, VRING_DESC_F_INDIRECT, 0);
	fake_avail(&m->drv, 0);
	expect_fault(m, EW_GERR_INDIRECT_TABLE, TABLE, VIRTQ_MAX_SIZE * 16, SIZE - 1);
	table(m, VIRTQ_MAX_SIZE - SIZE + 1, W);
	m->drv.vr.desc[SIZE - 1].len = (VIRTQ_MAX_SIZE - SIZE + 1) * 16;
	fake_avail(&m->drv, 0);
	assert_int_equal(virtq_pop(&m->q, &m->c), 1);
	assert_int_equal(m->c.fault, 0);
	assert_int_equal(m->c.readable + m->c.writable, VIRTQ_MAX_SIZE);
}

/* A driver as in virtio 1.1, 2.6.7.1: an interrupt comes exactly when used_event is passed. */
static void test_used_event(void **state)
{
	struct machine *m = *state;
	unsigned want = 0;

	m->q.event_idx = true;
	m->drv.vr.avail->flags = VRING_AVAIL_F_NO_INTERRUPT; /* means nothing now */
	fake_desc(&m->drv, 0, DATA, 1, W, 0);
	for (unsigned n = 0; n < 0x20000; n += 1 + n % 3) {
		uint16_t old = m->drv.vr.used->idx, new;
		bool expect = false;

		m->fake.n = 0;
		for (unsigned i = 0; i <= n % 3; i++) {
			fake_avail(&m->drv, 0);
			assert_int_equal(virtq_pop(&m->q, &m->c), 1);
			virtq_push(&m->q, &m->c, 0);
		}
		new = m->drv.vr.used->idx;
		vring_used_event(&m->drv.vr) = (uint16_t)want;
		for (uint16_t i = old; i != new; i++)
			expect |= i == (uint16_t)want;
		assert_int_equal(virtq_wants_interrupt(&m->q), expect);
		assert_int_equal(fake_count(&m->fake, EW_IRQ_SUPPRESSED), !expect);
		if (expect)
			want = new + n % 5;
	}
	assert_int_equal(m->q.signalled, m->drv.vr.used->idx);
}

/* avail_event follows, over the wrap too, and what came meanwhile is found. */
static void test_avail_event(void **state)
{
	struct machine *m = *state;

	m->q.event_idx = true;
	fake_desc(&m->drv, 0, DATA, 1, W, 0);
	for (unsigned n = 0; n < 0x10010; n++) {
		fake_avail(&m->drv, 0);
		virtq_notifies_off(&m->q);
		assert_int_equal(vring_avail_event(&m->drv.vr), (uint16_t)n);
		assert_true(virtq_notifies_on(&m->q));
		assert_int_equal(virtq_pop(&m->q, &m->c), 1);
		virtq_push(&m->q, &m->c, 0);
		assert_false(virtq_notifies_on(&m->q));
		assert_int_equal(vring_avail_event(&m->drv.vr), (uint16_t)(n + 1));
		assert_int_equal(m->drv.vr.used->flags, 0);
	}
	/* Without EVENT_IDX the flag says it, and avail_event stays alone. */
	m->q.event_idx = false;
	virtq_notifies_off(&m->q);
	assert_int_equal(m->drv.vr.used->flags, VRING_USED_F_NO_NOTIFY);
	fake_avail(&m->drv, 0);
	assert_true(virtq_notifies_on(&m->q));
	assert_int_equal(m->drv.vr.used->flags, 0);
	assert_int_equal(vring_avail_event(&m->drv.vr), 0x10);
	/* A broken ring, or none, has no more work and is not touched. */
	m->drv.vr.avail->idx += SIZE;
	assert_int_equal(virtq_pop(&m->q, &m->c), -EPROTO);
	assert_false(virtq_notifies_on(&m->q));
	virtq_reset(&m->q);
	virtq_notifies_off(&m->q);
	assert_false(virtq_notifies_on(&m->q));
	assert_int_equal(m->drv.vr.used->flags, 0);
}

static void test_set_size(void **state)
{
	struct machine *m = *state;
	const uint32_t bad[] = {0, 3, SIZE + 1, 2 * SIZE, 0x10000 + SIZE, UINT32_MAX};

	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(virtq_set_size(&m->q, bad[i]), -EINVAL);
		expect_error(m, EW_GERR_QUEUE_SIZE, bad[i], SIZE, 0);
		assert_int_equal(m->q.size, SIZE);
	}
	assert_int_equal(virtq_set_size(&m->q, 1), 0);
	assert_int_equal(virtq_setup(&m->q, DESC, DESC + 0x100, RAM - 16), 0);
	m->drv.vr.avail = (void *)(m->mem.host + DESC + 0x100);
	m->drv.vr.used = (void *)(m->mem.host + RAM - 16);
	m->drv.vr.num = 1;
	fake_desc(&m->drv, 0, DATA, 1, W, 0);
	for (unsigned i = 0; i < 3; i++) {
		fake_avail(&m->drv, 0);
		assert_int_equal(virtq_pop(&m->q, &m->c), 1);
		virtq_push(&m->q, &m->c, 1);
		assert_int_equal(m->drv.vr.used->idx, i + 1);
	}
	virtq_reset(&m->q);
	assert_int_equal(m->q.size, SIZE);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_good_chain),
		T(test_cycle),
		T(test_bad_next),
		T(test_bad_buffers),
		T(test_too_long),
		T(test_avail_idx_jump),
		T(test_head_range),
		T(test_ring_out_of_ram),
		T(test_index_wrap),
		T(test_used_idx_is_ours),
		T(test_no_interrupt_flag),
		T(test_indirect),
		T(test_bad_tables),
		T(test_used_event),
		T(test_avail_event),
		T(test_set_size),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
