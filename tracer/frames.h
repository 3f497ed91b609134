/* SPDX-License-Identifier: MIT */
/* Unwinds every stack snapshot of a recording: once after the run, to learn what it needs, then to derive. */
#ifndef EXITWALK_TRACER_FRAMES_H
#define EXITWALK_TRACER_FRAMES_H

#include <sqlite3.h>

#include "err.h"
#include "unwind.h"

/* One snapshot: its event, its frames (innermost first), and the call at its bottom. 0 or -errno. */
typedef int (*frames_fn)(void *ctx, int64_t event, const struct unwind_frame *frame, size_t n,
	const struct unwind_call *call);

/* By ORC where `find` knows the instruction that exited, else by frame pointers. In the order of events. */
int frames_each(
	sqlite3 *db, unwind_orc_fn find, void *find_ctx, frames_fn fn, void *ctx, struct err *e);

#endif
