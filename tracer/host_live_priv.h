/* SPDX-License-Identifier: MIT */
/* The live source of the host's tracepoints, between its two halves: host_live_setup.c makes it, host_live.c runs
 * it. */
#ifndef EXITWALK_TRACER_HOST_LIVE_PRIV_H
#define EXITWALK_TRACER_HOST_LIVE_PRIV_H

#include <pthread.h>
#include <stdatomic.h>

#include "host_functions.h"
#include "host_live.h"
#include "host_nesting.h"
#include "host_returns.h"
#include "host_sectors.h"
#include "host_stream.h"
#include "host_tasks.h"
#include "host_tracefs.h"
#include "host_vcpus.h"
#include "recorder_host.h"

enum { OURS, ANY, INSTANCES }; /* the VM's tasks; all tasks */

struct host_live {
	struct recorder *recorder;
	struct recorder_host *sink;
	struct host_live_opts o;
	struct host_instance instance[INSTANCES];
	struct host_pages pages;
	struct host_stream *stream; /* of each instance, of each CPU */
	unsigned streams;
	struct host_tasks tasks;
	struct host_vcpus vcpus;
	struct host_returns returns; /* probes on functions, where the tracer does not tell */
	struct host_nesting nesting;
	struct host_addresses addresses; /* of functions that were traced */
	uint8_t *named; /* a bit for each host_task_slot(): the recorder knows it */
	struct host_sectors sectors;
	pthread_t thread;
	bool running;
	atomic_bool stop;
	_Atomic uint64_t events, exits, lost;
	uint64_t record_ps; /* what a record costs who makes it; 0: not known */
	uint64_t return_ps; /* and a function's return by a probe */
	uint64_t returned;  /* so many of the events are those */
	uint64_t begun;     /* nothing was traced before, or is wanted */
	uint64_t filtered;  /* since then the kernel filters by task; before, the reader does */
	bool all;           /* host_live_all() */
	uint64_t cpu_ns;    /* the reader's, when it has ended */
	int failed;         /* -errno: the reader has given up */
};

/* Instances, tracepoints, buffers, decoder; says in meta what is on. What was made when it fails is
 * host_live_free()'s. */
int host_live_set_up(struct host_live *h, struct err *e);

/* Says in meta how it is filtered, which the process decides. */
int host_live_filter(struct host_live *h);

#endif
