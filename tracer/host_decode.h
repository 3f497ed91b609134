/* SPDX-License-Identifier: MIT */
/*
 * From a record of the kernel's trace buffer to a host_event. It knows formats, by libtraceevent, and not
 * where records come from: a file, or a live buffer.
 */
#ifndef EXITWALK_TRACER_HOST_DECODE_H
#define EXITWALK_TRACER_HOST_DECODE_H

#include <stdbool.h>
#include <event-parse.h>
#include "err.h"
#include "host_event.h"

struct host_decoder;

/* Borrows tep, which knows the formats of all records to come. -ENOMEM. */
int host_decoder_create(struct host_decoder **out, struct tep_handle *tep, struct err *e);
void host_decoder_destroy(struct host_decoder *d); /* NULL is fine */

/* From here on records of the function tracers are events too: whoever asks for them knows the functions'
 * names. */
void host_decoder_functions(struct host_decoder *d);

/*
 * From here on the records are a guest's (guest_fields.def): tasks are its pids, and learn() is told what each
 * is called, in up to len bytes. ctx is learn()'s.
 */
void host_decoder_guest(struct host_decoder *d,
	void (*learn)(void *ctx, int pid, const char *comm, size_t len), void *ctx);

/* True: *ev says what the record says. False: it is of no kind that exitwalk records, or too short for
 * its own format; it was counted. */
bool host_decode(struct host_decoder *d, struct tep_record *record, struct host_event *ev);

/* Calls back for every tracepoint with records that were passed over. */
void host_decoder_skipped(const struct host_decoder *d,
	void (*each)(void *ctx, const char *system, const char *name, uint64_t records), void *ctx);

/* The name of a task, from the saved command lines or from what sched tracepoints said. */
const char *host_task_name(const struct host_decoder *d, uint32_t task, char *buf, size_t size);

#endif
