/* SPDX-License-Identifier: MIT */
/* An interrupt line that ends at KVM's interrupt controllers. */
#ifndef EXITWALK_VMM_KVM_IRQ_H
#define EXITWALK_VMM_KVM_IRQ_H

#include "irq.h"
#include "tracer/probe.h"

struct kvm_irq {
	struct irq_line line; /* what the device gets */
	int vm_fd;
	int level;
	unsigned device;
	struct probe **probe;
};

/* Lowered at first. `probe`: as in struct virtio_env. */
void kvm_irq_init(
	struct kvm_irq *i, int vm_fd, unsigned irq, unsigned device, struct probe **probe);

#endif
