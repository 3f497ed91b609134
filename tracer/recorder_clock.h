/* SPDX-License-Identifier: MIT */
/* Evidence for the conversion of a guest's TSC: pairs of this machine's TSC and its clock, during the run. */
#ifndef EXITWALK_TRACER_RECORDER_CLOCK_H
#define EXITWALK_TRACER_RECORDER_CLOCK_H

struct recorder;

/*
 * From recorder_start to recorder_stop the writer reads both, at the start, every CLOCK_PAIR_EVERY ns and at the end,
 * on a track of its own; and the recording expects a guest's trace (guest_events.h). Before recorder_start. 0 or -errno,
 * which recorder_start says.
 */
int recorder_clock(struct recorder *r);

#endif
