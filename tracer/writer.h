/* SPDX-License-Identifier: MIT */
/*
 * The writer thread: merges the tracks' rings by time and inserts. A record waits until no other track
 * can still deliver an older one: each other ring has a newer record, or the reorder window is over.
 */
#ifndef EXITWALK_TRACER_WRITER_H
#define EXITWALK_TRACER_WRITER_H

#include <pthread.h>
#include <stdatomic.h>
#include "host_ring.h"
#include "rows.h"

#define WRITER_COMMIT_ROWS 20000
#define WRITER_COMMIT_NS 200000000u
#define WRITER_THREAD "exitwalk-writer"
#define WRITER_SLEEP_NS 1000000u

struct writer {
	struct store *store;
	struct rows rows;
	struct ring *ring[ROWS_TRACKS_MAX + 1];            /* ring[i] is track i + 1 */
	const _Atomic uint32_t *task[ROWS_TRACKS_MAX + 1]; /* its thread's id, once known; NULL */
	unsigned rings;
	struct host_ring *host; /* NULL, or the last of ring[], which is of no track */
	struct probe *clock;    /* NULL, or where the thread itself says events clock_pair */
	uint64_t clock_next;    /* when the next one is due; UINT64_MAX: the last one is said */
	uint64_t window_ns;
	uint64_t uncommitted, begun; /* events since the last commit; when the first of them came */
	uint64_t cpu_ns;             /* the thread's CPU time, when it has ended */
	pthread_t thread;
	bool running;
	atomic_bool stop;
	atomic_int status; /* 0 or -errno */
	struct err err;    /* the sentence for status: the thread's until it is joined */
};

int writer_init(struct writer *w, struct store *store, uint64_t window_ns, struct err *e);
void writer_destroy(struct writer *w); /* after writer_stop, or never started */

/* Borrows the ring. Not while the thread runs. task: where the thread's id will stand, or NULL. */
int writer_add_ring(
	struct writer *w, struct ring *ring, const _Atomic uint32_t *task, struct err *e);

/* Borrows the ring of the host's tracepoints. After all others. */
void writer_add_host(struct writer *w, struct host_ring *host);

int writer_start(struct writer *w, struct err *e);

/* Stores everything that the rings hold, commits, ends the thread. The emitting threads must have made
 * their last emit. Returns the writer's status. */
int writer_stop(struct writer *w, struct err *e);

/* One pass over the rings at time `now` (UINT64_MAX: nothing older can come); *n: records taken.
 * Called by the thread; tests call it without one. */
int writer_pass(struct writer *w, uint64_t now, uint64_t *n);
int writer_commit(struct writer *w);

#endif
