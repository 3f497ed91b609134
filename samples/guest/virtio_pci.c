// SPDX-License-Identifier: MIT
/*
 * PCI configuration mechanism 1, and the legacy virtio-pci registers (virtio 1.1, 4.1.4.8).
 */
#include <linux/pci_regs.h>
#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>

#include "guest_abi.h"
#include "virtio.h"

#define PCI_ID_VIRTIO_BLK_LEGACY 0x10011af4 /* device 1001, vendor 1af4 */

static uint8_t vring_pages[4 * PAGE_SIZE] __attribute__((aligned(PAGE_SIZE)));
_Static_assert(sizeof(vring_pages) >= 16 * VIRTQUEUE_MAX + 2 * PAGE_SIZE + 8 * VIRTQUEUE_MAX, "");

static uint32_t pci_read32(uint8_t devfn, uint8_t reg)
{
	iowrite32(0x80000000 | devfn << 8 | (reg & ~3), EW_PCI_ADDR_PORT);
	return ioread32(EW_PCI_DATA_PORT);
}

static void pci_write16(uint8_t devfn, uint8_t reg, uint16_t value)
{
	iowrite32(0x80000000 | devfn << 8 | (reg & ~3), EW_PCI_ADDR_PORT);
	iowrite16(value, EW_PCI_DATA_PORT + (reg & 2));
}

void vp_set_status(struct vp_device *vp, uint8_t status)
{
	iowrite8(status, vp->io_base + VIRTIO_PCI_STATUS);
}

uint32_t vp_negotiate(struct vp_device *vp, uint32_t wanted)
{
	uint32_t features = ioread32(vp->io_base + VIRTIO_PCI_HOST_FEATURES) & wanted;

	iowrite32(features, vp->io_base + VIRTIO_PCI_GUEST_FEATURES);
	return features;
}

uint32_t vp_config32(struct vp_device *vp, unsigned int offset)
{
	return ioread32(vp->io_base + VIRTIO_PCI_CONFIG_OFF(0) + offset);
}

noinline bool vp_notify(struct virtqueue *vq)
{
	iowrite16(vq->index, vq->io_base + VIRTIO_PCI_QUEUE_NOTIFY);
	return true;
}

noinline void vp_vring_interrupt(unsigned int irq, void *data)
{
	struct vp_device *vp = data;

	(void)irq;
	vring_interrupt(vp->vq);
}

/* Reading the ISR acknowledges the interrupt: the device lowers its line. */
noinline void vp_interrupt(unsigned int irq, void *data)
{
	struct vp_device *vp = data;
	uint8_t isr = ioread8(vp->io_base + VIRTIO_PCI_ISR);

	if (isr & 1)
		vp_vring_interrupt(irq, data);
}

int vp_find(struct vp_device *vp)
{
	uint32_t bar;

	if (pci_read32(EW_VIRTIO_BLK_DEVFN, PCI_VENDOR_ID) != PCI_ID_VIRTIO_BLK_LEGACY)
		return -ENODEV;
	bar = pci_read32(EW_VIRTIO_BLK_DEVFN, PCI_BASE_ADDRESS_0);
	if (!(bar & PCI_BASE_ADDRESS_SPACE_IO))
		return -ENODEV;
	vp->io_base = bar & PCI_BASE_ADDRESS_IO_MASK;
	vp->irq = pci_read32(EW_VIRTIO_BLK_DEVFN, PCI_INTERRUPT_LINE);
	if (vp->irq >= IRQ_COUNT)
		return -ENODEV;
	pci_write16(EW_VIRTIO_BLK_DEVFN, PCI_COMMAND, PCI_COMMAND_IO | PCI_COMMAND_MASTER);
	vp_set_status(vp, 0);
	return 0;
}

/* Queue 0: its size is the device's choice; it learns where the ring is by page number. */
int vp_setup_vq(struct vp_device *vp, struct virtqueue *vq)
{
	uint16_t num;

	iowrite16(0, vp->io_base + VIRTIO_PCI_QUEUE_SEL);
	num = ioread16(vp->io_base + VIRTIO_PCI_QUEUE_NUM);
	if (num < 4 || num > VIRTQUEUE_MAX || (num & (num - 1)))
		return -ENODEV;
	vring_new_virtqueue(vq, num, vring_pages);
	vq->io_base = vp->io_base;
	vp->vq = vq;
	request_irq(vp->irq, vp_interrupt, vp);
	iowrite32(__pa(vring_pages) >> VIRTIO_PCI_QUEUE_ADDR_SHIFT,
		vp->io_base + VIRTIO_PCI_QUEUE_PFN);
	return 0;
}
