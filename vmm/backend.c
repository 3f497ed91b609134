// SPDX-License-Identifier: MIT
/* Names the KVM backend and its module parameters, from /sys/module. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backend.h"

#define MODULES "/sys/module"
#define MAX_BACKENDS 4

struct backends {
	unsigned n;
	char name[MAX_BACKENDS][64];
};

static void find_backends(struct backends *b)
{
	DIR *dir = opendir(MODULES);
	struct dirent *d;

	b->n = 0;
	while (dir && (d = readdir(dir)) && b->n < MAX_BACKENDS)
		if (strncmp(d->d_name, "kvm_", 4) == 0 && strlen(d->d_name) < sizeof(b->name[0]))
			strcpy(b->name[b->n++], d->d_name);
	if (dir)
		closedir(dir);
}

void backend_name(char *name, size_t size)
{
	struct backends b;

	find_backends(&b);
	snprintf(name, size, "%s", b.n ? b.name[0] : "unknown");
	for (unsigned i = 1; i < b.n; i++) {
		size_t used = strlen(name);

		snprintf(name + used, size - used, ", %s", b.name[i]);
	}
}

/*
 * A guest of ours keeps to what kvm_pvm's emulation of ring 0 knows; Linux does not, and would end in
 * KVM_INTERNAL_ERROR_EMULATION after a while. It cannot be asked for: it has no capability bit.
 */
int backend_check_linux(struct err *e)
{
	char name[128];

	backend_name(name, sizeof(name));
	if (strcmp(name, "kvm_pvm") != 0)
		return 0;
	return err_set(e, -ENOTSUP,
		"Linux cannot boot on this machine's KVM, kvm_pvm, which emulates ring 0 and lacks "
		"instructions that Linux uses there: run it in the lab (make lab), or where KVM is "
		"kvm_intel or kvm_amd");
}

/* The first line of a small file without its newline; false if it cannot be read. */
static bool read_line(const char *path, char *line, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return false;
	n = read(fd, line, size - 1);
	close(fd);
	if (n < 0)
		return false;
	line[n] = '\0';
	line[strcspn(line, "\n")] = '\0';
	return true;
}

static void module_parameters(const char *module,
	void (*each)(void *ctx, const char *module, const char *parameter, const char *value),
	void *ctx)
{
	struct dirent **entry = NULL;
	char path[512], value[256];
	int n;

	snprintf(path, sizeof(path), MODULES "/%s/parameters", module);
	n = scandir(path, &entry, NULL, alphasort);
	for (int i = 0; i < n; i++) {
		snprintf(path, sizeof(path), MODULES "/%s/parameters/%s", module, entry[i]->d_name);
		if (entry[i]->d_name[0] != '.' && read_line(path, value, sizeof(value)))
			each(ctx, module, entry[i]->d_name, value);
		free(entry[i]);
	}
	free(entry);
}

void backend_parameters(
	void (*each)(void *ctx, const char *module, const char *parameter, const char *value),
	void *ctx)
{
	struct backends b;

	module_parameters("kvm", each, ctx);
	find_backends(&b);
	for (unsigned i = 0; i < b.n; i++)
		module_parameters(b.name[i], each, ctx);
}

void backend_cpu_model(char *name, size_t size)
{
	FILE *f = fopen("/proc/cpuinfo", "re");
	char line[512];

	snprintf(name, size, "unknown");
	while (f && fgets(line, sizeof(line), f)) {
		char *colon = strchr(line, ':');

		if (!colon || strncmp(line, "model name", 10) != 0)
			continue;
		line[strcspn(line, "\n")] = '\0';
		snprintf(name, size, "%s", colon[1] == ' ' ? colon + 2 : colon + 1);
		break;
	}
	if (f)
		fclose(f);
}
