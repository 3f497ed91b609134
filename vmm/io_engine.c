/* SPDX-License-Identifier: MIT */
/* Lists of transfers that wait and that are finished, and the engine without io_uring. */
#include "io_engine.h"

#include <errno.h>

#include "io_uring_host.h"

static void list_init(struct disk_io_list *l)
{
	l->first = NULL;
	l->end = &l->first;
}

void disk_io_append(struct disk_io_list *l, struct disk_io *io)
{
	io->next = NULL;
	*l->end = io;
	l->end = &io->next;
}

struct disk_io *disk_io_first(struct disk_io_list *l)
{
	struct disk_io *io = l->first;

	if (io)
		l->first = io->next;
	if (!l->first)
		l->end = &l->first;
	return io;
}

static void submit(struct disk_engine *engine, struct disk_io *io)
{
	struct io_engine *e = (struct io_engine *)((char *)engine -
						   offsetof(struct io_engine, engine));

	disk_io_append(&e->waiting, io);
}

int io_engine_init(struct io_engine *e, bool plain, struct err *err)
{
	int rc = plain ? -ENOSYS : 0;

	*e = (struct io_engine){
		.engine = {.submit = submit}, .name = "pread64, pwrite64 (asked for)"};
	list_init(&e->waiting);
	list_init(&e->finished);
	if (!plain)
		rc = io_uring_host_create(&e->ring);
	switch (rc) {
	case 0:
		e->name = "io_uring";
		return 0;
	case -ENOSYS:
		if (!plain)
			e->name = "pread64, pwrite64 (no io_uring in this kernel)";
		return 0;
	case -EPERM: /* sysctl kernel.io_uring_disabled, or a seccomp filter */
	case -EACCES:
		e->name = "pread64, pwrite64 (io_uring is not permitted here)";
		return 0;
	case -ENOMEM: /* kernels before 5.12 count its memory against RLIMIT_MEMLOCK */
		e->name = "pread64, pwrite64 (no memory for io_uring)";
		return 0;
	default:
		return err_set(err, rc, "io_uring_setup failed: use --io thread,pwrite");
	}
}

void io_engine_destroy(struct io_engine *e)
{
	io_uring_host_destroy(e->ring);
	e->ring = NULL;
}

/* One transfer, to its end. */
static void plain_work(struct io_engine *e, struct probe *p)
{
	struct disk_io *io = disk_io_first(&e->waiting);

	if (!io)
		return;
	io->result = disk_io_run(io, p);
	disk_io_append(&e->finished, io);
}

bool io_engine_work(struct io_engine *e, struct probe *p)
{
	/* What io_uring cannot do any more is left for the plain way. */
	if (e->ring && io_uring_host_work(e->ring, e, p) == 0)
		return e->finished.first;
	plain_work(e, p);
	return e->finished.first;
}

void io_engine_deliver(struct io_engine *e)
{
	struct disk_io *io;

	while ((io = disk_io_first(&e->finished)))
		io->done(io, io->result);
}

bool io_engine_runnable(const struct io_engine *e)
{
	bool room = !e->ring || e->to_submit + e->in_host < IO_ENGINE_DEPTH;

	return e->finished.first || e->to_submit || (e->waiting.first && room);
}

int io_engine_fd(const struct io_engine *e)
{
	return e->ring ? io_uring_host_fd(e->ring) : -1;
}
