/* SPDX-License-Identifier: MIT */
/*
 * The ring between the reader of the host's tracepoints and the writer. Its records are events, and
 * messages (kind 0): what a task is called, and losses. It comes later than the threads' own rings, so it
 * says up to which time it is complete, and the writer waits for that.
 */
#ifndef EXITWALK_TRACER_HOST_RING_H
#define EXITWALK_TRACER_HOST_RING_H

#include "host_event.h"
#include "ring.h"

enum host_message { HOST_MESSAGE_TASK = 1, HOST_MESSAGE_LOSS };

/* Payload of an event: host_event behind its rec. */
#define HOST_TAIL (sizeof(struct host_event) - offsetof(struct host_event, task))

/* Payload of HOST_MESSAGE_TASK; HOST_MESSAGE_LOSS has a[1] = HOST_TASK_CPU, a[2] = time of the last record
 * in front of the gap, a[3] = n or 0, and its ts is the time of the first record behind it. */
struct host_task {
	uint32_t task;
	char name[44];
};

struct host_ring {
	struct ring ring;
	_Atomic uint64_t until; /* nothing up to this time is missing in the ring */
};

#endif
