// SPDX-License-Identifier: MIT
/* A running process that has a KVM virtual machine. */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
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

/* Their links say "anon_inode:kvm-vm" and "anon_inode:kvm-vcpu:N". */
int kvm_process_count(struct kvm_process *p)
{
	char path[300], target[64];
	struct dirent *d;
	unsigned vms = 0, vcpus = 0;
	DIR *all;

	snprintf(path, sizeof(path), "/proc/%d/fd", p->pid);
	all = opendir(path);
	if (!all)
		return -errno;
	while ((d = readdir(all))) {
		ssize_t n = readlinkat(dirfd(all), d->d_name, target, sizeof(target) - 1);

		if (n < 0)
			continue;
		target[n] = '\0';
		vms += !strcmp(target, "anon_inode:kvm-vm");
		/* not "kvm-vcpu-stats:N" */
		vcpus += !strncmp(target, "anon_inode:kvm-vcpu:", 20) ||
			 !strcmp(target, "anon_inode:kvm-vcpu");
	}
	closedir(all);
	if (vms > p->vms)
		p->vms = vms;
	if (vcpus > p->vcpus)
		p->vcpus = vcpus;
	return 0;
}

static int read_names(struct kvm_process *p, pid_t pid, struct err *e)
{
	*p = (struct kvm_process){.pid = pid};
	if (read_text(pid, "comm", p->comm, sizeof(p->comm)) < 0)
		return err_set(e, -ESRCH, "there is no process %d", pid);
	read_text(pid, "cmdline", p->command_line, sizeof(p->command_line));
	return 0;
}

static int must_have_vm(struct kvm_process *p, struct err *e)
{
	int rc = kvm_process_count(p);

	if (rc)
		return err_set(e, rc,
			"the files of process %d (%s) may not be looked at: run as root, or as its "
			"user",
			p->pid, p->comm);
	if (!p->vms)
		return err_set(e, -ENODEV,
			"process %d (%s) has no KVM virtual machine: no file descriptor of it is a "
			"kvm-vm",
			p->pid, p->comm);
	return 0;
}

int kvm_process_of(struct kvm_process *p, pid_t pid, struct err *e)
{
	int rc = read_names(p, pid, e);

	return rc ? rc : must_have_vm(p, e);
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

bool kvm_process_is_named(const struct kvm_process *p, const char *name)
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

		if (pid <= 0 || pid == getpid() || read_names(&p, pid, NULL) ||
			!kvm_process_is_named(&p, name) || must_have_vm(&p, NULL))
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
