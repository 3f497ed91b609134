/* SPDX-License-Identifier: MIT */
/*
 * Where a guest's events belong among the host's: their times by guest_clock, and what is certain besides. A guest
 * runs no instruction between an exit and the next entry of its vCPU, and on one CPU the order of its own buffer is
 * the truth.
 */
#ifndef EXITWALK_TRACER_GUEST_PLACE_H
#define EXITWALK_TRACER_GUEST_PLACE_H

#include "guest_clock.h"
#include "guest_gather.h"

/* Beside the host's events of the same time. */
enum guest_place { GUEST_BEFORE, GUEST_AFTER };

/* While one vCPU is not in its guest: both ends included. */
struct guest_outside {
	int64_t from, to; /* to INT64_MAX: until the end */
};

struct guest_vcpu {
	int64_t track; /* 0: the machine has no such vCPU */
	struct guest_outside *outside;
	size_t n, cap;
};

struct guest_placed {
	int64_t error_max;
	uint64_t moved;    /* to the edge of an exit, within their error */
	uint64_t inside;   /* left between exit and entry: their error does not explain it */
	uint64_t unplaced; /* of a CPU that the machine does not have: left out */
	uint64_t turned;   /* raised to the time of the one in front of them */
};

/* The vCPUs of a recording, by number, and when they were outside their guest. Frees by guest_vcpus_free(). */
int guest_vcpus_read(struct guest_vcpu vcpu[GUEST_CPUS], sqlite3 *db, struct err *e);
void guest_vcpus_free(struct guest_vcpu vcpu[GUEST_CPUS]);

/*
 * Gives each row its ts, error and place, sorts the rows by time, and gives those that end a span their dur. Rows that
 * cannot be placed are taken out. -ENOMEM.
 */
int guest_place(struct guest_gather *g, struct guest_clock *c,
	const struct guest_vcpu vcpu[GUEST_CPUS], struct guest_placed *p, struct err *e);

#endif
