/* SPDX-License-Identifier: MIT */
/*
 * What the reader of a foreign trace says to the importer, through a pipe: a header, then `len` bytes.
 * The reader parses a file of anybody's with libraries that trust it, so it is a process of its own, and
 * the importer believes nothing but sizes that it has checked.
 */
#ifndef EXITWALK_TRACER_IMPORT_PIPE_H
#define EXITWALK_TRACER_IMPORT_PIPE_H

#include <stdbool.h>
#include "host_event.h"

enum import_type {
	IMPORT_META = 1, /* "key\0value\0" */
	IMPORT_TASK,     /* struct import_task: before the first event that names it */
	IMPORT_EVENTS,   /* struct host_event, some of them */
	IMPORT_LOSS,     /* struct import_loss */
	IMPORT_DAMAGE,   /* a sentence: from here on the file cannot be read */
	IMPORT_NAME,     /* struct import_name: of a guest's stream */
	IMPORT_MARK,     /* struct import_mark: the same */
	IMPORT_RING,     /* nothing: the next batch of struct import_ring is full */
	IMPORT_END,      /* everything was read, or what could be */
};

struct import_header {
	uint32_t type, len;
};

#define IMPORT_MAX 65536 /* bytes behind a header */
#define IMPORT_BATCH 512 /* events in one message */

/*
 * Events that were not sent yet. Importer and reader share this memory: what a reader that crashed had
 * decoded is not lost with it.
 */
struct import_batch {
	uint64_t sent; /* events in front of these */
	uint32_t n;
	struct host_event event[IMPORT_BATCH];
};

#define IMPORT_SLOTS 16

/*
 * Events that need no pipe, since they are many: the reader fills one batch after the other, says so, and waits
 * for one that the importer is through with. The batch above is the first one of them. The importer believes
 * nothing in it that it has not copied.
 */
struct import_ring {
	struct import_batch batch[IMPORT_SLOTS];
	_Atomic uint32_t taken; /* batches with which the importer is through; a futex */
};

struct import_task {
	uint32_t task;
	char name[44];
};

struct import_loss {
	uint64_t ts0, ts1; /* the last record in front of the gap, the first one behind it */
	uint64_t n;        /* 0: nobody counted them */
	uint32_t task;     /* HOST_TASK_CPU */
	uint32_t cpu;
};

struct import_name {
	uint64_t value;
	uint32_t what; /* enum guest_name */
	char name[252];
};

struct import_mark {
	uint64_t tsc, end; /* as guest_sink.mark() has them */
	uint32_t cpu, unused;
};

_Static_assert(IMPORT_BATCH * sizeof(struct host_event) <= IMPORT_MAX, "a batch fits");

/* What reads: a function that a process of its own calls (import_process.h). */
struct import_reader {
	/* Reads `in` and writes messages to `out` until the end; the process that calls it must have nothing to
	 * lose. 0, or -errno if not even its words could be written. */
	int (*read)(const struct import_reader *r, int out, struct import_ring *ring);
	const char *library; /* what trusts the input, for sentences */
	int in;
	bool mend; /* of a trace.dat: its end is missing, what there is is wanted (import_mend.h) */
};

/* import_reader.read for a trace.dat file. */
int import_read(const struct import_reader *reader, int out, struct import_ring *ring);

#endif
