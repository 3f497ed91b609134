// SPDX-License-Identifier: MIT
/* KVM's counters of another process's virtual machine. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kvm_counters.h"
#include "kvm_stats.h"
#include "tracer/probe.h"

#define ROOT "/sys/kernel/debug/kvm"

/* --- what there is ------------------------------------------------------------------------------ */

static ino_t inode_of(const char *path)
{
	struct stat st;

	return stat(path, &st) ? 0 : st.st_ino;
}

/* debugfs has a directory for each VM, PID-FD: of the thread that made it, and of its file there. */
static unsigned find_vm(struct kvm_counters *c)
{
	unsigned found = 0;
	struct dirent *d;
	DIR *all = opendir(ROOT);

	while (all && (d = readdir(all))) {
		int thread, fd, end = 0;
		char path[64];

		if (sscanf(d->d_name, "%d-%d%n", &thread, &fd, &end) != 2 || d->d_name[end])
			continue;
		snprintf(path, sizeof(path), "/proc/%d/task/%d", c->pid, thread);
		if (access(path, F_OK) || found++)
			continue;
		snprintf(c->dir, sizeof(c->dir), ROOT "/%s", d->d_name);
		c->inode = inode_of(c->dir);
		c->number = fd;
	}
	if (all)
		closedir(all);
	return found;
}

static int get_fd(int pidfd, int fd)
{
	return (int)syscall(SYS_pidfd_getfd, pidfd, fd, 0);
}

static void find_vcpus(struct kvm_counters *c, int pidfd)
{
	char path[48], target[64];
	struct dirent *d;
	DIR *all;

	snprintf(path, sizeof(path), "/proc/%d/fd", c->pid);
	all = opendir(path);
	while (all && c->vcpus < KVM_COUNTERS_VCPUS && (d = readdir(all))) {
		ssize_t n = readlinkat(dirfd(all), d->d_name, target, sizeof(target) - 1);
		int vcpu, fd;

		if (n < 0)
			continue;
		target[n] = '\0';
		if (sscanf(target, "anon_inode:kvm-vcpu-stats:%d", &vcpu) != 1)
			continue;
		for (unsigned i = 0; i < c->vcpus; i++)
			if (c->vcpu[i].vcpu == vcpu)
				vcpu = -1;
		fd = vcpu < 0 ? -1 : get_fd(pidfd, atoi(d->d_name));
		if (fd < 0)
			continue;
		c->vcpu[c->vcpus].vcpu = vcpu;
		c->vcpu[c->vcpus++].fd = fd;
	}
	if (all)
		closedir(all);
}

void kvm_counters_open(struct kvm_counters *c, pid_t pid, int pidfd)
{
	unsigned vms;

	*c = (struct kvm_counters){.pid = pid, .vm = -1};
	vms = find_vm(c);
	if (vms > 1) {
		c->dir[0] = '\0';
		snprintf(c->why, sizeof(c->why),
			"not read: the process has %u virtual machines, and an exit does not say of"
			" which one it is",
			vms);
		return;
	}
	find_vcpus(c, pidfd);
	if (!vms && !c->vcpus)
		snprintf(c->why, sizeof(c->why),
			"not read: no " ROOT "/%d-* (is debugfs mounted, and KVM's to be read?)",
			pid);
}

void kvm_counters_hold(struct kvm_counters *c, int pidfd)
{
	if (*c->dir && c->vm < 0) {
		c->vm = get_fd(pidfd, c->number);
		if (inode_of(c->dir) != c->inode) {
			kvm_counters_close(c);
			c->dir[0] = '\0';
			snprintf(c->why, sizeof(c->why),
				"not read to the end: the virtual machine went away");
			return;
		}
	}
	find_vcpus(c, pidfd);
}

void kvm_counters_close(struct kvm_counters *c)
{
	if (c->vm >= 0)
		close(c->vm);
	for (unsigned i = 0; i < c->vcpus; i++)
		close(c->vcpu[i].fd);
	c->vm = -1;
	c->vcpus = 0;
}

/* --- reading ------------------------------------------------------------------------------------- */

static int add(struct kvm_counts *n, int vcpu, const char *name, uint64_t value)
{
	if (n->n == n->cap) {
		size_t cap = n->cap ? 2 * n->cap : 128;
		struct kvm_count *at = reallocarray(n->at, cap, sizeof(*at));

		if (!at)
			return -ENOMEM;
		n->at = at;
		n->cap = cap;
	}
	n->at[n->n] = (struct kvm_count){.vcpu = vcpu, .value = value};
	snprintf(n->at[n->n].name, sizeof(n->at[n->n].name), "%s", name);
	n->n++;
	return 0;
}

struct reading {
	struct kvm_counts *n;
	int vcpu, ret;
};

static void each(void *ctx, const char *name, uint64_t value)
{
	struct reading *r = ctx;

	if (!r->ret)
		r->ret = add(r->n, r->vcpu, name, value);
}

/* A file of a directory that holds one number; false: a histogram, or gone. */
static bool read_number(int dir, const char *name, uint64_t *value)
{
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
	char text[32], *end;
	ssize_t len = fd >= 0 ? read(fd, text, sizeof(text) - 1) : -1;

	if (fd >= 0)
		close(fd);
	if (len <= 0)
		return false;
	text[len] = '\0';
	errno = 0;
	*value = strtoull(text, &end, 10);
	return !errno && end != text && (!*end || *end == '\n');
}

static int read_dir(const struct kvm_counters *c, struct kvm_counts *n)
{
	DIR *all = *c->dir && inode_of(c->dir) == c->inode ? opendir(c->dir) : NULL;
	struct dirent *d;
	uint64_t value;
	int ret = 0;

	while (!ret && all && (d = readdir(all)))
		if (d->d_type == DT_REG && read_number(dirfd(all), d->d_name, &value))
			ret = add(n, -1, d->d_name, value);
	if (all)
		closedir(all);
	return ret;
}

int kvm_counters_read(const struct kvm_counters *c, struct kvm_counts *n)
{
	struct reading r = {.n = n};

	n->from = probe_now();
	r.ret = read_dir(c, n);
	for (unsigned i = 0; !r.ret && i < c->vcpus; i++) {
		r.vcpu = c->vcpu[i].vcpu;
		kvm_stats_read_file(c->vcpu[i].fd, each, &r);
	}
	n->to = probe_now();
	return r.ret;
}
