/* SPDX-License-Identifier: MIT */
/*
 * From events of the host's tracepoints to rows: one track per task, one row of vm_exit per exit of the
 * hardware. Events come in time order. They may be all that a recording has, or stand beside what a VMM
 * says of itself: then the threads of both are the same tracks, and their exits the same rows.
 */
#ifndef EXITWALK_TRACER_HOST_ROWS_H
#define EXITWALK_TRACER_HOST_ROWS_H

#include "event_row.h"
#include "host_event.h"

struct host_exit_vmm;

struct host_gather;

struct host_track;

struct host_rows {
	struct store *store;
	struct rows_counts *n; /* of the recording */
	struct host_track *track;
	unsigned tracks, cap;
	unsigned *slot; /* hash: task → track + 1; 0: none */
	unsigned slots; /* a power of two */
	unsigned rows;  /* of the table track */
	unsigned *own;  /* by row of track: track + 1 of one that has another source too; 0: none */
	unsigned owns;  /* rows that own has */
	int isa;        /* of the last exit; 0: none yet */
	struct host_gather *gather; /* is given all of it too, if it is not NULL; borrowed */
};

/* `rows`: so many tracks have their rows already. Borrows n. */
void host_rows_init(struct host_rows *r, struct store *store, struct rows_counts *n, unsigned rows);
void host_rows_destroy(struct host_rows *r);

/* The task is the thread of that row of track, which is there already and has another source of events. */
int host_rows_own(struct host_rows *r, uint32_t task, unsigned row, struct err *e);
bool host_rows_knows(const struct host_rows *r, uint32_t task);

/* Makes the track of a task; one that is known has another name now. */
int host_rows_task(struct host_rows *r, uint32_t task, const char *name, struct err *e);

/* Stores one event. Its task, and those it names, have their tracks. outer: the exit that it is part of if
 * it is part of none of the hardware's; 0: none. */
int host_rows_add(struct host_rows *r, const struct host_event *ev, int64_t outer, struct err *e);

/* The row of track of a task; 0: it has none. */
unsigned host_rows_track(const struct host_rows *r, uint32_t task);

/* KVM_RUN has returned on the track of that row. The id of the hardware's exit that it returned from, or 0:
 * none goes on there, or KVM_RUN has returned from it before. */
int64_t host_rows_returned(struct host_rows *r, unsigned row);

/* Where the hardware found the instruction of an exit that host_rows_returned() gave; 0: not known. */
uint64_t host_rows_rip(const struct host_rows *r, unsigned row, int64_t exit_id);

/* What the VMM knows by now of an exit that host_rows_returned() gave. reenter: the time at which it calls
 * KVM_RUN again; 0: not yet. */
int host_rows_vmm(struct host_rows *r, unsigned row, int64_t exit_id,
	const struct host_exit_vmm *vmm, uint64_t reenter, struct err *e);

/* Records of a CPU (its HOST_TASK_CPU) that were lost between two times; n = 0: nobody counted them. Where
 * the vCPUs are after that, their next records say. */
int host_rows_lost(
	struct host_rows *r, uint32_t task, uint64_t ts0, uint64_t ts1, uint64_t n, struct err *e);

/* Before a commit: stores the exits that are still open, and which tracks are vCPUs. */
int host_rows_flush(struct host_rows *r, struct err *e);

#endif
