/* SPDX-License-Identifier: MIT */
/*
 * Waits for a virtual machine that begins. KVM says so in a uevent at once; where those do not come (a network
 * namespace of a container), processes are looked through several times in a second.
 */
#ifndef EXITWALK_VMM_KVM_AWAIT_H
#define EXITWALK_VMM_KVM_AWAIT_H

#include <stdint.h>

#include "kvm_process.h"

struct kvm_await {
	int uevents;    /* netlink socket; -1: they do not come */
	unsigned made;  /* virtual machines that the awaited process made, as far as KVM said */
	uint64_t since; /* ns of CLOCK_MONOTONIC: it had no virtual machine yet; 0: not known */
};

/* From here on no beginning is missed. */
void kvm_await_open(struct kvm_await *w);

/*
 * Until a process called so (kvm_process_named) has a virtual machine, or makes one. -EINTR: `signals`, a
 * signalfd, became readable first. -EEXIST: there are several already.
 */
int kvm_await(
	struct kvm_await *w, struct kvm_process *p, const char *name, int signals, struct err *e);

/* Counts in w->made which further ones the process has made. */
void kvm_await_count(struct kvm_await *w, pid_t pid);

void kvm_await_close(struct kvm_await *w);

#endif
