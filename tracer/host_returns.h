/* SPDX-License-Identifier: MIT */
/*
 * Return probes (kretprobe events) on functions of KVM, for kernels that give function_graph to no instance. Such a probe is
 * defined for the whole kernel, so it is in a group of our own, and switched on in our instance alone.
 */
#ifndef EXITWALK_TRACER_HOST_RETURNS_H
#define EXITWALK_TRACER_HOST_RETURNS_H

#include "host_nesting.h"
#include "host_tracefs.h"

struct host_returns {
	char group[32];                   /* exitwalk_PID; empty: there are no probes */
	char probed[1024], skipped[1024]; /* names, with blanks between them */
};

/*
 * Probes the returns of `functions` ("MODULE:NAME" or "NAME", with blanks between them), on in the instance. Those that cannot
 * be probed are in r->skipped, all of them where the kernel has no such probes: no error. nesting gets what it must know, but
 * for addresses: those are host_returns_addresses()'s, which reads a long list.
 */
void host_returns_enable(const struct host_instance *in, const char *functions,
	struct host_returns *r, struct host_nesting *nesting);
void host_returns_addresses(const struct host_returns *r, struct host_nesting *nesting);

/* Calls of probed functions that the kernel says it did not see the return of: too many were in them at once. */
unsigned long long host_returns_missed(const struct host_returns *r);

/* Off in the instance, which stays. */
void host_returns_disable(const struct host_instance *in, const struct host_returns *r);

/* Takes them out of the kernel; they must be off, or the instance gone. */
void host_returns_remove(struct host_returns *r);

/* Takes out those that processes left which are gone. Returns how many. */
unsigned host_returns_clean(void);

#endif
