/* SPDX-License-Identifier: MIT */
/* The legacy virtio PCI transport: registers in I/O BAR 0 (virtio 1.1, 4.1.4.8; virtio 0.9.5, 2.2.2). */
#ifndef EXITWALK_VMM_VIRTIO_PCI_LEGACY_H
#define EXITWALK_VMM_VIRTIO_PCI_LEGACY_H

#include "vmm/pci.h"
#include "vmm/virtio_device.h"

struct virtio_pci_legacy {
	struct virtio_device *dev;
	struct pci_function function;
	uint16_t queue_sel;
	char name[64]; /* of BAR 0's region */
};

/* Puts dev (borrowed) behind a function at devfn with BAR 0 at iobase. `class_rev` as in the PCI header;
 * `name` is the device's. After an error the bus may keep a region of t: do not run the machine. */
int virtio_pci_legacy_attach(struct virtio_pci_legacy *t, struct virtio_device *dev,
	const char *name, uint16_t pci_device, uint32_t class_rev, struct pci_host *pci,
	struct bus *bus, unsigned devfn, uint16_t iobase, struct err *e);

#endif
