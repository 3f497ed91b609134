/* SPDX-License-Identifier: MIT */
/*
 * From events of the host's tracepoints to rows, for a recording that has nothing else: one track per
 * task, one row of vm_exit per exit of the hardware. Events come in time order.
 */
#ifndef EXITWALK_TRACER_HOST_ROWS_H
#define EXITWALK_TRACER_HOST_ROWS_H

#include "host_event.h"
#include "store.h"

struct host_track;

struct host_rows_counts {
	uint64_t events, exits, losses, lost;
	uint64_t first_ts, last_ts;
	uint64_t late, late_max_ns; /* records earlier than the one in front of them */
};

struct host_rows {
	struct store *store;
	struct host_track *track; /* track[i] is row i + 1 */
	unsigned tracks, cap;
	unsigned *slot;       /* hash: task → row; 0: none */
	unsigned slots;       /* a power of two */
	unsigned event_bound; /* parameters of STMT_EVENT that are not NULL */
	int isa;              /* of the last exit; 0: none yet */
	struct host_rows_counts n;
};

void host_rows_init(struct host_rows *r, struct store *store);
void host_rows_destroy(struct host_rows *r);

/* Makes the track of a task, unless it has one. */
int host_rows_task(struct host_rows *r, uint32_t task, const char *name, struct err *e);

/* Stores one event. Its task, and those it names, have their tracks. */
int host_rows_add(struct host_rows *r, const struct host_event *ev, struct err *e);

/* Records of a CPU (its HOST_TASK_CPU) that were lost between two times; n = 0: nobody counted them. Where
 * the vCPUs are after that, their next records say. */
int host_rows_lost(
	struct host_rows *r, uint32_t task, uint64_t ts0, uint64_t ts1, uint64_t n, struct err *e);

/* Before a commit: stores the exits that are still open, and which tracks are vCPUs. */
int host_rows_flush(struct host_rows *r, struct err *e);

#endif
