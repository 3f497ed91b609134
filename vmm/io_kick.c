/* SPDX-License-Identifier: MIT */
/* Kicks by eventfd, recorded on both sides. */
#include "io_kick.h"

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define QUEUE 0

/* On the vCPU thread, with the turn; the write does not wait. */
static void kick(struct virtio_io *io, unsigned queue)
{
	struct io_kick *k = (struct io_kick *)((char *)io - offsetof(struct io_kick, io));
	struct probe *p = *k->dev->env.probe;
	const uint64_t one = 1;
	int64_t rc;

	PROBE(p, EW_IO_SIGNAL, k->dev->id, queue, (uint64_t)k->fd[EW_KICK_VIA_VCPU]);
	rc = write(k->fd[EW_KICK_VIA_VCPU], &one, sizeof(one));
	if (rc < 0)
		rc = -errno;
	PROBE(p, EW_IO_SIGNAL_RET, k->dev->id, queue, (uint64_t)rc);
}

static void wait_for_thread(struct virtio_io *io)
{
	turn_wait(((struct io_kick *)((char *)io - offsetof(struct io_kick, io)))->turn);
}

static void woken(struct io_kick *k, struct probe *p, uint64_t count, enum ew_kick_via via)
{
	PROBE(p, EW_IO_WAKE, k->dev->id, QUEUE, count, via, (uint64_t)k->fd[via]);
	turn_take(k->turn, p);
	virtio_device_serve(k->dev, QUEUE, via == EW_KICK_VIA_IOEVENTFD);
	turn_give(k->turn);
}

static void woken_by_vcpu(void *ctx, struct probe *p, uint64_t count)
{
	woken(ctx, p, count, EW_KICK_VIA_VCPU);
}

static void woken_by_kvm(void *ctx, struct probe *p, uint64_t count)
{
	woken(ctx, p, count, EW_KICK_VIA_IOEVENTFD);
}

int io_kick_init(struct io_kick *k, struct io_thread *t, struct virtio_device *dev, struct err *e)
{
	static const io_ready ready[] = {
		[EW_KICK_VIA_VCPU] = woken_by_vcpu, [EW_KICK_VIA_IOEVENTFD] = woken_by_kvm};
	int rc = 0;

	*k = (struct io_kick){.io = {.kick = kick, .wait = wait_for_thread},
		.turn = t->turn,
		.dev = dev,
		.fd = {-1, -1}};
	for (int via = 0; rc == 0 && via < 2; via++) {
		k->fd[via] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (k->fd[via] < 0)
			rc = err_set(e, -errno, "no eventfd for a queue: %s", strerror(errno));
		else
			rc = io_thread_watch(t, k->fd[via], ready[via], k, e);
	}
	if (rc == 0)
		rc = io_thread_add(t, dev, e);
	if (rc == 0)
		dev->env.io = &k->io;
	else
		io_kick_destroy(k);
	return rc;
}

void io_kick_destroy(struct io_kick *k)
{
	for (int via = 0; via < 2; via++) {
		if (k->fd[via] >= 0)
			close(k->fd[via]);
		k->fd[via] = -1;
	}
}
