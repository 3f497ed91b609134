/* SPDX-License-Identifier: MIT */
/*
 * The I/O thread: one for all devices of a machine, since the host's work is asynchronous and the
 * devices take turns anyway; so the order of all it did is the order of one track.
 *
 * It waits for file descriptors: doorbells, ends of interrupts, io_uring. It has the turn while it
 * touches rings and registers, never while the host works.
 */
#ifndef EXITWALK_VMM_IO_THREAD_H
#define EXITWALK_VMM_IO_THREAD_H

#include <pthread.h>
#include "io_engine.h"
#include "turn.h"
#include "virtio_device.h"

#define IO_THREAD_FDS 40
#define IO_THREAD_DEVICES 16

/* `count`: what was read from the eventfd. Without the turn; p is the thread's probe. */
typedef void (*io_ready)(void *ctx, struct probe *p, uint64_t count);

struct io_thread {
	struct turn *turn;
	struct io_engine *engine; /* NULL: no device's I/O is done here */
	struct {
		int fd; /* an eventfd that does not block */
		io_ready ready;
		void *ctx;
	} watch[IO_THREAD_FDS];
	unsigned watches;
	struct virtio_device *device[IO_THREAD_DEVICES];
	unsigned devices;
	struct probe *probe;
	pthread_t thread;
	int stop_fd;
	bool running;
};

/* All borrowed. -errno and a sentence. */
int io_thread_init(struct io_thread *t, struct turn *turn, struct io_engine *engine, struct err *e);
void io_thread_destroy(struct io_thread *t);

/* Before it runs. -ENOSPC if there are too many. */
int io_thread_watch(struct io_thread *t, int fd, io_ready ready, void *ctx, struct err *e);
/* Its completions come from the engine. Likewise. */
int io_thread_add(struct io_thread *t, struct virtio_device *dev, struct err *e);

/* p: of the thread; NULL: unrecorded. */
int io_thread_start(struct io_thread *t, struct probe *p, struct err *e);

/* When no vCPU runs any more and env.stop says so: what is in flight is completed, nothing else is
 * taken, the thread has ended. */
void io_thread_stop(struct io_thread *t);

#endif
