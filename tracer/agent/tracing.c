// SPDX-License-Identifier: MIT
/* Files of tracefs: where they are, reading and writing them, the instance's life. */
#include "tracer/agent/tracing.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tracer/agent/tracing_priv.h"

void tracing_lacks(struct tracing *t, const char *fmt, ...)
{
	size_t used = strlen(t->missing);
	va_list args;

	va_start(args, fmt);
	vsnprintf(t->missing + used, sizeof(t->missing) - used, fmt, args);
	va_end(args);
	used = strlen(t->missing);
	if (used + 1 < sizeof(t->missing))
		memcpy(t->missing + used, "\n", 2);
}

int tracing_put(const struct tracing *t, const char *file, const char *text)
{
	char path[300];
	size_t len = strlen(text);
	int fd, rc = 0;

	snprintf(path, sizeof(path), "%s/%s", t->dir, file);
	fd = open(path, O_WRONLY | O_CLOEXEC | O_TRUNC);
	if (fd < 0)
		return -errno;
	if (write(fd, text, len) != (ssize_t)len)
		rc = errno ? -errno : -EIO;
	close(fd);
	return rc;
}

int tracing_try(struct tracing *t, const char *file, const char *text)
{
	int rc = tracing_put(t, file, text);

	if (rc)
		tracing_lacks(t, "%s: %s", file, strerror(-rc));
	return rc;
}

char *tracing_read_file(const char *path, size_t *len)
{
	size_t room = 16384, used = 0;
	char *text = malloc(room), *more;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 || !text ? -1 : 1;

	while (n > 0) {
		if (used + 4096 >= room) {
			more = realloc(text, room *= 2);
			if (!more)
				break;
			text = more;
		}
		n = read(fd, text + used, room - used - 1);
		used += n > 0 ? (size_t)n : 0;
	}
	if (fd >= 0)
		close(fd);
	if (n) {
		free(text);
		return NULL;
	}
	text[used] = '\0';
	*len = used;
	return text;
}

char *tracing_read(const struct tracing *t, const char *file, size_t *len)
{
	char path[300];

	snprintf(path, sizeof(path), "%s/%s", t->dir, file);
	return tracing_read_file(path, len);
}

char *tracing_read_top(const struct tracing *t, const char *file, size_t *len)
{
	char path[300];

	snprintf(path, sizeof(path), "%s/%s", t->root, file);
	return tracing_read_file(path, len);
}

static bool is_tracefs(const char *root)
{
	char path[300];

	snprintf(path, sizeof(path), "%s/trace_clock", root);
	return access(path, F_OK) == 0;
}

static int find_root(struct tracing *t, const char *given)
{
	static const char *const usual[] = {"/sys/kernel/tracing", "/sys/kernel/debug/tracing"};

	for (size_t i = 0; !given && i < sizeof(usual) / sizeof(usual[0]); i++)
		if (is_tracefs(usual[i]))
			given = usual[i];
	if (!given)
		given = usual[0];
	snprintf(t->root, sizeof(t->root), "%s", given);
	if (is_tracefs(given) || mount("tracefs", given, "tracefs", 0, NULL) == 0)
		return 0;
	fprintf(stderr,
		"agent: tracefs is not at %s and cannot be mounted there (%s): run as root, on a kernel "
		"with CONFIG_FTRACE, or give its place by -t\n",
		given, strerror(errno));
	return -errno;
}

int tracing_open(struct tracing *t, const char *root)
{
	int rc = find_root(t, root);

	if (rc)
		return rc;
	snprintf(t->dir, sizeof(t->dir), "%s/instances/" TRACING_INSTANCE, t->root);
	/* Of an agent that was killed; one that is at work keeps it busy. */
	rmdir(t->dir);
	if (mkdir(t->dir, 0700) == 0)
		return tracing_put(t, "tracing_on", "0");
	rc = -errno;
	fprintf(stderr, "agent: %s cannot be made (%s)%s\n", t->dir, strerror(-rc),
		rc == -EEXIST ? ": another agent is at work" : ": run as root");
	return rc;
}

void tracing_switch(struct tracing *t, bool on)
{
	tracing_put(t, "tracing_on", on ? "1" : "0");
}

void tracing_close(struct tracing *t)
{
	for (unsigned i = 0; i < t->cpus; i++)
		close(t->raw[i]);
	t->cpus = 0;
	free(t->functions);
	t->functions = NULL;
	tracing_put(t, "current_tracer", "nop");
	tracing_put(t, "events/enable", "0");
	rmdir(t->dir);
}
