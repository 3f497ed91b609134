/* SPDX-License-Identifier: MIT */
/* One request of a recording of host tracepoints, on its way through the threads. */
#ifndef EXITWALK_TRACER_HOST_PATH_H
#define EXITWALK_TRACER_HOST_PATH_H

#include "host_join.h"

/* A piece of the way: one thread has the request from one event to another. */
struct host_leg {
	int64_t track, from, to; /* event ids */
};

#define HOST_LEGS 5

struct host_path {
	const struct host_kick *kick;   /* or NULL */
	const struct host_call *call;   /* or NULL */
	const struct host_irq *irq;     /* or NULL */
	struct mark inject, entry, eoi; /* the delivery; event 0: not seen */
	int64_t delivery;               /* the vCPU's track */
	bool silent;                    /* host_join's */
	int64_t wake,
		wake_irq; /* sched_waking by which the request was handed on; 0: not recorded */
	struct host_leg leg[HOST_LEGS];
	unsigned legs;
	struct mark first, last;
	struct event_row *ev; /* the legs' events, in order */
	size_t n, cap;
};

/* ns[layer] of a path, summing to last.ts - first.ts. before[i]: the event of the same track in front of
 * ev[i], kind 0: there is none. */
void host_budget(const struct derive *d, const struct host_path *p, const struct event_row *before,
	int64_t ns[EW_LAYER_MAX + 1]);

/* Is it a call of KVM_RUN? */
bool host_is_run(const struct event_row *ev);

#endif
