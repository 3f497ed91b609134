/* SPDX-License-Identifier: MIT */
/* Whose a task is. */
#include "host_tasks.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host_live.h"
#include "writer.h"

#define KTHREAD 0x200000 /* PF_KTHREAD, include/linux/sched.h */

int host_tasks_init(struct host_tasks *t, pid_t pid)
{
	*t = (struct host_tasks){.pid = pid, .kind = calloc(1, HOST_TASKS)};
	return t->kind ? 0 : -ENOMEM;
}

void host_tasks_free(struct host_tasks *t)
{
	free(t->kind);
	t->kind = NULL;
}

bool host_tasks_name(uint32_t task, char *name, size_t size)
{
	char path[32];
	FILE *f;
	bool ok;

	snprintf(path, sizeof(path), "/proc/%u/comm", task);
	f = fopen(path, "re");
	if (!f)
		return false;
	ok = fgets(name, (int)size, f) != NULL;
	fclose(f);
	if (ok)
		name[strcspn(name, "\n")] = '\0';
	return ok;
}

/* The flags of /proc/PID/stat, its 9th field; the 2nd is in brackets and may hold anything. */
static bool is_kernel(uint32_t task)
{
	unsigned long flags = 0;
	char path[32], line[512];
	const char *end;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%u/stat", task);
	f = fopen(path, "re");
	if (!f)
		return false;
	end = fgets(line, sizeof(line), f) ? strrchr(line, ')') : NULL;
	fclose(f);
	return end && sscanf(end + 1, " %*c %*d %*d %*d %*d %*d %lu", &flags) == 1 &&
	       flags & KTHREAD;
}

/* The thread that is the PIT of a VM is named after the VMM's process (kvm_create_pit). */
static bool other_pit(const struct host_tasks *t, uint32_t task)
{
	char name[32];

	return host_tasks_name(task, name, sizeof(name)) && !strncmp(name, "kvm-pit/", 8) &&
	       atoi(name + 8) != t->pid;
}

/* The recorder's own threads are part of the process, and not of what is recorded. */
static bool is_recorder(uint32_t task)
{
	char name[32];

	return host_tasks_name(task, name, sizeof(name)) &&
	       (!strcmp(name, WRITER_THREAD) || !strcmp(name, HOST_LIVE_THREAD));
}

enum host_task_kind host_tasks_kind(struct host_tasks *t, uint32_t task)
{
	char path[48];
	uint8_t *kind;

	if (task >= HOST_TASKS)
		return HOST_TASK_KERNEL; /* an idle task */
	kind = &t->kind[task];
	if (*kind)
		return *kind;
	snprintf(path, sizeof(path), "/proc/%d/task/%u", t->pid, task);
	if (access(path, F_OK) == 0)
		*kind = is_recorder(task) ? HOST_TASK_FOREIGN : HOST_TASK_OURS;
	else
		*kind = is_kernel(task) && !other_pit(t, task) ? HOST_TASK_KERNEL
							       : HOST_TASK_FOREIGN;
	return *kind;
}
