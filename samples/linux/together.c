// SPDX-License-Identifier: MIT
#include "together.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { WRITERS = 2, IN_FLIGHT = 4, KEEP_MS = 50, ENOUGH = 1 << 20 };

int write_batches(const struct file *f, enum plan_mode mode, unsigned first, unsigned stride,
	unsigned in_flight, bool mixed)
{
	struct plan_step step[MAX_IN_FLIGHT];
	unsigned count = plan_mode_info[mode].count, i = first, round = 0;
	struct in_flight a;
	int rc = flight_begin(&a, f);

	if (rc)
		return rc;
	for (; i < count && rc == 0; round++) {
		unsigned n = 0;

		for (; n < in_flight && i < count; i += stride)
			step[n++] = plan_step(mode, i);
		if (mixed && round % 2)
			for (unsigned k = 0; k < n && rc == 0; k++)
				rc = one_pwrite(f, &step[k]);
		else
			rc = flight_submit(&a, f, step, n) ?: flight_wait(&a, f);
	}
	flight_end(&a);
	return rc;
}

/* --- two processes ----------------------------------------------------------------------------- */

struct meeting {
	atomic_uint arrived, kept;
};

struct process {
	const char *path;
	enum plan_mode mode;
	unsigned number;
	struct meeting *meet;
};

static void own_cpu(unsigned number)
{
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	CPU_SET(number % WRITERS % (unsigned)sysconf(_SC_NPROCESSORS_ONLN), &cpus);
	sched_setaffinity(0, sizeof(cpus), &cpus);
}

static void wait_for(atomic_uint *what, unsigned value)
{
	while (atomic_load(what) < value)
		usleep(500);
}

static void meet(atomic_uint *arrived, unsigned all)
{
	atomic_fetch_add(arrived, 1);
	wait_for(arrived, all);
}

static int in_process(const struct process *p, int (*does)(const struct process *))
{
	int rc;

	own_cpu(p->number);
	rc = does(p);
	tell_end();
	/* Whom the others wait for must not have failed. */
	if (rc) {
		atomic_store(&p->meet->arrived, ENOUGH);
		atomic_store(&p->meet->kept, ENOUGH);
	}
	return rc;
}

static int processes(
	const char *path, enum plan_mode mode, unsigned n, int (*does)(const struct process *))
{
	struct meeting *m = mmap(
		NULL, sizeof(*m), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t child[2 * WRITERS];
	int rc = 0;

	if (m == MAP_FAILED)
		return complain("memory for", path, errno);
	for (unsigned i = 0; i < n; i++) {
		const struct process p = {path, mode, i, m};

		child[i] = fork();
		if (child[i] == 0)
			_exit(in_process(&p, does) != 0);
		if (child[i] < 0) {
			rc = complain("fork for", path, errno);
			atomic_store(&m->arrived, ENOUGH);
			atomic_store(&m->kept, ENOUGH);
		}
	}
	for (unsigned i = 0; i < n; i++) {
		int status = 0;

		if (child[i] > 0 && (waitpid(child[i], &status, 0) < 0 || status))
			rc = -1;
	}
	munmap(m, sizeof(*m));
	return rc;
}

static int mixed_batches(const struct process *p)
{
	struct file f;
	int rc = file_open(&f, p->path, O_DIRECT);

	if (rc)
		return rc;
	meet(&p->meet->arrived, WRITERS);
	rc = write_batches(&f, p->mode, p->number, WRITERS, IN_FLIGHT, true);
	close(f.fd);
	return rc;
}

int write_by_two(const char *path, enum plan_mode mode)
{
	return processes(path, mode, WRITERS, mixed_batches);
}

/*
 * A direct write sleeps, and a worker of the kernel issues its request. As long as no worker has a CPU, the
 * request stays in the scheduler's queue, and what the other process writes beside it is merged with it. So on each
 * CPU a process does nothing but keep it, from before both write until they must have come so far.
 */
static int keep_cpu(const struct process *p)
{
	for (unsigned round = 1; round <= plan_mode_info[p->mode].count / WRITERS; round++) {
		struct timespec from, now;

		wait_for(&p->meet->arrived, WRITERS * round);
		atomic_fetch_add(&p->meet->kept, 1);
		clock_gettime(CLOCK_MONOTONIC, &from);
		do
			clock_gettime(CLOCK_MONOTONIC, &now);
		while ((now.tv_sec - from.tv_sec) * 1000 + (now.tv_nsec - from.tv_nsec) / 1000000 <
			KEEP_MS);
	}
	return 0;
}

static int neighbours(const struct process *p)
{
	const struct sched_param before_all = {.sched_priority = p->number < WRITERS ? 2 : 1};
	struct file f = {p->path, -1};
	int rc = 0;

	if (sched_setscheduler(0, SCHED_FIFO, &before_all))
		rc = complain("SCHED_FIFO for", p->path, errno);
	if (rc == 0 && p->number >= WRITERS)
		return keep_cpu(p);
	if (rc == 0)
		rc = file_open(&f, p->path, O_DIRECT);
	for (unsigned i = p->number, round = 1; rc == 0 && i < plan_mode_info[p->mode].count;
		i += WRITERS, round++) {
		struct plan_step s = plan_step(p->mode, i);

		meet(&p->meet->arrived, WRITERS * round);
		wait_for(&p->meet->kept, WRITERS * round);
		rc = one_pwrite(&f, &s);
	}
	if (f.fd >= 0)
		close(f.fd);
	return rc;
}

int write_shared(const char *path)
{
	return processes(path, PLAN_SHARED, 2 * WRITERS, neighbours);
}

/* --- writeback ---------------------------------------------------------------------------------- */

static int set(const char *file, const char *value)
{
	int fd = open(file, O_WRONLY | O_CLOEXEC);
	bool ok = fd >= 0 && write(fd, value, strlen(value)) == (ssize_t)strlen(value);

	if (fd >= 0)
		close(fd);
	return ok ? 0 : complain("write to", file, errno);
}

/* Nothing of the page cache waits to be written, and nothing is being written. */
static bool all_written(void)
{
	FILE *f = fopen("/proc/meminfo", "re");
	unsigned long kib, sum = 0;
	char line[128];

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "Dirty: %lu", &kib) == 1 ||
			sscanf(line, "Writeback: %lu", &kib) == 1)
			sum += kib;
	if (f)
		fclose(f);
	return f && !sum;
}

int write_back(const char *path)
{
	struct file f;
	int rc = file_open(&f, path, 0);

	for (unsigned i = 0; i < plan_mode_info[PLAN_WRITEBACK].count && rc == 0; i++) {
		struct plan_step s = plan_step(PLAN_WRITEBACK, i);

		rc = one_pwrite(&f, &s);
	}
	/* In hundredths of a second: what is dirty is old now. */
	if (rc == 0)
		rc = set("/proc/sys/vm/dirty_expire_centisecs", "10")
			     ?: set("/proc/sys/vm/dirty_writeback_centisecs", "10");
	for (unsigned tries = 0; rc == 0 && !all_written(); tries++) {
		if (tries == 300)
			rc = complain("writeback of", path, ETIMEDOUT);
		usleep(100000);
	}
	if (f.fd >= 0)
		close(f.fd);
	return rc;
}
