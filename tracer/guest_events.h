/* SPDX-License-Identifier: MIT */
/*
 * From what a guest's agent sent during the run (events guest_stream) to events of the guest's kernel: decoded, timed
 * by the host's clock, and put among the others. Once, after the run.
 */
#ifndef EXITWALK_TRACER_GUEST_EVENTS_H
#define EXITWALK_TRACER_GUEST_EVENTS_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "err.h"

/* meta: what is known of a guest's trace. "on": it was asked for, and is not decoded yet. */
#define GUEST_TRACE "guest_trace"
#define GUEST_TRACE_ON "on"
#define GUEST_TRACE_MERGED "merged"

/* The name of the track on which the losses of a guest's CPU's buffer are, and its number. */
#define GUEST_BUFFER_TRACK "trace buffer of the guest's CPU "

/* Names of the guest's kernel that the recording does not have: what lies at addr, in a function; place: with the
 * offset in it. False: not known. */
struct guest_namer {
	bool (*name)(void *ctx, uint64_t addr, bool place, char *buf, size_t size);
	void *ctx;
};

/*
 * Does nothing unless meta guest_trace is "on"; then it is something else afterwards: "merged", or "not decoded: why",
 * in which case the stream stays as it came. In a transaction of its own, or inside the caller's. namer may be NULL.
 * Only what the recording itself makes impossible is an error; what a guest has sent is not. *added: events that came to
 * the table; or NULL.
 */
int guest_events_make(sqlite3 *db, const struct guest_namer *namer, uint64_t *added, struct err *e);

#endif
