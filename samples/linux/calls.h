/* SPDX-License-Identifier: MIT */
/* The writer's system calls: marked (marked.h), checked, and told if that is wanted. */
#ifndef EXITWALK_SAMPLES_LINUX_CALLS_H
#define EXITWALK_SAMPLES_LINUX_CALLS_H

#include <linux/aio_abi.h>

#include "plan.h"

#define MAX_IN_FLIGHT 16

struct file {
	const char *path;
	int fd;
};

/* What failed, on stderr; -1. */
int complain(const char *what, const char *path, int error);

/* 0, or -1 with a sentence on stderr; as all below. */
int file_open(struct file *f, const char *path, int flags);
int one_pwrite(const struct file *f, const struct plan_step *s);
int one_fsync(const struct file *f);

/* Writes that are under way: n of them. */
struct in_flight {
	aio_context_t ctx;
	struct iocb cb[MAX_IN_FLIGHT];
	unsigned n;
};
int flight_begin(struct in_flight *a, const struct file *f);
/* `count` more, by one io_submit; there is room for MAX_IN_FLIGHT. */
int flight_submit(
	struct in_flight *a, const struct file *f, const struct plan_step *step, unsigned count);
/* Waits for all of them, by one io_getevents. */
int flight_wait(struct in_flight *a, const struct file *f);
void flight_end(struct in_flight *a);

/* With ew_tell=1 in the environment a process says at its end what it wrote, by one write(2):
 * "writer: PID wrote N: LENGTH bytes at OFFSET by call C", the C-th of the process that writes. */
void tell_end(void);

#endif
