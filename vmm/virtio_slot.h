/* SPDX-License-Identifier: MIT */
/*
 * Where a virtio device of this machine is: addresses and interrupt by the number of its slot, the
 * registers by the transport that was chosen. Disks have the slots from 0 on, the guest's port the one behind.
 */
#ifndef EXITWALK_VMM_VIRTIO_SLOT_H
#define EXITWALK_VMM_VIRTIO_SLOT_H

#include "acpi.h"
#include "doorbell.h"
#include "virtio_mmio.h"
#include "virtio_pci_legacy.h"
#include "virtio_pci_modern.h"

#define VIRTIO_SLOT_DISKS 8
#define VIRTIO_SLOT_GUEST_PORT VIRTIO_SLOT_DISKS
#define VIRTIO_SLOTS (VIRTIO_SLOT_GUEST_PORT + 1)

enum virtio_transport { VIRTIO_LEGACY, VIRTIO_MODERN, VIRTIO_MMIO };

struct virtio_slot {
	unsigned number;
	enum virtio_transport transport;
	union {
		struct virtio_pci_legacy legacy;
		struct virtio_pci_modern modern;
		struct virtio_mmio mmio;
	} at;
};

/* What a slot's device is called, and what PCI says it is. */
struct virtio_slot_name {
	const char *name;
	uint16_t legacy_id;  /* PCI device ID for legacy drivers, VIRTIO_TRANS_ID_* */
	uint32_t class_code; /* 24 bits */
};

/* The interrupt line of a slot, as the IOAPIC counts. */
unsigned virtio_slot_gsi(unsigned number);

/* What ACPI has to say of the device in a slot. */
void virtio_slot_acpi(unsigned number, enum virtio_transport transport, struct acpi_config *acpi);

/* Plugs dev (borrowed, complete) in; sink: as for virtio_pci_modern_attach, others have no messages. s
 * must stay where it is. After an error: do not run the machine. */
int virtio_slot_attach(struct virtio_slot *s, unsigned number, enum virtio_transport transport,
	const struct virtio_slot_name *name, struct virtio_device *dev, struct msi_sink *sink,
	struct pci_host *pci, struct bus *bus, struct err *e);

/* The write that notifies this queue. */
struct doorbell_where virtio_slot_notify(const struct virtio_slot *s, unsigned queue);

#endif
