/* SPDX-License-Identifier: MIT */
/*
 * --guest-events: the port through which the agent in a Linux guest (tracer/agent/) sends what the guest's
 * kernel traces. A virtio console behind the disks, by the same transport; its queues are served by the
 * vCPU that notifies, its interrupt is a line, or a message where the disks' are messages by KVM_SIGNAL_MSI.
 */
#ifndef EXITWALK_VMM_GUEST_PORT_H
#define EXITWALK_VMM_GUEST_PORT_H

#include "drives.h"
#include "kvm_irq.h"
#include "kvm_msi.h"
#include "tracer/recorder.h"
#include "virtio_console.h"
#include "virtio_slot.h"

#define GUEST_PORT_NAME "virtio-console0"
/* For `init` of the guest (samples/linux/init): start the agent. */
#define GUEST_PORT_WORD "ew_agent=1"

struct guest_port {
	unsigned device; /* the recording's number */
	struct virtio_console console;
	struct virtio_slot slot;
	struct kvm_irq line;
	struct kvm_msi_sink messages;
	struct virtio_console_sink sink;
	const struct recorder *recorder; /* NULL: nothing is recorded, so nothing waits */
	const int *stop;
};

/* Plugs it in; env without irq and io. p must stay where it is. After an error: do not run the machine. */
int guest_port_attach(struct guest_port *p, unsigned device, const struct drive_choice *choice,
	const struct virtio_env *env, int vm_fd, struct pci_host *pci, struct bus *bus,
	struct err *e);

#endif
