/* SPDX-License-Identifier: MIT */
/* The machine of blk_machine.h with requests in flight, which the test completes as it likes. */
#ifndef EXITWALK_TESTS_UNIT_ASYNC_MACHINE_H
#define EXITWALK_TESTS_UNIT_ASYNC_MACHINE_H

#include "tests/unit/blk_machine.h"

#define SLOT(i) (0x6000u + 32 * (i)) /* header, and its status behind it */
#define SLOT_STATUS(i) (SLOT(i) + 16)
#define SLOT_DATA(i) (DATA + 512 * (i))
#define IN_FLIGHT_MAX 512

struct async {
	struct disk_engine engine; /* first: submit() gets a pointer to it */
	struct virtio_io io;
	struct machine *m;
	struct disk_io *flight[IN_FLIGHT_MAX];
	unsigned n;
	unsigned kicks, waits;
};

static struct async async;

static inline void async_submit(struct disk_engine *engine, struct disk_io *io)
{
	assert_ptr_equal(engine, &async.engine);
	assert_true(async.n < IN_FLIGHT_MAX);
	async.flight[async.n++] = io;
}

/* The i-th of those in flight: does it, or says it failed, and reports. */
static inline void async_complete(unsigned i, int failed)
{
	struct disk_io *io = async.flight[i];

	assert_true(i < async.n);
	async.flight[i] = async.flight[--async.n];
	io->done(io, failed ? failed : disk_io_run(io, NULL));
}

static inline void async_kick(struct virtio_io *io, unsigned queue)
{
	assert_ptr_equal(io, &async.io);
	assert_int_equal(queue, 0);
	async.kicks++;
}

/* What another thread does meanwhile: the last one taken is done first, and it looks for more. */
static inline void async_wait(struct virtio_io *io)
{
	struct virtio_device *dev = &async.m->blk.dev;

	assert_ptr_equal(io, &async.io);
	assert_int_not_equal(dev->status, 0); /* what another vCPU would read */
	async.waits++;
	async_complete(async.n - 1, 0);
	virtio_device_serve(dev, 0, false);
	virtio_device_completed(dev);
}

static inline int async_setup(void **state)
{
	struct machine *m;

	if (machine_init(state, false))
		return -1;
	m = *state;
	async = (struct async){.engine = {.submit = async_submit},
		.io = {.kick = async_kick, .wait = async_wait},
		.m = m};
	m->blk.dev.env.io = &async.io;
	return virtio_blk_use_engine(&m->blk, &async.engine, NULL);
}

/* Request i of sector i as descriptors 3i to 3i + 2, offered. */
static inline void async_offer(struct machine *m, unsigned i, uint32_t type)
{
	struct virtio_blk_outhdr h = {.type = type, .sector = i};
	uint16_t d = (uint16_t)(3 * i), w = type == VIRTIO_BLK_T_OUT ? 0 : W;
	bool data = type != VIRTIO_BLK_T_FLUSH;

	memcpy(m->mem.host + SLOT(i), &h, sizeof(h));
	m->mem.host[SLOT_STATUS(i)] = 0xee;
	fake_desc(&m->drv, d, SLOT(i), 16, N, (uint16_t)(data ? d + 1 : d + 2));
	fake_desc(&m->drv, d + 1u, SLOT_DATA(i), 512, N | w, (uint16_t)(d + 2));
	fake_desc(&m->drv, d + 2u, SLOT_STATUS(i), 1, W, 0);
	fake_avail(&m->drv, d);
}

static inline void async_notify(struct machine *m)
{
	out(m, VIRTIO_PCI_QUEUE_NOTIFY, 2, 0);
}

#define A(name) cmocka_unit_test_setup_teardown(name, async_setup, teardown)

#endif
