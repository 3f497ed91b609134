/* SPDX-License-Identifier: MIT */
/* virtio-blk with many requests in flight: any order, no more than there is room for, and resets. */
#include "tests/unit/async_machine.h"

static void test_any_order(void **state)
{
	static const unsigned order[] = {5, 0, 3, 3, 0, 2, 1, 0};
	struct machine *m = *state;
	unsigned heads[8];

	for (unsigned i = 0; i < 8; i++) {
		fill(m, SLOT_DATA(i), 512, i);
		async_offer(m, i, VIRTIO_BLK_T_OUT);
	}
	async_notify(m);
	assert_int_equal(async.kicks, 1);
	assert_int_equal(fake_count(&m->fake, EW_QUEUE_NOTIFY), 1);
	assert_int_equal(fake_count(&m->fake, EW_QUEUE_POP), 0);
	virtio_device_serve(&m->blk.dev, 0, false);
	assert_int_equal(async.n, 8);
	assert_int_equal(m->blk.dev.in_flight, 8);
	assert_int_equal(fake_count(&m->fake, EW_QUEUE_NOTIFY), 1);
	assert_int_equal(fake_count(&m->fake, EW_QUEUE_USED), 0);
	assert_int_equal(m->irq.raised, 0);
	for (unsigned i = 0; i < 8; i++) {
		heads[i] = 3 * (unsigned)(async.flight[order[i]]->request - 1);
		async_complete(order[i], 0);
		assert_int_equal(m->drv.vr.used->idx, i + 1);
		assert_int_equal(m->drv.vr.used->ring[i].id, heads[i]);
		assert_int_equal(m->mem.host[SLOT_STATUS(heads[i] / 3)], VIRTIO_BLK_S_OK);
		if (i == 3 || i == 7) /* four of them share an interrupt */
			virtio_device_completed(&m->blk.dev);
	}
	assert_int_equal(m->irq.raised, 2);
	assert_int_equal(m->blk.dev.in_flight, 0);
	for (unsigned i = 0; i < 8; i++)
		expect_image(m, 512 * i, m->mem.host + SLOT_DATA(i), 512);
	virtio_device_completed(&m->blk.dev); /* nothing new */
	assert_int_equal(m->irq.raised, 2);
	assert_int_equal(fake_count(&m->fake, EW_GUEST_ERROR), 0);
}

/* What needs no host is not held up by what does; what fails says so. */
static void test_mixed(void **state)
{
	struct machine *m = *state;

	async_offer(m, 0, VIRTIO_BLK_T_IN);
	async_offer(m, 1, VIRTIO_BLK_T_GET_ID);
	async_offer(m, 2, VIRTIO_BLK_T_FLUSH);
	async_offer(m, 3, VIRTIO_BLK_T_DISCARD);
	async_notify(m);
	virtio_device_serve(&m->blk.dev, 0, false);
	assert_int_equal(async.n, 2);
	assert_int_equal(m->drv.vr.used->idx, 2);
	assert_int_equal(m->drv.vr.used->ring[0].id, 3);
	assert_int_equal(m->drv.vr.used->ring[0].len, 513);
	assert_int_equal(m->drv.vr.used->ring[1].id, 9);
	assert_int_equal(m->mem.host[SLOT_STATUS(3)], VIRTIO_BLK_S_UNSUPP);
	assert_int_equal(m->irq.raised, 1);
	assert_int_equal(async.flight[1]->op, DISK_FLUSH);
	async_complete(1, -EIO);
	async_complete(0, -EIO);
	assert_int_equal(m->drv.vr.used->ring[2].id, 6);
	assert_int_equal(m->drv.vr.used->ring[2].len, 1);
	assert_int_equal(m->drv.vr.used->ring[3].len, 1); /* no byte of data counts */
	assert_int_equal(m->mem.host[SLOT_STATUS(2)], VIRTIO_BLK_S_IOERR);
	assert_int_equal(m->mem.host[SLOT_STATUS(0)], VIRTIO_BLK_S_IOERR);
}

/* A driver that does not wait: one head, again and again. */
static void test_room(void **state)
{
	struct machine *m = *state;
	unsigned offered = 0, done = 0;

	async_offer(m, 0, VIRTIO_BLK_T_OUT);
	offered++;
	for (unsigned round = 0; round < 4; round++) {
		for (; offered < 128 * (round + 1); offered++)
			fake_avail(&m->drv, 0);
		async_notify(m);
		virtio_device_serve(&m->blk.dev, 0, false);
		assert_int_equal(m->blk.dev.in_flight, 128);
		assert_int_equal(async.n, 128);
		for (unsigned i = 0; round < 3 && i < 128; i++, done++) {
			async_complete(i % async.n, 0);
			virtio_device_completed(&m->blk.dev);
		}
	}
	while (async.n) {
		async_complete(0, 0);
		done++;
		virtio_device_completed(&m->blk.dev);
	}
	assert_int_equal(done, offered);
	assert_int_equal(fake_count(&m->fake, EW_QUEUE_POP), offered);
	assert_int_equal(m->drv.vr.used->idx, offered);
	assert_int_equal(fake_count(&m->fake, EW_GUEST_ERROR), 0);
}

