/* SPDX-License-Identifier: MIT */
/* virtio-blk behind the legacy virtio PCI interface (virtio 1.x, 4.1.4.8; virtio 0.9.5). */
#ifndef EXITWALK_VMM_VIRTIO_BLK_PCI_H
#define EXITWALK_VMM_VIRTIO_BLK_PCI_H

#include "bus.h"
#include "disk.h"
#include "irq.h"
#include "mem.h"
#include "virtio_device.h" /* struct virtio_env */

struct virtio_blk_pci;
struct pci_host;

/* Creates the device, plugs a PCI function at devfn with BAR0 = I/O at iobase, and adds its regions.
 * After an error the machine must not run: the bus may keep a region. */
int virtio_blk_pci_create(struct virtio_blk_pci **out, unsigned device_id, const char *name,
	const struct virtio_env *env, struct disk *disk, struct pci_host *pci, struct bus *bus,
	unsigned devfn, uint16_t iobase, struct err *e);
void virtio_blk_pci_destroy(struct virtio_blk_pci *v);

#endif
