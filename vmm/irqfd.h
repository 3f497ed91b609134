/* SPDX-License-Identifier: MIT */
/*
 * Interrupts by writing to an eventfd (Documentation/virt/kvm/api.rst, KVM_IRQFD): any thread may do
 * it, and no ioctl is needed. Here as an interrupt line and as a sink of messages.
 */
#ifndef EXITWALK_VMM_IRQFD_H
#define EXITWALK_VMM_IRQFD_H

#include <stdbool.h>
#include "irq.h"
#include "kvm_routes.h"
#include "msi.h"
#include "tracer/probe.h"

struct irqfd {
	int fd, resample_fd; /* eventfds, not blocking; -1: not there */
	unsigned gsi, device;
	struct probe **probe;
};

/*
 * Level-triggered, by KVM_IRQFD_FLAG_RESAMPLE: KVM lowers the line at the end of interrupt and says so
 * by resample_fd; then irqfd_resampled() is due, which raises it again if the device still wants that.
 * So a device that lowers its line before makes a note only.
 */
struct irqfd_line {
	struct irq_line line; /* what the device gets */
	struct irqfd irqfd;
	bool wanted, raised;
	const uint8_t *isr; /* of the device: what its interrupts are for */
};

#define IRQFD_VECTORS 9 /* VIRTIO_V1_QUEUES and the configuration */

/* Messages: an irqfd per vector, whose route follows what the driver put into the MSI-X table. */
struct irqfd_vector {
	struct irqfd irqfd;
	bool routed; /* to this message: */
	uint64_t addr;
	uint32_t data;
};
struct irqfd_messages {
	struct msi_sink sink; /* what the device gets */
	struct kvm_routes *routes;
	unsigned vectors;
	struct irqfd_vector vector[IRQFD_VECTORS];
};

/* `probe`: as in struct virtio_env; isr is borrowed. On failure nothing is left to close. */
int irqfd_line_open(struct irqfd_line *l, struct kvm_vm *vm, unsigned gsi, unsigned device,
	const uint8_t *isr, struct probe **probe, struct err *e);
void irqfd_line_close(struct irqfd_line *l);

/* resample_fd was read. With the turn. */
void irqfd_resampled(struct irqfd_line *l);

/* At most IRQFD_VECTORS; routes are borrowed, with room for as many. Likewise. */
int irqfd_messages_open(struct irqfd_messages *m, struct kvm_routes *routes, unsigned vectors,
	unsigned device, struct probe **probe, struct err *e);
void irqfd_messages_close(struct irqfd_messages *m);

#endif
