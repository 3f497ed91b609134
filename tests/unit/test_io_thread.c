/* SPDX-License-Identifier: MIT */
/* The I/O thread, real: kicks from a vCPU's side, resets against it, and the end with work in flight. */
#include "tests/unit/blk_machine.h"

#include <sched.h>

#include "vmm/io_kick.h"

#define SLOT(i) (0x6000u + 32 * (i)) /* header, and its status behind it */
#define REQUESTS 40u

static struct {
	struct turn turn;
	struct io_engine engine;
	struct io_thread thread;
	struct io_kick kick;
	struct fake_probe io; /* the thread's */
} f;

/* *state: whether the engine is to be plain. */
static void start(void **state, struct machine **m)
{
	bool plain = *(bool *)*state;
	void *made;

	assert_int_equal(machine_init(&made, false), 0);
	*m = made;
	memset(&f, 0, sizeof(f));
	turn_init(&f.turn);
	fake_probe_init(&f.io);
	(*m)->blk.dev.env.probe = (*m)->blk.queue.probe = &f.turn.probe;
	assert_int_equal(io_engine_init(&f.engine, plain, NULL), 0);
	assert_int_equal(io_thread_init(&f.thread, &f.turn, &f.engine, NULL), 0);
	assert_int_equal(virtio_blk_use_engine(&(*m)->blk, &f.engine.engine, NULL), 0);
	assert_int_equal(io_kick_init(&f.kick, &f.thread, &(*m)->blk.dev, NULL), 0);
	assert_int_equal(io_thread_start(&f.thread, &f.io.probe, NULL), 0);
}

static void end(struct machine *m)
{
	void *state = m;

	m->stop = 1;
	io_thread_stop(&f.thread);
	assert_int_equal(m->blk.dev.in_flight, 0);
	io_kick_destroy(&f.kick);
	io_thread_destroy(&f.thread);
	io_engine_destroy(&f.engine);
	turn_destroy(&f.turn);
	teardown(&state);
}

/* A write to a register, as a vCPU does it. */
static void vcpu_out(struct machine *m, unsigned reg, unsigned size, uint32_t v)
{
	turn_take(&f.turn, &m->fake.probe);
	out(m, reg, size, v);
	turn_give(&f.turn);
}

static void offer(struct machine *m, unsigned i)
{
	struct virtio_blk_outhdr h = {.type = VIRTIO_BLK_T_OUT, .sector = i};
	uint16_t d = (uint16_t)(3 * i);

	memcpy(m->mem.host + SLOT(i), &h, sizeof(h));
	fake_desc(&m->drv, d, SLOT(i), 16, N, (uint16_t)(d + 1));
	fake_desc(&m->drv, d + 1u, DATA + 512 * i, 512, N, (uint16_t)(d + 2));
	fake_desc(&m->drv, d + 2u, SLOT(i) + 16, 1, W, 0);
	m->drv.vr.avail->ring[m->drv.avail_idx++ % m->drv.vr.num] = d;
	__atomic_store_n(&m->drv.vr.avail->idx, m->drv.avail_idx, __ATOMIC_RELEASE);
}

static void wait_for_used(struct machine *m, uint16_t idx)
{
	while (__atomic_load_n(&m->drv.vr.used->idx, __ATOMIC_ACQUIRE) != idx)
		sched_yield();
}

