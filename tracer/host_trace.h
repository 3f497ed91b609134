/* SPDX-License-Identifier: MIT */
/* Recordings whose evidence is the host's tracepoints, and nothing that a VMM says of itself. */
#ifndef EXITWALK_TRACER_HOST_TRACE_H
#define EXITWALK_TRACER_HOST_TRACE_H

#include "check.h"
#include "derive.h"

/* Is it one? */
bool host_trace_is(sqlite3 *db);

/* Tables request, step, absent and budget of such a recording. */
int host_derive(struct derive *d);

/* check_events() for such a recording: order, exits and entries, vm_exit against its events. */
int check_host_events(struct check *c, struct err *e);

#endif
