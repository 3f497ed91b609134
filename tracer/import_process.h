/* SPDX-License-Identifier: MIT */
/*
 * The process that reads a foreign trace, or what a guest has sent: libtracecmd and libtraceevent trust their
 * input, so they run where a crash or an endless loop costs nothing but the rest of it.
 */
#ifndef EXITWALK_TRACER_IMPORT_PROCESS_H
#define EXITWALK_TRACER_IMPORT_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include "err.h"
#include "import_pipe.h"

struct import_process {
	const char *library;
	pid_t pid;
	int fd;
	struct import_ring *ring; /* shared with the reader */
	uint32_t taken;           /* batches of it */
	struct import_batch
		*batch; /* what a reader that does not use the ring had not sent, after its end */
	size_t at, len; /* of buf */
	char buf[1 << 16];
};

/* Borrows reader->in. Of the caller's other threads none may be inside the C library's stdio. */
int import_process_start(
	struct import_process *p, const struct import_reader *reader, struct err *e);

/* Reads exactly len bytes: 1, or 0 at the end, or -errno. */
int import_process_read(struct import_process *p, void *data, size_t len);

/* The ring's next batch: after IMPORT_RING, or what had not been sent, after the end. */
const struct import_batch *import_process_batch(const struct import_process *p);

/* It may be used again. */
void import_process_taken(struct import_process *p);

/* Ends it, and waits for it. If it was not through (`ended`) and `damage` is empty, says there why. */
void import_process_end(struct import_process *p, bool ended, char *damage, size_t size);

/* After the end: frees the batches. All zero is fine. */
void import_process_free(struct import_process *p);

#endif
