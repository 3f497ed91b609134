/* SPDX-License-Identifier: MIT */
/* What every virtio device does alike, whatever its transport: status, features, notify, interrupt. */
#include "vmm/virtio_device.h"

/* ISR status bit 0, virtio 1.1, 4.1.4.5: "queue interrupt". linux/virtio_pci.h names bit 1 only. */
#define ISR_QUEUE 1

static void lower(struct virtio_device *dev)
{
	if (dev->isr)
		dev->env.irq->set(dev->env.irq, 0);
	dev->isr = 0;
}

static void reset(struct virtio_device *dev)
{
	for (unsigned i = 0; i < dev->queues; i++)
		virtq_reset(&dev->queue[i]);
	dev->accepted = 0;
	lower(dev);
}

void virtio_device_set_status(struct virtio_device *dev, uint8_t status)
{
	PROBE(*dev->env.probe, EW_DRIVER_STATUS, dev->id, status);
	dev->status = status;
	if (!status)
		reset(dev);
}

void virtio_device_accept(struct virtio_device *dev, uint32_t features)
{
	dev->accepted = (dev->accepted & ~(uint64_t)UINT32_MAX) | (features & dev->offered);
}

struct virtq *virtio_device_queue(struct virtio_device *dev, unsigned index)
{
	if (index < dev->queues)
		return &dev->queue[index];
	PROBE(*dev->env.probe, EW_GUEST_ERROR, EW_GERR_BAD_QUEUE, dev->id, index, dev->queues);
	return NULL;
}

/* Order: ISR first, then the line, so that a handler that runs at once finds its reason. */
static void interrupt(struct virtio_device *dev)
{
	dev->isr |= ISR_QUEUE;
	PROBE(*dev->env.probe, EW_ISR_SET, dev->id, dev->isr);
	dev->env.irq->set(dev->env.irq, 1);
}

/*
 * DRIVER_OK is not required: drivers before virtio 1.0 use their queues before they set it (2.1.1,
 * 3.1.2 "legacy interface"). All chains of one notify share one interrupt.
 */
void virtio_device_notify(struct virtio_device *dev, unsigned index)
{
	struct virtq *q = virtio_device_queue(dev, index);
	uint16_t used;

	if (!q)
		return;
	if (!virtq_is_set_up(q)) {
		PROBE(*dev->env.probe, EW_GUEST_ERROR, EW_GERR_NOTIFY_DISABLED, dev->id, index);
		return;
	}
	PROBE(*dev->env.probe, EW_QUEUE_NOTIFY, dev->id, index, virtq_avail_idx(q), q->seen);
	used = q->used_idx;
	dev->process(dev, q);
	if (q->used_idx != used && virtq_wants_interrupt(q))
		interrupt(dev);
}

uint8_t virtio_device_read_isr(struct virtio_device *dev)
{
	uint8_t isr = dev->isr;

	PROBE(*dev->env.probe, EW_ISR_READ, dev->id, isr);
	lower(dev);
	return isr;
}

uint64_t virtio_device_read_config(const struct virtio_device *dev, uint64_t offset, unsigned size)
{
	const uint8_t *config = dev->config;
	uint64_t v = 0;

	for (unsigned i = 0; i < size && offset + i < dev->config_len; i++)
		v |= (uint64_t)config[offset + i] << 8 * i;
	return v;
}
