/* SPDX-License-Identifier: MIT */
/*
 * From records to rows: numbers the events, computes their durations, and puts the rows of vm_exit
 * together. It sees the merged records of all tracks, one after the other, on the writer's thread.
 */
#ifndef EXITWALK_TRACER_ROWS_H
#define EXITWALK_TRACER_ROWS_H

#include <stdatomic.h>

#include "event_row.h"
#include "host_rows.h"

#define ROWS_TRACKS_MAX 320 /* the most vCPUs (ACPI_MAX_CPUS), and threads for I/O */
#define ROWS_DISPATCH_DEPTH 8

/* An exit from its run_exit until its run_enter: what vm_exit will say. */
struct rows_exit {
	bool open, stored, changed; /* stored: a commit wrote it while it was open */
	bool hw;                    /* it is an exit of the hardware: host_rows stores it */
	int64_t number;             /* the VMM's for it: its id, unless there are tracepoints */
	int64_t id, event_id, reason;
	uint64_t ts, t_dispatch, t_done, t_entry; /* 0: did not happen (yet) */
	uint64_t value, accesses;
	int64_t region, result;
	struct ew_exit_payload p;
};

/* X(BEGIN, END): kinds of events that begin a span, and that end it; of each, one goes on at a time. */
#define ROWS_SPANS(X)                                                                              \
	X(HOST_CALL, HOST_RET)                                                                     \
	X(IRQ_LINE, IRQ_LINE_RET)                                                                  \
	X(MSI, MSI_RET)                                                                            \
	X(IRQFD, IRQFD_RET)                                                                        \
	X(IO_SIGNAL, IO_SIGNAL_RET)                                                                \
	X(IO_SLEEP, IO_WAKE)                                                                       \
	X(URING_ENTER, URING_ENTER_RET)

enum rows_span {
#define SPAN(begin, end) ROWS_SPAN_##begin,
	ROWS_SPANS(SPAN)
#undef SPAN
		ROWS_SPAN_MAX
};

/* Requests that io_uring has at a time, by number modulo this: more than queues are long. */
#define ROWS_URING_SLOTS 4096
struct rows_sqe {
	uint64_t request, ts; /* request 0: free */
};

struct rows_track {
	struct rows_exit exit;
	int64_t during;   /* the exit in which the vCPU is; 0: none, or unknown after a loss */
	uint64_t entered; /* time of the last run_enter; 0: none */
	uint64_t previous;
	uint64_t begun[ROWS_SPAN_MAX]; /* 0: none */
	struct rows_sqe *sqe;          /* ROWS_URING_SLOTS, once there is one */
	unsigned depth;                /* of nested dispatches */
	uint64_t dispatch[ROWS_DISPATCH_DEPTH];
};

struct rows {
	struct store *store;
	struct insn_memo *memo;
	unsigned char args[256]; /* by kind: how many arguments it has */
	struct rows_counts n;
	struct rows_track *track[ROWS_TRACKS_MAX + 1]; /* by track id, from 1 */
	unsigned tracks;
	bool joined;           /* there are tracepoints of the host too, and ids count all exits */
	struct host_rows host; /* if so */
};

int rows_init(struct rows *r, struct store *store, struct err *e);
void rows_destroy(struct rows *r);

/* Makes room for a track: before records of it come. */
int rows_add_track(struct rows *r, unsigned track, struct err *e);

/* From here on the exits of the tracks are joined with those that host events speak of. No more tracks
 * are added after it. */
void rows_join(struct rows *r);

/* One event of the host's tracepoints, in time order with rows_add(). A task that is the thread of a track
 * (rows_thread) is that track. */
int rows_add_host(struct rows *r, const struct host_event *ev, struct err *e);
int rows_thread(struct rows *r, unsigned track, uint32_t task, struct err *e);

/* Stores one record. A time before the last one's is raised to it, and counted: event.id stays in
 * time order. 0 or -errno of the database. */
int rows_add(struct rows *r, unsigned track, const struct ew_rec *rec, const void *payload,
	struct err *e);

/* Before a commit: stores the exits that are still open as far as they are known. */
int rows_store_open(struct rows *r, struct err *e);

#endif
