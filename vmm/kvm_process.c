// SPDX-License-Identifier: MIT
/* A running process that has a KVM virtual machine. */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kvm_process.h"

/* Reads a file of /proc/PID whole, NULs as blanks. Returns its length, or -errno. */
static int read_text(pid_t pid, const char *file, char *text, size_t size)
{
	char path[64];
	size_t n;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, file);
	f = fopen(path, "re");
	if (!f)
		return -errno;
	n = fread(text, 1, size - 1, f);
	fclose(f);
	for (size_t i = 0; i < n; i++)
		if (text[i] == '\0' || text[i] == '\n')
			text[i] = ' ';
	while (n && text[n - 1] == ' ')
		n--;
	text[n] = '\0';
	return (int)n;
}

/* Counts the file descriptors of VMs and vCPUs; their links say "anon_inode:kvm-vm" and "…kvm-vcpu:N". */
static int count_kvm(struct kvm_process *p)
{
	char path[300], target[64];
	struct dirent *d;
	DIR *all;

	snprintf(path, sizeof(path), "/proc/%d/fd", p->pid);
	all = opendir(path);
	if (!all)
		return -errno;
	p->vms = p->vcpus = 0;
	while ((d = readdir(all))) {
		ssize_t n = readlinkat(dirfd(all), d->d_name, target, sizeof(target) - 1);

		if (n < 0)
			continue;
		target[n] = '\0';
		p->vms += !strcmp(target, "anon_inode:kvm-vm");
		p->vcpus += !strncmp(target, "anon_inode:kvm-vcpu", 19);
	}
	closedir(all);
	return 0;
}

int kvm_process_of(struct kvm_process *p, pid_t pid, struct err *e)
{
	int rc;

	*p = (struct kvm_process){.pid = pid};
	if (read_text(pid, "comm", p->comm, sizeof(p->comm)) < 0)
		return err_set(e, -ESRCH, "there is no process %d", pid);
	read_text(pid, "cmdline", p->command_line, sizeof(p->command_line));
	rc = count_kvm(p);
	if (rc)
		return err_set(e, rc,
			"the files of process %d (%s) may not be looked at: run as root, or as its "
			"user",
			pid, p->comm);
	if (!p->vms)
		return err_set(e, -ENODEV,
			"process %d (%s) has no KVM virtual machine: no file descriptor of it is a "
			"kvm-vm",
			pid, p->comm);
	return 0;
}

/* --- by name -------------------------------------------------------------------------------- */

/* Does the word, or a part of it between commas, say NAME? */
static bool word_says(const char *word, size_t len, const char *name)
{
	static const char *const keys[] = {"", "name=", "guest=", "id="};
	size_t n = strlen(name);

	while (len) {
		size_t part = 0;

		while (part < len && word[part] != ',')
			part++;
		for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
			size_t k = strlen(keys[i]);

			if (part == k + n && !strncmp(word, keys[i], k) &&
				!memcmp(word + k, name, n))
				return true;
		}
		part += part < len;
		word += part;
		len -= part;
	}
	return false;
}

static bool is_named(const struct kvm_process *p, const char *name)
{
	const char *word = p->command_line;

	if (!strcmp(p->comm, name))
		return true;
	while (*word) {
		size_t len = strcspn(word, " ");

		/* "--name=vm1" too */
		if (word_says(word + strspn(word, "-"), len - strspn(word, "-"), name))
			return true;
		word += len + strspn(word + len, " ");
	}
	return false;
}

int kvm_process_named(struct kvm_process *found, const char *name, struct err *e)
{
	char list[200] = "";
	unsigned matches = 0;
	struct dirent *d;
	DIR *all = opendir("/proc");

	while (all && (d = readdir(all))) {
		struct kvm_process p;
		pid_t pid = isdigit((unsigned char)d->d_name[0]) ? atoi(d->d_name) : 0;

		if (pid <= 0 || pid == getpid() || kvm_process_of(&p, pid, NULL) ||
			!is_named(&p, name))
			continue;
		if (matches++ == 0)
			*found = p;
		snprintf(list + strlen(list), sizeof(list) - strlen(list), "%s%d (%s)",
			*list ? ", " : "", pid, p.comm);
	}
	if (all)
		closedir(all);
	if (matches > 1)
		return err_set(e, -EEXIST,
			"%u processes with a virtual machine are called %s: %s; "
			"give one by its number",
			matches, name, list);
	if (!matches)
		return err_set(e, -ESRCH,
			"no process with a KVM virtual machine that may be looked at is called %s%s",
			name, geteuid() ? ": run as root" : "");
	return 0;
}

/* --- counters ------------------------------------------------------------------------------- */

unsigned kvm_process_counters(const struct kvm_process *p,
	void (*each)(void *ctx, const char *name, uint64_t value), void *ctx)
{
	static const char root[] = "/sys/kernel/debug/kvm";
	char prefix[16], path[400], text[32];
	unsigned n = 0;
	struct dirent *d;
	DIR *all = opendir(root), *vm = NULL;

	/* A directory for each VM: PID-FD. */
	snprintf(prefix, sizeof(prefix), "%d-", p->pid);
	while (all && !vm && (d = readdir(all)))
		if (!strncmp(d->d_name, prefix, strlen(prefix))) {
			snprintf(path, sizeof(path), "%s/%s", root, d->d_name);
			vm = opendir(path);
		}
	while (vm && (d = readdir(vm))) {
		int fd = d->d_type == DT_REG ? openat(dirfd(vm), d->d_name, O_RDONLY | O_CLOEXEC)
					     : -1;
		ssize_t len = fd >= 0 ? read(fd, text, sizeof(text) - 1) : -1;
		uint64_t value;
		char *end;

		if (fd >= 0)
			close(fd);
		if (len <= 0)
			continue;
		text[len] = '\0';
		errno = 0;
		value = strtoull(text, &end, 10);

		if (errno || end == text || (*end && *end != '\n'))
			continue; /* a histogram */
		each(ctx, d->d_name, value);
		n++;
	}
	if (vm)
		closedir(vm);
	if (all)
		closedir(all);
	return n;
}
