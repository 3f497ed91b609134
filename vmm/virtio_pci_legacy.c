/* SPDX-License-Identifier: MIT */
/* The legacy virtio PCI transport, without MSI-X: INTA, level-triggered, lowered by reading the ISR. */
#include "vmm/virtio_pci_legacy.h"

#include <stdio.h>
#include <linux/virtio_pci.h>

#define BAR_LEN 128
#define CONFIG VIRTIO_PCI_CONFIG_OFF(0)
#define PCI_PIN_INTA 1

/* The size of the register that begins at this offset. Legacy drivers use no other (4.1.3.1). */
static const uint8_t register_size[CONFIG] = {
	[VIRTIO_PCI_HOST_FEATURES] = 4,
	[VIRTIO_PCI_GUEST_FEATURES] = 4,
	[VIRTIO_PCI_QUEUE_PFN] = 4,
	[VIRTIO_PCI_QUEUE_NUM] = 2,
	[VIRTIO_PCI_QUEUE_SEL] = 2,
	[VIRTIO_PCI_QUEUE_NOTIFY] = 2,
	[VIRTIO_PCI_STATUS] = 1,
	[VIRTIO_PCI_ISR] = 1,
};

/* Selecting a queue that is not there is how drivers count them: size 0 and PFN 0, and no error. */
static const struct virtq *selected(const struct virtio_pci_legacy *t)
{
	return t->queue_sel < t->dev->queues ? &t->dev->queue[t->queue_sel] : NULL;
}

/* One page number places all three parts, one behind the other as in vring_init(), the used ring on a
 * page of its own (2.6.2). 0 takes the queue away. */
static void write_pfn(struct virtio_pci_legacy *t, uint32_t pfn)
{
	struct virtq *q = virtio_device_queue(t->dev, t->queue_sel);
	uint64_t desc = (uint64_t)pfn << VIRTIO_PCI_QUEUE_ADDR_SHIFT, avail, used;

	if (!q)
		return;
	virtio_device_drain(t->dev);
	if (!pfn) {
		virtq_reset(q);
		PROBE(*q->probe, EW_QUEUE_SETUP, q->device, q->index, q->size, 0, 0, 0);
		return;
	}
	avail = desc + q->size * sizeof(struct vring_desc);
	used = avail + sizeof(struct vring_avail) + (q->size + 1u) * sizeof(__virtio16);
	used = (used + VIRTIO_PCI_VRING_ALIGN - 1) & ~(VIRTIO_PCI_VRING_ALIGN - 1ull);
	virtq_setup(q, desc, avail, used);
}

static void legacy_write(struct virtio_pci_legacy *t, unsigned reg, uint32_t v)
{
	switch (reg) {
	case VIRTIO_PCI_GUEST_FEATURES:
		virtio_device_accept(t->dev, v);
		break;
	case VIRTIO_PCI_QUEUE_PFN:
		write_pfn(t, v);
		break;
	case VIRTIO_PCI_QUEUE_SEL:
		t->queue_sel = (uint16_t)v;
		break;
	case VIRTIO_PCI_QUEUE_NOTIFY:
		virtio_device_notify(t->dev, v);
		break;
	case VIRTIO_PCI_STATUS:
		virtio_device_set_status(t->dev, (uint8_t)v);
		if (!v)
			t->queue_sel = 0;
		break;
	default: /* read-only */
		break;
	}
}

static uint32_t legacy_read(struct virtio_pci_legacy *t, unsigned reg)
{
	const struct virtq *q = selected(t);

	switch (reg) {
	case VIRTIO_PCI_HOST_FEATURES:
		return (uint32_t)t->dev->offered;
	case VIRTIO_PCI_GUEST_FEATURES:
		return (uint32_t)t->dev->accepted;
	case VIRTIO_PCI_QUEUE_PFN:
		return q ? (uint32_t)(q->desc_gpa >> VIRTIO_PCI_QUEUE_ADDR_SHIFT) : 0;
	case VIRTIO_PCI_QUEUE_NUM:
		return q ? q->size : 0;
	case VIRTIO_PCI_QUEUE_SEL:
		return t->queue_sel;
	case VIRTIO_PCI_STATUS:
		return t->dev->status;
	case VIRTIO_PCI_ISR:
		return virtio_device_read_isr(t->dev);
	default: /* write-only */
		return 0;
	}
}

static enum ew_bus_result legacy_access(
	void *opaque, uint64_t offset, unsigned size, bool is_write, uint64_t *value)
{
	struct virtio_pci_legacy *t = opaque;

	if (!pci_function_io_enabled(&t->function))
		return EW_BUS_UNCLAIMED;
	if (offset >= CONFIG) { /* any size anywhere: drivers read it byte by byte */
		if (!is_write)
			*value = virtio_device_read_config(t->dev, offset - CONFIG, size);
		return EW_BUS_HANDLED;
	}
	if (size != register_size[offset])
		return EW_BUS_BAD_SIZE;
	if (is_write)
		legacy_write(t, (unsigned)offset, (uint32_t)*value);
	else
		*value = legacy_read(t, (unsigned)offset);
	return EW_BUS_HANDLED;
}

static enum ew_snapshot_why legacy_snapshot(void *opaque, uint64_t offset, bool is_write)
{
	const struct virtio_pci_legacy *t = opaque;

	if (!pci_function_io_enabled(&t->function))
		return EW_SNAPSHOT_NONE;
	if (is_write && offset == VIRTIO_PCI_QUEUE_NOTIFY)
		return EW_SNAPSHOT_NOTIFY;
	if (!is_write && offset == VIRTIO_PCI_ISR)
		return EW_SNAPSHOT_ISR_READ;
	return EW_SNAPSHOT_NONE;
}

int virtio_pci_legacy_attach(struct virtio_pci_legacy *t, struct virtio_device *dev,
	const char *name, uint16_t pci_device, uint32_t class_rev, struct pci_host *pci,
	struct bus *bus, unsigned devfn, uint16_t iobase, struct err *e)
{
	struct bus_region bar = {.name = t->name,
		.device = dev->id,
		.space = EW_SPACE_PIO,
		.base = iobase,
		.len = BAR_LEN,
		.handler = legacy_access,
		.opaque = t,
		.snapshot = legacy_snapshot};
	int ret;

	*t = (struct virtio_pci_legacy){.dev = dev};
	snprintf(t->name, sizeof(t->name), "%s legacy BAR0", name);
	/* Legacy drivers know the device by subsystem ID and demand revision 0 (4.1.2.3). */
	pci_function_init(&t->function, VIRTIO_PCI_VENDOR, pci_device, class_rev, VIRTIO_PCI_VENDOR,
		dev->type);
	pci_function_io_bar(&t->function, 0, iobase, BAR_LEN);
	pci_function_irq(&t->function, PCI_PIN_INTA, dev->env.irq->irq);
	ret = bus_add(bus, &bar, e);
	if (ret)
		return ret;
	return pci_host_add(pci, devfn, &t->function, name, dev->id, e);
}
