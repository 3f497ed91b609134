/* SPDX-License-Identifier: MIT */
/* Whose a task is: a thread of the VM's process, the kernel's own, or somebody else's. */
#ifndef EXITWALK_TRACER_HOST_TASKS_H
#define EXITWALK_TRACER_HOST_TASKS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "host_event.h"

#define HOST_TASKS (1u << 22)            /* PID_MAX_LIMIT */
#define HOST_TASK_SLOTS (2 * HOST_TASKS) /* tasks, and behind them what is none */

/* A number below HOST_TASK_SLOTS of its own for each HOST_TASK, be it a thread, an idle task or a CPU's buffer. */
static inline uint32_t host_task_slot(uint32_t task)
{
	const uint32_t half = HOST_TASKS / 2;

	if (task < HOST_TASKS)
		return task;
	return HOST_TASKS + ((task & HOST_TASK_KIND) == HOST_TASK_CPU ? half : 0) +
	       (task & (half - 1));
}

enum host_task_kind { HOST_TASK_OURS = 1, HOST_TASK_KERNEL, HOST_TASK_FOREIGN };

struct host_tasks {
	pid_t pid;     /* of the VM */
	uint8_t *kind; /* by task: enum host_task_kind, 0: not looked up yet */
};

int host_tasks_init(struct host_tasks *t, pid_t pid);
void host_tasks_free(struct host_tasks *t);

/* What it is, from /proc at the first question; a task that is gone by then is foreign. */
enum host_task_kind host_tasks_kind(struct host_tasks *t, uint32_t task);

/* Its name, from /proc; false: it is gone. */
bool host_tasks_name(uint32_t task, char *name, size_t size);

#endif
