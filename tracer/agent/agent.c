// SPDX-License-Identifier: MIT
/*
 * The agent in a Linux guest: lets its kernel trace the way of a write, and sends what comes of that to
 * the VMM, page by page, as the kernel gave it (tracer/guest_stream.h). It goes into the background when
 * tracing is on, and prints its pid; SIGTERM ends it, when everything has been sent.
 *
 * It works as little as it can: until a buffer is half full, or for a second.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <x86intrin.h>

#include "tracer/agent/stream.h"
#include "tracer/agent/tracing.h"

enum { DEFAULT_KB = 4096, DEFAULT_SECONDS = 1, MAX_KB = 1 << 20, MAX_SECONDS = 3600 };

struct options {
	const char *port, *root; /* NULL: to be found */
	unsigned kb, seconds;
	int symbols;
	int end; /* pid of the agent to end, or 0 */
};

struct agent {
	struct options o;
	struct tracing tracing;
	struct stream stream;
	char page[1 << 20];
};

static volatile sig_atomic_t ended;

static void on_signal(int number)
{
	(void)number;
	ended = 1;
}

/* --- what is sent ----------------------------------------------------------------------------- */

static void send_hello(struct agent *a)
{
	struct guest_stream_hello hello = {.version = GUEST_STREAM_VERSION,
		.page_size = a->tracing.page_size,
		.cpus = a->tracing.cpus,
		.pid = (uint32_t)getpid()};
	struct utsname u;

	memcpy(hello.clock, a->tracing.clock, sizeof(hello.clock));
	if (uname(&u) == 0)
		memcpy(hello.release, u.release, strnlen(u.release, sizeof(hello.release) - 1));
	stream_chunk(&a->stream, GUEST_STREAM_HELLO, GUEST_STREAM_NO_CPU, &hello, sizeof(hello));
}

/* The text, if it could be read; frees it. */
static void send_text(struct agent *a, enum guest_stream_type type, char *text, size_t len)
{
	if (text)
		stream_text(&a->stream, type, text, len);
	free(text);
}

static void send_format(struct agent *a, const char *system, const char *event)
{
	char file[128], *format, *both = NULL;
	size_t len;

	snprintf(file, sizeof(file), "events/%s/%s/format", system, event);
	format = tracing_read_top(&a->tracing, file, &len);
	if (format && asprintf(&both, "%s/%s\n%s", system, event, format) >= 0)
		stream_text(&a->stream, GUEST_STREAM_FORMAT, both, strlen(both));
	free(format);
	free(both);
}

/* Functions' lines of /proc/kallsyms only: the rest is of no use to who names addresses of code. */
static void send_symbols(struct agent *a)
{
	size_t len, kept = 0;
	char *text = tracing_read_file("/proc/kallsyms", &len);

	if (!text) {
		tracing_lacks(&a->tracing, "/proc/kallsyms: %s", strerror(errno));
		return;
	}
	for (char *line = text, *end; *line; line = end + 1) {
		char *kind = strchr(line, ' ');

		end = strchrnul(line, '\n');
		if (!*end)
			break;
		if (kind && kind < end && strchr("tTwW", kind[1])) {
			memmove(text + kept, line, (size_t)(end + 1 - line));
			kept += (size_t)(end + 1 - line);
		}
	}
	send_text(a, GUEST_STREAM_SYMBOLS, text, kept);
}

static void send_mark(struct agent *a)
{
	struct guest_stream_mark mark;
	int cpu;

	do {
		cpu = sched_getcpu();
		mark.tsc = __rdtsc();
	} while (cpu != sched_getcpu());
	stream_chunk(&a->stream, GUEST_STREAM_MARK, (unsigned)cpu, &mark, sizeof(mark));
}

static void send_missing(struct agent *a)
{
	char *text = a->tracing.missing;

	if (*text)
		stream_text(&a->stream, GUEST_STREAM_MISSING, text, strlen(text));
	*text = '\0';
}

