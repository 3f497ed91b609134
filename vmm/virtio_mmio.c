/* SPDX-License-Identifier: MIT */
/* The virtio-mmio registers, version 2. */
#include "vmm/virtio_mmio.h"

#include <stdio.h>
#include <linux/virtio_mmio.h>

#define MAGIC 0x74726976 /* "virt" */
#define VERSION 2

static void mmio_write(struct virtio_mmio *t, unsigned reg, uint32_t v)
{
	struct virtio_v1 *v1 = &t->v1;

	switch (reg) {
	case VIRTIO_MMIO_DEVICE_FEATURES_SEL:
		v1->device_feature_sel = v;
		break;
	case VIRTIO_MMIO_DRIVER_FEATURES:
		virtio_v1_accept(v1, v);
		break;
	case VIRTIO_MMIO_DRIVER_FEATURES_SEL:
		v1->driver_feature_sel = v;
		break;
	case VIRTIO_MMIO_QUEUE_SEL:
		v1->queue_sel = v;
		break;
	case VIRTIO_MMIO_QUEUE_NUM:
		virtio_v1_set_size(v1, v);
		break;
	case VIRTIO_MMIO_QUEUE_READY:
		if (v & 1)
			virtio_v1_enable(v1);
		else
			virtio_v1_disable(v1);
		break;
	case VIRTIO_MMIO_QUEUE_NOTIFY:
		virtio_device_notify(v1->dev, v);
		break;
	case VIRTIO_MMIO_INTERRUPT_ACK:
		virtio_device_ack_isr(v1->dev, (uint8_t)v);
		break;
	case VIRTIO_MMIO_STATUS:
		virtio_v1_set_status(v1, (uint8_t)v);
		break;
	case VIRTIO_MMIO_QUEUE_DESC_LOW:
	case VIRTIO_MMIO_QUEUE_DESC_HIGH:
		virtio_v1_set_address(v1, VIRTIO_V1_DESC, reg & 4, v);
		break;
	case VIRTIO_MMIO_QUEUE_AVAIL_LOW:
	case VIRTIO_MMIO_QUEUE_AVAIL_HIGH:
		virtio_v1_set_address(v1, VIRTIO_V1_DRIVER, reg & 4, v);
		break;
	case VIRTIO_MMIO_QUEUE_USED_LOW:
	case VIRTIO_MMIO_QUEUE_USED_HIGH:
		virtio_v1_set_address(v1, VIRTIO_V1_DEVICE, reg & 4, v);
		break;
	default: /* read-only, of version 1, or reserved */
		break;
	}
}

static uint32_t mmio_read(struct virtio_mmio *t, unsigned reg)
{
	const struct virtio_v1 *v1 = &t->v1;
	const struct virtq *q = virtio_v1_queue(v1);

	switch (reg) {
	case VIRTIO_MMIO_MAGIC_VALUE:
		return MAGIC;
	case VIRTIO_MMIO_VERSION:
		return VERSION;
	case VIRTIO_MMIO_DEVICE_ID:
		return v1->dev->type;
	case VIRTIO_MMIO_VENDOR_ID:
		return VIRTIO_PCI_VENDOR;
	case VIRTIO_MMIO_DEVICE_FEATURES:
		return virtio_v1_offered(v1);
	case VIRTIO_MMIO_QUEUE_NUM_MAX: /* 0: there is no such queue */
		return q ? q->max_size : 0;
	case VIRTIO_MMIO_QUEUE_READY:
		return virtio_v1_enabled(v1);
	case VIRTIO_MMIO_INTERRUPT_STATUS:
		return virtio_device_peek_isr(v1->dev);
	case VIRTIO_MMIO_STATUS:
		return v1->dev->status;
	case VIRTIO_MMIO_SHM_LEN_LOW: /* all ones: there is no such region */
	case VIRTIO_MMIO_SHM_LEN_HIGH:
	case VIRTIO_MMIO_SHM_BASE_LOW:
	case VIRTIO_MMIO_SHM_BASE_HIGH:
		return UINT32_MAX;
	default: /* write-only, of version 1, or reserved; the configuration never changes */
		return 0;
	}
}

static enum ew_bus_result mmio_access(
	void *opaque, uint64_t offset, unsigned size, bool is_write, uint64_t *value)
{
	struct virtio_mmio *t = opaque;

	if (offset >= VIRTIO_MMIO_CONFIG) { /* any size anywhere; read-only */
		if (!is_write)
			*value = virtio_device_read_config(
				t->v1.dev, offset - VIRTIO_MMIO_CONFIG, size);
		return EW_BUS_HANDLED;
	}
	if (size != 4 || offset % 4) /* 4.2.2.2 */
		return EW_BUS_BAD_SIZE;
	if (is_write)
		mmio_write(t, (unsigned)offset, (uint32_t)*value);
	else
		*value = mmio_read(t, (unsigned)offset);
	return EW_BUS_HANDLED;
}

static enum ew_snapshot_why mmio_snapshot(void *opaque, uint64_t offset, bool is_write)
{
	(void)opaque;
	if (is_write && offset == VIRTIO_MMIO_QUEUE_NOTIFY)
		return EW_SNAPSHOT_NOTIFY;
	if (!is_write && offset == VIRTIO_MMIO_INTERRUPT_STATUS)
		return EW_SNAPSHOT_ISR_READ;
	return EW_SNAPSHOT_NONE;
}

int virtio_mmio_attach(struct virtio_mmio *t, struct virtio_device *dev, const char *name,
	struct bus *bus, uint64_t base, struct err *e)
{
	struct bus_region r = {.name = t->name,
		.device = dev->id,
		.space = EW_SPACE_MMIO,
		.base = base,
		.len = VIRTIO_MMIO_LEN,
		.handler = mmio_access,
		.opaque = t,
		.snapshot = mmio_snapshot};
	int ret;

	*t = (struct virtio_mmio){0};
	ret = virtio_v1_init(&t->v1, dev, e);
	if (ret)
		return ret;
	snprintf(t->name, sizeof(t->name), "%s virtio-mmio", name);
	return bus_add(bus, &r, e);
}
