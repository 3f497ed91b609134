/* SPDX-License-Identifier: MIT */
/*
 * The one bus: port I/O, MMIO and PCI configuration space are three address spaces of the same sorted
 * table, and bus_access() is the one place where an access finds its device. Therefore it is also the
 * one place where dispatch is recorded.
 */
#ifndef EXITWALK_VMM_BUS_H
#define EXITWALK_VMM_BUS_H

#include <stdbool.h>
#include "tracer/err.h"
#include "tracer/probe.h"

#define BUS_MAX_REGIONS 96

/* Handles one access of `size` bytes (1, 2, 4 or 8) at `offset` inside the region. *value is the value
 * written (zero-extended), or receives the value read. */
typedef enum ew_bus_result (*bus_handler)(
	void *opaque, uint64_t offset, unsigned size, bool is_write, uint64_t *value);

struct bus_region {
	unsigned id;      /* from 1, set by bus_add: what events carry */
	const char *name; /* borrowed; e.g. "virtio-blk0 legacy BAR0" */
	unsigned device;  /* device id of the recording, 0 = none */
	enum ew_space space;
	uint64_t base, len;
	bus_handler handler;
	void *opaque;
	/* Should the guest's registers and stack be copied before this access? NULL = never. */
	enum ew_snapshot_why (*snapshot)(void *opaque, uint64_t offset, bool is_write);
};

struct bus {
	struct bus_region region[BUS_MAX_REGIONS]; /* sorted by space, base */
	unsigned count, next_id;
	/* Called between look-up and handler when the region asks for a snapshot; NULL = nobody listens. */
	void (*on_snapshot)(void *ctx, enum ew_snapshot_why why);
	void *snapshot_ctx;
};

/* Adds a copy of *r. -EEXIST if it overlaps another region of its space, -EINVAL for length 0 or wrap,
 * -ENOSPC. r->id is set. */
int bus_add(struct bus *b, struct bus_region *r, struct err *e);

/* The region that holds all `size` bytes at addr, or NULL. */
const struct bus_region *bus_find(
	const struct bus *b, enum ew_space space, uint64_t addr, unsigned size);

/*
 * One access, recorded on p as DISPATCH and DISPATCH_END. A read that nobody claims or that has a bad
 * size gives all ones of its size; both are also recorded as GUEST_ERROR (UNCLAIMED once per address
 * and direction is enough for a caller that polls: the bus records every one, viewers fold; none for
 * PCI configuration space, where looking for absent functions is how a guest enumerates). Order of
 * the records: [SNAPSHOT by on_snapshot] DISPATCH [the handler's own, GUEST_ERROR] DISPATCH_END.
 */
enum ew_bus_result bus_access(struct bus *b, struct probe *p, enum ew_space space, uint64_t addr,
	unsigned size, bool is_write, uint64_t *value);

#endif
