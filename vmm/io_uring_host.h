/* SPDX-License-Identifier: MIT */
/* io_uring by liburing, as io_engine.c uses it. */
#ifndef EXITWALK_VMM_IO_URING_HOST_H
#define EXITWALK_VMM_IO_URING_HOST_H

#include "io_engine.h"

struct io_uring_host;

/* 0, or what io_uring_setup(2) says; -ENOSYS also where it is too old for us. */
int io_uring_host_create(struct io_uring_host **out);
void io_uring_host_destroy(struct io_uring_host *u); /* NULL is fine */

/*
 * Hands e->waiting to the kernel as far as there is room, and puts what has come back, whole, into
 * e->finished. -errno: the kernel takes no more; what waits is in e->waiting again.
 */
int io_uring_host_work(struct io_uring_host *u, struct io_engine *e, struct probe *p);

int io_uring_host_fd(const struct io_uring_host *u);

#endif
