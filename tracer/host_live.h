/* SPDX-License-Identifier: MIT */
/*
 * The host kernel's side of a VM that runs: its tracepoints, live, from instances of tracefs of our own
 * into the recorder. The kernel filters by task where it can: in the instance of the VM's threads. What
 * happens in other tasks' context (interrupts that workers of KVM raise, completions of the block layer)
 * comes from a second instance, and the reader keeps what belongs to the VM.
 */
#ifndef EXITWALK_TRACER_HOST_LIVE_H
#define EXITWALK_TRACER_HOST_LIVE_H

#include "recorder.h"

#define HOST_LIVE_THREAD "exitwalk-trace"

/* Each CPU's buffer: a tenth of a second of a million events in a second. */
#define HOST_BUFFER_KIB 8192
#define HOST_BUFFER_KIB_MAX (1u << 20)

struct host_live;

struct host_live_opts {
	pid_t pid;     /* the process of the VM; 0: host_live_process() says it later */
	bool emulated; /* the backend emulates ring 0: kvm_emulate_insn would be every instruction */
	bool functions; /* also functions of KVM: fails if the kernel cannot trace them so */
	unsigned
		buffer_kib; /* of the kernel's buffer for each CPU; 0: what HOST_BUFFER_KIB and the memory allow */
	bool syscalls; /* also its system calls: needed where the VMM does not say them itself */
};

/*
 * Before recorder_start(), after the last track: makes the instances, switches tracepoints on, and says in
 * meta which, and which are missing. *out NULL: it cannot be done here, the sentence says why.
 */
int host_live_create(
	struct host_live **out, struct recorder *r, const struct host_live_opts *o, struct err *e);

/*
 * Before host_live_process(): from here on what any process does is in the kernel's buffers, where the newest
 * overwrites the oldest, so that it is not too late when that one is known. After host_live_create().
 */
int host_live_all(struct host_live *h, struct err *e);

/*
 * Another process than this one, with all its threads: from here on what they do is recorded, in the kernel's
 * buffers until host_live_start(); after host_live_all() also what they did since `since` (ns of CLOCK_MONOTONIC).
 * After host_live_create(), before recorder_start().
 */
int host_live_process(struct host_live *h, pid_t pid, uint64_t since, struct err *e);

/*
 * After recorder_start(): the recorder gets what is traced. Of this process, if it is the one, the calling
 * thread and those that are made later are traced from here on.
 */
int host_live_start(struct host_live *h, struct err *e);

/* Ends it; everything up to now is with the recorder then. Before recorder_stop(). NULL is fine. */
void host_live_stop(struct host_live *h);

/* After recorder_stop(): what was lost, into meta. */
int host_live_describe(struct host_live *h);

/* Removes the instances. NULL is fine. */
void host_live_free(struct host_live *h);

/* So far; for a line that shows that something happens. */
struct host_live_counts {
	uint64_t events, exits, lost;
};
void host_live_counts(const struct host_live *h, struct host_live_counts *n);

#endif
