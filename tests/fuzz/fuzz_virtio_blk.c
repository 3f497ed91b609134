/* SPDX-License-Identifier: MIT */
/*
 * libFuzzer target: a hostile driver against virtio-blk behind legacy PCI. The input is a program of
 * operations for that driver (the op_ functions); whatever it does, memory outside the guest's
 * is not touched (ASan: guest memory is a heap block), every chain taken comes back exactly once, and a
 * read gives no more bits than its size.
 *
 * sources: vmm/bus.c vmm/pci.c vmm/mem.c vmm/disk.c vmm/virtq.c vmm/virtio_device.c vmm/virtio_blk.c vmm/virtio_pci_legacy.c
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/mman.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_pci.h>
#include <linux/virtio_ring.h>

#include "late.h"
#include "vmm/guest_abi.h"
#include "vmm/pci.h"
#include "vmm/virtio_blk.h"
#include "vmm/virtio_pci_legacy.h"

struct machine {
	struct guest_mem mem;
	struct bus bus;
	struct fuzz_probe fake;
	struct probe *probe;
	struct irq_line irq;
	uint64_t next_request;
	int stop;
	struct disk disk;
	struct pci_host *pci;
	struct virtio_blk blk;
	struct virtio_pci_legacy legacy;
	uint32_t ring; /* where the driver thinks its ring is */
	uint16_t avail_idx;
	struct late late;
};

static void poke(struct machine *m, uint32_t gpa, const void *data, size_t len)
{
	void *p = mem_ptr(&m->mem, gpa, len);

	if (p)
		memcpy(p, data, len);
}

static void out(struct machine *m, uint64_t port, unsigned size, uint64_t v)
{
	bus_access(&m->bus, m->probe, EW_SPACE_PIO, port, size, true, &v);
}

static void in(struct machine *m, uint64_t port, unsigned size)
{
	uint64_t v = 0;

	bus_access(&m->bus, m->probe, EW_SPACE_PIO, port, size, false, &v);
	check(size > 4 || v >> 8 * size == 0);
}

static void op_out(struct machine *m, struct input *i)
{
	uint32_t reg = take(i, 1), size = 1u << (take(i, 1) & 3);

	out(m, EW_VIRTIO_BLK_IOBASE + reg, size, take(i, 4));
}

static void op_in(struct machine *m, struct input *i)
{
	uint32_t reg = take(i, 1);

	in(m, EW_VIRTIO_BLK_IOBASE + reg, 1 + (take(i, 1) & 7));
}

static void op_config(struct machine *m, struct input *i)
{
	uint32_t port = EW_PCI_ADDR_PORT + (take(i, 1) & 7), how = take(i, 1);

	if (how & 0x80)
		out(m, port, 1u << (how & 3), take(i, 4));
	else
		in(m, port, 1u << (how & 3));
}

static void op_poke(struct machine *m, struct input *i)
{
	uint32_t gpa = take(i, 2), len = take(i, 1);

	if (len > (size_t)(i->end - i->p))
		len = (uint32_t)(i->end - i->p);
	poke(m, gpa, i->p, len);
	i->p += len;
}

static void op_init(struct machine *m, struct input *i)
{
	uint32_t pfn = take(i, 1) & 0x1f;

	m->ring = pfn << VIRTIO_PCI_QUEUE_ADDR_SHIFT;
	m->avail_idx = 0;
	out(m, EW_VIRTIO_BLK_IOBASE + VIRTIO_PCI_STATUS, 1, 0);
	check(!m->blk.dev.in_flight);
	out(m, EW_VIRTIO_BLK_IOBASE + VIRTIO_PCI_QUEUE_PFN, 4, pfn);
	out(m, EW_VIRTIO_BLK_IOBASE + VIRTIO_PCI_STATUS, 1, 7);
}

static void op_desc(struct machine *m, struct input *i)
{
	uint32_t index = take(i, 1) & 0x7f;
	struct vring_desc d = {.addr = take(i, 2), .len = take(i, 2)};

	d.flags = (uint16_t)take(i, 1);
	d.next = (uint16_t)take(i, 1);
	if (d.flags & 0x80) /* far out */
		d.addr |= 0xffffffffffff0000ull;
	if (d.flags & 0x40)
		d.len |= 0xffff0000u;
	poke(m, m->ring + index * (uint32_t)sizeof(d), &d, sizeof(d));
}

static void op_avail(struct machine *m, struct input *i)
{
	uint16_t head = (uint16_t)take(i, 1);
	uint32_t avail = m->ring + 128 * (uint32_t)sizeof(struct vring_desc);

	poke(m, avail + 4 + 2 * (m->avail_idx++ % 128u), &head, sizeof(head));
	poke(m, avail + 2, &m->avail_idx, sizeof(m->avail_idx));
	if (!(head & 0x80)) /* else only offered, or, as an index, too large */
		out(m, EW_VIRTIO_BLK_IOBASE + VIRTIO_PCI_QUEUE_NOTIFY, 2, 0);
}

static void op_header(struct machine *m, struct input *i)
{
	uint32_t gpa = take(i, 2);
	struct virtio_blk_outhdr h = {.type = take(i, 1), .sector = take(i, 1)};

	if (h.sector & 0x80)
		h.sector |= 0xffffffffffffff00ull;
	poke(m, gpa, &h, sizeof(h));
}

static void machine_init(struct machine *m)
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
	m->irq = (struct irq_line){.set = irq_set, .irq = EW_VIRTIO_BLK_IRQ};
	m->next_request = 1;
	m->disk = (struct disk){.fd = memfd_create("disk", MFD_CLOEXEC), .sectors = SECTORS};
	check(m->disk.fd >= 0 && !ftruncate(m->disk.fd, SECTORS * 512));
	check(!pci_host_create(&m->pci, &m->bus, &m->probe, NULL));
	virtio_blk_init(&m->blk, 1, &env, &m->disk);
	check(!virtio_pci_legacy_attach(&m->legacy, &m->blk.dev, "virtio-blk0",
		VIRTIO_TRANS_ID_BLOCK, 0x01800000, m->pci, &m->bus, EW_VIRTIO_BLK_DEVFN,
		EW_VIRTIO_BLK_IOBASE, NULL));
}

static void one_op(void *ctx)
{
	static void (*const op[8])(struct machine *, struct input *) = {
		op_init, op_out, op_in, op_poke, op_desc, op_avail, op_header, op_config};
	struct machine *m = ctx;
	unsigned n = take(m->late.input, 1) & 15;

	if (n < 8)
		op[n](m, m->late.input);
	else
		late_op(&m->late, &m->fake, &m->blk, n, m->late.input);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input i = {data, data + size};
	struct machine m;

	machine_init(&m);
	m.late.input = &i;
	m.late.another = one_op;
	m.late.ctx = &m;
	for (unsigned n = 0; n < MAX_OPS && i.p < i.end && m.fake.records < MAX_RECORDS; n++)
		one_op(&m);
	late_end(&m.late, &m.stop);
	check(m.fake.pops == m.fake.useds && m.fake.depth == 0);
	check(m.next_request == m.fake.pops + 1u);
	check(lseek(m.disk.fd, 0, SEEK_END) == SECTORS * 512); /* nothing beyond the disk's end */
	virtio_blk_destroy(&m.blk);
	pci_host_destroy(m.pci);
	close(m.disk.fd);
	free(m.mem.host);
	return 0;
}