static void test_writes(void **state)
{
	static const enum ew_kind first[] = {
		EW_IO_WAKE, EW_QUEUE_POP, EW_DESCRIPTOR, EW_DESCRIPTOR, EW_DESCRIPTOR, EW_REQUEST};
	struct machine *m;
	unsigned n = 0;

	start(state, &m);
	for (unsigned i = 0; i < REQUESTS; i++)
		fill(m, DATA + 512 * i, 512, i);
	for (unsigned i = 0; i < REQUESTS; i++) {
		offer(m, i);
		vcpu_out(m, VIRTIO_PCI_QUEUE_NOTIFY, 2, 0);
		if (i % 7 == 0)
			wait_for_used(m, (uint16_t)(i + 1));
	}
	wait_for_used(m, REQUESTS);
	for (unsigned i = 0; i < REQUESTS; i++)
		expect_image(m, 512 * i, m->mem.host + DATA + 512 * i, 512);
	m->stop = 1;
	io_thread_stop(&f.thread);

	/* Each side records what it does itself: the vCPU its signal, the thread the rest. */
	assert_int_equal(fake_count(&m->fake, EW_QUEUE_NOTIFY), REQUESTS);
	assert_int_equal(fake_count(&m->fake, EW_IO_SIGNAL), REQUESTS);
	assert_int_equal(fake_count(&m->fake, EW_IO_SIGNAL_RET), REQUESTS);
	assert_int_equal(fake_count(&m->fake, EW_QUEUE_POP), 0);
	assert_int_equal(fake_count(&f.io, EW_QUEUE_NOTIFY), 0);
	assert_int_equal(fake_count(&f.io, EW_QUEUE_USED), REQUESTS);
	assert_int_equal(f.io.rec[n].kind, EW_THREAD);
	assert_int_not_equal(f.io.rec[n++].a[0], (uint64_t)gettid());
	while (f.io.rec[n].kind == EW_IO_SLEEP || f.io.rec[n].kind == EW_LOCK_WAIT)
		n++;
	assert_int_equal(f.io.rec[n].a[3], EW_KICK_VIA_VCPU);
	for (unsigned i = 0, at = n; i < sizeof(first) / sizeof(first[0]); at++)
		if (f.io.rec[at].kind != EW_LOCK_WAIT)
			assert_int_equal(f.io.rec[at].kind, first[i++]);
	end(m);
}

/* KVM's part is played by the test: it writes to the doorbell's eventfd. */
static void test_doorbell(void **state)
{
	const uint64_t one = 1;
	struct machine *m;

	start(state, &m);
	offer(m, 0);
	assert_int_equal(write(f.kick.fd[EW_KICK_VIA_IOEVENTFD], &one, sizeof(one)), sizeof(one));
	wait_for_used(m, 1);
	m->stop = 1;
	io_thread_stop(&f.thread);
	assert_int_equal(fake_count(&m->fake, EW_QUEUE_NOTIFY), 0);
	assert_int_equal(fake_count(&f.io, EW_QUEUE_NOTIFY), 1);
	assert_int_equal(fake_last(&f.io, EW_IO_WAKE)->a[3], EW_KICK_VIA_IOEVENTFD);
	assert_int_equal(fake_last(&f.io, EW_IO_WAKE)->a[2], 1);
	end(m);
}

/* The device is reset again and again while requests are in flight; after it nothing moves. */
static void test_resets(void **state)
{
	struct machine *m;
	uint8_t *copy = malloc(RAM);

	assert_non_null(copy);
	start(state, &m);
	for (unsigned round = 0; round < 50; round++) {
		for (unsigned i = 0; i < REQUESTS; i++)
			offer(m, i);
		vcpu_out(m, VIRTIO_PCI_QUEUE_NOTIFY, 2, 0);
		if (round % 2)
			sched_yield();
		vcpu_out(m, VIRTIO_PCI_STATUS, 1, 0);
		memcpy(copy, m->mem.host, RAM);
		sched_yield();
		assert_memory_equal(copy, m->mem.host, RAM);
		turn_take(&f.turn, &m->fake.probe);
		assert_int_equal(m->blk.dev.in_flight, 0);
		driver_init(m);
		turn_give(&f.turn);
	}
	free(copy);
	end(m);
}

/* The machine stops with requests in flight and in the ring: the first are completed. */
static void test_stop(void **state)
{
	struct machine *m;

	start(state, &m);
	for (unsigned i = 0; i < REQUESTS; i++)
		offer(m, i);
	vcpu_out(m, VIRTIO_PCI_QUEUE_NOTIFY, 2, 0);
	__atomic_store_n(&m->stop, 1, __ATOMIC_RELAXED);
	io_thread_stop(&f.thread);
	assert_int_equal(m->blk.dev.in_flight, 0);
	assert_int_equal(fake_count(&f.io, EW_QUEUE_POP), fake_count(&f.io, EW_QUEUE_USED));
	io_thread_stop(&f.thread); /* once more does no harm */
	end(m);
}

static bool uring = false, plain = true;

#define BOTH(name)                                                                                 \
	{#name " io_uring", name, NULL, NULL, &uring},                                             \
	{                                                                                          \
#name " plain", name, NULL, NULL, &plain                                           \
	}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(test_writes),
		BOTH(test_doorbell),
		BOTH(test_resets),
		BOTH(test_stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
