/* SPDX-License-Identifier: MIT */
/* What names and unwinds a Linux guest's addresses, put into its recording after the run. */
#ifndef EXITWALK_TRACER_RECORDER_LINUX_H
#define EXITWALK_TRACER_RECORDER_LINUX_H

#include "err.h"
#include "guest_linux.h"

struct recorder;

/*
 * Unwinds the recorded stacks by the kernel's tables, and stores of tables and symbols only what was needed
 * for it and for the exits: the rest would be larger than many a recording. Modules are looked for in
 * g here. Between recorder_stop and recorder_finish, until which g is borrowed: its names are those of the events of the
 * guest's kernel too. 0 or -errno.
 */
int recorder_linux(struct recorder *r, struct guest_linux *g, const struct kmem *m, struct err *e);

#endif
