/* SPDX-License-Identifier: MIT */
/* Message-signalled interrupts that end at KVM's local APICs. */
#ifndef EXITWALK_VMM_KVM_MSI_H
#define EXITWALK_VMM_KVM_MSI_H

#include "msi.h"
#include "tracer/probe.h"

struct kvm_msi_sink {
	struct msi_sink sink; /* what the device gets */
	int vm_fd;
	unsigned device;
	struct probe **probe;
};

/* `probe`: as in struct virtio_env. Needs KVM_CAP_SIGNAL_MSI and interrupt controllers in the kernel. */
void kvm_msi_init(struct kvm_msi_sink *k, int vm_fd, unsigned device, struct probe **probe);

#endif
