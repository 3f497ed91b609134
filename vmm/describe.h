/* SPDX-License-Identifier: MIT */
/* Tells the recorder what a recording must say of itself: host, KVM, machine, guest, how it ended. */
#ifndef EXITWALK_VMM_DESCRIBE_H
#define EXITWALK_VMM_DESCRIBE_H

#include "machine.h"
#include "run_linux.h"
#include "tracer/recorder.h"

struct describe {
	int argc; /* of the command */
	char **argv;
	const struct machine_config *config;
	const char *guest;                   /* "sample guest", "Linux" */
	const struct run_linux *linux_guest; /* NULL: the sample guest */
	const char *kernel_entry; /* "syscall" or "int80": how ring 3 enters the kernel … */
	const char *kernel_entry_why;
	unsigned timeout;  /* s */
	size_t ring_slots; /* 0: the recorder's default */
};

/* Before recorder_start: meta, devices, regions, symbols, KVM's counters. 0 or the first -errno. */
int describe_before(struct recorder *r, struct machine *m, const struct describe *d, struct err *e);

/* After recorder_stop: how it ended, and KVM's counters again. */
int describe_after(struct recorder *r, struct machine *m, enum ew_stop why, struct err *e);

#endif
