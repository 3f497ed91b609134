/* SPDX-License-Identifier: MIT */
/* What every virtio device does alike, whatever its transport: status, features, notify, interrupt. */
#include "vmm/virtio_device.h"

#include <linux/virtio_config.h>

static bool messages_on(const struct virtio_device *dev)
{
	return dev->messages && dev->messages->on(dev->messages);
}

static void lower(struct virtio_device *dev)
{
	if (dev->isr)
		dev->env.irq->set(dev->env.irq, 0);
	dev->isr = 0;
}

void virtio_device_drain(struct virtio_device *dev)
{
	dev->draining++;
	while (dev->in_flight)
		dev->env.io->wait(dev->env.io);
	dev->draining--;
}

static void reset(struct virtio_device *dev)
{
	for (unsigned i = 0; i < dev->queues; i++)
		virtq_reset(&dev->queue[i]);
	virtio_device_accept_all(dev, 0);
	lower(dev);
	if (dev->forget)
		dev->forget(dev);
}

void virtio_device_offer(struct virtio_device *dev, uint64_t features)
{
	dev->offered |= features;
}

void virtio_device_set_status(struct virtio_device *dev, uint8_t status)
{
	PROBE(*dev->env.probe, EW_DRIVER_STATUS, dev->id, status);
	/* Another vCPU that reads 0 may take it that the device is at rest (4.1.4.3.2). */
	if (!status)
		virtio_device_drain(dev);
	dev->status = status;
	if (!status)
		reset(dev);
}

void virtio_device_accept(struct virtio_device *dev, uint32_t features)
{
	virtio_device_accept_all(dev, (dev->accepted & ~(uint64_t)UINT32_MAX) | features);
}

void virtio_device_accept_all(struct virtio_device *dev, uint64_t features)
{
	dev->accepted = features & dev->offered;
	for (unsigned i = 0; i < dev->queues; i++) {
		dev->queue[i].indirect = dev->accepted &
					 VIRTIO_FEATURE(VIRTIO_RING_F_INDIRECT_DESC);
		dev->queue[i].event_idx = dev->accepted & VIRTIO_FEATURE(VIRTIO_RING_F_EVENT_IDX);
	}
}

struct virtq *virtio_device_queue(struct virtio_device *dev, unsigned index)
{
	if (index < dev->queues)
		return &dev->queue[index];
	PROBE(*dev->env.probe, EW_GUEST_ERROR, EW_GERR_BAD_QUEUE, dev->id, index, dev->queues);
	return NULL;
}

/* Order: ISR first, then the line, so that a handler that runs at once finds its reason. */
static void interrupt(struct virtio_device *dev, int queue)
{
	bool message = messages_on(dev);
	uint8_t cause = queue == VIRTIO_CONFIG_CHANGE ? VIRTIO_ISR_CONFIG : VIRTIO_ISR_QUEUE;

	/* 4.1.4.5.1: with MSI-X the ISR is for changes of the configuration only. */
	if (!message || cause == VIRTIO_ISR_CONFIG) {
		dev->isr |= cause;
		PROBE(*dev->env.probe, EW_ISR_SET, dev->id, dev->isr);
	}
	if (message)
		dev->messages->send(dev->messages, queue);
	else
		dev->env.irq->set(dev->env.irq, 1);
}

void virtio_device_update_line(struct virtio_device *dev)
{
	if (dev->isr)
		dev->env.irq->set(dev->env.irq, !messages_on(dev));
}

void virtio_device_used(struct virtio_device *dev, struct virtq *q)
{
	if (virtq_wants_interrupt(q))
		interrupt(dev, (int)q->index);
}

void virtio_device_needs_reset(struct virtio_device *dev)
{
	if (!(dev->offered & VIRTIO_FEATURE(VIRTIO_F_VERSION_1)) ||
		(dev->status & VIRTIO_CONFIG_S_NEEDS_RESET))
		return;
	dev->status |= VIRTIO_CONFIG_S_NEEDS_RESET;
	if (dev->status & VIRTIO_CONFIG_S_DRIVER_OK)
		interrupt(dev, VIRTIO_CONFIG_CHANGE);
}

/*
 * Since virtio 1.0 a device must not touch its queues before both sides agreed on features and the
 * driver said DRIVER_OK (2.1.2, 3.1.1). Drivers before that use their queues earlier (2.1.1, 3.1.2
 * "legacy interface").
 */
