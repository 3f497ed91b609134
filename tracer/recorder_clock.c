/* SPDX-License-Identifier: MIT */
#include "recorder_clock.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "guest_events.h"
#include "recorder_priv.h"

/* Where it is not "tsc", the kernel does not trust the TSC to be one for all processors. */
static void describe_source(struct recorder *r)
{
	static const char path[] =
		"/sys/devices/system/clocksource/clocksource0/current_clocksource";
	char name[32] = "";
	FILE *f = fopen(path, "re");

	if (f && fgets(name, sizeof(name), f)) {
		name[strcspn(name, "\n")] = '\0';
		recorder_meta(r, "clock.source", "%s", name);
	}
	if (f)
		fclose(f);
}

int recorder_clock(struct recorder *r)
{
	r->writer.clock = recorder_track(r, "thread", -1, "writer");
	if (!r->writer.clock)
		return r->failed ? r->failed : -ENOMEM;
	describe_source(r);
	return recorder_meta(r, GUEST_TRACE, "%s", GUEST_TRACE_ON);
}
