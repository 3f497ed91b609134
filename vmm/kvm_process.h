/* SPDX-License-Identifier: MIT */
/* A running process that has a KVM virtual machine, of any VMM: how it is found. */
#ifndef EXITWALK_VMM_KVM_PROCESS_H
#define EXITWALK_VMM_KVM_PROCESS_H

#include <stdbool.h>
#include <sys/types.h>
#include "tracer/err.h"

struct kvm_process {
	pid_t pid;
	char comm[32];
	char command_line[1024]; /* words with blanks between them */
	unsigned vms, vcpus;     /* of which it has file descriptors open */
};

/* -ESRCH: there is none; -EACCES: it may not be looked at; -ENODEV: it has no virtual machine. */
int kvm_process_of(struct kvm_process *p, pid_t pid, struct err *e);

/*
 * By the VM's name: the process's own name, or a word of its command line that is NAME, or has it as the
 * value of name, guest or id ("-name guest=NAME,…", "--id NAME"). -ESRCH: none; -EEXIST: several.
 */
int kvm_process_named(struct kvm_process *p, const char *name, struct err *e);

/* Is that its name, in this sense? */
bool kvm_process_is_named(const struct kvm_process *p, const char *name);

/* Looks again how many VMs and vCPUs it has; the numbers only grow. -errno: it cannot be looked at (any more). */
int kvm_process_count(struct kvm_process *p);

#endif
