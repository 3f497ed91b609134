/* SPDX-License-Identifier: MIT */
/* What a record of a tracepoint costs the thread that makes it. */
#ifndef EXITWALK_TRACER_HOST_COST_H
#define EXITWALK_TRACER_HOST_COST_H

#include <stdint.h>

#include "host_tracefs.h"

/*
 * Measured here and now: records written into the instance's buffer (trace_marker), against the same writes
 * with the buffer off. Picoseconds; 0: it cannot be measured. The instance is off and empty before and after.
 */
uint64_t host_cost_of_record(const struct host_instance *in);

/*
 * A function's return by a probe (host_returns.h), the probe and its record: calls of a small system call with a probe on it,
 * against the same calls without. As above.
 */
uint64_t host_cost_of_return(const struct host_instance *in);

#endif
