/* SPDX-License-Identifier: MIT */
/*
 * What the transports of virtio 1.x have in common, wherever their registers are: 64 feature bits
 * through a 32-bit window, FEATURES_OK, and queues that the driver selects, sizes, places and enables.
 */
#ifndef EXITWALK_VMM_VIRTIO_V1_H
#define EXITWALK_VMM_VIRTIO_V1_H

#include "vmm/virtio_device.h"

#define VIRTIO_V1_QUEUES 8

enum virtio_v1_part { VIRTIO_V1_DESC, VIRTIO_V1_DRIVER, VIRTIO_V1_DEVICE, VIRTIO_V1_PARTS };

struct virtio_v1 {
	struct virtio_device *dev;
	/* All below is 0 after a reset. */
	uint32_t device_feature_sel, driver_feature_sel, queue_sel;
	uint64_t driver_features; /* as the driver wrote them */
	uint64_t address[VIRTIO_V1_QUEUES][VIRTIO_V1_PARTS];
};

/* Offers VERSION_1. -EINVAL if the device has more queues than VIRTIO_V1_QUEUES. */
int virtio_v1_init(struct virtio_v1 *v, struct virtio_device *dev, struct err *e);

/* The 32 bits that device_feature_sel or driver_feature_sel selects; 0 beyond the first 64. */
uint32_t virtio_v1_offered(const struct virtio_v1 *v);
uint32_t virtio_v1_accepted(const struct virtio_v1 *v);
/* A GUEST_ERROR and no change once FEATURES_OK is set. */
void virtio_v1_accept(struct virtio_v1 *v, uint32_t features);

/*
 * 0 resets device and transport. FEATURES_OK stays clear, and a GUEST_ERROR says why, if the driver
 * accepted what was not offered or not VERSION_1. NEEDS_RESET stays until a reset.
 */
void virtio_v1_set_status(struct virtio_v1 *v, uint8_t status);

/* The selected queue; NULL, and no error, if there is none: so drivers find out. */
struct virtq *virtio_v1_queue(const struct virtio_v1 *v);
/* The same before a change that needs a queue which is there and not enabled: else NULL, GUEST_ERROR. */
struct virtq *virtio_v1_idle_queue(const struct virtio_v1 *v, uint64_t value);

/* Half of an address of the selected queue. Written only while the queue is not enabled. */
uint32_t virtio_v1_address(const struct virtio_v1 *v, enum virtio_v1_part part, bool high);
void virtio_v1_set_address(
	struct virtio_v1 *v, enum virtio_v1_part part, bool high, uint32_t value);
void virtio_v1_set_size(struct virtio_v1 *v, uint32_t size);

/* Is the selected queue enabled? A ring that was refused makes the device need a reset. */
bool virtio_v1_enabled(const struct virtio_v1 *v);
void virtio_v1_enable(struct virtio_v1 *v);
/* MMIO only: PCI has no way back but a reset. Size and addresses stay as the driver wrote them. */
void virtio_v1_disable(struct virtio_v1 *v);

#endif