static bool may_run(const struct virtio_device *dev)
{
	const uint8_t needed = VIRTIO_CONFIG_S_FEATURES_OK | VIRTIO_CONFIG_S_DRIVER_OK;

	return !(dev->offered & VIRTIO_FEATURE(VIRTIO_F_VERSION_1)) ||
	       (dev->status & needed) == needed;
}

/* A notify as the driver made it: the queue it is for, if that may be processed. */
static struct virtq *notified(struct virtio_device *dev, unsigned index)
{
	struct virtq *q = virtio_device_queue(dev, index);

	if (!q)
		return NULL;
	if (!virtq_is_set_up(q)) {
		PROBE(*dev->env.probe, EW_GUEST_ERROR, EW_GERR_NOTIFY_DISABLED, dev->id, index);
		return NULL;
	}
	if (!may_run(dev)) {
		PROBE(*dev->env.probe, EW_GUEST_ERROR, EW_GERR_DRIVER_NOT_OK, dev->id, index,
			dev->status);
		return NULL;
	}
	q->announced = virtq_avail_idx(q);
	PROBE(*dev->env.probe, EW_QUEUE_NOTIFY, dev->id, index, q->announced, q->seen);
	return q;
}

/* Chains beyond what the last notify announced were taken all the same. */
static void unannounced(struct virtio_device *dev, struct virtq *q)
{
	uint16_t extra = (uint16_t)(q->seen - q->announced);

	if (!q->event_idx || q->broken || !extra || extra > q->size)
		return;
	PROBE(*dev->env.probe, EW_NOTIFY_SUPPRESSED, dev->id, q->index, extra, q->announced,
		q->seen);
	q->announced = q->seen;
}

/*
 * All chains of one notify that are done now share one interrupt. With EVENT_IDX the driver does not
 * notify again until avail_event has moved on, so what it offered meanwhile has to be looked for.
 */
static void serve(struct virtio_device *dev, struct virtq *q)
{
	do
		q->unfinished = !dev->process(dev, q);
	while (!q->unfinished && q->event_idx && virtq_notifies_on(q));
	unannounced(dev, q);
	if (q->used_idx != q->signalled)
		virtio_device_used(dev, q);
	if (q->broken)
		virtio_device_needs_reset(dev);
}

void virtio_device_notify(struct virtio_device *dev, unsigned index)
{
	struct virtq *q = notified(dev, index);

	if (q && dev->env.io)
		dev->env.io->kick(dev->env.io, index);
	else if (q)
		serve(dev, q);
}

void virtio_device_serve(struct virtio_device *dev, unsigned index, bool is_notify)
{
	struct virtq *q = &dev->queue[index];

	/* Between the notify and now the queue may have gone. */
	if (dev->draining)
		return;
	if (is_notify ? notified(dev, index) != NULL : virtq_is_set_up(q) && may_run(dev))
		serve(dev, q);
}

void virtio_device_completed(struct virtio_device *dev)
{
	for (unsigned i = 0; i < dev->queues; i++) {
		struct virtq *q = &dev->queue[i];

		if (q->unfinished && !dev->draining)
			serve(dev, q);
		else if (q->used_idx != q->signalled)
			virtio_device_used(dev, q);
	}
}

uint8_t virtio_device_read_isr(struct virtio_device *dev)
{
	uint8_t isr = dev->isr;

	PROBE(*dev->env.probe, EW_ISR_READ, dev->id, isr);
	lower(dev);
	return isr;
}

uint8_t virtio_device_peek_isr(struct virtio_device *dev)
{
	PROBE(*dev->env.probe, EW_IRQ_STATUS, dev->id, dev->isr);
	return dev->isr;
}

void virtio_device_ack_isr(struct virtio_device *dev, uint8_t bits)
{
	uint8_t left = dev->isr & (uint8_t)~bits;

	PROBE(*dev->env.probe, EW_IRQ_ACK, dev->id, bits, left);
	if (left)
		dev->isr = left;
	else
		lower(dev);
}

uint64_t virtio_device_read_config(const struct virtio_device *dev, uint64_t offset, unsigned size)
{
	const uint8_t *config = dev->config;
	uint64_t v = 0;

	for (unsigned i = 0; i < size && offset + i < dev->config_len; i++)
		v |= (uint64_t)config[offset + i] << 8 * i;
	return v;
}
