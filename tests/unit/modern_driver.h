/* SPDX-License-Identifier: MIT */
/* A driver for the modern PCI transport: finds the structures by their capabilities, then uses them. */
#ifndef EXITWALK_TESTS_UNIT_MODERN_DRIVER_H
#define EXITWALK_TESTS_UNIT_MODERN_DRIVER_H

#include "tests/unit/v1_machine.h"

#include <linux/pci_regs.h>
#include <linux/virtio_pci.h>

static inline uint32_t cfg_read(struct machine *m, unsigned reg, unsigned size)
{
	bus_out(&m->bus, m->probe, EW_SPACE_PIO, 0xcf8, 4, 0x80000000 | DEVFN << 8 | (reg & 0xfc));
	return (uint32_t)bus_in(&m->bus, m->probe, EW_SPACE_PIO, 0xcfc + (reg & 3), size);
}

static inline void cfg_write(struct machine *m, unsigned reg, unsigned size, uint32_t v)
{
	bus_out(&m->bus, m->probe, EW_SPACE_PIO, 0xcf8, 4, 0x80000000 | DEVFN << 8 | (reg & 0xfc));
	bus_out(&m->bus, m->probe, EW_SPACE_PIO, 0xcfc + (reg & 3), size, v);
}

/* The capability of a type: VIRTIO_PCI_CAP_*, or for 0 the one of MSI-X. 0 if there is none. */
static inline unsigned find_cap(struct machine *m, uint8_t type)
{
	unsigned cap = cfg_read(m, PCI_CAPABILITY_LIST, 1);

	for (; cap; cap = cfg_read(m, cap + PCI_CAP_LIST_NEXT, 1)) {
		unsigned id = cfg_read(m, cap, 1);

		if (!type && id == PCI_CAP_ID_MSIX)
			return cap;
		if (type && id == PCI_CAP_ID_VNDR &&
			cfg_read(m, cap + VIRTIO_PCI_CAP_CFG_TYPE, 1) == type)
			return cap;
	}
	return 0;
}

/* The offset of a structure in BAR 0. */
static inline unsigned find(struct machine *m, uint8_t type)
{
	unsigned cap = find_cap(m, type);

	assert_true(cap);
	assert_int_equal(cfg_read(m, cap + VIRTIO_PCI_CAP_BAR, 1), 0);
	return cfg_read(m, cap + VIRTIO_PCI_CAP_OFFSET, 4);
}

static inline void out(struct machine *m, unsigned reg, unsigned size, uint32_t v)
{
	mem_out(m, find(m, VIRTIO_PCI_CAP_COMMON_CFG) + reg, size, v);
}

static inline uint32_t in(struct machine *m, unsigned reg, unsigned size)
{
	return (uint32_t)mem_in(m, find(m, VIRTIO_PCI_CAP_COMMON_CFG) + reg, size);
}

static inline void notify(struct machine *m, unsigned queue)
{
	unsigned cap = find_cap(m, VIRTIO_PCI_CAP_NOTIFY_CFG), at;

	out(m, VIRTIO_PCI_COMMON_Q_SELECT, 2, queue);
	at = in(m, VIRTIO_PCI_COMMON_Q_NOFF, 2) * cfg_read(m, cap + VIRTIO_PCI_NOTIFY_CAP_MULT, 4);
	mem_out(m, cfg_read(m, cap + VIRTIO_PCI_CAP_OFFSET, 4) + at, 2, queue);
}

static inline uint8_t read_isr(struct machine *m)
{
	return (uint8_t)mem_in(m, find(m, VIRTIO_PCI_CAP_ISR_CFG), 1);
}

static inline uint64_t offered(struct machine *m)
{
	uint64_t low;

	out(m, VIRTIO_PCI_COMMON_DFSELECT, 4, 0);
	low = in(m, VIRTIO_PCI_COMMON_DF, 4);
	out(m, VIRTIO_PCI_COMMON_DFSELECT, 4, 1);
	return (uint64_t)in(m, VIRTIO_PCI_COMMON_DF, 4) << 32 | low;
}

