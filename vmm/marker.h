/* SPDX-License-Identifier: MIT */
/* The ports by which the guest speaks to whoever watches: marker, exit status, POST code. */
#ifndef EXITWALK_VMM_MARKER_H
#define EXITWALK_VMM_MARKER_H

#include "bus.h"
#include "mem.h"

struct marker_ports {
	struct guest_mem *mem;
	struct probe **probe;
	uint64_t (*cr3)(void *ctx);                /* the page tables that are loaded now */
	void (*guest_exit)(void *ctx, int status); /* the guest wants the run to end */
	void *ctx;
	unsigned device; /* id in the recording */
};

/* Adds the three ports of guest_abi.h to the bus; m is borrowed. */
int marker_ports_add(struct marker_ports *m, struct bus *bus, struct err *e);

#endif
