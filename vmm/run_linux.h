/* SPDX-License-Identifier: MIT */
/* What `run -k` and `run --linux` need before there is a machine: kernel, initrd, disk. */
#ifndef EXITWALK_VMM_RUN_LINUX_H
#define EXITWALK_VMM_RUN_LINUX_H

#include "machine.h"
#include "run_options.h"

struct run_linux {
	char *kernel_path; /* owned, like all below */
	char *initrd_path; /* NULL: none. Of --linux: a file that is gone when it has been read */
	void *kernel, *initrd;
	size_t kernel_len, initrd_len;
	struct ksyms symbols; /* of --symbols, until the machine takes them */
	char version[128];
	bool made; /* by --linux */
};

/*
 * -k: reads the files. --linux: runs the scripts of samples/linux, which find (or download) the
 * distribution's kernel and make initramfs and disk, then reads what they made. Call it before signals
 * are blocked: it can take seconds, and Ctrl-C should end it. Errors: err.h; l is to be freed anyway.
 */
int run_linux_prepare(struct run_linux *l, const struct run_options *o, struct err *e);
void run_linux_free(struct run_linux *l);

/* Fills in kernel and initrd; borrowed from l. */
void run_linux_config(const struct run_linux *l, struct machine_config *c);

/* Words that --linux puts in front of --append. */
#define RUN_LINUX_WORDS "console=ttyS0 quiet panic=-1"

#endif
