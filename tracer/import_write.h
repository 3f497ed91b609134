/* SPDX-License-Identifier: MIT */
/* The reader's end of the pipe (import_pipe.h): what every reader says, and that it is alive. */
#ifndef EXITWALK_TRACER_IMPORT_WRITE_H
#define EXITWALK_TRACER_IMPORT_WRITE_H

#include <stddef.h>

#include "import_pipe.h"

struct import_writer {
	int out;
	int error;                  /* -errno of the pipe: nothing more can be said */
	struct import_batch *batch; /* the one that is being filled */
	struct import_ring *ring;   /* of which it is one; NULL: events go through the pipe */
	uint32_t batches;           /* of the ring that were sent */
};

/* A reader that is alive says so now and then; one that does not is ended by SIGPROF. Messages say it too. */
void import_alive(void);

void import_write(struct import_writer *w, enum import_type type, const void *data, size_t len);

/* Sends the events that wait. */
void import_write_events(struct import_writer *w);
/* One more event; sends them when they are many. */
void import_write_event(struct import_writer *w, const struct host_event *ev);

/* What these say is behind all events before them. An empty value is not sent. */
void import_write_meta(struct import_writer *w, const char *key, const char *value);
void import_write_damage(struct import_writer *w, const char *sentence);
void import_write_after(
	struct import_writer *w, enum import_type type, const void *data, size_t len);

#endif
