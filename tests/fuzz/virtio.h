/* SPDX-License-Identifier: MIT */
/*
 * What the targets for virtio transports share: the machine without its transport, the checks on
 * what it says, and the operations of a hostile driver on its own memory.
 */
#ifndef EXITWALK_TESTS_FUZZ_VIRTIO_H
#define EXITWALK_TESTS_FUZZ_VIRTIO_H

#include <string.h>
#include <unistd.h>
#include <sys/mman.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>

#include "late.h"
#include "vmm/pci.h"

#define DEVICE 1
#define BASE 0xe0000000u
/* Where the driver places its rings; it may be told other places. */
#define RING_DESC 0x1000u
#define RING_DRIVER 0x2000u
#define RING_DEVICE 0x3000u

struct machine {
	struct guest_mem mem;
	struct bus bus;
	struct fuzz_probe fake;
	struct probe *probe;
	struct irq_line irq;
	uint64_t next_request;
	int stop;
	struct disk disk;
	struct virtio_blk blk;
	uint32_t ring; /* of legacy: where the driver thinks its ring is */
	uint16_t avail_idx;
	struct late late;
	void (*const *op)(struct machine *, struct input *); /* of the transport: eight */
};

static inline void poke(struct machine *m, uint32_t gpa, const void *data, size_t len)
{
	void *p = mem_ptr(&m->mem, gpa, len);

	if (p)
		memcpy(p, data, len);
}

static inline void write_at(
	struct machine *m, enum ew_space space, uint64_t addr, unsigned size, uint64_t v)
{
	bus_access(&m->bus, m->probe, space, addr, size, true, &v);
}

static inline uint64_t read_at(struct machine *m, enum ew_space space, uint64_t addr, unsigned size)
{
	uint64_t v = 0;

	bus_access(&m->bus, m->probe, space, addr, size, false, &v);
	check(size >= 8 || v >> 8 * size == 0);
	return v;
}

/* Status 0 was written, and, if the function answers at its registers, reached the device. */
static inline void check_reset(const struct machine *m)
{
	check(m->blk.dev.status || !m->blk.dev.in_flight);
}

static inline void op_poke(struct machine *m, struct input *i)
{
	uint32_t gpa = take(i, 2), len = take(i, 1);

	if (len > (size_t)(i->end - i->p))
		len = (uint32_t)(i->end - i->p);
	poke(m, gpa, i->p, len);
	i->p += len;
}

static inline void poke_desc(struct machine *m, uint32_t gpa, struct input *i)
{
	struct vring_desc d = {.addr = take(i, 2), .len = take(i, 2)};

	d.flags = (uint16_t)take(i, 1);
	d.next = (uint16_t)take(i, 1);
	if (d.flags & 0x80) /* far out */
		d.addr |= 0xffffffffffff0000ull;
	if (d.flags & 0x40)
		d.len |= 0xffff0000u;
	poke(m, gpa, &d, sizeof(d));
}

/* A descriptor anywhere: in the ring's table, or in what becomes an indirect one. */
static inline void op_desc(struct machine *m, struct input *i)
{
	uint32_t at = RING_DESC + 16 * (take(i, 2) & 0x1ff);

	poke_desc(m, at, i);
}

/* Offers a head; `flags` and used_event are the driver's too. */
static inline void op_avail(struct machine *m, struct input *i)
{
	struct vring_avail a = {.flags = (uint16_t)take(i, 1)};
	uint16_t head = (uint16_t)take(i, 1), used_event = (uint16_t)take(i, 1);
	uint32_t size = m->blk.queue.size;

	poke(m, RING_DRIVER + 4 + 2 * (m->avail_idx++ % size), &head, sizeof(head));
	a.idx = m->avail_idx;
	poke(m, RING_DRIVER, &a, sizeof(a));
	poke(m, RING_DRIVER + 4 + 2 * size, &used_event, sizeof(used_event));
}

static inline void op_header(struct machine *m, struct input *i)
{
	uint32_t gpa = take(i, 2);
	struct virtio_blk_outhdr h = {.type = take(i, 1), .sector = take(i, 1)};

	if (h.sector & 0x80)
		h.sector |= 0xffffffffffffff00ull;
	poke(m, gpa, &h, sizeof(h));
}

/* Guest memory is a heap block, so that ASan sees what lies outside. */
static inline void machine_init(struct machine *m)
{
	struct virtio_env env = {.mem = &m->mem,
		.irq = &m->irq,
		.probe = &m->probe,
		.next_request = &m->next_request,
		.stop = &m->stop};

	memset(m, 0, sizeof(*m));
	m->mem.host = aligned_alloc(4096, RAM);
	check(m->mem.host != NULL);
	memset(m->mem.host, 0, RAM);
	m->mem.size = RAM;
	m->fake.probe.emit = fuzz_emit;
	m->probe = &m->fake.probe;
	m->irq = (struct irq_line){.set = irq_set, .irq = 10};
	m->next_request = 1;
	m->disk = (struct disk){.fd = memfd_create("disk", MFD_CLOEXEC), .sectors = SECTORS};
	check(m->disk.fd >= 0 && !ftruncate(m->disk.fd, SECTORS * 512));
	virtio_blk_init(&m->blk, DEVICE, &env, &m->disk);
	virtio_device_offer(&m->blk.dev, VIRTIO_FEATURE(VIRTIO_RING_F_INDIRECT_DESC) |
						 VIRTIO_FEATURE(VIRTIO_RING_F_EVENT_IDX));
}

static inline void one_op(struct machine *m, struct input *i)
{
	unsigned op = take(i, 1) & 15;

	if (op < 8)
		m->op[op](m, i);
	else
		late_op(&m->late, &m->fake, &m->blk, op, i);
}

static inline void another_op(void *ctx)
{
	struct machine *m = ctx;

	one_op(m, m->late.input);
}

/* The whole input, and the end of the machine. */
static inline void machine_run(
	struct machine *m, void (*const *op)(struct machine *, struct input *), struct input *i)
{
	m->op = op;
	m->late.input = i;
	m->late.another = another_op;
	m->late.ctx = m;
	for (unsigned n = 0; n < MAX_OPS && i->p < i->end && m->fake.records < MAX_RECORDS; n++)
		one_op(m, i);
	late_end(&m->late, &m->stop);
	check(m->fake.pops == m->fake.useds && m->fake.depth == 0);
	check(m->next_request == m->fake.pops + 1u);
	check(lseek(m->disk.fd, 0, SEEK_END) == SECTORS * 512); /* nothing beyond the disk's end */
	virtio_blk_destroy(&m->blk);
	close(m->disk.fd);
	free(m->mem.host);
}

#endif
