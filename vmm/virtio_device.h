/* SPDX-License-Identifier: MIT */
/*
 * The seam between a virtio device (what a request means) and its transport (how a driver reaches it:
 * legacy PCI here; modern PCI and MMIO can use the same calls). Registers, addresses and interrupt
 * wiring stay on the transport's side, requests on the device's.
 */
#ifndef EXITWALK_VMM_VIRTIO_DEVICE_H
#define EXITWALK_VMM_VIRTIO_DEVICE_H

#include "vmm/irq.h"
#include "vmm/virtq.h"

/* What a device gets from its machine; all borrowed and outliving the device. */
struct virtio_env {
	struct guest_mem *mem;
	struct irq_line *irq;
	struct probe **probe; /* the probe of the thread that runs the device; *probe may be NULL */
	uint64_t *next_request; /* the recording's request numbers: read, then increment */
};

struct virtio_device {
	struct virtio_env env;
	unsigned id;                /* of the recording */
	uint16_t type;              /* VIRTIO_ID_* */
	uint64_t offered, accepted; /* feature bits */
	const void *config;         /* the device-specific configuration, read-only to the driver */
	unsigned config_len;
	struct virtq *queue;
	unsigned queues;
	/* Takes what is available in q and gives it back before it returns. */
	void (*process)(struct virtio_device *dev, struct virtq *q);

	uint8_t status; /* VIRTIO_CONFIG_S_* as the driver wrote it */
	uint8_t isr;    /* bit 0: a used ring changed */
};

/* Writing 0 resets the device: queues, features, ISR and line. */
void virtio_device_set_status(struct virtio_device *dev, uint8_t status);

/* The driver takes what it wants of the first 32 feature bits; what was not offered is ignored. */
void virtio_device_accept(struct virtio_device *dev, uint32_t features);

/* The queue, or NULL and a GUEST_ERROR (BAD_QUEUE). */
struct virtq *virtio_device_queue(struct virtio_device *dev, unsigned index);

/* The driver notified queue `index`: process it here and now, then interrupt if it wants that. */
void virtio_device_notify(struct virtio_device *dev, unsigned index);

/* The driver reads the ISR: clears it and lowers the line. Returns what it was. */
uint8_t virtio_device_read_isr(struct virtio_device *dev);

/* `size` bytes at `offset` of the configuration, little-endian; 0 beyond its end. */
uint64_t virtio_device_read_config(const struct virtio_device *dev, uint64_t offset, unsigned size);

#endif
