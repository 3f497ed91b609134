/* SPDX-License-Identifier: MIT */
/*
 * KVM's own counters of another process's virtual machine: of the VM, all its vCPUs together, from debugfs;
 * of each vCPU where the process has its statistics open (KVM_GET_STATS_FD is refused to any other
 * process). A VM that is held keeps its counters when its process ends, until it is closed here.
 */
#ifndef EXITWALK_VMM_KVM_COUNTERS_H
#define EXITWALK_VMM_KVM_COUNTERS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define KVM_COUNTERS_VCPUS 1024

struct kvm_counters {
	pid_t pid;
	char dir[300]; /* of debugfs; "": none */
	ino_t inode;   /* its: another VM may have the same name later */
	int number;    /* of the VM's file in the process */
	int vm;        /* the VM, held; -1: not */
	unsigned vcpus;
	struct {
		int vcpu, fd; /* its number; its statistics */
	} vcpu[KVM_COUNTERS_VCPUS];
	char why[160]; /* "", or why there are none, or not all */
};

/* What was read, between two times of CLOCK_MONOTONIC (ns). */
struct kvm_counts {
	struct kvm_count {
		int vcpu; /* -1: of the VM */
		char name[48];
		uint64_t value;
	} * at;
	size_t n, cap;
	uint64_t from, to;
};

/* Looks what there is; what there is not is said in c->why. pidfd is borrowed. */
void kvm_counters_open(struct kvm_counters *c, pid_t pid, int pidfd);

/*
 * Holds the VM, and looks for the statistics of vCPUs that were made since. Not for a VM that is only tried out:
 * one of the same name could not have counters as long as it is held.
 */
void kvm_counters_hold(struct kvm_counters *c, int pidfd);

/* Adds to what *n holds; frees nothing. -ENOMEM, else 0. */
int kvm_counters_read(const struct kvm_counters *c, struct kvm_counts *n);

void kvm_counters_close(struct kvm_counters *c);

#endif
