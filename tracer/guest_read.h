/* SPDX-License-Identifier: MIT */
/* The reader of what a guest's agent has sent: guest_decode.c on one end of a pipe (import_pipe.h). */
#ifndef EXITWALK_TRACER_GUEST_READ_H
#define EXITWALK_TRACER_GUEST_READ_H

#include "import_pipe.h"

/* The file behind import_reader.in: pieces of the stream, each with this in front of its `len` bytes. */
struct guest_piece {
	uint64_t position; /* in the stream */
	uint64_t len;
};

/*
 * import_reader.read. Its messages are guest_sink's calls: IMPORT_EVENTS (ts is the guest's TSC), IMPORT_LOSS (task
 * and cpu are the guest's CPU), IMPORT_NAME, IMPORT_MARK and IMPORT_META.
 */
int guest_read(const struct import_reader *reader, int out, struct import_ring *ring);

#endif
