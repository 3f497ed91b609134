/* SPDX-License-Identifier: MIT */
/* The machine's addresses for virtio devices. */
#include "virtio_slot.h"

#include <linux/virtio_mmio.h>
#include <linux/virtio_pci.h>

#include "guest_abi.h"
#include "layout.h"

/* PCI's revision: 0 for legacy drivers, not 0 for the others (virtio 1.1, 4.1.2). */
enum { LEGACY_REVISION = 0, MODERN_REVISION = 1 };
/* Interrupt lines of the first IOAPIC beyond those that a PC's 8259s know. */
enum { SECOND_GSI = 16 };
enum { LEGACY_PORTS = 0x80, MMIO_STEP = 0x1000 };

unsigned virtio_slot_gsi(unsigned number)
{
	return number ? SECOND_GSI + number - 1 : EW_VIRTIO_BLK_IRQ;
}

static unsigned devfn_of(unsigned number)
{
	return EW_VIRTIO_BLK_DEVFN + (number << 3);
}

static uint32_t mmio_of(unsigned number)
{
	return LAYOUT_VIRTIO_MMIO + number * MMIO_STEP;
}

void virtio_slot_acpi(unsigned number, enum virtio_transport transport, struct acpi_config *acpi)
{
	if (transport == VIRTIO_MMIO)
		acpi->mmio[acpi->mmio_count++] = (struct acpi_mmio){.base = mmio_of(number),
			.len = VIRTIO_MMIO_LEN,
			.gsi = virtio_slot_gsi(number)};
	else
		acpi->pci_gsi[devfn_of(number) >> 3] = (uint8_t)virtio_slot_gsi(number);
}

int virtio_slot_attach(struct virtio_slot *s, unsigned number, enum virtio_transport transport,
	const struct virtio_slot_name *name, struct virtio_device *dev, struct msi_sink *sink,
	struct pci_host *pci, struct bus *bus, struct err *e)
{
	s->number = number;
	s->transport = transport;
	switch (transport) {
	case VIRTIO_LEGACY:
		return virtio_pci_legacy_attach(&s->at.legacy, dev, name->name, name->legacy_id,
			name->class_code << 8 | LEGACY_REVISION, pci, bus, devfn_of(number),
			(uint16_t)(EW_VIRTIO_BLK_IOBASE + number * LEGACY_PORTS), e);
	case VIRTIO_MODERN:
		return virtio_pci_modern_attach(&s->at.modern, dev, name->name,
			name->class_code << 8 | MODERN_REVISION, sink, pci, bus, devfn_of(number),
			LAYOUT_PCI_BARS + number * VIRTIO_PCI_MODERN_BAR_LEN, e);
	default:
		return virtio_mmio_attach(&s->at.mmio, dev, name->name, bus, mmio_of(number), e);
	}
}

struct doorbell_where virtio_slot_notify(const struct virtio_slot *s, unsigned queue)
{
	switch (s->transport) {
	case VIRTIO_LEGACY:
		return (struct doorbell_where){.space = EW_SPACE_PIO,
			.addr = s->at.legacy.function.bar_base[0] + VIRTIO_PCI_QUEUE_NOTIFY,
			.size = 2,
			.value = queue};
	case VIRTIO_MODERN: /* the address alone says which queue */
		return (struct doorbell_where){.space = EW_SPACE_MMIO,
			.addr = virtio_pci_modern_notify_address(&s->at.modern, queue),
			.size = 2,
			.any = true};
	default:
		return (struct doorbell_where){.space = EW_SPACE_MMIO,
			.addr = (uint64_t)mmio_of(s->number) + VIRTIO_MMIO_QUEUE_NOTIFY,
			.size = 4,
			.value = queue};
	}
}
