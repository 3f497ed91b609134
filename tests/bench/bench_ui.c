/* SPDX-License-Identifier: MIT */
/*
 * bench_ui PROGRAM FILE: how long the UI takes to its first frame and from a key to the frame that
 * answers it, and its memory. The program says through EXITWALK_IDLE_FD when a frame is out.
 */
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define KEYS_MAX 4096
#define HANG_MS 120000

static double now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

/* Reads away what is drawn until the program is idle. 0, or -1 if it ended or hangs. */
static int wait_idle(int master, int idle)
{
	for (;;) {
		struct pollfd p[] = {
			{.fd = idle, .events = POLLIN}, {.fd = master, .events = POLLIN}};
		char buf[8192];

		if (poll(p, 2, HANG_MS) <= 0)
			return -1;
		if ((p[1].revents & POLLIN) && read(master, buf, sizeof(buf)) <= 0)
			return -1;
		if (p[0].revents & POLLIN)
			return read(idle, buf, 1) == 1 ? 0 : -1;
		if (p[0].revents & POLLHUP)
			return -1;
	}
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* VmHWM of /proc/PID/status, in MB. */
static double peak_mb(pid_t pid)
{
	char path[64], line[256];
	long kb = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "VmHWM: %ld kB", &kb) == 1)
			break;
	if (f)
		fclose(f);
	return (double)kb / 1024;
}

static pid_t start(const char *program, const char *file, int *master, int *idle)
{
	struct winsize w = {.ws_row = 60, .ws_col = 200};
	int fd[2];
	pid_t pid;

	if (pipe(fd) < 0)
		return -1;
	pid = forkpty(master, NULL, NULL, &w);
	if (pid == 0) {
		char n[16];

		snprintf(n, sizeof(n), "%d", fd[1]);
		setenv("EXITWALK_IDLE_FD", n, 1);
		setenv("TERM", "xterm-256color", 1);
		setenv("LC_ALL", "C.UTF-8", 1);
		execl(program, program, "view", file, (char *)NULL);
		_exit(127);
	}
	close(fd[1]);
	*idle = fd[0];
	return pid;
}

int main(int argc, char **argv)
{
	/* Steps, pages, exits, requests, both ends, all modes and panes. */
	static const char *const script[] = {"l", "l", "l", "h", "f", "b", "x", "X", "]", "]", "[",
		"t", "f", "f", "f", "x", "x", "X", "G", "b", "b", "X", "g", "f", "t", "r", "f", "G",
		"\r", "6", "\t", "\t", "\t", "\t", "\t", "\t"};
	const size_t n = sizeof(script) / sizeof(script[0]);
	static double ms[KEYS_MAX];
	const char *slowest = "";
	int master, idle, count = 0;
	double t, first, worst = 0;
	pid_t pid;

	if (argc != 3) {
		fprintf(stderr, "usage: bench_ui PROGRAM FILE\n");
		return 64;
	}
	t = now_ms();
	pid = start(argv[1], argv[2], &master, &idle);
	if (pid < 0 || wait_idle(master, idle) < 0) {
		fprintf(stderr, "bench_ui: the program shows no frame\n");
		return 1;
	}
	first = now_ms() - t;
	for (int round = 0; round < 20; round++) {
		for (size_t i = 0; i < n; i++) {
			t = now_ms();
			if (write(master, script[i], 1) != 1 || wait_idle(master, idle) < 0) {
				fprintf(stderr, "bench_ui: no answer to a key\n");
				return 1;
			}
			ms[count] = now_ms() - t;
			if (ms[count] > worst) {
				worst = ms[count];
				slowest = script[i];
			}
			count++;
		}
	}
	qsort(ms, (size_t)count, sizeof(ms[0]), by_value);
	printf("ui: first frame %.1f ms (goal 100); key to frame median %.2f, p99 %.2f, max %.2f "
	       "ms (key "
	       "'%s') of %d (goal 16); peak RSS %.1f MB (goal 40)\n",
		first, ms[count / 2], ms[count * 99 / 100], worst,
		slowest[0] == '\t'   ? "Tab"
		: slowest[0] == '\r' ? "Enter"
				     : slowest,
		count, peak_mb(pid));
	kill(pid, SIGTERM);
	waitpid(pid, NULL, 0);
	return 0;
}
