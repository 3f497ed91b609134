/* SPDX-License-Identifier: MIT */
/* Return probes (kretprobe events) on functions of KVM: Documentation/trace/kprobetrace.rst of Linux. */
#include "host_returns.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <tracefs.h>

#define GROUP "exitwalk_" /* and the pid: a group's name is a C identifier */
#define DEFINITIONS "kprobe_events"

/* So many calls of one function can be open at a time, of all VMs: a vCPU sleeps in some. At most 4096. */
#define MAXACTIVE 512

/* Appends: opened to be written anew the kernel would forget the user's definitions. */
static int define(const char *text)
{
	int fd = tracefs_instance_file_open(NULL, DEFINITIONS, O_WRONLY | O_APPEND);
	ssize_t len = (ssize_t)strlen(text), n;
	int ret;

	if (fd < 0)
		return -errno;
	n = write(fd, text, (size_t)len);
	ret = n == len ? 0 : n < 0 ? -errno : -EIO;
	close(fd);
	return ret;
}

static void append(char *list, size_t size, const char *name, int len)
{
	size_t used = strlen(list);

	snprintf(list + used, size - used, "%s%.*s", used ? " " : "", len, name);
}

static bool one_probe(const struct host_instance *in, const char *group, const char *function,
	int len, const char *name)
{
	char text[256];

	snprintf(text, sizeof(text), "r%d:%s/%s %.*s", MAXACTIVE, group, name, len, function);
	if (define(text))
		return false;
	if (host_instance_enable(in, group, name))
		return true;
	snprintf(text, sizeof(text), "-:%s/%s", group, name);
	define(text);
	return false;
}

/* --- addresses -------------------------------------------------------------------------------- */

/* What a kretprobe puts in the place of a return address: by names of Linux 5.19 and 5.12 on, and before. */
static bool is_trampoline(const char *name)
{
	return !strcmp(name, "arch_rethook_trampoline") ||
	       !strcmp(name, "__kretprobe_trampoline") || !strcmp(name, "kretprobe_trampoline");
}

static bool lists(const char *list, const char *name)
{
	size_t len = strlen(name);

	for (const char *at = list; (at = strstr(at, name)); at += len)
		if ((at == list || at[-1] == ' ') && (at[len] == ' ' || !at[len]))
			return true;
	return false;
}

/* Where the trampoline is, and the functions whose returns will not be seen. As far as needed: the list is long. */
void host_returns_addresses(const struct host_returns *r, struct host_nesting *s)
{
	FILE *f = fopen("/proc/kallsyms", "re");
	char line[512];

	while (f && (*r->skipped || !s->trampoline) && fgets(line, sizeof(line), f)) {
		char *at, *name;
		uint64_t start = strtoull(line, &at, 16);

		if (!start || *at != ' ' || !at[1] || at[2] != ' ')
			continue;
		name = at + 3;
		name[strcspn(name, " \t\n")] = '\0';
		if (!s->trampoline && is_trampoline(name))
			s->trampoline = start;
		else if (s->unpaireds < HOST_UNPAIRED && lists(r->skipped, name))
			s->unpaired[s->unpaireds++] = start;
	}
	if (f)
		fclose(f);
}

void host_returns_enable(const struct host_instance *in, const char *functions,
	struct host_returns *r, struct host_nesting *nesting)
{
	*r = (struct host_returns){0};
	snprintf(r->group, sizeof(r->group), GROUP "%d", getpid());
	while (*functions) {
		int len = (int)strcspn(functions, " ");
		const char *colon = memchr(functions, ':', (size_t)len);
		const char *from = colon ? colon + 1 : functions;
		char name[96];

		snprintf(name, sizeof(name), "%.*s", (int)(functions + len - from), from);
		if (one_probe(in, r->group, functions, len, name))
			append(r->probed, sizeof(r->probed), name, (int)strlen(name));
		else
			append(r->skipped, sizeof(r->skipped), name, (int)strlen(name));
		functions += len + (functions[len] == ' ');
	}
	nesting->on = *r->probed;
}

/* Lines "NAME HITS MISSED": without the group, of which there may be others with such a name. */
unsigned long long host_returns_missed(const struct host_returns *r)
{
	char *text = *r->probed ? tracefs_instance_file_read(NULL, "kprobe_profile", NULL) : NULL;
	unsigned long long missed = 0, n;
	char *save = NULL, name[96];

	for (char *line = text ? strtok_r(text, "\n", &save) : NULL; line;
		line = strtok_r(NULL, "\n", &save))
		if (sscanf(line, "%95s %*u %llu", name, &n) == 2 && lists(r->probed, name))
			missed += n;
	free(text);
	return missed;
}

/* --- their end -------------------------------------------------------------------------------- */

/* Removes those of which gone(group) is true: lines "rMAXACTIVE:GROUP/NAME FUNCTION". */
static unsigned remove_of(bool (*gone)(const void *ctx, const char *group), const void *ctx)
{
	char *text = tracefs_instance_file_read(NULL, DEFINITIONS, NULL), *save = NULL;
	char group[64], name[128], command[256];
	unsigned n = 0;

	for (char *line = text ? strtok_r(text, "\n", &save) : NULL; line;
		line = strtok_r(NULL, "\n", &save)) {
		if (sscanf(line, "r%*[0-9]:%63[^/ ]/%127s", group, name) != 2 &&
			sscanf(line, "r:%63[^/ ]/%127s", group, name) != 2)
			continue;
		if (strncmp(group, GROUP, strlen(GROUP)) != 0 || !gone(ctx, group))
			continue;
		snprintf(command, sizeof(command), "-:%s/%s", group, name);
		n += define(command) ==
		     0; /* one that somebody has switched on is busy, and stays */
	}
	free(text);
	return n;
}

static bool is_group(const void *ctx, const char *group)
{
	return strcmp(ctx, group) == 0;
}

void host_returns_disable(const struct host_instance *in, const struct host_returns *r)
{
	char file[80];

	snprintf(file, sizeof(file), "events/%s/enable", r->group);
	if (*r->probed)
		host_instance_write(in, file, "0");
}

void host_returns_remove(struct host_returns *r)
{
	if (*r->probed)
		remove_of(is_group, r->group);
	*r->probed = '\0';
}

static bool is_left(const void *ctx, const char *group)
{
	char *end;
	long pid = strtol(group + strlen(GROUP), &end, 10);

	(void)ctx;
	return pid > 0 && !*end && !host_is_alive(pid);
}

unsigned host_returns_clean(void)
{
	return remove_of(is_left, NULL);
}
