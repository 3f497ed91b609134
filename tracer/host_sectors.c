/* SPDX-License-Identifier: MIT */
#include "host_sectors.h"

/* common_flags: enum trace_flag_type, include/linux/trace_events.h */
#define HARDIRQ 0x08
#define SOFTIRQ 0x10

/* What comes in an interrupt has nothing to do with the task that it interrupts, nor has any completion. */
static bool begins(const struct host_event *ev)
{
	return ev->rec.kind != EW_BLOCK_RQ_COMPLETE && !(ev->flags & (HARDIRQ | SOFTIRQ));
}

bool host_sectors_keep(struct host_sectors *s, const struct host_event *ev, bool ours)
{
	uint64_t sector = ev->rec.a[1];
	uint64_t *slot = &s->slot[(sector * 0x9e3779b97f4a7c15u) >> 52];

	if (ours && begins(ev)) {
		*slot = sector + 1;
		return true;
	}
	/* Without a sector: a flush that the block layer has made of those of several. */
	if (sector == UINT64_MAX || *slot != sector + 1)
		return false;
	if (ev->rec.kind == EW_BLOCK_RQ_COMPLETE)
		*slot = 0;
	return true;
}
