/* SPDX-License-Identifier: MIT */
/*
 * libFuzzer target: a hostile driver against virtio-blk behind modern PCI with MSI-X. The input is a
 * program of operations (the op_ functions); what must hold all the same is in virtio.h.
 *
 * sources: vmm/bus.c vmm/pci.c vmm/mem.c vmm/disk.c vmm/virtq.c vmm/virtio_device.c vmm/virtio_blk.c vmm/virtio_v1.c vmm/msix.c vmm/virtio_pci_modern.c vmm/virtio_pci_modern_caps.c
 */
#include "tests/fuzz/virtio.h"

#include <linux/pci_regs.h>
#include <linux/virtio_pci.h>

#include "vmm/guest_abi.h"
#include "vmm/virtio_pci_modern.h"

#define DEVFN (1 << 3)
#define PAGE 0x1000u
#define MSIX_TABLE 0x4000u

static int msi_send(struct msi_sink *sink, unsigned vector, uint64_t addr, uint32_t data)
{
	(void)vector;
	(void)sink;
	(void)data;
	check(addr % 4 == 0);
	return 0;
}

static void out(struct machine *m, unsigned reg, unsigned size, uint32_t v)
{
	write_at(m, EW_SPACE_MMIO, BASE + reg, size, v);
}

/* The structures lie at page boundaries: a page, and a place near its beginning. */
static uint32_t place(struct input *i)
{
	uint32_t page = take(i, 1) & 7;

	return page * PAGE + (take(i, 1) & 0x7f);
}

static void op_out(struct machine *m, struct input *i)
{
	uint32_t reg = place(i), size = 1u << (take(i, 1) & 3);

	out(m, reg, size, take(i, 4));
}

static void op_in(struct machine *m, struct input *i)
{
	uint32_t reg = place(i);

	read_at(m, EW_SPACE_MMIO, BASE + reg, 1 + (take(i, 1) & 7));
}

/* Configuration space: so the capabilities, MSI-X and the access window. */
static void op_config(struct machine *m, struct input *i)
{
	uint32_t reg = take(i, 1), how = take(i, 1), size = 1u << (how & 3);

	write_at(m, EW_SPACE_PIO, EW_PCI_ADDR_PORT, 4, 0x80000000 | DEVFN << 8 | (reg & 0xfc));
	if (how & 0x80)
		write_at(m, EW_SPACE_PIO, EW_PCI_DATA_PORT + (reg & 3), size, take(i, 4));
	else
		read_at(m, EW_SPACE_PIO, EW_PCI_DATA_PORT + (reg & 3), size);
}

/* A proper start, but for the size, the features and the vector. */
static void op_init(struct machine *m, struct input *i)
{
	uint32_t size = take(i, 1), how = take(i, 1);

	m->avail_idx = 0;
	for (unsigned n = 0; n < 2; n++)
		out(m, MSIX_TABLE + 16 * n + PCI_MSIX_ENTRY_VECTOR_CTRL, 4, how >> 7);
	out(m, VIRTIO_PCI_COMMON_STATUS, 1, 0);
	check_reset(m);
	out(m, VIRTIO_PCI_COMMON_STATUS, 1, 3);
	out(m, VIRTIO_PCI_COMMON_GFSELECT, 4, 0);
	out(m, VIRTIO_PCI_COMMON_GF, 4, (how & 3) << VIRTIO_RING_F_INDIRECT_DESC);
	out(m, VIRTIO_PCI_COMMON_GFSELECT, 4, 1);
	out(m, VIRTIO_PCI_COMMON_GF, 4, how & 4 ? 0 : 1);
	out(m, VIRTIO_PCI_COMMON_STATUS, 1, 11);
	out(m, VIRTIO_PCI_COMMON_MSIX, 2, 0);
	out(m, VIRTIO_PCI_COMMON_Q_SELECT, 2, 0);
	out(m, VIRTIO_PCI_COMMON_Q_SIZE, 2, size);
	out(m, VIRTIO_PCI_COMMON_Q_MSIX, 2, how >> 3 & 3);
	out(m, VIRTIO_PCI_COMMON_Q_DESCLO, 4, RING_DESC);
	out(m, VIRTIO_PCI_COMMON_Q_AVAILLO, 4, RING_DRIVER);
	out(m, VIRTIO_PCI_COMMON_Q_USEDLO, 4, RING_DEVICE);
	out(m, VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
	out(m, VIRTIO_PCI_COMMON_STATUS, 1, 15);
}

static void op_kick(struct machine *m, struct input *i)
{
	op_avail(m, i);
	out(m, VIRTIO_PCI_MODERN_NOTIFY * PAGE, 2, 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const op[8])(struct machine *, struct input *) = {
		op_init, op_out, op_in, op_poke, op_desc, op_config, op_header, op_kick};
	struct input i = {data, data + size};
	struct msi_sink sink = {.send = msi_send};
	struct virtio_pci_modern t;
	struct pci_host *pci;
	struct machine m;

	machine_init(&m);
	check(!pci_host_create(&pci, &m.bus, &m.probe, NULL));
	check(!virtio_pci_modern_attach(
		&t, &m.blk.dev, "virtio-blk0", 0x01800001, &sink, pci, &m.bus, DEVFN, BASE, NULL));
	machine_run(&m, op, &i);
	check(!t.function.window && t.msix.pending >> t.msix.vectors == 0);
	pci_host_destroy(pci);
	return 0;
}
