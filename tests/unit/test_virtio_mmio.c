/* SPDX-License-Identifier: MIT */
/* The virtio-mmio registers as a driver uses them, and as no driver should. */
#include "tests/unit/wrong_orders.h"

#include <linux/virtio_ids.h>
#include <linux/virtio_mmio.h>

static void out(struct machine *m, unsigned reg, uint32_t v)
{
	mem_out(m, reg, 4, v);
}

static uint32_t in(struct machine *m, unsigned reg)
{
	return (uint32_t)mem_in(m, reg, 4);
}

static void notify(struct machine *m, unsigned queue)
{
	out(m, VIRTIO_MMIO_QUEUE_NOTIFY, queue);
}

static uint64_t offered(struct machine *m)
{
	uint64_t low;

	out(m, VIRTIO_MMIO_DEVICE_FEATURES_SEL, 0);
	low = in(m, VIRTIO_MMIO_DEVICE_FEATURES);
	out(m, VIRTIO_MMIO_DEVICE_FEATURES_SEL, 1);
	return (uint64_t)in(m, VIRTIO_MMIO_DEVICE_FEATURES) << 32 | low;
}

static void accept_features(struct machine *m, uint64_t features)
{
	for (unsigned i = 0; i < 2; i++) {
		out(m, VIRTIO_MMIO_DRIVER_FEATURES_SEL, i);
		out(m, VIRTIO_MMIO_DRIVER_FEATURES, (uint32_t)(features >> 32 * i));
	}
}

static void place(struct machine *m, uint64_t desc, uint64_t driver, uint64_t device)
{
	out(m, VIRTIO_MMIO_QUEUE_DESC_LOW, (uint32_t)desc);
	out(m, VIRTIO_MMIO_QUEUE_DESC_HIGH, (uint32_t)(desc >> 32));
	out(m, VIRTIO_MMIO_QUEUE_AVAIL_LOW, (uint32_t)driver);
	out(m, VIRTIO_MMIO_QUEUE_AVAIL_HIGH, (uint32_t)(driver >> 32));
	out(m, VIRTIO_MMIO_QUEUE_USED_LOW, (uint32_t)device);
	out(m, VIRTIO_MMIO_QUEUE_USED_HIGH, (uint32_t)(device >> 32));
}

static void negotiate(struct machine *m, uint64_t features)
{
	out(m, VIRTIO_MMIO_STATUS, 0);
	out(m, VIRTIO_MMIO_STATUS, S_DRIVER);
	accept_features(m, features);
	out(m, VIRTIO_MMIO_STATUS, S_FEATURES);
	assert_int_equal(in(m, VIRTIO_MMIO_STATUS), S_FEATURES);
}

/* 3.1.1 and 4.2.3.2, with a ring of 64. */
static void driver_init(struct machine *m, uint64_t features)
{
	negotiate(m, features);
	out(m, VIRTIO_MMIO_QUEUE_SEL, 0);
	assert_int_equal(in(m, VIRTIO_MMIO_QUEUE_READY), 0);
	assert_int_equal(in(m, VIRTIO_MMIO_QUEUE_NUM_MAX), 128);
	driver_rings(m, 64);
	out(m, VIRTIO_MMIO_QUEUE_NUM, 64);
	place(m, RING_DESC, RING_DRIVER, RING_DEVICE);
	out(m, VIRTIO_MMIO_QUEUE_READY, 1);
	assert_int_equal(in(m, VIRTIO_MMIO_QUEUE_READY), 1);
	out(m, VIRTIO_MMIO_STATUS, S_RUNS);
	assert_int_equal(fake_count(&m->fake, EW_GUEST_ERROR), 0);
	m->fake.n = 0;
}

static int setup(void **state)
{
	struct machine *m = machine_new();

	*state = m;
	assert_int_equal(
		virtio_mmio_attach(&m->mmio, &m->blk.dev, "virtio-blk0", &m->bus, BASE, NULL), 0);
	return 0;
}

