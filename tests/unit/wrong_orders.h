/* SPDX-License-Identifier: MIT */
/*
 * A driver that does the steps of its initialisation (virtio 1.1, 3.1.1) in any order, some twice, some
 * not at all: every sequence of STEPS steps. A chain is taken exactly if the queue is enabled and both
 * FEATURES_OK and DRIVER_OK stand in the status; FEATURES_OK stands there only with VERSION_1.
 */
#ifndef EXITWALK_TESTS_UNIT_WRONG_ORDERS_H
#define EXITWALK_TESTS_UNIT_WRONG_ORDERS_H

#include "tests/unit/v1_machine.h"

#define STEPS 5

struct wrong_orders {
	void (*status)(struct machine *m, uint8_t status);
	uint8_t (*read_status)(struct machine *m);
	void (*accept)(struct machine *m, uint64_t features);
	void (*enable)(
		struct machine *m); /* queue 0 of 128 at RING_DESC, RING_DRIVER, RING_DEVICE */
	bool (*enabled)(struct machine *m);
	void (*notify)(struct machine *m, unsigned queue);
};

enum {
	ORDER_DRIVER,
	ORDER_FEATURES,
	ORDER_RUNS,
	ORDER_ONLY_OK,
	ORDER_RESET,
	ORDER_V1,
	ORDER_NONE,
	ORDER_ENABLE,
	ORDER_NOTIFY,
	ORDER_STEPS
};

static inline void wrong_order_notify(struct machine *m, const struct wrong_orders *o)
{
	const uint8_t needed = VIRTIO_CONFIG_S_FEATURES_OK | VIRTIO_CONFIG_S_DRIVER_OK;
	bool takes = o->enabled(m) && (o->read_status(m) & needed) == needed;
	uint16_t used = m->drv.vr.used->idx;

	offer(m, VIRTIO_BLK_T_FLUSH, 0, 0, false);
	o->notify(m, 0);
	assert_int_equal(m->drv.vr.used->idx, takes ? m->drv.avail_idx : used);
	assert_int_equal(fake_count(&m->fake, EW_GUEST_ERROR), takes ? 0 : 1);
}

static inline void wrong_order_step(struct machine *m, const struct wrong_orders *o, unsigned step)
{
	static const uint8_t status[] = {[ORDER_DRIVER] = S_DRIVER,
		[ORDER_FEATURES] = S_FEATURES,
		[ORDER_RUNS] = S_RUNS,
		[ORDER_ONLY_OK] = VIRTIO_CONFIG_S_DRIVER_OK,
		[ORDER_RESET] = 0};

	m->fake.n = 0;
	switch (step) {
	case ORDER_V1:
	case ORDER_NONE:
		o->accept(m, step == ORDER_V1 ? V1 : 0);
		break;
	case ORDER_ENABLE:
		if (!o->enabled(m)) /* else it is refused, and the rings are at work */
			driver_rings(m, 128);
		o->enable(m);
		break;
	case ORDER_NOTIFY:
		wrong_order_notify(m, o);
		break;
	default:
		o->status(m, status[step]);
		break;
	}
	assert_int_equal(o->read_status(m) & VIRTIO_CONFIG_S_NEEDS_RESET, 0);
	if (o->read_status(m) & VIRTIO_CONFIG_S_FEATURES_OK)
		assert_int_equal(m->blk.dev.accepted, V1);
}

/* Returns how many sequences there were. */
static inline unsigned wrong_orders(struct machine *m, const struct wrong_orders *o)
{
	unsigned n = 0, total = 1;

	for (unsigned i = 0; i < STEPS; i++)
		total *= ORDER_STEPS;
	for (; n < total; n++) {
		driver_rings(m, 128);
		o->status(m, 0);
		for (unsigned i = 0, rest = n; i < STEPS; i++, rest /= ORDER_STEPS)
			wrong_order_step(m, o, rest % ORDER_STEPS);
	}
	m->fake.n = 0;
	return n;
}

#endif
