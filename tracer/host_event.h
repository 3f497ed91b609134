/* SPDX-License-Identifier: MIT */
/* What a tracepoint of the host's kernel says, before it is a row: fixed size, so that it fits a pipe. */
#ifndef EXITWALK_TRACER_HOST_EVENT_H
#define EXITWALK_TRACER_HOST_EVENT_H

#include "probe.h"

/*
 * Who: the thread's id. The idle tasks all have id 0, and a loss has a CPU but no thread: these are told
 * apart by the CPU.
 */
#define HOST_TASK_IDLE 0x80000000u /* | CPU */
#define HOST_TASK_CPU 0xc0000000u  /* | buffer << 16 | CPU */
#define HOST_TASK_KIND 0xc0000000u

#define HOST_DATA 8 /* what is no argument: kvm_exit's interrupt information and error code */
#define HOST_NO_VCPU -1

struct host_event {
	struct ew_rec
		rec; /* the time is the source's; an argument that names a task is its HOST_TASK */
	uint32_t task;
	int32_t vcpu; /* the vCPU that the record names, or that its KVM_RUN is for; HOST_NO_VCPU */
	uint16_t cpu; /* of the host */
	uint8_t present; /* bit i: the record had a value for rec.a[i] */
	uint8_t bytes;   /* of data: the payload */
	uint8_t data[HOST_DATA];
	uint8_t flags; /* common_flags: enum trace_flag_type of the kernel */
};

#endif
