/* SPDX-License-Identifier: MIT */
/* What the two files of the modern PCI transport share: the structures behind its capabilities. */
#ifndef EXITWALK_VMM_VIRTIO_PCI_MODERN_PRIV_H
#define EXITWALK_VMM_VIRTIO_PCI_MODERN_PRIV_H

#include "vmm/virtio_pci_modern.h"

#define VIRTIO_PCI_MODERN_MULTIPLIER 4 /* of notify offsets: each queue has a dword of its own */

/* One structure in the BAR, and its region of the bus. */
struct virtio_pci_modern_structure {
	uint8_t type; /* VIRTIO_PCI_CAP_* */
	const char *name;
	uint32_t len;
	bus_handler handler;
	enum ew_snapshot_why (*snapshot)(void *opaque, uint64_t offset, bool is_write);
};

/* Fills in the structures of t->v1.dev; len 0: the device has no such structure. */
void virtio_pci_modern_structures(const struct virtio_pci_modern *t,
	struct virtio_pci_modern_structure all[VIRTIO_PCI_MODERN_STRUCTURES]);

/* No vector for anything, nothing pending: as after a reset. */
void virtio_pci_modern_forget_vectors(struct virtio_pci_modern *t);

#endif