static void test_identity(void **state)
{
	struct machine *m = *state;

	assert_int_equal(in(m, VIRTIO_MMIO_MAGIC_VALUE), 0x74726976);
	assert_int_equal(in(m, VIRTIO_MMIO_VERSION), 2);
	assert_int_equal(in(m, VIRTIO_MMIO_DEVICE_ID), VIRTIO_ID_BLOCK);
	assert_int_equal(in(m, VIRTIO_MMIO_VENDOR_ID), 0x1af4);
	assert_int_equal(offered(m), V1 | VIRTIO_FEATURE(VIRTIO_BLK_F_SEG_MAX) |
					     VIRTIO_FEATURE(VIRTIO_BLK_F_BLK_SIZE) |
					     VIRTIO_FEATURE(VIRTIO_BLK_F_FLUSH) |
					     VIRTIO_FEATURE(VIRTIO_RING_F_INDIRECT_DESC) |
					     VIRTIO_FEATURE(VIRTIO_RING_F_EVENT_IDX));
	out(m, VIRTIO_MMIO_DEVICE_FEATURES_SEL, 2);
	assert_int_equal(in(m, VIRTIO_MMIO_DEVICE_FEATURES), 0);
	assert_int_equal(in(m, VIRTIO_MMIO_CONFIG_GENERATION), 0);
	assert_int_equal(mem_in(m, VIRTIO_MMIO_CONFIG, 8), SECTORS);
	assert_int_equal(mem_in(m, VIRTIO_MMIO_CONFIG, 1), SECTORS & 0xff);
	assert_int_equal(mem_in(m, VIRTIO_MMIO_CONFIG + 20, 4), 512);
	assert_int_equal(in(m, VIRTIO_MMIO_SHM_LEN_LOW), UINT32_MAX);
	assert_int_equal(fake_count(&m->fake, EW_GUEST_ERROR), 0);
}

static void test_bad_accesses(void **state)
{
	struct machine *m = *state;

	assert_int_equal(mem_in(m, VIRTIO_MMIO_MAGIC_VALUE, 1), 0xff);
	assert_int_equal(mem_in(m, VIRTIO_MMIO_STATUS, 8), UINT64_MAX);
	assert_int_equal(mem_in(m, VIRTIO_MMIO_STATUS + 2, 4), 0xffffffff);
	mem_out(m, VIRTIO_MMIO_STATUS, 1, S_DRIVER);
	assert_int_equal(in(m, VIRTIO_MMIO_STATUS), 0);
	assert_int_equal(fake_errors(&m->fake, EW_GERR_BAD_SIZE), 4);
	/* Read-only, reserved, of version 1: without effect. */
	m->fake.n = 0;
	for (unsigned reg = 0; reg < VIRTIO_MMIO_CONFIG; reg += 4)
		if (reg != VIRTIO_MMIO_QUEUE_NOTIFY)
			out(m, reg, 0);
	assert_int_equal(in(m, VIRTIO_MMIO_MAGIC_VALUE), 0x74726976);
	assert_int_equal(in(m, 0x0f0), 0);
	assert_int_equal(in(m, VIRTIO_MMIO_QUEUE_PFN), 0);
	/* The configuration: behind its end 0, behind the region nobody. */
	m->fake.n = 0;
	mem_out(m, VIRTIO_MMIO_CONFIG, 4, 0);
	assert_int_equal(in(m, VIRTIO_MMIO_CONFIG), SECTORS);
	assert_int_equal(in(m, VIRTIO_MMIO_CONFIG + sizeof(struct virtio_blk_config)), 0);
	assert_int_equal(mem_in(m, VIRTIO_MMIO_LEN - 1, 1), 0);
	assert_int_equal(fake_count(&m->fake, EW_GUEST_ERROR), 0);
	assert_int_equal(in(m, VIRTIO_MMIO_LEN - 2), 0xffffffff);
	assert_int_equal(fake_errors(&m->fake, EW_GERR_UNCLAIMED), 1);
}

