/* SPDX-License-Identifier: MIT */
/* The bus: one sorted table, one binary search, and the only place where dispatch is recorded. */
#include "vmm/bus.h"

#include <errno.h>
#include <string.h>

static uint64_t ones(unsigned size)
{
	return size < 8 ? (1ull << 8 * size) - 1 : UINT64_MAX;
}

static const char *space_name(enum ew_space space)
{
	switch (space) {
	case EW_SPACE_PIO:
		return "port";
	case EW_SPACE_MMIO:
		return "address";
	default:
		return "PCI configuration address";
	}
}

/* How many regions begin at or before (space, addr): the one that may hold it is the last of them. */
static unsigned bus_upper(const struct bus *b, enum ew_space space, uint64_t addr)
{
	unsigned lo = 0, hi = b->count;

	while (lo < hi) {
		unsigned mid = lo + (hi - lo) / 2;
		const struct bus_region *r = &b->region[mid];

		if (r->space < space || (r->space == space && r->base <= addr))
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/* Inclusive ends everywhere: a region may reach the last address of its space. */
static bool overlaps(const struct bus_region *a, const struct bus_region *b)
{
	return a->space == b->space && a->base <= b->base + (b->len - 1) &&
	       b->base <= a->base + (a->len - 1);
}

static int bus_check(const struct bus *b, const struct bus_region *r, unsigned at, struct err *e)
{
	const struct bus_region *other = NULL;
	uint64_t limit = r->space == EW_SPACE_PIO ? 0xffff : UINT64_MAX;

	if (!r->handler || !r->len || r->base > limit || r->len - 1 > limit - r->base)
		return err_set(e, -EINVAL,
			"'%s' cannot be at %s 0x%llx with length 0x%llx: it must be at least 1 long, "
			"end inside its address space and have a handler",
			r->name, space_name(r->space), (unsigned long long)r->base,
			(unsigned long long)r->len);
	if (at > 0 && overlaps(&b->region[at - 1], r))
		other = &b->region[at - 1];
	else if (at < b->count && overlaps(&b->region[at], r))
		other = &b->region[at];
	if (other)
		return err_set(e, -EEXIST,
			"'%s' at %s 0x%llx overlaps '%s' at 0x%llx: give it another address",
			r->name, space_name(r->space), (unsigned long long)r->base, other->name,
			(unsigned long long)other->base);
	if (b->count == BUS_MAX_REGIONS)
		return err_set(e, -ENOSPC, "no room on the bus for '%s': %d regions are the most",
			r->name, BUS_MAX_REGIONS);
	return 0;
}

int bus_add(struct bus *b, struct bus_region *r, struct err *e)
{
	unsigned at = bus_upper(b, r->space, r->base);
	int ret = bus_check(b, r, at, e);

	if (ret)
		return ret;
	r->id = ++b->next_id;
	memmove(&b->region[at + 1], &b->region[at], (b->count - at) * sizeof(b->region[0]));
	b->region[at] = *r;
	b->count++;
	return 0;
}

const struct bus_region *bus_find(
	const struct bus *b, enum ew_space space, uint64_t addr, unsigned size)
{
	unsigned n = bus_upper(b, space, addr);
	const struct bus_region *r;

	if (!n || !size)
		return NULL;
	r = &b->region[n - 1];
	if (r->space != space || addr - r->base >= r->len || size > r->len - (addr - r->base))
		return NULL;
	return r;
}

/*
 * An absent PCI function is no mistake: reading all ones (a master abort) is how enumeration learns
 * that nobody is there (PCI Local Bus 3.0, 6.1). Its DISPATCH_END says UNCLAIMED, and that is all.
 */
static void bus_error(struct probe *p, enum ew_bus_result result, const struct bus_region *r,
	enum ew_space space, uint64_t addr, unsigned size, bool is_write)
{
	if (result == EW_BUS_BAD_SIZE)
		PROBE(p, EW_GUEST_ERROR, EW_GERR_BAD_SIZE, r ? r->device : 0,
			r ? addr - r->base : addr, size, is_write);
	else if (result == EW_BUS_UNCLAIMED && space != EW_SPACE_PCI)
		PROBE(p, EW_GUEST_ERROR, EW_GERR_UNCLAIMED, r ? r->device : 0, addr, size,
			is_write);
}

enum ew_bus_result bus_access(struct bus *b, struct probe *p, enum ew_space space, uint64_t addr,
	unsigned size, bool is_write, uint64_t *value)
{
	bool size_ok = size == 1 || size == 2 || size == 4 || size == 8;
	const struct bus_region *r = bus_find(b, space, addr, size);
	enum ew_bus_result result = size_ok ? EW_BUS_UNCLAIMED : EW_BUS_BAD_SIZE;
	uint64_t offset = r ? addr - r->base : 0, v = is_write ? *value & ones(size) : 0;

	if (r && r->snapshot && b->on_snapshot) {
		enum ew_snapshot_why why = r->snapshot(r->opaque, offset, is_write);

		/* Before DISPATCH, so that the copy's cost is not the device's. */
		if (why != EW_SNAPSHOT_NONE)
			b->on_snapshot(b->snapshot_ctx, why);
	}
	PROBE(p, EW_DISPATCH, space, addr, r ? r->id : 0, offset, size, is_write);
	if (r && size_ok)
		result = r->handler(r->opaque, offset, size, is_write, &v);
	if (!is_write)
		*value = (result == EW_BUS_HANDLED ? v : UINT64_MAX) & ones(size);
	if (result != EW_BUS_HANDLED)
		bus_error(p, result, r, space, addr, size, is_write);
	PROBE(p, EW_DISPATCH_END, r ? r->id : 0, result, is_write ? v : *value);
	return result;
}
