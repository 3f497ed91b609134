/* SPDX-License-Identifier: MIT */
/* virtio-blk requests, made as a guest makes them: data, refusals, hostile chains, the order of events. */
#include "tests/unit/blk_machine.h"

static void test_data(void **state)
{
	struct machine *m = *state;
	uint8_t *copy = malloc(65536);
	uint32_t used;

	fill(m, DATA, 65536, 1);
	memcpy(copy, m->mem.host + DATA, 65536);
	assert_int_equal(request(m, VIRTIO_BLK_T_OUT, 8, 65536, false, &used), VIRTIO_BLK_S_OK);
	assert_int_equal(used, 1);
	expect_image(m, 8 * 512, copy, 65536);
	memset(m->mem.host + DATA, 0, 65536);
	assert_int_equal(request(m, VIRTIO_BLK_T_IN, 8, 65536, true, &used), VIRTIO_BLK_S_OK);
	assert_int_equal(used, 65537);
	assert_memory_equal(m->mem.host + DATA, copy, 65536);
	/* To the last sector, and no further. */
	assert_int_equal(
		request(m, VIRTIO_BLK_T_OUT, SECTORS - 2, 1024, false, &used), VIRTIO_BLK_S_OK);
	expect_image(m, (SECTORS - 2) * 512, copy, 1024);
	assert_int_equal(request(m, VIRTIO_BLK_T_FLUSH, 0, 0, false, &used), VIRTIO_BLK_S_OK);
	assert_int_equal(fake_last(&m->fake, EW_HOST_CALL)->a[1], SYS_fdatasync);
	assert_int_equal(request(m, VIRTIO_BLK_T_GET_ID, 0, 20, true, &used), VIRTIO_BLK_S_OK);
	assert_int_equal(used, 21);
	assert_memory_equal(m->mem.host + DATA, m->disk.id, 20);
	m->mem.host[DATA + 4] = 0xaa; /* a short buffer gets what fits */
	assert_int_equal(request(m, VIRTIO_BLK_T_GET_ID, 0, 4, true, &used), VIRTIO_BLK_S_OK);
	assert_int_equal(used, 5);
	assert_int_equal(m->mem.host[DATA + 4], 0xaa);
	assert_int_equal(fake_count(&m->fake, EW_GUEST_ERROR), 0);
	free(copy);
}

/* Header in three pieces, data joined to its end, status behind the data in one descriptor. */
static void test_split(void **state)
{
	struct machine *m = *state;
	struct virtio_blk_outhdr h = {.type = VIRTIO_BLK_T_OUT, .sector = 4};
	uint8_t data[1024];

	fill(m, DATA, 1024, 9);
	memcpy(data, m->mem.host + DATA, 1024);
	memcpy(m->mem.host + 0x6000, &h, 3);
	memcpy(m->mem.host + 0x6100, (uint8_t *)&h + 3, 6);
	memcpy(m->mem.host + 0x6200, (uint8_t *)&h + 9, 7);
	memcpy(m->mem.host + 0x6207, data, 100);
	memcpy(m->mem.host + 0x6300, data + 100, 924);
	fake_desc(&m->drv, 10, 0x6000, 3, N, 20);
	fake_desc(&m->drv, 20, 0x6100, 6, N, 30);
	fake_desc(&m->drv, 30, 0x6200, 107, N, 40);
	fake_desc(&m->drv, 40, 0x6300, 924, N, 50);
	fake_desc(&m->drv, 50, STATUS, 1, W, 0);
	kick(m, 10);
	assert_int_equal(used_len(m, 10), 1);
	assert_int_equal(m->mem.host[STATUS], VIRTIO_BLK_S_OK);
	expect_image(m, 4 * 512, data, 1024);

	header(m, VIRTIO_BLK_T_IN, 4);
	fake_desc(&m->drv, 10, HDR, 16, N, 20);
	fake_desc(&m->drv, 20, 0x8000, 1, N | W, 30);
	fake_desc(&m->drv, 30, 0x8001, 1024, W, 0);
	kick(m, 10);
	assert_int_equal(used_len(m, 10), 1025);
	assert_memory_equal(m->mem.host + 0x8000, data, 1024);
	assert_int_equal(m->mem.host[0x8400], VIRTIO_BLK_S_OK);
	assert_int_equal(fake_last(&m->fake, EW_REQ_STATUS)->a[2], 0x8400);
	assert_int_equal(fake_count(&m->fake, EW_GUEST_ERROR), 0);
}

static void expect_refused(
	struct machine *m, uint8_t status, enum ew_guest_error error, uint64_t d0, uint64_t d1)
{
	const struct ew_rec *r = fake_last(&m->fake, EW_GUEST_ERROR);

