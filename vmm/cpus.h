/* SPDX-License-Identifier: MIT */
/* The processors of one machine: a thread for each, one numbering of their exits, one end of the run. */
#ifndef EXITWALK_VMM_CPUS_H
#define EXITWALK_VMM_CPUS_H

#include "stop.h"
#include "vcpu.h"

struct cpus {
	struct vcpu *vcpu; /* count of them; vcpu[i] has APIC id i */
	unsigned count;
	struct stop stop;
	uint64_t exits; /* returns of KVM_RUN so far, of all of them = the last exit's number */
	uint64_t start, end; /* CLOCK_MONOTONIC before the first KVM_RUN and after the last, ns */
	uint64_t cpu_ns;     /* processor time of vCPU 0's thread between them */
	void (*at_rest)(
		void *ctx); /* no vCPU runs any more; the machine has not stopped yet. Or NULL */
	void *ctx;
};

/* Before anything else, so that `stop` can be asked whatever follows. */
void cpus_init(struct cpus *c);

/* -EINVAL with a sentence if this KVM cannot have so many processors. */
int cpus_check(const struct kvm *k, unsigned count, struct err *e);

/*
 * Creates `count` vCPUs of k, with its interrupt controllers there already. On failure cpus_destroy is
 * still to be called, as always.
 */
int cpus_create(struct cpus *c, const struct kvm *k, unsigned count, struct err *e);
void cpus_destroy(struct cpus *c);

/* vCPU 0 is to start at `entry` as the 64-bit boot protocol says; the others wait for INIT and SIPI. */
int cpus_reset(struct cpus *c, enum cpu_model model, uint64_t entry, struct err *e);

/*
 * Runs vCPU 0 on the calling thread, which must have called kick_init, and the others on threads of
 * their own, until c->stop is asked for; returns when all of them have ended. vCPU 0's probe records
 * the machine's start and stop.
 */
enum ew_stop cpus_run(struct cpus *c);

#endif
