/* SPDX-License-Identifier: MIT */
/*
 * Says where the guest is when nothing has come from it for a time: no exit, and no byte at its serial
 * port. Once per silence; a guest that has nothing to do is silent too, and is said to be halted.
 */
#ifndef EXITWALK_VMM_WATCHDOG_H
#define EXITWALK_VMM_WATCHDOG_H

#include "cpus.h"
#include "guest_output.h"

struct watchdog {
	/* Set by the user; borrowed. */
	struct cpus *cpus;
	const struct guest_output *output;
	FILE *to;
	unsigned seconds;   /* 0: says nothing */
	bool until_output;  /* only until the guest has printed something */
	const char *hint;   /* what may be wrong if it has printed nothing at all; or NULL */
	const char *end;    /* of a line: a terminal in raw mode needs "\r\n" */
	const void *kernel; /* for names, if it is ELF */
	size_t kernel_len;

	uint64_t exits, bytes; /* as last seen */
	unsigned quiet;        /* seconds since then */
	bool said, waiting;
	unsigned asked; /* vCPUs that have not said yet where they are */
};

/* From here on the vCPUs answer. Before the run; w is zero but for what the user sets. */
void watchdog_init(struct watchdog *w);
/* Once per second; ctx is the watchdog. Any one thread but a vCPU's. */
void watchdog_tick(void *ctx);

#endif
