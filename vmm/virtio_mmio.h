/* SPDX-License-Identifier: MIT */
/*
 * The virtio-mmio transport (virtio 1.1, 4.2), version 2: one page of 32-bit registers, a level-triggered
 * line that the driver lowers by acknowledging. Nothing announces it; ACPI or the command line does.
 */
#ifndef EXITWALK_VMM_VIRTIO_MMIO_H
#define EXITWALK_VMM_VIRTIO_MMIO_H

#include "vmm/bus.h"
#include "vmm/virtio_v1.h"

#define VIRTIO_MMIO_LEN 0x200u /* the registers, and 256 bytes of configuration */

struct virtio_mmio {
	struct virtio_v1 v1;
	char name[64]; /* of the region */
};

/* Puts dev (borrowed, with its features offered) at base. -errno of bus_add, or -EINVAL. */
int virtio_mmio_attach(struct virtio_mmio *t, struct virtio_device *dev, const char *name,
	struct bus *bus, uint64_t base, struct err *e);

#endif
