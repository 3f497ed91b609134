/* SPDX-License-Identifier: MIT */
/* The I/O thread's loop. */
#include "io_thread.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

int io_thread_init(struct io_thread *t, struct turn *turn, struct io_engine *engine, struct err *e)
{
	*t = (struct io_thread){.turn = turn, .engine = engine};
	t->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (t->stop_fd < 0)
		return err_set(e, -errno, "no eventfd for the I/O thread: %s", strerror(errno));
	return 0;
}

void io_thread_destroy(struct io_thread *t)
{
	if (t->stop_fd >= 0)
		close(t->stop_fd);
	t->stop_fd = -1;
}

int io_thread_watch(struct io_thread *t, int fd, io_ready ready, void *ctx, struct err *e)
{
	if (t->watches == IO_THREAD_FDS)
		return err_set(e, -ENOSPC,
			"the I/O thread can watch %d file descriptors: use "
			"fewer disks",
			IO_THREAD_FDS);
	t->watch[t->watches].fd = fd;
	t->watch[t->watches].ready = ready;
	t->watch[t->watches++].ctx = ctx;
	return 0;
}

int io_thread_add(struct io_thread *t, struct virtio_device *dev, struct err *e)
{
	if (t->devices == IO_THREAD_DEVICES)
		return err_set(e, -ENOSPC, "the I/O thread can serve %d devices: use fewer disks",
			IO_THREAD_DEVICES);
	t->device[t->devices++] = dev;
	return 0;
}

static unsigned in_flight(const struct io_thread *t)
{
	unsigned n = 0;

	for (unsigned i = 0; i < t->devices; i++)
		n += t->device[i]->in_flight;
	return n;
}

/* The host's part without the turn, then what it finished with it. */
static void work(struct io_thread *t)
{
	if (!t->engine || !io_engine_work(t->engine, t->probe))
		return;
	turn_take(t->turn, t->probe);
	io_engine_deliver(t->engine);
	for (unsigned i = 0; i < t->devices; i++)
		virtio_device_completed(t->device[i]);
	turn_changed(t->turn); /* somebody may wait in virtio_device_drain */
	turn_give(t->turn);
}

/* Waits for one of the descriptors, but not if there is something to do. p[0]: stop, p[1]: engine. */
static void wait_for_fds(struct io_thread *t, struct pollfd *p, unsigned n)
{
	if (poll(p, n, 0) != 0 || (t->engine && io_engine_runnable(t->engine)))
		return;
	PROBE(t->probe, EW_IO_SLEEP, t->engine ? t->engine->in_host : 0);
	while (poll(p, n, -1) < 0 && errno == EINTR)
		;
}

static void *run(void *arg)
{
	enum { STOP, ENGINE, FIRST };
	struct io_thread *t = arg;
	struct pollfd p[FIRST + IO_THREAD_FDS] = {[STOP] = {t->stop_fd, POLLIN, 0},
		[ENGINE] = {t->engine ? io_engine_fd(t->engine) : -1, POLLIN, 0}};

	PROBE(t->probe, EW_THREAD, (uint64_t)gettid());
	for (unsigned i = 0; i < t->watches; i++)
		p[FIRST + i] = (struct pollfd){t->watch[i].fd, POLLIN, 0};
	for (;;) {
		work(t);
		wait_for_fds(t, p, FIRST + t->watches);
		for (unsigned i = 0; i < t->watches; i++) {
			uint64_t count;

			if (p[FIRST + i].revents &&
				read(t->watch[i].fd, &count, sizeof(count)) == sizeof(count))
				t->watch[i].ready(t->watch[i].ctx, t->probe, count);
		}
		if (p[STOP].revents)
			break;
	}
	/* No vCPU runs, so there is nobody to take turns with, but the probe is the turn's. */
	p[STOP].fd = -1;
	while (in_flight(t)) {
		work(t);
		if (in_flight(t) && !io_engine_runnable(t->engine))
			poll(p, FIRST, -1);
	}
	return NULL;
}

int io_thread_start(struct io_thread *t, struct probe *p, struct err *e)
{
	sigset_t all, old;
	int rc;

	t->probe = p;
	/* Signals are for others: KICK_SIGNAL gets vCPUs out of KVM_RUN, watch.c takes the rest. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	rc = pthread_create(&t->thread, NULL, run, t);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (rc)
		return err_set(e, -rc, "the I/O thread cannot start: %s", strerror(rc));
	t->running = true;
	return 0;
}

void io_thread_stop(struct io_thread *t)
{
	const uint64_t one = 1;

	if (!t->running)
		return;
	if (write(t->stop_fd, &one, sizeof(one)) == sizeof(one))
		pthread_join(t->thread, NULL);
	t->running = false;
}