static void send_description(struct agent *a)
{
	size_t len;
	char *text;

	send_hello(a);
	text = tracing_read_top(&a->tracing, "events/header_page", &len);
	send_text(a, GUEST_STREAM_HEADER_PAGE, text, text ? len : 0);
	send_format(a, "ftrace", "function");
#define EVENT(system, name, filter) send_format(a, system, name);
#include "tracer/agent/traced.def"
	if (a->tracing.functions)
		stream_text(&a->stream, GUEST_STREAM_FUNCTIONS, a->tracing.functions,
			strlen(a->tracing.functions));
	if (a->o.symbols)
		send_symbols(a);
	text = tracing_read_file("/proc/modules", &len);
	send_text(a, GUEST_STREAM_MODULES, text, text ? len : 0);
	send_missing(a);
	send_mark(a);
	stream_flush(&a->stream);
}

/* All pages there are, but not those that are filled as fast as they are read. */
static void drain(struct agent *a)
{
	unsigned most = a->o.kb * 1024u / a->tracing.page_size + 1, sent = 0;

	for (unsigned cpu = 0; cpu < a->tracing.cpus; cpu++)
		for (unsigned i = 0; i < most && !a->stream.error; i++) {
			ssize_t n = read(a->tracing.raw[cpu], a->page, a->tracing.page_size);

			if (n <= 0)
				break;
			if ((unsigned)n < a->tracing.page_size)
				memset(a->page + n, 0, a->tracing.page_size - (size_t)n);
			stream_chunk(
				&a->stream, GUEST_STREAM_PAGE, cpu, a->page, a->tracing.page_size);
			sent++;
		}
	if (sent)
		send_mark(a);
	stream_flush(&a->stream);
}

static void send_end(struct agent *a)
{
	char file[64], *text;
	size_t len;

	tracing_switch(&a->tracing, false);
	drain(a);
	text = tracing_read_top(&a->tracing, "saved_cmdlines", &len);
	send_text(a, GUEST_STREAM_CMDLINES, text, text ? len : 0);
	for (unsigned cpu = 0; cpu < a->tracing.cpus; cpu++) {
		snprintf(file, sizeof(file), "per_cpu/cpu%u/stats", cpu);
		text = tracing_read(&a->tracing, file, &len);
		if (text)
			stream_chunk(&a->stream, GUEST_STREAM_STATS, cpu, text, len);
		free(text);
	}
	send_missing(a);
	stream_chunk(&a->stream, GUEST_STREAM_END, GUEST_STREAM_NO_CPU, "", 0);
	stream_flush(&a->stream);
}

/* --- its life --------------------------------------------------------------------------------- */

static void work(struct agent *a, const sigset_t *waiting)
{
	const struct timespec wait = {.tv_sec = a->o.seconds};
	struct pollfd fd[TRACING_CPUS];

	for (unsigned i = 0; i < a->tracing.cpus; i++)
		fd[i] = (struct pollfd){.fd = a->tracing.raw[i], .events = POLLIN};
	while (!ended && !a->stream.error) {
		/* Where poll() does not wait for half a buffer it would not wait at all. */
		ppoll(fd, a->tracing.wakes ? a->tracing.cpus : 0, a->o.seconds ? &wait : NULL,
			waiting);
		if (!ended)
			drain(a);
	}
}

/* stdin and stdout are let go: who started the agent may wait for their end. */
static void detach(void)
{
	int null = open("/dev/null", O_RDWR);

	setsid();
	if (null >= 0) {
		dup2(null, STDIN_FILENO);
		dup2(null, STDOUT_FILENO);
		close(null);
	}
}

static int run(struct agent *a, int ready)
{
	struct sigaction action = {.sa_handler = on_signal};
	sigset_t ending, before;
	int rc;

	sigemptyset(&ending);
	sigaddset(&ending, SIGTERM);
	sigaddset(&ending, SIGINT);
	sigprocmask(SIG_BLOCK, &ending, &before);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	rc = stream_open(&a->stream, a->o.port);
	if (rc == 0)
		rc = tracing_open(&a->tracing, a->o.root);
	if (rc)
		return 1;
	rc = tracing_set_up(&a->tracing, a->o.kb, getpid());
	if (rc == 0) {
		send_description(a);
		detach();
		tracing_switch(&a->tracing, true);
		if (write(ready, "", 1) < 0)
			ended = 1;
		close(ready);
		work(a, &before);
		send_end(a);
	}
	tracing_close(&a->tracing);
	if (a->stream.error)
		fprintf(stderr,
			"agent: the port takes nothing more (%s): is the VMM still there?\n",
			strerror(a->stream.error));
	return rc || a->stream.error;
}

