/* SPDX-License-Identifier: MIT */
/* /dev/kvm: its capabilities, a VM, its interrupt controllers, its memory slot. */
#ifndef EXITWALK_VMM_KVM_H
#define EXITWALK_VMM_KVM_H

#include <stddef.h>
#include "mem.h"
#include "tracer/err.h"

#define KVM_DEVICE "/dev/kvm"

enum kvm_cap_index {
#define CAP(name, need, purpose, cost) KVM_HAS_##name,
#include "kvm_caps.def"
#undef CAP
	KVM_CAPS
};

struct kvm_cap_info {
	const char *name; /* "KVM_CAP_…" */
	int number;
	int needed;
	const char *purpose, *cost;
};
extern const struct kvm_cap_info kvm_cap_info[KVM_CAPS];

struct kvm {
	int fd, vm_fd; /* -1: not open */
	int api_version;
	size_t run_size;   /* bytes to map of a vCPU */
	int cap[KVM_CAPS]; /* what KVM_CHECK_EXTENSION says; 0 = not there */
};

/* Opens `path` and fills in everything but vm_fd. On failure fd is -1; e says what to do. */
int kvm_open(struct kvm *k, const char *path, struct err *e);

/* -ENOTSUP and a sentence naming the first needed capability that is missing. */
int kvm_check_needed(const struct kvm *k, struct err *e);

/* KVM_CREATE_VM, with the pages that VT-x needs. */
int kvm_create_vm(struct kvm *k, struct err *e);

/* Interrupt controllers and timer in the kernel; before any vCPU. */
int kvm_create_irqchip(struct kvm *k, struct err *e);

/* Slot 0: all of m from guest-physical 0. */
int kvm_add_ram(struct kvm *k, const struct guest_mem *m, struct err *e);

void kvm_close(struct kvm *k);

#endif
