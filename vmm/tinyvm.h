/* SPDX-License-Identifier: MIT */
/*
 * A throw-away VM of 2 MiB that runs a few bytes of machine code in long mode, with a time limit. Made
 * to find out what this KVM can do, by trying.
 */
#ifndef EXITWALK_VMM_TINYVM_H
#define EXITWALK_VMM_TINYVM_H

#include "kvm.h"
#include "vcpu.h"

#define TINYVM_CODE 0x8000 /* ring 0 starts here, rsp = TINYVM_STACK */
#define TINYVM_STACK 0x7000
#define TINYVM_USER 0x9000 /* all pages may be used by ring 3 too */
#define TINYVM_ENTRY 0xa000
#define TINYVM_KERNEL_CS 0x10
#define TINYVM_USER_DS 0x2b
#define TINYVM_USER_CS 0x33

struct tinyvm {
	struct kvm kvm;
	struct guest_mem mem;
	struct vcpu vcpu;
};

/* `kvm_device`: as for kvm_open. Without interrupt controllers, so HLT exits. */
int tinyvm_create(struct tinyvm *t, const char *kvm_device, struct err *e);
void tinyvm_destroy(struct tinyvm *t);

/* Copies machine code to a guest address. */
void tinyvm_code(struct tinyvm *t, uint64_t gpa, const char *bytes, size_t len);

/* KVM_RUN until it returns for a reason (>= 0), or -ETIME after `ms`, or -errno. */
int tinyvm_run(struct tinyvm *t, unsigned ms, struct err *e);

#endif
