/* SPDX-License-Identifier: MIT */
/*
 * A notify register that KVM itself watches (Documentation/virt/kvm/api.rst, KVM_IOEVENTFD): the guest's
 * write signals an eventfd inside the exit, and KVM_RUN does not return for it.
 */
#ifndef EXITWALK_VMM_DOORBELL_H
#define EXITWALK_VMM_DOORBELL_H

#include <stdbool.h>
#include <stdint.h>
#include "bus.h"
#include "kvm_vm.h"
#include "tracer/err.h"

/* What a write has to be so that it rings. */
struct doorbell_where {
	enum ew_space space;
	uint64_t addr;
	unsigned size;
	bool any;       /* any value; else only: */
	uint64_t value; /* (another one exits to the VMM as ever) */
};

struct doorbell {
	struct kvm_vm *vm; /* borrowed */
	struct doorbell_where where;
	int fd; /* the eventfd, borrowed */
	bool on;
};

void doorbell_init(
	struct doorbell *d, struct kvm_vm *vm, const struct doorbell_where *where, int fd);

/* Off: each write exits to the VMM. 0, or what KVM says. */
int doorbell_set(struct doorbell *d, bool on);

#endif
