/* SPDX-License-Identifier: MIT */
/*
 * An I/O thread for the targets, in one thread: transfers are held, and the input says when each is done,
 * in which order and how. While somebody waits for them (virtio_device_drain), another vCPU goes on.
 */
#ifndef EXITWALK_TESTS_FUZZ_LATE_H
#define EXITWALK_TESTS_FUZZ_LATE_H

#include <errno.h>

#include "fuzz.h"
#include "vmm/virtio_blk.h"

#define LATE_NESTED 4

struct late {
	struct disk_engine engine;
	struct virtio_io io;
	struct virtio_blk *blk;
	struct disk_io *held[VIRTIO_BLK_QUEUE_SIZE];
	unsigned n, nested;
	struct input *input;
	void (*another)(void *ctx); /* runs one operation of another vCPU */
	void *ctx;
};

static inline void late_submit(struct disk_engine *engine, struct disk_io *io)
{
	struct late *l = (struct late *)((char *)engine - offsetof(struct late, engine));

	check(l->n < VIRTIO_BLK_QUEUE_SIZE);
	l->held[l->n++] = io;
}

/* Which of them, and how: bit 7 fails. Then what the I/O thread does with what is finished. */
static inline void late_complete(struct late *l, uint32_t how)
{
	struct disk_io *io;
	unsigned at;

	if (!l->n)
		return;
	at = (how & 0x7f) % l->n;
	io = l->held[at];
	l->held[at] = l->held[--l->n];
	io->done(io, how & 0x80 ? -EIO : disk_io_run(io, *l->blk->dev.env.probe));
	virtio_device_completed(&l->blk->dev);
}

static inline void late_kick(struct virtio_io *io, unsigned queue)
{
	(void)io;
	check(queue == 0); /* the input says when it is served */
}

static inline void late_wait(struct virtio_io *io)
{
	struct late *l = (struct late *)((char *)io - offsetof(struct late, io));

	check(l->n && l->n == l->blk->dev.in_flight && l->blk->dev.draining);
	if (l->another && l->nested < LATE_NESTED && l->input->p < l->input->end) {
		l->nested++;
		l->another(l->ctx);
		l->nested--;
	}
	late_complete(l, take(l->input, 1));
}

/* Only when nothing is in flight, as before the run. */
static inline void late_begin(struct late *l, struct fuzz_probe *p, struct virtio_blk *blk)
{
	if (l->blk)
		return;
	l->blk = blk;
	l->engine.submit = late_submit;
	l->io = (struct virtio_io){.kick = late_kick, .wait = late_wait};
	blk->dev.env.io = &l->io;
	p->late = true;
	check(!virtio_blk_use_engine(blk, &l->engine, NULL));
}

/* `how` odd: KVM took the notify. */
static inline void late_serve(struct late *l, uint32_t how)
{
	if (l->blk)
		virtio_device_serve(&l->blk->dev, 0, how & 1);
}

/* The machine has stopped: nothing is taken, all comes back. */
static inline void late_end(struct late *l, int *stop)
{
	*stop = 1;
	l->another = NULL;
	while (l->n)
		late_complete(l, 0);
	check(!l->blk || !l->blk->dev.in_flight);
}

/* Behind the eight operations of a target. */
static inline void late_op(
	struct late *l, struct fuzz_probe *p, struct virtio_blk *blk, unsigned op, struct input *i)
{
	if (op == 8)
		late_begin(l, p, blk);
	else if (op & 1)
		late_serve(l, take(i, 1));
	else
		late_complete(l, take(i, 1));
}

#endif
