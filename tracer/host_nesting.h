/* SPDX-License-Identifier: MIT */
/*
 * Begins and returns of the host's functions that come from two sources, the function tracer and return probes, put
 * together as function_graph gives them: how deep, since when. Knows no kernel; events come in time order.
 */
#ifndef EXITWALK_TRACER_HOST_NESTING_H
#define EXITWALK_TRACER_HOST_NESTING_H

#include <stdbool.h>

#include "host_event.h"
#include "u64_map.h"

#define HOST_UNPAIRED 64

/* All zero is empty; what is set from outside is said. */
struct host_nesting {
	bool on; /* set: the returns come from probes */
	/* Set: where a function that was entered by a jump seems to be called from, since the one that jumped is probed:
	 * the kernel's trampoline. 0: not known. */
	uint64_t trampoline;
	uint64_t unpaired[HOST_UNPAIRED]; /* set: functions whose returns will not come */
	unsigned unpaireds;

	struct u64_map task; /* its index in open, plus one */
	struct host_open *open;
	size_t n, cap;
	uint64_t
		missing; /* returns that did not come, though what had called the function has returned */
};

/*
 * Looks at an event, and fills in what is known of a begin (depth; parent, behind a jump the function that jumped) and of a
 * return (depth, calltime: that of its begin, rettime). Other events, and all if it is not on, stay as they are. -ENOMEM.
 */
int host_nesting_see(struct host_nesting *s, struct host_event *ev);

/* Records were lost: which functions are open is not known, until a task begins with what it began with before. */
void host_nesting_forget(struct host_nesting *s);

void host_nesting_free(struct host_nesting *s);

#endif