static void test_write(void **state)
{
	struct machine *m = *state;

	driver_init(m, V1);
	write_works(m, notify);
	assert_int_equal(m->irq.level, 1);
	assert_int_equal(fake_last(&m->fake, EW_ISR_SET)->a[1], 1);
	/* Reading changes nothing; the acknowledgement does. */
	assert_int_equal(in(m, VIRTIO_MMIO_INTERRUPT_STATUS), VIRTIO_MMIO_INT_VRING);
	assert_int_equal(in(m, VIRTIO_MMIO_INTERRUPT_STATUS), VIRTIO_MMIO_INT_VRING);
	assert_int_equal(fake_count(&m->fake, EW_IRQ_STATUS), 2);
	out(m, VIRTIO_MMIO_INTERRUPT_ACK, VIRTIO_MMIO_INT_CONFIG); /* not this one */
	assert_int_equal(m->irq.level, 1);
	out(m, VIRTIO_MMIO_INTERRUPT_ACK, VIRTIO_MMIO_INT_VRING);
	assert_int_equal(m->irq.level, 0);
	assert_int_equal(fake_last(&m->fake, EW_IRQ_ACK)->a[2], 0);
	assert_int_equal(in(m, VIRTIO_MMIO_INTERRUPT_STATUS), 0);
	write_works(m, notify);
	assert_int_equal(m->irq.raised, 2);
	assert_int_equal(m->snapshots[EW_SNAPSHOT_NOTIFY], 2);
	assert_int_equal(m->snapshots[EW_SNAPSHOT_ISR_READ], 3);
	assert_int_equal(fake_count(&m->fake, EW_GUEST_ERROR), 0);
}

static void test_features(void **state)
{
	struct machine *m = *state;
	const uint64_t bad[] = {0, VIRTIO_FEATURE(VIRTIO_BLK_F_FLUSH),
		V1 | VIRTIO_FEATURE(VIRTIO_BLK_F_RO), V1 | 1ull << 63};

	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		out(m, VIRTIO_MMIO_STATUS, 0);
		out(m, VIRTIO_MMIO_STATUS, S_DRIVER);
		accept_features(m, bad[i]);
		m->fake.n = 0;
		out(m, VIRTIO_MMIO_STATUS, S_FEATURES);
		assert_int_equal(in(m, VIRTIO_MMIO_STATUS), S_DRIVER);
		assert_int_equal(fake_errors(&m->fake, EW_GERR_FEATURES), 1);
		assert_int_equal(fake_last(&m->fake, EW_GUEST_ERROR)->a[2], bad[i]);
	}
	/* Who goes on all the same has no device. */
	driver_rings(m, 128);
	place(m, RING_DESC, RING_DRIVER, RING_DEVICE);
	out(m, VIRTIO_MMIO_QUEUE_READY, 1);
	out(m, VIRTIO_MMIO_STATUS, S_RUNS);
	offer(m, VIRTIO_BLK_T_FLUSH, 0, 0, false);
	notify(m, 0);
	assert_int_equal(fake_errors(&m->fake, EW_GERR_DRIVER_NOT_OK), 1);
	assert_int_equal(m->drv.vr.used->idx, 0);
	/* Too late. */
	m->fake.n = 0;
	driver_init(m, V1);
	accept_features(m, V1 | VIRTIO_FEATURE(VIRTIO_RING_F_EVENT_IDX));
	assert_int_equal(fake_errors(&m->fake, EW_GERR_FEATURES), 2);
	assert_false(m->blk.queue.event_idx);
	/* A window that does not exist. */
	negotiate(m, V1);
	out(m, VIRTIO_MMIO_STATUS, 0);
	m->fake.n = 0;
	out(m, VIRTIO_MMIO_DRIVER_FEATURES_SEL, 2);
	out(m, VIRTIO_MMIO_DRIVER_FEATURES, 0);
	assert_int_equal(fake_count(&m->fake, EW_GUEST_ERROR), 0);
	out(m, VIRTIO_MMIO_DRIVER_FEATURES, 1);
	assert_int_equal(fake_errors(&m->fake, EW_GERR_FEATURES), 1);
	assert_int_equal(m->blk.dev.accepted, 0);
}

