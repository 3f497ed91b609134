/* SPDX-License-Identifier: MIT */
/* The recorder's end of a live source of the host's tracepoints (host_live.c): one thread gives events in
 * time order. */
#ifndef EXITWALK_TRACER_RECORDER_HOST_H
#define EXITWALK_TRACER_RECORDER_HOST_H

#include "err.h"
#include "host_ring.h"

struct recorder;
struct recorder_host;

/* Before recorder_start, after the last recorder_track. Belongs to the recorder. */
int recorder_host_create(struct recorder_host **out, struct recorder *r, struct err *e);

/* They wait while the ring is full: the kernel's buffer has more room. -EPIPE: the recorder has given up. */
int recorder_host_event(struct recorder_host *h, const struct host_event *ev);
/* Before the first event that names the task; ts: that event's. */
int recorder_host_task(struct recorder_host *h, uint64_t ts, uint32_t task, const char *name);
/* Records of a CPU (its HOST_TASK_CPU, a task of its own) were lost between two times; n 0: nobody counted. */
int recorder_host_lost(
	struct recorder_host *h, uint32_t cpu, uint64_t ts0, uint64_t ts1, uint64_t n);

/* Everything up to ts has been given. UINT64_MAX: it was all. */
void recorder_host_until(struct recorder_host *h, uint64_t ts);

/* For the recorder. */
struct host_ring *recorder_host_ring(struct recorder_host *h);
void recorder_host_free(struct recorder_host *h); /* NULL is fine */

#endif
