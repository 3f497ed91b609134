/* SPDX-License-Identifier: MIT */
/* The guest's tracefs: an instance of the agent's own, beside whatever else is traced in the guest. */
#ifndef EXITWALK_TRACER_AGENT_TRACING_H
#define EXITWALK_TRACER_AGENT_TRACING_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define TRACING_CPUS 256
#define TRACING_INSTANCE "exitwalk"

struct tracing {
	char root[128]; /* of tracefs */
	char dir[160];  /* the instance */
	char clock[16];
	unsigned page_size; /* of a sub-buffer */
	unsigned cpus;      /* per_cpu/cpu0 … that are there */
	int raw[TRACING_CPUS];
	bool wakes;         /* poll() waits until a buffer is half full */
	char *functions;    /* that are traced, one per line; or NULL */
	char missing[4096]; /* what this kernel lacks or refused, one per line */
};

/* Finds tracefs, or mounts it, at `root` or where it is usually; makes the instance, switched off. 0, or
 * -errno and a sentence on stderr. */
int tracing_open(struct tracing *t, const char *root);

/*
 * Clock, buffers of `kb` KiB per CPU, events and functions of traced.def. System calls of `self` are left out: it
 * makes some for each thing that it sends. What cannot be had is in `missing`. 0, or -errno and a sentence
 * if nothing can be traced at all.
 */
int tracing_set_up(struct tracing *t, unsigned kb, pid_t self);

void tracing_switch(struct tracing *t, bool on);

/* Adds a line to `missing`. */
__attribute__((format(printf, 2, 3))) void tracing_lacks(struct tracing *t, const char *fmt, ...);

/* The text of a file: in the instance, or in tracefs itself, or by its own path. NULL: it cannot be read.
 * *len without the NUL behind it. Freed by the caller. */
char *tracing_read(const struct tracing *t, const char *file, size_t *len);
char *tracing_read_top(const struct tracing *t, const char *file, size_t *len);
char *tracing_read_file(const char *path, size_t *len);

/* Removes the instance. */
void tracing_close(struct tracing *t);

#endif