static void test_queue_size(void **state)
{
	struct machine *m = *state;
	const uint32_t bad[] = {0, 3, 96, 129, 256, 0x10000, 0x10040, 0x80000000, UINT32_MAX};

	negotiate(m, V1);
	out(m, VIRTIO_MMIO_QUEUE_SEL, 0);
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		out(m, VIRTIO_MMIO_QUEUE_NUM, bad[i]);
		assert_int_equal(fake_errors(&m->fake, EW_GERR_QUEUE_SIZE), i + 1);
		assert_int_equal(fake_last(&m->fake, EW_GUEST_ERROR)->a[2], bad[i]);
		assert_int_equal(m->blk.queue.size, 128);
	}
	for (uint32_t size = 1; size <= 128; size *= 2) {
		out(m, VIRTIO_MMIO_QUEUE_NUM, size);
		place(m, RING_DESC, RING_DRIVER, RING_DEVICE);
		out(m, VIRTIO_MMIO_QUEUE_READY, 1);
		assert_int_equal(fake_last(&m->fake, EW_QUEUE_SETUP)->a[2], size);
		assert_int_equal(in(m, VIRTIO_MMIO_QUEUE_NUM_MAX), 128);
		out(m, VIRTIO_MMIO_QUEUE_READY, 0);
		assert_int_equal(in(m, VIRTIO_MMIO_QUEUE_READY), 0);
	}
	assert_int_equal(fake_count(&m->fake, EW_GUEST_ERROR), sizeof(bad) / sizeof(bad[0]));
	/* A reset gives the size back. */
	out(m, VIRTIO_MMIO_QUEUE_NUM, 2);
	out(m, VIRTIO_MMIO_STATUS, 0);
	assert_int_equal(m->blk.queue.size, 128);
}

static void test_bad_addresses(void **state)
{
	struct machine *m = *state;
	const struct {
		uint64_t part[3];
		enum ew_guest_error error;
	} bad[] = {
		{{RAM, RING_DRIVER, RING_DEVICE}, EW_GERR_RING_OUT_OF_RAM},
		{{RING_DESC + 8, RING_DRIVER, RING_DEVICE}, EW_GERR_RING_OUT_OF_RAM},
		{{RING_DESC, RING_DRIVER + 1, RING_DEVICE}, EW_GERR_RING_OUT_OF_RAM},
		{{RING_DESC, RING_DRIVER, RING_DEVICE + 2}, EW_GERR_USED_OUT_OF_RAM},
		{{RING_DESC, RAM - 2, RING_DEVICE}, EW_GERR_RING_OUT_OF_RAM},
		{{RING_DESC, RING_DRIVER, RAM - 4}, EW_GERR_USED_OUT_OF_RAM},
		{{0xfffffffffffff000, RING_DRIVER, RING_DEVICE}, EW_GERR_RING_OUT_OF_RAM},
		{{RING_DESC, 0xfffffffffffffffe, RING_DEVICE}, EW_GERR_RING_OUT_OF_RAM},
		{{RING_DESC | 1ull << 32, RING_DRIVER, RING_DEVICE}, EW_GERR_RING_OUT_OF_RAM},
		{{RING_DESC, RING_DRIVER, RING_DEVICE | 1ull << 63}, EW_GERR_USED_OUT_OF_RAM},
	};

	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		negotiate(m, V1);
		m->fake.n = 0;
		place(m, bad[i].part[0], bad[i].part[1], bad[i].part[2]);
		out(m, VIRTIO_MMIO_QUEUE_READY, 1);
		assert_int_equal(fake_errors(&m->fake, bad[i].error), 1);
		assert_int_equal(fake_count(&m->fake, EW_GUEST_ERROR), 1);
		assert_int_equal(in(m, VIRTIO_MMIO_QUEUE_READY), 0);
		assert_true(in(m, VIRTIO_MMIO_STATUS) & VIRTIO_CONFIG_S_NEEDS_RESET);
		out(m, VIRTIO_MMIO_STATUS, S_RUNS);
		notify(m, 0);
		assert_int_equal(fake_errors(&m->fake, EW_GERR_NOTIFY_DISABLED), 1);
		/* Only a reset takes the bit away. */
		assert_true(in(m, VIRTIO_MMIO_STATUS) & VIRTIO_CONFIG_S_NEEDS_RESET);
	}
	m->fake.n = 0;
	driver_init(m, V1);
	write_works(m, notify);
}

