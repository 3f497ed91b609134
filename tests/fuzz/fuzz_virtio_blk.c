/* SPDX-License-Identifier: MIT */
/*
 * libFuzzer target: a hostile driver against virtio-blk behind legacy PCI. The input is a program of
 * operations (the op_ functions); what must hold all the same is in virtio.h.
 *
 * sources: vmm/bus.c vmm/pci.c vmm/mem.c vmm/disk.c vmm/virtq.c vmm/virtio_device.c vmm/virtio_blk.c vmm/virtio_pci_legacy.c
 */
#include "tests/fuzz/virtio.h"

#include <linux/virtio_ids.h>
#include <linux/virtio_pci.h>

#include "vmm/guest_abi.h"
#include "vmm/virtio_pci_legacy.h"

static void out(struct machine *m, uint64_t port, unsigned size, uint64_t v)
{
	write_at(m, EW_SPACE_PIO, port, size, v);
}

static void op_out(struct machine *m, struct input *i)
{
	uint32_t reg = take(i, 1), size = 1u << (take(i, 1) & 3);

	out(m, EW_VIRTIO_BLK_IOBASE + reg, size, take(i, 4));
}

static void op_in(struct machine *m, struct input *i)
{
	uint32_t reg = take(i, 1);

	read_at(m, EW_SPACE_PIO, EW_VIRTIO_BLK_IOBASE + reg, 1 + (take(i, 1) & 7));
}

static void op_config(struct machine *m, struct input *i)
{
	uint32_t port = EW_PCI_ADDR_PORT + (take(i, 1) & 7), how = take(i, 1);

	if (how & 0x80)
		out(m, port, 1u << (how & 3), take(i, 4));
	else
		read_at(m, EW_SPACE_PIO, port, 1u << (how & 3));
}

static void op_init(struct machine *m, struct input *i)
{
	uint32_t pfn = take(i, 1) & 0x1f;

	m->ring = pfn << VIRTIO_PCI_QUEUE_ADDR_SHIFT;
	m->avail_idx = 0;
	out(m, EW_VIRTIO_BLK_IOBASE + VIRTIO_PCI_STATUS, 1, 0);
	check_reset(m);
	out(m, EW_VIRTIO_BLK_IOBASE + VIRTIO_PCI_QUEUE_PFN, 4, pfn);
	out(m, EW_VIRTIO_BLK_IOBASE + VIRTIO_PCI_STATUS, 1, 7);
}

static void op_ring_desc(struct machine *m, struct input *i)
{
	uint32_t index = take(i, 1) & 0x7f;

	poke_desc(m, m->ring + 16 * index, i);
}

static void op_offer(struct machine *m, struct input *i)
{
	uint16_t head = (uint16_t)take(i, 1);
	uint32_t avail = m->ring + 128 * (uint32_t)sizeof(struct vring_desc);

	poke(m, avail + 4 + 2 * (m->avail_idx++ % 128u), &head, sizeof(head));
	poke(m, avail + 2, &m->avail_idx, sizeof(m->avail_idx));
	if (!(head & 0x80)) /* else only offered, or, as an index, too large */
		out(m, EW_VIRTIO_BLK_IOBASE + VIRTIO_PCI_QUEUE_NOTIFY, 2, 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const op[8])(struct machine *, struct input *) = {
		op_init, op_out, op_in, op_poke, op_ring_desc, op_offer, op_header, op_config};
	struct input i = {data, data + size};
	struct virtio_pci_legacy t;
	struct pci_host *pci;
	struct machine m;

	machine_init(&m);
	check(!pci_host_create(&pci, &m.bus, &m.probe, NULL));
	check(!virtio_pci_legacy_attach(&t, &m.blk.dev, "virtio-blk0", VIRTIO_TRANS_ID_BLOCK,
		0x01800000, pci, &m.bus, EW_VIRTIO_BLK_DEVFN, EW_VIRTIO_BLK_IOBASE, NULL));
	machine_run(&m, op, &i);
	pci_host_destroy(pci);
	return 0;
}
