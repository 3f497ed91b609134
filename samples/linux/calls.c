// SPDX-License-Identifier: MIT
#include "calls.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "marked.h"

enum { ALIGN = 4096 };

/* What this process has written. */
static char told[1 << 16];
static size_t told_len;
static unsigned calls;

int complain(const char *what, const char *path, int error)
{
	fprintf(stderr, "writer: %s %s: %s\n", what, path, strerror(error));
	return -1;
}

static void tell(const struct plan_step *s)
{
	const char *wanted = getenv("ew_tell");
	int n;

	if (!wanted || strcmp(wanted, "1"))
		return;
	n = snprintf(told + told_len, sizeof(told) - told_len,
		"writer: %d wrote %u: %zu bytes at %llu by call %u\n", getpid(), s->n, s->len,
		(unsigned long long)s->offset, calls);
	if (n > 0 && (size_t)n < sizeof(told) - told_len)
		told_len += (size_t)n;
}

void tell_end(void)
{
	if (told_len && write(STDOUT_FILENO, told, told_len) != (ssize_t)told_len)
		complain("write to", "the console", errno);
	told_len = 0;
}

int file_open(struct file *f, const char *path, int flags)
{
	*f = (struct file){path, open(path, flags | O_WRONLY | O_CLOEXEC, 0644)};
	return f->fd < 0 ? complain("open", path, errno) : 0;
}

static void *buffer(size_t len)
{
	return aligned_alloc(ALIGN, (len + ALIGN - 1) / ALIGN * ALIGN);
}

int one_pwrite(const struct file *f, const struct plan_step *s)
{
	void *buf = buffer(s->len);
	long ret = -ENOMEM;

	calls++;
	if (buf) {
		plan_fill(s, buf);
		ret = marked_call(SYS_pwrite64,
			(uint64_t[6]){(uint64_t)f->fd, (uintptr_t)buf, s->len, s->offset}, f->path);
	}
	free(buf);
	if (ret != (long)s->len)
		return complain("pwrite to", f->path, ret < 0 ? (int)-ret : EIO);
	tell(s);
	return 0;
}

int one_fsync(const struct file *f)
{
	long ret = marked_call(SYS_fsync, (uint64_t[6]){(uint64_t)f->fd}, f->path);

	return ret ? complain("fsync of", f->path, (int)-ret) : 0;
}

int flight_begin(struct in_flight *a, const struct file *f)
{
	*a = (struct in_flight){.n = 0};
	return syscall(SYS_io_setup, MAX_IN_FLIGHT, &a->ctx)
		       ? complain("io_setup for", f->path, errno)
		       : 0;
}

int flight_submit(
	struct in_flight *a, const struct file *f, const struct plan_step *step, unsigned count)
{
	struct iocb *list[MAX_IN_FLIGHT];
	long ret;

	for (unsigned i = 0; i < count; i++) {
		void *buf = buffer(step[i].len);

		if (!buf)
			return complain("memory for", f->path, ENOMEM);
		plan_fill(&step[i], buf);
		list[i] = &a->cb[a->n++];
		*list[i] = (struct iocb){.aio_lio_opcode = IOCB_CMD_PWRITE,
			.aio_fildes = (uint32_t)f->fd,
			.aio_buf = (uintptr_t)buf,
			.aio_nbytes = step[i].len,
			.aio_offset = (int64_t)step[i].offset,
			.aio_data = step[i].len};
	}
	calls++;
	ret = marked_call(SYS_io_submit, (uint64_t[6]){a->ctx, count, (uintptr_t)list}, f->path);
	if (ret != (long)count)
		return complain("io_submit to", f->path, ret < 0 ? (int)-ret : EAGAIN);
	for (unsigned i = 0; i < count; i++)
		tell(&step[i]);
	return 0;
}

int flight_wait(struct in_flight *a, const struct file *f)
{
	struct io_event event[MAX_IN_FLIGHT];
	long ret = marked_call(
		SYS_io_getevents, (uint64_t[6]){a->ctx, a->n, a->n, (uintptr_t)event, 0}, f->path);
	int rc = 0;

	if (ret != (long)a->n)
		return complain("io_getevents of", f->path, ret < 0 ? (int)-ret : EIO);
	for (unsigned i = 0; i < a->n; i++)
		if (event[i].res != (int64_t)event[i].data)
			rc = complain("asynchronous write to", f->path,
				event[i].res < 0 ? (int)-event[i].res : EIO);
	for (unsigned i = 0; i < a->n; i++)
		free((void *)(uintptr_t)a->cb[i].aio_buf);
	a->n = 0;
	return rc;
}

void flight_end(struct in_flight *a)
{
	syscall(SYS_io_destroy, a->ctx);
}
