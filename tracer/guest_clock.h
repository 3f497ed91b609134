/* SPDX-License-Identifier: MIT */
/*
 * From a guest's TSC to CLOCK_MONOTONIC of the host, with a bound of the error. What is known: pairs of the host's
 * TSC and its clock (event clock_pair), and for each vCPU what KVM adds to the host's TSC (event tsc_offset).
 * docs/architecture.md, "One clock", says what the bound has in it.
 */
#ifndef EXITWALK_TRACER_GUEST_CLOCK_H
#define EXITWALK_TRACER_GUEST_CLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct guest_clock_pair {
	uint64_t tsc;
	int64_t ts, half; /* ts may be wrong by half ns */
	double slope;     /* ns per tick up to the next pair */
	double error;     /* ns, of what lies up to the next pair */
};

/* A time in which all that was read of a vCPU's offset was the same. */
struct guest_clock_offset {
	uint64_t offset;
	int64_t first, last; /* ts of the readings */
	uint64_t khz, host_khz;
};

struct guest_clock_vcpu {
	struct guest_clock_offset *at;
	size_t n, cap;
};

struct guest_clock {
	struct guest_clock_pair *pair; /* in order */
	size_t pairs, cap;
	struct guest_clock_vcpu *vcpu;
	size_t vcpus;
	unsigned fraction_bits; /* of KVM's TSC ratio: 48 kvm_intel, 32 kvm_amd, 0: not known */
	bool backwards;         /* the host's TSC did not only grow */
	size_t seek;            /* the pair that was used last */
};

/* All zero is empty. */
void guest_clock_free(struct guest_clock *c);

/* In order of time. 0 or -ENOMEM. */
int guest_clock_add_pair(struct guest_clock *c, int64_t ts, uint64_t tsc, uint64_t width);
int guest_clock_add_offset(struct guest_clock *c, unsigned vcpu, int64_t ts, uint64_t offset,
	uint64_t khz, uint64_t host_khz);

/* After the last one. NULL: times can be converted; or why not, as the end of a sentence. */
const char *guest_clock_ready(struct guest_clock *c);

/* False: nothing is known of this vCPU. *error: by how many ns *ts may be wrong. */
bool guest_clock_convert(
	struct guest_clock *c, unsigned vcpu, uint64_t tsc, int64_t *ts, int64_t *error);

/* How often the offset of a vCPU was found to be another one than before. */
size_t guest_clock_changes(const struct guest_clock *c);

#endif