	assert_int_equal(status, VIRTIO_BLK_S_IOERR);
	assert_int_equal(fake_count(&m->fake, EW_GUEST_ERROR), 1);
	assert_int_equal(r->a[0], error);
	assert_int_equal(r->a[1], DEVICE);
	assert_int_equal(r->a[2], d0);
	assert_int_equal(r->a[3], d1);
	assert_int_equal(fake_count(&m->fake, EW_HOST_CALL), 0);
	assert_int_equal(fake_count(&m->fake, EW_QUEUE_USED), 1);
	m->fake.n = 0;
}

static void test_refused(void **state)
{
	struct machine *m = *state;
	uint32_t used;
	uint8_t s;

	s = request(m, VIRTIO_BLK_T_OUT, SECTORS, 512, false, &used);
	expect_refused(m, s, EW_GERR_REQ_RANGE, SECTORS, 512);
	s = request(m, VIRTIO_BLK_T_IN, SECTORS - 1, 1024, true, &used);
	expect_refused(m, s, EW_GERR_REQ_RANGE, SECTORS - 1, 1024);
	assert_int_equal(used, 1);
	s = request(m, VIRTIO_BLK_T_OUT, UINT64_MAX, 512, false, &used);
	expect_refused(m, s, EW_GERR_REQ_RANGE, UINT64_MAX, 512);
	s = request(m, VIRTIO_BLK_T_OUT, 1ull << 55, 512, false, &used); /* 2^64 bytes */
	expect_refused(m, s, EW_GERR_REQ_RANGE, 1ull << 55, 512);
	s = request(m, VIRTIO_BLK_T_OUT, 0, 513, false, &used);
	expect_refused(m, s, EW_GERR_REQ_LENGTH, 513, 0);
	s = request(m, VIRTIO_BLK_T_OUT, 0, 512, true, &used);
	expect_refused(m, s, EW_GERR_REQ_DIRECTION, VIRTIO_BLK_T_OUT, 1);
	s = request(m, VIRTIO_BLK_T_IN, 0, 512, false, &used);
	expect_refused(m, s, EW_GERR_REQ_DIRECTION, VIRTIO_BLK_T_IN, 1);
	/* An unknown type is answered, not dropped. */
	s = request(m, VIRTIO_BLK_T_DISCARD, 0, 512, false, &used);
	assert_int_equal(s, VIRTIO_BLK_S_UNSUPP);
	assert_int_equal(used, 1);
	assert_int_equal(fake_errors(&m->fake, EW_GERR_REQ_TYPE), 1);
}

static void test_malformed(void **state)
{
	struct machine *m = *state;
	uint32_t used;

	/* The header is one byte short. */
	header(m, VIRTIO_BLK_T_FLUSH, 0);
	fake_desc(&m->drv, 0, HDR, 15, N, 2);
	fake_desc(&m->drv, 2, STATUS, 1, W, 0);
	kick(m, 0);
	assert_int_equal(used_len(m, 0), 1);
	expect_refused(m, m->mem.host[STATUS], EW_GERR_REQ_NO_HEADER, 15, 0);
	/* There is none. */
	m->mem.host[STATUS] = 0xee;
	kick(m, 2);
	assert_int_equal(used_len(m, 2), 1);
	expect_refused(m, m->mem.host[STATUS], EW_GERR_REQ_NO_HEADER, 0, 0);
	/* No status byte: nothing is written, to guest or disk, and the chain comes back. */
	header(m, VIRTIO_BLK_T_OUT, 0);
	fake_desc(&m->drv, 0, HDR, 16, N, 1);
	fake_desc(&m->drv, 1, DATA, 512, 0, 0);
	kick(m, 0);
	assert_int_equal(used_len(m, 0), 0);
	expect_refused(m, VIRTIO_BLK_S_IOERR, EW_GERR_REQ_NO_STATUS, 0, 0);
	assert_int_equal(m->mem.host[STATUS], 0xee);
	/* A fault in the middle; the status at the end is known and says so. */
	fake_desc(&m->drv, 1, RAM, 512, N, 2);
	kick(m, 0);
	assert_int_equal(used_len(m, 0), 1);
	expect_refused(m, m->mem.host[STATUS], EW_GERR_DESC_OUT_OF_RAM, RAM, 512);
	/* A fault that hides the end. */
	m->mem.host[STATUS] = 0xee;
	fake_desc(&m->drv, 2, STATUS, 1, W | N, 0);
	fake_desc(&m->drv, 1, DATA, 512, N, 2);
	kick(m, 0);
	assert_int_equal(used_len(m, 0), 0);
	assert_int_equal(m->mem.host[STATUS], 0xee);
	assert_int_equal(fake_count(&m->fake, EW_HOST_CALL), 0);
	assert_int_equal(fake_errors(&m->fake, EW_GERR_DESC_LOOP), 1);
	/* After all that, an ordinary request is served. */
	assert_int_equal(request(m, VIRTIO_BLK_T_OUT, 0, 512, false, &used), VIRTIO_BLK_S_OK);
}

