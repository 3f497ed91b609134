/* SPDX-License-Identifier: MIT */
/* Which threads of a process run which vCPUs. */
#ifndef EXITWALK_TRACER_HOST_VCPUS_H
#define EXITWALK_TRACER_HOST_VCPUS_H

#include <stdbool.h>
#include <sys/types.h>

#include "host_event.h"

#define HOST_VCPUS 1024

struct host_vcpus {
	struct {
		uint32_t task; /* 0: nobody */
		int32_t vcpu;
	} slot[HOST_VCPUS]; /* by task, its low bits; one that is displaced is looked up again */
};

/*
 * An event of process `pid` that runs a vCPU: kvm_entry, kvm_exit, or a KVM_RUN, which gets its vCPU's number here,
 * by /proc/PID/fd. True: this thread was not known for that; VMMs name their threads about then.
 */
bool host_vcpus_see(struct host_vcpus *v, pid_t pid, struct host_event *ev);

#endif