static void test_bad_queue(void **state)
{
	struct machine *m = *state;
	const uint32_t bad[] = {1, 8, 9, 0x10000, UINT32_MAX};

	driver_init(m, V1);
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		m->fake.n = 0;
		out(m, VIRTIO_MMIO_QUEUE_SEL, bad[i]);
		assert_int_equal(in(m, VIRTIO_MMIO_QUEUE_NUM_MAX), 0);
		assert_int_equal(in(m, VIRTIO_MMIO_QUEUE_READY), 0);
		assert_int_equal(fake_count(&m->fake, EW_GUEST_ERROR), 0);
		out(m, VIRTIO_MMIO_QUEUE_NUM, 8);
		place(m, 0, 0, 0);
		out(m, VIRTIO_MMIO_QUEUE_READY, 1);
		out(m, VIRTIO_MMIO_QUEUE_READY, 0);
		notify(m, bad[i]);
		assert_int_equal(fake_errors(&m->fake, EW_GERR_BAD_QUEUE), 10);
		assert_int_equal(fake_last(&m->fake, EW_GUEST_ERROR)->a[2], bad[i]);
	}
	out(m, VIRTIO_MMIO_QUEUE_SEL, 0);
	write_works(m, notify);
}

/* An enabled queue stays as it is; disabling and resetting are the ways out. */
static void test_double_setup(void **state)
{
	struct machine *m = *state;

	driver_init(m, V1);
	write_works(m, notify);
	out(m, VIRTIO_MMIO_QUEUE_READY, 1);
	out(m, VIRTIO_MMIO_QUEUE_NUM, 8);
	out(m, VIRTIO_MMIO_QUEUE_DESC_LOW, 0);
	assert_int_equal(fake_errors(&m->fake, EW_GERR_QUEUE_LIVE), 3);
	write_works(m, notify);
	out(m, VIRTIO_MMIO_QUEUE_READY, 0);
	notify(m, 0);
	assert_int_equal(fake_errors(&m->fake, EW_GERR_NOTIFY_DISABLED), 1);
	driver_rings(m, 64); /* size and addresses are still there */
	out(m, VIRTIO_MMIO_QUEUE_READY, 1);
	write_works(m, notify);
	/* In the middle of it all, with an interrupt on its way. */
	offer(m, VIRTIO_BLK_T_FLUSH, 0, 0, false);
	assert_int_equal(m->irq.level, 1);
	out(m, VIRTIO_MMIO_STATUS, 0);
	assert_int_equal(m->irq.level, 0);
	assert_int_equal(in(m, VIRTIO_MMIO_STATUS), 0);
	assert_int_equal(in(m, VIRTIO_MMIO_INTERRUPT_STATUS), 0);
	assert_int_equal(in(m, VIRTIO_MMIO_QUEUE_READY), 0);
	notify(m, 0);
	assert_int_equal(fake_errors(&m->fake, EW_GERR_NOTIFY_DISABLED), 2);
	m->fake.n = 0;
	driver_init(m, V1);
	write_works(m, notify);
}