static void test_read_only(void **state)
{
	struct machine *m = *state;
	uint32_t used;
	uint8_t s;

	assert_true(in(m, VIRTIO_PCI_HOST_FEATURES, 4) & 1 << VIRTIO_BLK_F_RO);
	s = request(m, VIRTIO_BLK_T_OUT, 0, 512, false, &used);
	expect_refused(m, s, EW_GERR_REQ_READ_ONLY, 0, 512);
	assert_int_equal(request(m, VIRTIO_BLK_T_IN, 0, 512, true, &used), VIRTIO_BLK_S_OK);
}

static void test_host_error(void **state)
{
	struct machine *m = *state;
	uint32_t used;

	assert_int_equal(ftruncate(m->disk.fd, 512), 0);
	assert_int_equal(request(m, VIRTIO_BLK_T_IN, 0, 1024, true, &used), VIRTIO_BLK_S_IOERR);
	assert_int_equal(used, 1);
	assert_int_equal(fake_count(&m->fake, EW_GUEST_ERROR), 0);
	assert_int_equal(fake_count(&m->fake, EW_QUEUE_USED), 1);
}

/* The whole story of one write of two segments, in order, with its numbers. */
static void test_event_sequence(void **state)
{
	struct machine *m = *state;
	const struct {
		enum ew_kind kind;
		uint64_t a[6];
	} expected[] = {
		{EW_DISPATCH, {EW_SPACE_PIO, IO + 16, 3, 16, 2, 1}},
		{EW_QUEUE_NOTIFY, {DEVICE, 0, 1, 0}},
		{EW_QUEUE_POP, {1, DEVICE, 0, 0, 1, 1}},
		{EW_DESCRIPTOR, {1, 0, HDR, 16, N, 1}},
		{EW_DESCRIPTOR, {1, 1, DATA, 512, N, 2}},
		{EW_DESCRIPTOR, {1, 2, DATA + 0x1000, 1024, N, 3}},
		{EW_DESCRIPTOR, {1, 3, STATUS, 1, W, 0}},
		{EW_REQUEST, {1, VIRTIO_BLK_T_OUT, 10, 1536, 4, HDR}},
		{EW_HOST_CALL, {1, SYS_pwritev, (uint64_t)m->disk.fd, 1536, 5120, 2}},
		{EW_HOST_RET, {1, SYS_pwritev, 1536}},
		{EW_REQ_STATUS, {1, VIRTIO_BLK_S_OK, STATUS}},
		{EW_QUEUE_USED, {1, DEVICE, 0, 0, 1, 1}},
		{EW_ISR_SET, {DEVICE, 1}},
		{EW_DISPATCH_END, {3, EW_BUS_HANDLED, 0}},
	};
	const unsigned n = sizeof(expected) / sizeof(expected[0]);
	const struct bus_region *bar = bus_find(&m->bus, EW_SPACE_PIO, IO, 1);
	uint64_t before = 0;

	header(m, VIRTIO_BLK_T_OUT, 10);
	fake_desc(&m->drv, 0, HDR, 16, N, 1);
	fake_desc(&m->drv, 1, DATA, 512, N, 2);
	fake_desc(&m->drv, 2, DATA + 0x1000, 1024, N, 3);
	fake_desc(&m->drv, 3, STATUS, 1, W, 0);
	kick(m, 0);
	assert_string_equal(bar->name, "virtio-blk0 legacy BAR0");
	assert_int_equal(bar->device, DEVICE);
	assert_int_equal(m->fake.n, n);
	for (unsigned i = 0; i < n; i++) {
		const struct ew_rec *r = &m->fake.rec[i];

		assert_int_equal(r->kind, expected[i].kind);
		for (unsigned k = 0; k < 6; k++) {
			bool is_region = (r->kind == EW_DISPATCH && k == 2) ||
					 (r->kind == EW_DISPATCH_END && k == 0);

			assert_int_equal(r->a[k], is_region ? bar->id : expected[i].a[k]);
		}
		assert_true(r->ts >= before);
		before = r->ts;
	}
}

/* A machine that is to stop takes no further chain, however often the guest refills its ring. */
static void test_stop(void **state)
{
	struct machine *m = *state;

	header(m, VIRTIO_BLK_T_FLUSH, 0);
	fake_desc(&m->drv, 0, HDR, 16, VRING_DESC_F_NEXT, 1);
	fake_desc(&m->drv, 1, STATUS, 1, VRING_DESC_F_WRITE, 0);
	m->stop = 1;
	kick(m, 0);
	assert_int_equal(fake_count(&m->fake, EW_QUEUE_NOTIFY), 1);
	assert_int_equal(fake_count(&m->fake, EW_QUEUE_POP), 0);
	m->stop = 0;
	out(m, VIRTIO_PCI_QUEUE_NOTIFY, 2, 0);
	assert_int_equal(fake_count(&m->fake, EW_QUEUE_POP), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_data),
		T(test_split),
		T(test_refused),
		T(test_malformed),
		cmocka_unit_test_setup_teardown(test_read_only, setup_read_only, teardown),
		T(test_host_error),
		T(test_event_sequence),
		T(test_stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
