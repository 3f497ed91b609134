/* SPDX-License-Identifier: MIT */
/* The system calls of the guest's processes, from their markers and from the guest's own events, and whose a
 * request is. */
#ifndef EXITWALK_TRACER_DERIVE_CALLS_H
#define EXITWALK_TRACER_DERIVE_CALLS_H

#include "derive.h"

/* So many calls are looked at for a request; older ones count as never returned. */
#define CALLS_OPEN_MAX 1024

struct calls {
	struct derive *d;
	int64_t vcpus;          /* of the machine */
	struct open_call *open; /* entered and not yet left, oldest first */
	size_t opens;
	sqlite3_stmt *marker, *insert;
	sqlite3_stmt *traced; /* of a guest_sys_enter: its arguments and its task's name */
};

int calls_begin(struct calls *c, struct derive *d);
/* Stores the calls that are still open if `ret` is 0; frees everything. Returns `ret`, or an error. */
int calls_end(struct calls *c, int ret);

/* A marker ENTER; *index: the call in derive.call. */
int calls_enter(struct calls *c, const struct event_row *ev, size_t *index);
/* A marker EXIT, in the exit that began at `run_exit`; `before`: the run_enter in front of that. */
int calls_leave(
	struct calls *c, const struct event_row *ev, struct mark run_exit, struct mark before);
/* A marker_buffer: a piece of the buffer of its process's newest call. */
int calls_buffer(struct calls *c, const struct event_row *ev);

/*
 * A guest_sys_enter begins a call, unless its task has said so by a marker: then it is that one's.
 * A guest_sys_exit is the same call's.
 */
int calls_sys_enter(struct calls *c, const struct event_row *ev);
int calls_sys_exit(struct calls *c, const struct event_row *ev);
/* The guest's buffers lost events: calls that no marker tells of may have returned. */
int calls_forget_traced(struct calls *c);
/* In which call a task is now; index in derive.call, or NO_INDEX. */
size_t calls_of_task(const struct calls *c, int64_t pid);

/*
 * The newest call with a buffer in which the bytes of this descriptor lie, and of the right direction.
 * *event: the marker_buffer that says so.
 */
bool calls_by_buffer(
	const struct calls *c, const struct event_row *descriptor, size_t *call, int64_t *event);
/* By what calls are open: CALL_ONLY with *call, CALL_NONE or CALL_SEVERAL. type: SQL_NULL, unknown. */
enum call_how calls_only(const struct calls *c, int64_t type, size_t *call);

#endif
