/* SPDX-License-Identifier: MIT */
/* One reading of this machine's TSC together with CLOCK_MONOTONIC. */
#ifndef EXITWALK_TRACER_CLOCK_PAIR_H
#define EXITWALK_TRACER_CLOCK_PAIR_H

#include <stdint.h>

/* Between two of them while a guest runs, ns. */
#define CLOCK_PAIR_EVERY 100000000u

struct clock_pair {
	uint64_t ts;    /* CLOCK_MONOTONIC, ns: the middle of two readings */
	uint64_t tsc;   /* in between */
	uint64_t width; /* ns between those two: ts is wrong by at most half of it */
};

/* The narrowest of several readings. Takes some microseconds. */
struct clock_pair clock_pair_read(void);

#endif