static void test_needs_reset(void **state)
{
	struct machine *m = *state;

	driver_init(m, V1);
	m->drv.vr.avail->idx = 1000;
	notify(m, 0);
	assert_int_equal(fake_errors(&m->fake, EW_GERR_AVAIL_IDX_JUMP), 1);
	assert_int_equal(in(m, VIRTIO_MMIO_STATUS), S_RUNS | VIRTIO_CONFIG_S_NEEDS_RESET);
	assert_int_equal(in(m, VIRTIO_MMIO_INTERRUPT_STATUS), VIRTIO_MMIO_INT_CONFIG);
	assert_int_equal(m->irq.level, 1);
	notify(m, 0); /* said once */
	assert_int_equal(m->irq.raised, 1);
	m->fake.n = 0;
	driver_init(m, V1);
	assert_int_equal(m->irq.level, 0);
	write_works(m, notify);
}

static void order_status(struct machine *m, uint8_t status)
{
	out(m, VIRTIO_MMIO_STATUS, status);
}

static uint8_t order_read_status(struct machine *m)
{
	return (uint8_t)in(m, VIRTIO_MMIO_STATUS);
}

static void order_enable(struct machine *m)
{
	out(m, VIRTIO_MMIO_QUEUE_SEL, 0);
	place(m, RING_DESC, RING_DRIVER, RING_DEVICE);
	out(m, VIRTIO_MMIO_QUEUE_READY, 1);
}

static bool order_enabled(struct machine *m)
{
	return in(m, VIRTIO_MMIO_QUEUE_READY);
}

static void test_wrong_orders(void **state)
{
	static const struct wrong_orders o = {order_status, order_read_status, accept_features,
		order_enable, order_enabled, notify};
	struct machine *m = *state;

	assert_int_equal(wrong_orders(m, &o), 9 * 9 * 9 * 9 * 9);
	driver_init(m, V1);
	write_works(m, notify);
}

static void test_event_idx(void **state)
{
	struct machine *m = *state;

	driver_init(m, V1 | VIRTIO_FEATURE(VIRTIO_RING_F_EVENT_IDX));
	write_works(m, notify);
	assert_int_equal(m->irq.raised, 1);
	assert_int_equal(vring_avail_event(&m->drv.vr), 1);
	out(m, VIRTIO_MMIO_INTERRUPT_ACK, 1);
	vring_used_event(&m->drv.vr) = 3; /* not before the fourth */
	for (unsigned i = 0; i < 2; i++)
		write_works(m, notify);
	assert_int_equal(m->irq.raised, 1);
	assert_int_equal(fake_count(&m->fake, EW_IRQ_SUPPRESSED), 2);
	assert_int_equal(fake_last(&m->fake, EW_IRQ_SUPPRESSED)->a[2], 3);
	assert_int_equal(fake_last(&m->fake, EW_IRQ_SUPPRESSED)->a[4], 3);
	write_works(m, notify);
	assert_int_equal(m->irq.raised, 2);
	assert_int_equal(vring_avail_event(&m->drv.vr), 4);
	assert_int_equal(fake_count(&m->fake, EW_GUEST_ERROR), 0);
}

static void test_attach_refuses(void **state)
{
	struct machine *m = *state;
	struct err e = {0};

	assert_int_equal(virtio_mmio_attach(&m->mmio, &m->blk.dev, "twin", &m->bus,
				 BASE + VIRTIO_MMIO_LEN - 4, &e),
		-EEXIST);
	assert_non_null(strstr(e.msg, "twin virtio-mmio"));
	m->blk.dev.queues = VIRTIO_V1_QUEUES + 1;
	assert_int_equal(
		virtio_mmio_attach(&m->mmio, &m->blk.dev, "many", &m->bus, BASE + 0x1000, NULL),
		-EINVAL);
	m->blk.dev.queues = 1;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_identity),
		T(test_bad_accesses),
		T(test_write),
		T(test_features),
		T(test_queue_size),
		T(test_bad_addresses),
		T(test_bad_queue),
		T(test_double_setup),
		T(test_needs_reset),
		T(test_wrong_orders),
		T(test_event_idx),
		T(test_attach_refuses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
