/* SPDX-License-Identifier: MIT */
/* Functions of KVM, as an instance's function tracer sees them: which, and what they are called. */
#ifndef EXITWALK_TRACER_HOST_FUNCTIONS_H
#define EXITWALK_TRACER_HOST_FUNCTIONS_H

#include <stdint.h>

#include "host_tracefs.h"

struct host_functions {
	const char *tracer; /* its name */
	bool returns;       /* it says when they return */
	/* The functions, with blanks between them; and with their modules in front: MODULE:NAME. */
	char names[1024], qualified[2048];
};

/*
 * Switches the tracer on for the functions of KVM's way that this kernel has: function_graph where instances
 * can have it (Linux 6.12), else function, which does not say when they return. -ENOTSUP with a sentence: the
 * kernel refuses.
 */
int host_functions_enable(struct host_instance *in, struct host_functions *f, struct err *e);

/* Addresses that were met; all zero is empty. */
#define HOST_ADDRESSES 4096
struct host_addresses {
	uint64_t slot[HOST_ADDRESSES];
	unsigned n;
};
void host_addresses_add(struct host_addresses *a, uint64_t addr);

/* The function each of them lies in, by /proc/kallsyms. Returns 0, or what each() returned, or -errno. */
int host_addresses_names(const struct host_addresses *a,
	int (*each)(void *ctx, uint64_t addr, const char *name), void *ctx);

#endif
