/* SPDX-License-Identifier: MIT */
/*
 * A queue's way to the I/O thread: two eventfds, one that the vCPU thread writes to in the notify's exit,
 * and one that KVM writes to (doorbell.h). Two, so that it is known who rang.
 */
#ifndef EXITWALK_VMM_IO_KICK_H
#define EXITWALK_VMM_IO_KICK_H

#include "io_thread.h"

struct io_kick {
	struct virtio_io io; /* what the device gets */
	struct turn *turn;
	struct virtio_device *dev; /* its first queue */
	int fd[2];                 /* by enum ew_kick_via */
};

/* `dev`: borrowed, and has t for its I/O thread from now on. Before t runs. */
int io_kick_init(struct io_kick *k, struct io_thread *t, struct virtio_device *dev, struct err *e);
void io_kick_destroy(struct io_kick *k);

#endif
