// SPDX-License-Identifier: MIT
/*
 * Writes to a disk in the ways worth looking at, one per mode; with -c compares an image with what was
 * to be written. Its payload says which write each word comes from.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "marked.h"
#include "plan.h"

enum { ALIGN = 4096, MANY_PROCESSES = 2, MANY_IN_FLIGHT = 4, MAX_IN_FLIGHT = 16 };

struct file {
	const char *path;
	int fd;
};

static int complain(const char *what, const char *path, int error)
{
	fprintf(stderr, "writer: %s %s: %s\n", what, path, strerror(error));
	return -1;
}

static void *buffer(size_t len)
{
	return aligned_alloc(ALIGN, (len + ALIGN - 1) / ALIGN * ALIGN);
}

static int one_pwrite(const struct file *f, const struct plan_step *s)
{
	void *buf = buffer(s->len);
	long ret = -ENOMEM;

	if (buf) {
		plan_fill(s, buf);
		ret = marked_call(SYS_pwrite64,
			(uint64_t[6]){(uint64_t)f->fd, (uintptr_t)buf, s->len, s->offset}, f->path);
	}
	free(buf);
	if (ret == (long)s->len)
		return 0;
	return complain("pwrite to", f->path, ret < 0 ? (int)-ret : EIO);
}

/* All of `step` by one io_submit, then waits for all of them. */
static int one_batch(
	const struct file *f, aio_context_t ctx, const struct plan_step *step, unsigned count)
{
	struct iocb cb[MAX_IN_FLIGHT], *list[MAX_IN_FLIGHT];
	struct io_event event[MAX_IN_FLIGHT];
	long ret;
	int rc = 0;

	memset(cb, 0, sizeof(cb));
	for (unsigned i = 0; i < count; i++) {
		void *buf = buffer(step[i].len);

		if (!buf)
			return complain("memory for", f->path, ENOMEM);
		plan_fill(&step[i], buf);
		cb[i].aio_lio_opcode = IOCB_CMD_PWRITE;
		cb[i].aio_fildes = (uint32_t)f->fd;
		cb[i].aio_buf = (uintptr_t)buf;
		cb[i].aio_nbytes = step[i].len;
		cb[i].aio_offset = (int64_t)step[i].offset;
		cb[i].aio_data = step[i].len;
		list[i] = &cb[i];
	}
	ret = marked_call(SYS_io_submit, (uint64_t[6]){ctx, count, (uintptr_t)list}, f->path);
	if (ret != (long)count)
		return complain("io_submit to", f->path, ret < 0 ? (int)-ret : EAGAIN);
	ret = marked_call(
		SYS_io_getevents, (uint64_t[6]){ctx, count, count, (uintptr_t)event, 0}, f->path);
	if (ret != (long)count)
		return complain("io_getevents of", f->path, ret < 0 ? (int)-ret : EIO);
	for (unsigned i = 0; i < count; i++)
		if (event[i].res != (int64_t)event[i].data)
			rc = complain("asynchronous write to", f->path,
				event[i].res < 0 ? (int)-event[i].res : EIO);
	for (unsigned i = 0; i < count; i++)
		free((void *)(uintptr_t)cb[i].aio_buf);
	return rc;
}

static int batches(const struct file *f, enum plan_mode mode, unsigned first, unsigned stride,
	unsigned in_flight, bool mixed)
{
	struct plan_step step[MAX_IN_FLIGHT];
	unsigned count = plan_mode_info[mode].count, i = first, round = 0;
	aio_context_t ctx = 0;
	int rc = 0;

	if (syscall(SYS_io_setup, MAX_IN_FLIGHT, &ctx))
		return complain("io_setup for", f->path, errno);
	for (; i < count && rc == 0; round++) {
		unsigned n = 0;

		for (; n < in_flight && i < count; i += stride)
			step[n++] = plan_step(mode, i);
		if (mixed && round % 2)
			for (unsigned k = 0; k < n && rc == 0; k++)
				rc = one_pwrite(f, &step[k]);
		else
			rc = one_batch(f, ctx, step, n);
	}
	syscall(SYS_io_destroy, ctx);
	return rc;
}

/* Each process on a CPU of its own, if there are as many. */
static int many(const struct file *f)
{
	pid_t child[MANY_PROCESSES];
	int rc = 0;

	for (unsigned p = 0; p < MANY_PROCESSES; p++) {
		child[p] = fork();
		if (child[p] == 0) {
			cpu_set_t cpus;

			CPU_ZERO(&cpus);
			CPU_SET(p % (unsigned)sysconf(_SC_NPROCESSORS_ONLN), &cpus);
			sched_setaffinity(0, sizeof(cpus), &cpus);
			_exit(batches(f, PLAN_MANY, p, MANY_PROCESSES, MANY_IN_FLIGHT, true) != 0);
		}
		if (child[p] < 0)
			rc = complain("fork for", f->path, errno);
	}
	for (unsigned p = 0; p < MANY_PROCESSES; p++) {
		int status = 0;

		if (child[p] > 0 && (waitpid(child[p], &status, 0) < 0 || status))
			rc = -1;
	}
	return rc;
}

