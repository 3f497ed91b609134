/* SPDX-License-Identifier: MIT */
/* The kernel's tracefs, and instances of it that are ours. */
#include "host_tracefs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>
#include <tracefs.h>

#define PREFIX "exitwalk-"

/* --- tracefs -------------------------------------------------------------------------------- */

/* A mount that is attached nowhere: it lives as long as its file descriptor (fsmount(2)). */
static int private_mount(void)
{
	int mnt, error, fs = fsopen("tracefs", FSOPEN_CLOEXEC);

	if (fs < 0)
		return -errno;
	if (fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		mnt = -1;
	else
		mnt = fsmount(fs, FSMOUNT_CLOEXEC,
			MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
	error = errno;
	close(fs);
	return mnt < 0 ? -error : mnt;
}

static bool usable(const char *dir)
{
	char path[80];

	snprintf(path, sizeof(path), "%s/events/kvm", dir);
	if (access(path, R_OK | X_OK))
		return false;
	snprintf(path, sizeof(path), "%s/instances", dir);
	return access(path, W_OK) == 0;
}

static int no_tracefs(int why, struct err *e)
{
	if (geteuid() != 0)
		return err_set(e, -EACCES,
			"the kernel's tracefs may not be used by this user; run as root");
	if (access("/sys/module/kvm", F_OK))
		return err_set(e, -ENOENT, "KVM's tracepoints are not there; load its module");
	return err_set(e, why ? why : -ENOENT,
		"the kernel's tracefs cannot be used (%s); it needs a kernel with it, and "
		"CAP_SYS_ADMIN",
		strerror(why ? -why : ENOENT));
}

const char *host_tracefs(struct err *e)
{
	static const char *const usual[] = {"/sys/kernel/tracing", "/sys/kernel/debug/tracing"};
	static char found[80];
	int mnt;

	for (size_t i = 0; !*found && i < sizeof(usual) / sizeof(usual[0]); i++)
		if (usable(usual[i]))
			snprintf(found, sizeof(found), "%s", usual[i]);
	if (!*found) {
		mnt = private_mount();
		if (mnt >= 0)
			snprintf(found, sizeof(found), "/proc/self/fd/%d", mnt);
		if (mnt < 0 || !usable(found)) {
			if (mnt >= 0)
				close(mnt);
			*found = '\0';
			no_tracefs(mnt < 0 ? mnt : 0, e);
			return NULL;
		}
	}
	/* libtracefs would look by itself, and mount what it does not find where everybody sees it. */
	tracefs_set_tracing_dir(found);
	return found;
}

/* --- instances ------------------------------------------------------------------------------ */

int host_instance_write(const struct host_instance *in, const char *file, const char *text)
{
	int fd = tracefs_instance_file_open(in->tracefs, file, O_WRONLY);
	size_t len = strlen(text);
	int ret = 0;

	if (fd < 0)
		return -errno;
	/* Files of lists take one word at a time. */
	while (!ret && len) {
		ssize_t n = write(fd, text, len);

		if (n <= 0) {
			ret = n ? -errno : -EIO;
		} else {
			text += n;
			len -= (size_t)n;
		}
	}
	close(fd);
	return ret;
}

char *host_instance_read(const struct host_instance *in, const char *file)
{
	return tracefs_instance_file_read(in->tracefs, file, NULL);
}

int host_instance_clear(const struct host_instance *in, const char *file)
{
	int fd = tracefs_instance_file_open(in->tracefs, file, O_WRONLY | O_TRUNC);

	if (fd < 0)
		return -errno;
	close(fd);
	return 0;
}

int host_instance_create(struct host_instance *in, const char *suffix, unsigned kib, struct err *e)
{
	char text[16];
	int ret;

	*in = (struct host_instance)HOST_INSTANCE_NONE;
	snprintf(in->name, sizeof(in->name), PREFIX "%d%s", getpid(), suffix);
	in->tracefs = tracefs_instance_create(in->name);
	if (!in->tracefs)
		return err_set(
			e, -errno, "no instance of tracefs can be made: %s", strerror(errno));
	in->free_fd = tracefs_instance_file_open(in->tracefs, "free_buffer", O_WRONLY);
	snprintf(text, sizeof(text), "%u", kib);
	ret = host_instance_write(in, "tracing_on", "0");
	if (!ret)
		ret = host_instance_write(in, "trace_clock", "mono");
	if (!ret)
		ret = host_instance_write(in, "buffer_size_kb", text);
	if (ret) {
		err_set(e, ret, "the instance %s of tracefs cannot be set up: %s", in->name,
			strerror(-ret));
		host_instance_destroy(in);
		return ret;
	}
	/* Without it the buffers are freed all the same. */
	host_instance_write(in, "options/disable_on_free", "1");
	return 0;
}

void host_instance_destroy(struct host_instance *in)
{
	if (in->free_fd >= 0)
		close(in->free_fd);
	if (in->tracefs) {
		tracefs_instance_destroy(in->tracefs);
		tracefs_instance_free(in->tracefs);
	}
	*in = (struct host_instance)HOST_INSTANCE_NONE;
}

bool host_instance_enable(const struct host_instance *in, const char *system, const char *event)
{
	char file[96];

	snprintf(file, sizeof(file), "events/%s/%s/enable", system, event);
	return host_instance_write(in, file, "1") == 0;
}

static int add_tasks(const struct host_instance *in, const char *fork, const char *file,
	const pid_t *task, size_t n)
{
	int ret = host_instance_write(in, fork, "1");
	size_t used = 0, size = 12 * n + 1;
	char *text = malloc(size);

	if (!text)
		return -ENOMEM;
	/* All in one write: the first one of several would leave out those that follow, for as long as they take. */
	for (size_t i = 0; i < n; i++)
		used += (size_t)snprintf(text + used, size - used, "%d ", task[i]);
	if (!ret)
		ret = host_instance_write(in, file, text);
	free(text);
	return ret;
}

int host_instance_tasks(const struct host_instance *in, const pid_t *task, size_t n)
{
	return add_tasks(in, "options/event-fork", "set_event_pid", task, n);
}

int host_instance_ftrace_tasks(const struct host_instance *in, const pid_t *task, size_t n)
{
	return add_tasks(in, "options/function-fork", "set_ftrace_pid", task, n);
}

int host_instance_open_cpu(const struct host_instance *in, unsigned cpu)
{
	char file[64];
	int fd;

	snprintf(file, sizeof(file), "per_cpu/cpu%u/trace_pipe_raw", cpu);
	fd = tracefs_instance_file_open(in->tracefs, file, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

unsigned long long host_instance_stat(const struct host_instance *in, unsigned cpu, const char *key)
{
	unsigned long long value = 0;
	char file[64], *text;
	const char *line;

	snprintf(file, sizeof(file), "per_cpu/cpu%u/stats", cpu);
	text = tracefs_instance_file_read(in->tracefs, file, NULL);
	line = text ? strstr(text, key) : NULL;
	if (line && line[strlen(key)] == ':')
		value = strtoull(line + strlen(key) + 1, NULL, 10);
	free(text);
	return value;
}

/* --- those of processes that are gone ------------------------------------------------------- */

bool host_is_alive(long pid)
{
	char path[32], comm[32] = "";
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%ld/comm", pid);
	f = fopen(path, "re");
	if (!f)
		return false;
	if (!fgets(comm, sizeof(comm), f))
		comm[0] = '\0';
	fclose(f);
	return strncmp(comm, "exitwalk", 8) == 0;
}

unsigned host_instances_clean(void)
{
	const char *dir = host_tracefs(NULL);
	struct dirent *d;
	char path[128];
	unsigned n = 0;
	DIR *all;

	if (!dir)
		return 0;
	snprintf(path, sizeof(path), "%s/instances", dir);
	all = opendir(path);
	while (all && (d = readdir(all))) {
		char *end;
		long pid;

		if (strncmp(d->d_name, PREFIX, strlen(PREFIX)) != 0)
			continue;
		pid = strtol(d->d_name + strlen(PREFIX), &end, 10);
		if (pid <= 0 || (*end && *end != '-') || host_is_alive(pid))
			continue;
		/* One that somebody else's pid namespace has in use is busy, and stays. */
		n += unlinkat(dirfd(all), d->d_name, AT_REMOVEDIR) == 0;
	}
	if (all)
		closedir(all);
	return n;
}
