/* SPDX-License-Identifier: MIT */
/* Modes in which more than one process, or the kernel itself, has to do with a write. */
#ifndef EXITWALK_SAMPLES_LINUX_TOGETHER_H
#define EXITWALK_SAMPLES_LINUX_TOGETHER_H

#include "calls.h"

/* Steps first, first + stride … of a mode, `in_flight` by each io_submit; mixed: every second time one
 * after the other by pwrite instead. */
int write_batches(const struct file *f, enum plan_mode mode, unsigned first, unsigned stride,
	unsigned in_flight, bool mixed);
/* By two processes at once, each on a CPU of its own if there are as many, with a file of its own. */
int write_by_two(const char *path, enum plan_mode mode);
/* By two processes at once, beside each other on the disk, so that the block layer makes one request of what two
 * calls wrote. */
int write_shared(const char *path);
/* Leaves it to the kernel to write what is in its page cache, and waits until it has. */
int write_back(const char *path);

#endif
