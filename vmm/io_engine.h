/* SPDX-License-Identifier: MIT */
/*
 * The I/O thread's way to the host's disks: io_uring, or one pread64/pwrite64/fdatasync after another.
 * All of it belongs to that one thread.
 *
 *   engine.submit(io)          with the turn, while rings are read
 *   io_engine_work()           without it: the host's part
 *   io_engine_deliver()        with it again: io->done() of all that is finished
 */
#ifndef EXITWALK_VMM_IO_ENGINE_H
#define EXITWALK_VMM_IO_ENGINE_H

#include "disk.h"

/* In order of arrival. */
struct disk_io_list {
	struct disk_io *first, **end;
};

struct io_uring_host;

struct io_engine {
	struct disk_engine engine; /* what the devices get */
	struct disk_io_list waiting, finished;
	unsigned to_submit;         /* in the submission queue, not yet taken by the kernel */
	unsigned in_host;           /* taken by it */
	struct io_uring_host *ring; /* NULL: pread64 and so on */
	const char *name;           /* "io_uring", or what is used instead and why */
};

/* `plain`: no io_uring. Without that it is used where the kernel has it and lets us. -ENOMEM. */
int io_engine_init(struct io_engine *e, bool plain, struct err *err);
void io_engine_destroy(struct io_engine *e);

/* Does what does not wait: hands over, collects; without io_uring does one transfer. True: something is
 * finished. p: the thread's probe. */
bool io_engine_work(struct io_engine *e, struct probe *p);
void io_engine_deliver(struct io_engine *e);

/* Is there something to do for io_engine_work, without waiting for io_engine_fd? */
bool io_engine_runnable(const struct io_engine *e);

/* Readable when the kernel has finished something; -1: io_engine_work is all there is. */
int io_engine_fd(const struct io_engine *e);

/* For io_uring_host.c: how many it may have in its hands. */
#define IO_ENGINE_DEPTH 512u

void disk_io_append(struct disk_io_list *l, struct disk_io *io);
struct disk_io *disk_io_first(struct disk_io_list *l);

#endif