/* More is offered than there is room for; it is taken when there is, without another notify. */
static void test_goes_on(void **state)
{
	struct machine *m = *state;

	async_offer(m, 0, VIRTIO_BLK_T_OUT);
	for (unsigned i = 1; i < 128; i++)
		fake_avail(&m->drv, 0);
	async_notify(m);
	virtio_device_serve(&m->blk.dev, 0, false);
	fake_avail(&m->drv, 0);
	fake_avail(&m->drv, 0);
	async_notify(m);
	virtio_device_serve(&m->blk.dev, 0, false);
	assert_int_equal(async.n, 128);
	async_complete(7, 0);
	virtio_device_completed(&m->blk.dev);
	assert_int_equal(fake_count(&m->fake, EW_QUEUE_POP), 129);
	async_complete(7, 0);
	async_complete(8, 0);
	virtio_device_completed(&m->blk.dev);
	assert_int_equal(fake_count(&m->fake, EW_QUEUE_POP), 130);
	assert_int_equal(async.n, 127);
	assert_false(m->blk.queue.unfinished);
}

/* EVENT_IDX asks for more after each look, but not for ever while there is no room or the machine stops. */
static void test_event_idx(void **state)
{
	struct machine *m = *state;

	virtio_device_offer(&m->blk.dev, VIRTIO_FEATURE(VIRTIO_RING_F_EVENT_IDX));
	out(m, VIRTIO_PCI_GUEST_FEATURES, 4, 1u << VIRTIO_RING_F_EVENT_IDX);
	async_offer(m, 0, VIRTIO_BLK_T_OUT);
	async_notify(m);
	for (unsigned i = 1; i < 128; i++)
		fake_avail(&m->drv, 0);
	virtio_device_serve(&m->blk.dev, 0, false);
	assert_int_equal(fake_last(&m->fake, EW_NOTIFY_SUPPRESSED)->a[2], 127);
	/* No room: it does not ask for a notify, but will look by itself. */
	assert_int_equal(vring_avail_event(&m->drv.vr), 0);
	assert_true(m->blk.queue.unfinished);
	fake_avail(&m->drv, 0);
	virtio_device_serve(&m->blk.dev, 0, false);
	assert_int_equal(async.n, 128);
	m->stop = 1;
	async_complete(0, 0);
	virtio_device_completed(&m->blk.dev);
	assert_int_equal(async.n, 127);
	m->stop = 0;
	virtio_device_completed(&m->blk.dev);
	assert_int_equal(async.n, 128);
	assert_int_equal(fake_count(&m->fake, EW_NOTIFY_SUPPRESSED), 2);
	assert_int_equal(fake_last(&m->fake, EW_NOTIFY_SUPPRESSED)->a[2], 1);
	async_complete(0, 0);
	virtio_device_completed(&m->blk.dev);
	assert_int_equal(vring_avail_event(&m->drv.vr), 129);
	assert_false(m->blk.queue.unfinished);
}

/* The device is at rest: nothing of it touches memory any more, and it starts from scratch. */
static void expect_at_rest(struct machine *m, unsigned completed)
{
	uint8_t *copy = malloc(RAM);

	assert_int_equal(m->blk.dev.in_flight, 0);
	assert_int_equal(m->blk.dev.draining, 0);
	assert_int_equal(async.n, 0);
	assert_int_equal(fake_count(&m->fake, EW_QUEUE_USED), completed);
	assert_int_equal(fake_count(&m->fake, EW_QUEUE_POP), completed);
	assert_non_null(copy);
	memcpy(copy, m->mem.host, RAM);
	virtio_device_serve(&m->blk.dev, 0, false);
	virtio_device_completed(&m->blk.dev);
	assert_memory_equal(copy, m->mem.host, RAM);
	free(copy);
	driver_init(m);
	async_offer(m, 0, VIRTIO_BLK_T_OUT);
	async_notify(m);
	virtio_device_serve(&m->blk.dev, 0, false);
	async_complete(0, 0);
	assert_int_equal(m->drv.vr.used->idx, 1);
	assert_int_equal(fake_count(&m->fake, EW_GUEST_ERROR), 0);
}

