/* SPDX-License-Identifier: MIT */
/*
 * The VM's table of interrupt routes (Documentation/virt/kvm/api.rst, KVM_SET_GSI_ROUTING): where the
 * GSIs of irqfds lead. The table is replaced as a whole, so the routes to the controllers that KVM makes
 * by itself have to stand in it too.
 */
#ifndef EXITWALK_VMM_KVM_ROUTES_H
#define EXITWALK_VMM_KVM_ROUTES_H

#include <linux/kvm.h>
#include <stdint.h>
#include "kvm_vm.h"
#include "tracer/err.h"

struct kvm_routes {
	struct kvm_vm *vm; /* borrowed */
	struct kvm_irq_routing *table;
	unsigned room, next_gsi;
};

/* With the routes of KVM_CREATE_IRQCHIP and room for so many messages. KVM is not told yet. -ENOMEM. */
int kvm_routes_init(struct kvm_routes *r, struct kvm_vm *vm, unsigned messages, struct err *e);
void kvm_routes_free(struct kvm_routes *r);

/* A GSI of its own for messages, beyond those of the controllers; 0: no room. */
unsigned kvm_routes_new_gsi(struct kvm_routes *r);

/* From now on the GSI is this message. 0, or what KVM says; then the route is as before. */
int kvm_routes_message(struct kvm_routes *r, unsigned gsi, uint64_t addr, uint32_t data);

#endif
