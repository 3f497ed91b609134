// SPDX-License-Identifier: MIT
/* What is switched on in the instance. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tracer/agent/tracing_priv.h"

enum { CALLS_LEN = 1024 };

static const char *const functions[] = {
#define FUNC(name) #name,
#include "tracer/agent/traced.def"
};
enum { FUNCTIONS = sizeof(functions) / sizeof(functions[0]) };

/* --- clock and buffers ------------------------------------------------------------------------ */

static void choose_clock(struct tracing *t)
{
	char *text, *begin;
	size_t len;

	tracing_try(t, "trace_clock", "x86-tsc");
	text = tracing_read(t, "trace_clock", &len);
	begin = text ? strchr(text, '[') : NULL;
	if (begin)
		snprintf(t->clock, sizeof(t->clock), "%.*s", (int)strcspn(begin + 1, "]"),
			begin + 1);
	free(text);
}

static void find_page_size(struct tracing *t)
{
	size_t len;
	/* Since Linux 6.8 sub-buffers can be larger than a page. */
	char *kb = tracing_read(t, "buffer_subbuf_size_kb", &len);
	long n = kb ? strtol(kb, NULL, 10) : 0;

	t->page_size = n > 0 && n <= 1024 ? (unsigned)n * 1024 : (unsigned)sysconf(_SC_PAGESIZE);
	free(kb);
}

static int open_buffers(struct tracing *t)
{
	for (unsigned cpu = 0; cpu < TRACING_CPUS; cpu++) {
		char path[300];
		int fd;

		snprintf(path, sizeof(path), "%s/per_cpu/cpu%u/trace_pipe_raw", t->dir, cpu);
		fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
		if (fd < 0)
			break;
		t->raw[t->cpus++] = fd;
	}
	if (t->cpus)
		return 0;
	fprintf(stderr, "agent: %s/per_cpu/cpu0/trace_pipe_raw cannot be opened (%s)\n", t->dir,
		strerror(errno));
	return -ENOENT;
}

/* --- events ----------------------------------------------------------------------------------- */

/* The write family, but not by the agent: it writes whenever it has something to send. */
static void calls_filter(char *filter, pid_t self)
{
	int n = snprintf(filter, CALLS_LEN, "common_pid != %d && (", (int)self);
	const char * or = "";

#define CALL(nr)                                                                                   \
	n += snprintf(filter + n, CALLS_LEN - (size_t)n, "%sid == %d", or, SYS_##nr);              \
	or = " || ";
#include "tracer/agent/traced.def"
	snprintf(filter + n, CALLS_LEN - (size_t)n, ")");
}

static int enable_event(struct tracing *t, const char *system, const char *name, const char *filter)
{
	char file[128];
	int rc = 0;

	if (filter) {
		snprintf(file, sizeof(file), "events/%s/%s/filter", system, name);
		rc = tracing_try(t, file, filter);
	}
	if (rc)
		return 0;
	snprintf(file, sizeof(file), "events/%s/%s/enable", system, name);
	return tracing_try(t, file, "1") == 0;
}

static unsigned enable_events(struct tracing *t, pid_t self)
{
	char CALLS[CALLS_LEN];
	unsigned n = 0;

	calls_filter(CALLS, self);
#define EVENT(system, name, filter) n += (unsigned)enable_event(t, system, name, filter);
#include "tracer/agent/traced.def"
	return n;
}

/* --- functions -------------------------------------------------------------------------------- */

static int by_name(const void *key, const void *entry)
{
	return strcmp(key, *(const char *const *)entry);
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* One write() is one word for the kernel, however many there are in it; what it took it says. */
static int put_numbers(const struct tracing *t, const char *numbers)
{
	char path[300];
	size_t len = strlen(numbers);
	ssize_t n = 0;
	int fd, rc = 0;

	snprintf(path, sizeof(path), "%s/set_ftrace_filter", t->dir);
	fd = open(path, O_WRONLY | O_CLOEXEC | O_TRUNC);
	if (fd < 0)
		return -errno;
	for (; len && (n = write(fd, numbers, len)) > 0; numbers += n)
		len -= (size_t)n;
	if (len)
		rc = n < 0 ? -errno : -EIO;
	close(fd);
	return rc;
}

/*
 * The numbers of the lines that have a function of ours, and their text. By number a function is found at once;
 * by name the kernel would look at the names of all of them, for each.
 */
static unsigned choose_functions(char *available, char *numbers, size_t size, char *chosen)
{
	const char *sorted[FUNCTIONS];
	unsigned line = 0, count = 0;
	size_t used = 0;

	memcpy(sorted, functions, sizeof(sorted));
	qsort(sorted, FUNCTIONS, sizeof(sorted[0]), compare_names);
	for (char *at = available, *end; *at && used + 16 < size; at = end + 1) {
		size_t name;

		end = strchrnul(at, '\n');
		line++;
		name = strcspn(at, " \t\n");
		if (name < 64) {
			char word[64];

			memcpy(word, at, name);
			word[name] = '\0';
			if (bsearch(word, sorted, FUNCTIONS, sizeof(sorted[0]), by_name)) {
				used += (size_t)snprintf(numbers + used, size - used, "%u\n", line);
				chosen = mempcpy(chosen, at, (size_t)(end - at));
				*chosen++ = '\n';
				count++;
			}
		}
		if (!*end)
			break;
	}
	*chosen = '\0';
	return count;
}

static unsigned enable_functions(struct tracing *t)
{
	char numbers[16 * FUNCTIONS * 4];
	size_t len;
	char *available = tracing_read_top(t, "available_filter_functions", &len);
	unsigned n = 0;
	int rc;

	numbers[0] = '\0';
	t->functions = available ? malloc(len + 2) : NULL;
	if (t->functions)
		n = choose_functions(available, numbers, sizeof(numbers), t->functions);
	free(available);
	if (!n) {
		tracing_lacks(t, "functions: this kernel lets none be traced");
		return 0;
	}
	rc = put_numbers(t, numbers);
	if (rc)
		tracing_lacks(t, "set_ftrace_filter: %s", strerror(-rc));
	/* Never without the filter: that would be every function of the kernel. */
	return !rc && tracing_try(t, "current_tracer", "function") == 0 ? n : 0;
}

int tracing_set_up(struct tracing *t, unsigned kb, pid_t self)
{
	char number[16];
	unsigned events, traced;

	choose_clock(t);
	snprintf(number, sizeof(number), "%u", kb);
	tracing_try(t, "buffer_size_kb", number);
	t->wakes = tracing_put(t, "buffer_percent", "50") == 0;
	find_page_size(t);
	traced = enable_functions(t);
	events = enable_events(t, self);
	if (!traced) {
		free(t->functions);
		t->functions = NULL;
	}
	if (events || traced)
		return open_buffers(t);
	fprintf(stderr, "agent: this kernel lets nothing be traced: %s\n",
		*t->missing ? t->missing : "it has no events");
	return -ENOTSUP;
}