static inline void accept_features(struct machine *m, uint64_t features)
{
	for (unsigned i = 0; i < 2; i++) {
		out(m, VIRTIO_PCI_COMMON_GFSELECT, 4, i);
		out(m, VIRTIO_PCI_COMMON_GF, 4, (uint32_t)(features >> 32 * i));
		assert_int_equal(in(m, VIRTIO_PCI_COMMON_GF, 4), (uint32_t)(features >> 32 * i));
	}
}

static inline void place(struct machine *m, uint64_t desc, uint64_t driver, uint64_t device)
{
	const uint64_t part[] = {desc, driver, device};

	for (unsigned i = 0; i < 3; i++) {
		out(m, VIRTIO_PCI_COMMON_Q_DESCLO + 8 * i, 4, (uint32_t)part[i]);
		out(m, VIRTIO_PCI_COMMON_Q_DESCHI + 8 * i, 4, (uint32_t)(part[i] >> 32));
	}
}

static inline void negotiate(struct machine *m, uint64_t features)
{
	out(m, VIRTIO_PCI_COMMON_STATUS, 1, 0);
	assert_int_equal(in(m, VIRTIO_PCI_COMMON_STATUS, 1), 0);
	out(m, VIRTIO_PCI_COMMON_STATUS, 1, S_DRIVER);
	accept_features(m, features);
	out(m, VIRTIO_PCI_COMMON_STATUS, 1, S_FEATURES);
	assert_int_equal(in(m, VIRTIO_PCI_COMMON_STATUS, 1), S_FEATURES);
}

/* 3.1.1 and 4.1.5.1, with a ring of 64. `vector`: of queue 0, or VIRTIO_MSI_NO_VECTOR. */
static inline void driver_init(struct machine *m, uint64_t features, uint16_t vector)
{
	negotiate(m, features);
	out(m, VIRTIO_PCI_COMMON_Q_SELECT, 2, 0);
	assert_int_equal(in(m, VIRTIO_PCI_COMMON_Q_SIZE, 2), 128);
	assert_int_equal(in(m, VIRTIO_PCI_COMMON_Q_ENABLE, 2), 0);
	driver_rings(m, 64);
	out(m, VIRTIO_PCI_COMMON_Q_SIZE, 2, 64);
	place(m, RING_DESC, RING_DRIVER, RING_DEVICE);
	out(m, VIRTIO_PCI_COMMON_Q_MSIX, 2, vector);
	assert_int_equal(in(m, VIRTIO_PCI_COMMON_Q_MSIX, 2), vector);
	out(m, VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
	assert_int_equal(in(m, VIRTIO_PCI_COMMON_Q_ENABLE, 2), 1);
	out(m, VIRTIO_PCI_COMMON_STATUS, 1, S_RUNS);
	assert_int_equal(fake_count(&m->fake, EW_GUEST_ERROR), 0);
	m->fake.n = 0;
}

/* Vector n: data 0x40 + n, not masked; and on. */
static inline void msix_on(struct machine *m)
{
	unsigned cap = find_cap(m, 0);
	unsigned table = cfg_read(m, cap + PCI_MSIX_TABLE, 4) & ~7u;

	for (unsigned i = 0; i < 2; i++, table += PCI_MSIX_ENTRY_SIZE) {
		mem_out(m, table, 4, 0xfee00000);
		mem_out(m, table + PCI_MSIX_ENTRY_DATA, 4, 0x40 + i);
		mem_out(m, table + PCI_MSIX_ENTRY_VECTOR_CTRL, 4, 0);
	}
	cfg_write(m, cap + PCI_MSIX_FLAGS, 2, PCI_MSIX_FLAGS_ENABLE);
}

#endif
