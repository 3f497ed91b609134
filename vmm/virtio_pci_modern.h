/* SPDX-License-Identifier: MIT */
/*
 * The virtio 1.x PCI transport (virtio 1.1, 4.1): registers in memory BAR 0, found by vendor-specific
 * capabilities; notifies by MMIO, one address per queue; MSI-X or INTA; not transitional.
 */
#ifndef EXITWALK_VMM_VIRTIO_PCI_MODERN_H
#define EXITWALK_VMM_VIRTIO_PCI_MODERN_H

#include "vmm/msix.h"
#include "vmm/pci.h"
#include "vmm/virtio_v1.h"

#define VIRTIO_PCI_MODERN_BAR_LEN 0x8000u

enum virtio_pci_structure {
	VIRTIO_PCI_MODERN_COMMON,
	VIRTIO_PCI_MODERN_NOTIFY,
	VIRTIO_PCI_MODERN_ISR,
	VIRTIO_PCI_MODERN_DEVICE,
	VIRTIO_PCI_MODERN_STRUCTURES
};

struct virtio_pci_modern {
	struct virtio_v1 v1;
	struct pci_function function;
	struct bus *bus;
	struct msix msix;
	struct virtio_messages messages; /* on top of msix */
	uint16_t config_vector, queue_vector[VIRTIO_V1_QUEUES];
	unsigned window; /* where VIRTIO_PCI_CAP_PCI_CFG is in configuration space */
	char name[VIRTIO_PCI_MODERN_STRUCTURES][64]; /* of the regions */
};

/*
 * Puts dev (borrowed, with its features offered) behind a function at devfn with BAR 0 at membase, a
 * multiple of its length. `class_rev` as in the PCI header, revision at least 1; sink NULL: no MSI-X.
 * After an error the bus may keep a region of t: do not run the machine.
 */
int virtio_pci_modern_attach(struct virtio_pci_modern *t, struct virtio_device *dev,
	const char *name, uint32_t class_rev, struct msi_sink *sink, struct pci_host *pci,
	struct bus *bus, unsigned devfn, uint32_t membase, struct err *e);

/* Where the driver writes 16 bits to notify the queue: for an ioeventfd. */
uint64_t virtio_pci_modern_notify_address(const struct virtio_pci_modern *t, unsigned queue);

#endif
