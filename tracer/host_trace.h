/* SPDX-License-Identifier: MIT */
/* Recordings with the host's tracepoints: alone, or beside what a VMM says of itself. */
#ifndef EXITWALK_TRACER_HOST_TRACE_H
#define EXITWALK_TRACER_HOST_TRACE_H

#include "check.h"
#include "derive.h"

/* Is it the tracepoints alone? */
bool host_trace_is(sqlite3 *db);

/* derive_all() for such a recording, from what its events say (host_join.h): they are not read again. */
int derive_gathered(sqlite3 *db, struct host_join *gathered, struct err *e);

/* Tables request, step, absent and budget of such a recording. */
int host_derive(struct derive *d);

/* check_events() for such a recording: order, exits and entries, vm_exit against its events. */
int check_host_events(struct check *c, struct err *e);

/* Does it have both, in one numbering of exits? */
bool host_trace_joined(sqlite3 *db);

/* check_events() for that: also whether both sides say the same of each exit. */
int check_joined_events(struct check *c, struct err *e);

#endif
