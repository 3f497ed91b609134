/* SPDX-License-Identifier: MIT */
/* The agent's stream to the VMM (tracer/guest_stream.h): chunks into the port. */
#ifndef EXITWALK_TRACER_AGENT_STREAM_H
#define EXITWALK_TRACER_AGENT_STREAM_H

#include <stddef.h>
#include <stdint.h>

#include "tracer/guest_stream.h"

/* What the kernel's driver takes from one write(): more would only be cut. */
#define STREAM_ROOM 32768u

struct stream {
	int fd;
	int error; /* of the first write that failed, or 0: after it nothing is sent */
	uint32_t number;
	size_t used;
	uint8_t buf[STREAM_ROOM];
};

/* Opens the port: DEVICE, or the one whose name is GUEST_STREAM_PORT, for which it waits. 0, or -errno and
 * a sentence on stderr. */
int stream_open(struct stream *s, const char *device);

/* A chunk; what does not fit the buffer is written. Of a text longer than GUEST_STREAM_MAX more than one, cut
 * behind a newline. */
void stream_chunk(
	struct stream *s, enum guest_stream_type type, unsigned cpu, const void *data, size_t len);
void stream_text(struct stream *s, enum guest_stream_type type, const char *text, size_t len);

/* Writes what is in the buffer. */
void stream_flush(struct stream *s);

#endif