/* Five in flight and one more offered, which must not be taken any more. */
static void five_in_flight(struct machine *m)
{
	for (unsigned i = 0; i < 5; i++)
		async_offer(m, i, i % 2 ? VIRTIO_BLK_T_IN : VIRTIO_BLK_T_OUT);
	async_notify(m);
	virtio_device_serve(&m->blk.dev, 0, false);
	assert_int_equal(async.n, 5);
	async_offer(m, 5, VIRTIO_BLK_T_OUT);
	async_notify(m);
}

static void test_reset_in_flight(void **state)
{
	struct machine *m = *state;

	five_in_flight(m);
	out(m, VIRTIO_PCI_STATUS, 1, 0);
	assert_int_equal(async.waits, 5);
	assert_int_equal(m->irq.level, 0);
	assert_int_equal(m->blk.dev.isr, 0);
	assert_int_equal(m->mem.host[SLOT_STATUS(4)], VIRTIO_BLK_S_OK);
	assert_int_equal(m->mem.host[SLOT_STATUS(5)], 0xee);
	expect_at_rest(m, 5);
}

static void test_queue_away_in_flight(void **state)
{
	struct machine *m = *state;

	five_in_flight(m);
	out(m, VIRTIO_PCI_QUEUE_PFN, 4, 0);
	assert_int_equal(async.waits, 5);
	expect_at_rest(m, 5);
}

static void test_queue_moves_in_flight(void **state)
{
	struct machine *m = *state;

	five_in_flight(m);
	out(m, VIRTIO_PCI_QUEUE_PFN, 4, 0x20000 >> VIRTIO_PCI_QUEUE_ADDR_SHIFT);
	assert_int_equal(async.waits, 5);
	assert_int_equal(m->blk.queue.seen, 0);
	expect_at_rest(m, 5);
}

/* KVM took the notify itself: what is wrong with it is found by the thread. */
static void test_served_unseen(void **state)
{
	struct machine *m = *state;

	out(m, VIRTIO_PCI_STATUS, 1, 0);
	virtio_device_serve(&m->blk.dev, 0, false);
	assert_int_equal(fake_count(&m->fake, EW_GUEST_ERROR), 0);
	virtio_device_serve(&m->blk.dev, 0, true);
	assert_int_equal(fake_errors(&m->fake, EW_GERR_NOTIFY_DISABLED), 1);
	driver_init(m);
	async_offer(m, 0, VIRTIO_BLK_T_OUT);
	virtio_device_serve(&m->blk.dev, 0, true);
	assert_int_equal(fake_count(&m->fake, EW_QUEUE_NOTIFY), 1);
	assert_int_equal(async.n, 1);
	async_complete(0, 0);
}

/* Chains that the specification forbids, among others that are in flight. */
static void test_hostile(void **state)
{
	struct machine *m = *state;

	async_offer(m, 0, VIRTIO_BLK_T_OUT);
	async_offer(m, 1, VIRTIO_BLK_T_OUT);
	m->drv.vr.desc[4].addr = UINT64_MAX - 3; /* data outside memory */
	async_offer(m, 2, VIRTIO_BLK_T_OUT);
	m->drv.vr.desc[8].next = 6; /* a loop */
	m->drv.vr.desc[8].flags |= N;
	async_notify(m);
	virtio_device_serve(&m->blk.dev, 0, false);
	assert_int_equal(async.n, 1);
	assert_int_equal(m->drv.vr.used->idx, 2);
	/* The driver changes what it has handed over: the device had read it. */
	memset(m->drv.vr.desc, 0xff, 128 * sizeof(m->drv.vr.desc[0]));
	memset(m->mem.host + SLOT(0), 0xff, 16);
	m->drv.vr.avail->ring[3] = 500;
	m->drv.vr.avail->idx = 4;
	async_notify(m);
	virtio_device_serve(&m->blk.dev, 0, false);
	assert_int_equal(fake_errors(&m->fake, EW_GERR_HEAD_RANGE), 1);
	async_complete(0, 0);
	virtio_device_completed(&m->blk.dev);
	assert_int_equal(m->drv.vr.used->idx, 3);
	assert_int_equal(m->drv.vr.used->ring[2].id, 0);
	assert_int_equal(m->mem.host[SLOT_STATUS(0)], VIRTIO_BLK_S_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		A(test_any_order),
		A(test_mixed),
		A(test_room),
		A(test_goes_on),
		A(test_event_idx),
		A(test_reset_in_flight),
		A(test_queue_away_in_flight),
		A(test_queue_moves_in_flight),
		A(test_served_unseen),
		A(test_hostile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
