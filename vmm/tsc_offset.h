/* SPDX-License-Identifier: MIT */
/* What KVM adds to the host's TSC for a vCPU, as evidence in the recording. */
#ifndef EXITWALK_VMM_TSC_OFFSET_H
#define EXITWALK_VMM_TSC_OFFSET_H

#include <stdbool.h>
#include <stdint.h>

struct vcpu;

/*
 * Says the vCPU's TSC offset and frequencies as they are now (event tsc_offset), at time `now`. For the vCPU's own
 * thread, since the ioctls wait for KVM_RUN. False: this KVM does not know them (before Linux 5.16), nothing is said.
 */
bool tsc_offset_say(struct vcpu *v, uint64_t now);

#endif