/* Has it gone? A zombie has, too: nobody need be there to reap it. */
static int gone(int pid)
{
	char path[64];
	size_t len;
	char *text;

	snprintf(path, sizeof(path), "/proc/%d/cmdline", pid);
	text = tracing_read_file(path, &len);
	free(text);
	return !text || !len;
}

static int end_agent(int pid)
{
	const struct timespec pause = {.tv_nsec = 10000000};

	if (kill(pid, SIGTERM)) {
		fprintf(stderr, "agent: no agent has the pid %d: %s\n", pid, strerror(errno));
		return 1;
	}
	while (!gone(pid))
		nanosleep(&pause, NULL);
	return 0;
}

static int start_agent(const struct options *o)
{
	int ready[2], status = 1;
	char byte;
	pid_t pid;

	if (pipe2(ready, O_CLOEXEC) || (pid = fork()) < 0) {
		fprintf(stderr, "agent: no process: %s\n", strerror(errno));
		return 1;
	}
	if (pid == 0) {
		struct agent *a = calloc(1, sizeof(*a));

		close(ready[0]);
		if (!a)
			_exit(1);
		a->o = *o;
		_exit(run(a, ready[1]));
	}
	close(ready[1]);
	if (read(ready[0], &byte, 1) == 1) {
		printf("%d\n", (int)pid);
		return 0;
	}
	waitpid(pid, &status, 0);
	return 1;
}

static int usage(void)
{
	fprintf(stderr,
		"usage: agent [-p DEVICE] [-t TRACEFS] [-b KIB] [-i SECONDS] [-s]\n"
		"       agent -e PID\n"
		"Traces the way of a write in this guest's kernel, and sends it to exitwalk run --guest-events.\n"
		"Prints the pid of what works in the background from then on.\n"
		"  -p DEVICE   the port (the one that is called " GUEST_STREAM_PORT ")\n"
		"  -t TRACEFS  where tracefs is mounted (/sys/kernel/tracing; mounted if it is not)\n"
		"  -b KIB      the kernel's buffer for each CPU (%d)\n"
		"  -i SECONDS  send what there is so often; 0: when half a buffer is full (%d)\n"
		"  -s          send /proc/kallsyms too; exitwalk finds names in the guest's memory\n"
		"  -e PID      end the agent with this pid, and wait until all has been sent\n",
		DEFAULT_KB, DEFAULT_SECONDS);
	return 64;
}

static int number(const char *text, long max, unsigned *to)
{
	char *end;
	long n = strtol(text, &end, 10);

	*to = (unsigned)n;
	return end != text && !*end && n >= 0 && n <= max;
}

int main(int argc, char **argv)
{
	struct options o = {.kb = DEFAULT_KB, .seconds = DEFAULT_SECONDS};
	unsigned pid = 0;
	int c, ok = 1;

	while (ok && (c = getopt(argc, argv, "p:t:b:i:e:s")) != -1) {
		switch (c) {
		case 'p':
			o.port = optarg;
			break;
		case 't':
			o.root = optarg;
			break;
		case 'b':
			ok = number(optarg, MAX_KB, &o.kb) && o.kb;
			break;
		case 'i':
			ok = number(optarg, MAX_SECONDS, &o.seconds);
			break;
		case 's':
			o.symbols = 1;
			break;
		case 'e':
			ok = number(optarg, 1 << 22, &pid) && pid;
			break;
		default:
			ok = 0;
		}
	}
	if (!ok || optind != argc)
		return usage();
	return pid ? end_agent((int)pid) : start_agent(&o);
}
