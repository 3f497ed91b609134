/* SPDX-License-Identifier: MIT */
/* The recorder's inside, shared by its two halves. */
#ifndef EXITWALK_TRACER_RECORDER_PRIV_H
#define EXITWALK_TRACER_RECORDER_PRIV_H

#include "recorder.h"
#include "ring.h"
#include "writer.h"

struct ksyms;

struct recorder_track {
	struct probe probe;
	struct ring ring;
	_Atomic uint32_t task; /* the emitting thread's id; 0: it has not said so yet */
};

struct recorder {
	struct store store;
	struct writer writer;
	size_t ring_slots;
	struct recorder_track *track[ROWS_TRACKS_MAX];
	unsigned tracks;
	struct recorder_host *host; /* NULL: no tracepoints of the host */
	const struct ksyms
		*guest_names;  /* of a Linux guest's kernel, until recorder_finish; or NULL */
	char guest_trace[256]; /* what became of it, once it is known */
	int64_t emit_ps;       /* what one emit costs, picoseconds */
	/* A describing call that failed: recorder_start and recorder_finish say so. */
	int failed;
	struct err why;
};

/* NULL with *error set if there is no memory. */
struct recorder_track *recorder_track_create(size_t slots, int *error);
void recorder_track_destroy(struct recorder_track *t); /* NULL is fine */

/* Keeps the first failure of a describing call; returns ret. */
int recorder_described(struct recorder *r, int ret);

#endif
