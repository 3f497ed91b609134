/* SPDX-License-Identifier: MIT */
/* The kernel's tracefs, and instances of it that are ours: nothing of the user's own tracing is touched. */
#ifndef EXITWALK_TRACER_HOST_TRACEFS_H
#define EXITWALK_TRACER_HOST_TRACEFS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include "err.h"

struct tracefs_instance;

/*
 * Finds tracefs. Where it is not mounted and this user may mount, it is mounted for this process alone, at
 * no place of the file system. Returns its path, which stays valid, or NULL with a sentence: not there, not
 * allowed.
 */
const char *host_tracefs(struct err *e);

struct host_instance {
	struct tracefs_instance *tracefs; /* NULL: there is none */
	int free_fd; /* when it closes, even by the process's death, the kernel stops tracing and
			frees the buffers */
	char name[32];
};

#define HOST_INSTANCE_NONE                                                                         \
	{                                                                                          \
		.tracefs = NULL, .free_fd = -1                                                     \
	}

/* Makes the instance exitwalk-PID[suffix] with tracing off, CLOCK_MONOTONIC and buffers of kib KiB for each
 * CPU. */
int host_instance_create(struct host_instance *in, const char *suffix, unsigned kib, struct err *e);
void host_instance_destroy(struct host_instance *in);

/* True: the kernel has that tracepoint, and it is on. */
bool host_instance_enable(const struct host_instance *in, const char *system, const char *event);

/* Writes a file of the instance. 0 or -errno. */
int host_instance_write(const struct host_instance *in, const char *file, const char *text);
/* Its text; the caller frees it. NULL: it cannot be read. */
char *host_instance_read(const struct host_instance *in, const char *file);
/* Empties a file that is a list. 0 or -errno. */
int host_instance_clear(const struct host_instance *in, const char *file);

/* Only these tasks, and (by fork) those that they will make. 0 or -errno. */
int host_instance_tasks(const struct host_instance *in, const pid_t *task, size_t n);
/* The same for its function tracer. */
int host_instance_ftrace_tasks(const struct host_instance *in, const pid_t *task, size_t n);

/* -errno; the file descriptor of the raw pages of a CPU's buffer, which does not block. */
int host_instance_open_cpu(const struct host_instance *in, unsigned cpu);

/* A number of the kernel's statistics of that CPU's buffer, such as "overrun"; 0 if there is none. */
unsigned long long host_instance_stat(
	const struct host_instance *in, unsigned cpu, const char *key);

/* Is it a process that is called exitwalk? */
bool host_is_alive(long pid);

/* Removes instances that processes left which are gone. Returns how many. */
unsigned host_instances_clean(void);

#endif
