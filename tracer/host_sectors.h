/* SPDX-License-Identifier: MIT */
/* Whose the host's block events are: those of sectors that threads of the VM's process began. */
#ifndef EXITWALK_TRACER_HOST_SECTORS_H
#define EXITWALK_TRACER_HOST_SECTORS_H

#include <stdbool.h>

#include "host_event.h"

#define HOST_SECTORS 4096

struct host_sectors {
	uint64_t slot[HOST_SECTORS]; /* sector + 1; 0: free */
};

/*
 * Is this block event the VM's? To be asked in the order of time over all CPUs, since a completion is on another CPU
 * than what it completes. ours: its task is a thread of the VM.
 */
bool host_sectors_keep(struct host_sectors *s, const struct host_event *ev, bool ours);

#endif
