/* SPDX-License-Identifier: MIT */
/* Whose a task is: a thread of the VM's process, the kernel's own, or somebody else's. */
#ifndef EXITWALK_TRACER_HOST_TASKS_H
#define EXITWALK_TRACER_HOST_TASKS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

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
