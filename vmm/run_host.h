/* SPDX-License-Identifier: MIT */
/* The host kernel's side of a run: --host-trace. */
#ifndef EXITWALK_VMM_RUN_HOST_H
#define EXITWALK_VMM_RUN_HOST_H

#include "tracer/host_live.h"

enum run_host_trace { RUN_HOST_OFF, RUN_HOST_AUTO, RUN_HOST_ON };

/* Takes "off", "auto", "on". NULL, or the words that there are. */
const char *run_host_option(enum run_host_trace *how, const char *word);

/*
 * also: .functions (KVM's functions too, or fail) and .buffer_kib. After the last track, before recorder_start(). Says in meta what is recorded, or why nothing is. *live
 * NULL: nothing is (off; or auto, and it cannot be done: then one line on stderr says why).
 */
int run_host_create(struct host_live **live, struct recorder *r, enum run_host_trace how,
	const struct host_live_opts *also, struct err *e);

/* After recorder_stop(). */
int run_host_describe(struct host_live *live);

#endif
