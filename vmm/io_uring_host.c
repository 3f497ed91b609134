/* SPDX-License-Identifier: MIT */
/*
 * Many transfers in flight, each a submission queue entry, which complete in any order. A short one and
 * one that was interrupted goes in again with what is left of it.
 */
#include "io_uring_host.h"

#include <errno.h>
#include <liburing.h>
#include <stdlib.h>

#define ENTRIES                                                                                    \
	(IO_ENGINE_DEPTH /                                                                         \
		2) /* of the submission queue; the kernel has twice as many for completions */

struct io_uring_host {
	struct io_uring ring;
	struct disk_io_list filled; /* in the submission queue, not yet taken by the kernel */
	bool dead;                  /* io_uring_enter failed for good */
};

/* Linux 5.6 has all that is used here, and a probe to ask for it. */
static bool has_opcodes(struct io_uring *ring)
{
	struct io_uring_probe *probe = io_uring_get_probe_ring(ring);
	bool has = probe && io_uring_opcode_supported(probe, IORING_OP_READ) &&
		   io_uring_opcode_supported(probe, IORING_OP_WRITE);

	io_uring_free_probe(probe);
	return has;
}

int io_uring_host_create(struct io_uring_host **out)
{
	struct io_uring_host *u = calloc(1, sizeof(*u));
	int rc;

	*out = NULL;
	if (!u)
		return -ENOMEM;
	u->filled.end = &u->filled.first;
	rc = io_uring_queue_init(ENTRIES, &u->ring, 0);
	if (rc == 0 && !has_opcodes(&u->ring)) {
		io_uring_queue_exit(&u->ring);
		rc = -ENOSYS;
	}
	if (rc) {
		free(u);
		return rc;
	}
	*out = u;
	return 0;
}

void io_uring_host_destroy(struct io_uring_host *u)
{
	if (!u)
		return;
	io_uring_queue_exit(&u->ring);
	free(u);
}

int io_uring_host_fd(const struct io_uring_host *u)
{
	return u->ring.ring_fd;
}

static unsigned opcode(const struct disk_io *io)
{
	if (io->op == DISK_FLUSH)
		return IORING_OP_FSYNC;
	if (io->op == DISK_READ)
		return io->n == 1 ? IORING_OP_READ : IORING_OP_READV;
	return io->n == 1 ? IORING_OP_WRITE : IORING_OP_WRITEV;
}

static void fill(struct io_uring_sqe *sqe, struct disk_io *io, struct probe *p)
{
	int fd = io->disk->fd;

	switch (opcode(io)) {
	case IORING_OP_FSYNC:
		io_uring_prep_fsync(sqe, fd, IORING_FSYNC_DATASYNC);
		break;
	case IORING_OP_READ:
		io_uring_prep_read(
			sqe, fd, io->iov->iov_base, (unsigned)io->iov->iov_len, io->offset);
		break;
	case IORING_OP_WRITE:
		io_uring_prep_write(
			sqe, fd, io->iov->iov_base, (unsigned)io->iov->iov_len, io->offset);
		break;
	case IORING_OP_READV:
		io_uring_prep_readv(sqe, fd, io->iov, io->n, io->offset);
		break;
	default:
		io_uring_prep_writev(sqe, fd, io->iov, io->n, io->offset);
		break;
	}
	io_uring_sqe_set_data(sqe, io);
	PROBE(p, EW_URING_SQE, io->request, opcode(io), (uint64_t)fd, io->left, io->offset, io->n);
}

static void fill_all(struct io_uring_host *u, struct io_engine *e, struct probe *p)
{
	struct io_uring_sqe *sqe;

	/* As many as there is room for completions, so that none has to wait in the kernel. */
	while (e->waiting.first && e->in_host + e->to_submit < IO_ENGINE_DEPTH &&
		(sqe = io_uring_get_sqe(&u->ring))) {
		struct disk_io *io = disk_io_first(&e->waiting);

		fill(sqe, io, p);
		disk_io_append(&u->filled, io);
		e->to_submit++;
	}
}

/* The kernel takes entries in their order. */
static int enter(struct io_uring_host *u, struct io_engine *e, struct probe *p)
{
	int rc;

	PROBE(p, EW_URING_ENTER, e->to_submit, (uint64_t)u->ring.ring_fd);
	rc = io_uring_submit(&u->ring);
	PROBE(p, EW_URING_ENTER_RET, (uint64_t)(int64_t)rc);
	for (int i = 0; i < rc && e->to_submit; i++) {
		disk_io_first(&u->filled);
		e->to_submit--;
		e->in_host++;
	}
	/* Interrupted, short of memory, or completions have to be taken first: later again. */
	return rc == -EINTR || rc == -EAGAIN || rc == -EBUSY ? 0 : rc;
}

static void collect(struct io_uring_host *u, struct io_engine *e, struct probe *p)
{
	struct io_uring_cqe *cqe;

	while (io_uring_peek_cqe(&u->ring, &cqe) == 0) {
		struct disk_io *io = io_uring_cqe_get_data(cqe);
		int result = cqe->res;

		PROBE(p, EW_URING_CQE, io->request, opcode(io), (uint64_t)(int64_t)result);
		io_uring_cqe_seen(&u->ring, cqe);
		e->in_host--;
		disk_io_append(disk_io_continue(io, result) ? &e->finished : &e->waiting, io);
	}
}

/* Once the kernel refuses, nothing is submitted any more, so entries it did not take are void. */
static void give_up(struct io_uring_host *u, struct io_engine *e)
{
	struct disk_io *io;

	u->dead = true;
	e->to_submit = 0;
	while ((io = disk_io_first(&u->filled)))
		disk_io_append(&e->waiting, io);
}

int io_uring_host_work(struct io_uring_host *u, struct io_engine *e, struct probe *p)
{
	int rc = 0;

	if (!u->dead)
		fill_all(u, e, p);
	if (e->to_submit)
		rc = enter(u, e, p);
	if (rc < 0)
		give_up(u, e);
	collect(u, e, p);
	return u->dead ? -EIO : 0;
}