static int single_writes(const struct file *f, enum plan_mode mode)
{
	int rc = 0;

	for (unsigned i = 0; i < plan_mode_info[mode].count && rc == 0; i++) {
		struct plan_step s = plan_step(mode, i);

		rc = one_pwrite(f, &s);
	}
	return rc;
}

static int buffered(const struct file *f)
{
	int rc = single_writes(f, PLAN_FILE_BUFFERED);
	long ret;

	if (rc)
		return rc;
	ret = marked_call(SYS_fsync, (uint64_t[6]){(uint64_t)f->fd}, f->path);
	return ret ? complain("fsync of", f->path, (int)-ret) : 0;
}

static int write_mode(enum plan_mode mode, const char *path)
{
	int flags = O_WRONLY | O_CLOEXEC | (mode == PLAN_FILE_BUFFERED ? 0 : O_DIRECT) |
		    (plan_mode_info[mode].on_file ? O_CREAT : 0);
	struct file f = {path, open(path, flags, 0644)};
	int rc;

	if (f.fd < 0)
		return complain("open", path, errno);
	switch (mode) {
	case PLAN_BATCH:
		rc = batches(&f, mode, 0, 1, MAX_IN_FLIGHT, false);
		break;
	case PLAN_MANY:
		rc = many(&f);
		break;
	case PLAN_FILE_BUFFERED:
		rc = buffered(&f);
		break;
	default:
		rc = single_writes(&f, mode);
		break;
	}
	close(f.fd);
	return rc;
}

static int check_mode(enum plan_mode mode, const char *path)
{
	struct file f = {path, open(path, O_RDONLY | O_CLOEXEC)};
	void *buf = malloc(PLAN_MAX_LEN);
	int rc = 0;

	if (f.fd < 0 || !buf)
		rc = complain("open", path, errno);
	for (unsigned i = 0; rc == 0 && i < plan_mode_info[mode].count; i++) {
		struct plan_step s = plan_step(mode, i);
		uint64_t wrong = s.offset;

		if (pread(f.fd, buf, s.len, (off_t)s.offset) == (ssize_t)s.len)
			wrong = plan_compare(&s, buf);
		if (wrong != UINT64_MAX) {
			fprintf(stderr, "writer: %s: write %u of %s is wrong at byte %llu\n", path,
				s.n, plan_mode_info[mode].name, (unsigned long long)wrong);
			rc = -1;
		}
	}
	free(buf);
	if (f.fd >= 0)
		close(f.fd);
	return rc;
}

static void print_mode(enum plan_mode mode)
{
	for (unsigned i = 0; i < plan_mode_info[mode].count; i++) {
		struct plan_step s = plan_step(mode, i);

		printf("%s %u %llu %zu\n", plan_mode_info[mode].name, s.n,
			(unsigned long long)s.offset, s.len);
	}
}

static int usage(void)
{
	fprintf(stderr,
		"usage: writer MODE PATH     write\n"
		"       writer -c MODE PATH  compare PATH with what MODE writes\n"
		"       writer -p MODE       print MODE, number, offset and length of each write\n"
		"       writer -x STATUS     end the run with this status (exitwalk only)\n"
		"MODE is one of\n");
	for (unsigned i = 0; i < PLAN_COUNT; i++)
		fprintf(stderr, "  %-14s %s\n", plan_mode_info[i].name, plan_mode_info[i].what);
	return 64;
}

int main(int argc, char **argv)
{
	char what = 'w';
	unsigned mode = 0;

	if (argc > 2 && argv[1][0] == '-' && strlen(argv[1]) == 2 && strchr("cpx", argv[1][1])) {
		what = argv[1][1];
		argv++;
		argc--;
	}
	if (argc != (what == 'w' || what == 'c' ? 3 : 2))
		return usage();
	if (what == 'x') {
		marked_init();
		marked_exit_status((uint8_t)strtoul(argv[1], NULL, 10));
		return 0;
	}
	while (mode < PLAN_COUNT && strcmp(plan_mode_info[mode].name, argv[1]))
		mode++;
	if (mode == PLAN_COUNT)
		return usage();
	if (what == 'p') {
		print_mode((enum plan_mode)mode);
		return 0;
	}
	if (what == 'c')
		return check_mode((enum plan_mode)mode, argv[2]) ? 1 : 0;
	marked_init();
	return write_mode((enum plan_mode)mode, argv[2]) ? 1 : 0;
}
