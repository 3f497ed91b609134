/* SPDX-License-Identifier: MIT */
/* Records the host kernel's side of another process's virtual machine, from its beginning or its middle to its end. */
#ifndef EXITWALK_VMM_ATTACH_H
#define EXITWALK_VMM_ATTACH_H

#include "kvm_await.h"
#include "kvm_counters.h"
#include "kvm_process.h"
#include "tracer/host_live.h"

struct attach {
	const char *file, *name; /* name NULL: process is set */
	bool wait;               /* for a VM of that name to begin */
	unsigned buffer_kib;     /* of the kernel's trace buffer for each CPU; 0: the default */
	long duration;           /* s; 0: until the VM ends, or a signal comes */
	struct kvm_process process;
	struct recorder *recorder;
	struct host_live *live;
	bool silent; /* the backend has no kvm_exit */
	/* Below: attach.c's own */
	struct kvm_await await;
	struct kvm_counters counters;
	struct kvm_counts before, after;
	int signals, pidfd;
};

/* SIGINT, SIGTERM and SIGHUP are blocked (watch_block_signals()). Says on stderr that it waits, and on a terminal
 * how far it is. A recording in which nothing could begin is removed. */
int attach_record(struct attach *a, struct err *e);

/* Whatever attach_record() left. */
void attach_free(struct attach *a);

#endif
