// SPDX-License-Identifier: MIT
/* Marker, exit and POST ports (guest_abi.h). Nothing that a guest writes here is trusted. */
#include <string.h>

#include "guest_abi.h"
#include "marker.h"
#include "marker_buffer.h"

static enum ew_bus_result write_only(unsigned size, uint64_t *value)
{
	*value = size < 8 ? (1ull << size * 8) - 1 : UINT64_MAX;
	return EW_BUS_HANDLED;
}

static enum ew_bus_result marker_port(
	void *opaque, uint64_t offset, unsigned size, bool is_write, uint64_t *value)
{
	struct marker_ports *m = opaque;
	struct probe *p = *m->probe;
	struct ew_marker marker;
	uint64_t ts, cr3;

	if (!is_write)
		return write_only(size, value);
	if (offset != 0 || size != 4)
		return EW_BUS_BAD_SIZE;
	if (!p)
		return EW_BUS_HANDLED; /* nobody listens */
	ts = probe_now();
	cr3 = m->cr3(m->ctx);
	if (mem_read_virt(m->mem, cr3, *value, &marker, sizeof(marker)) != sizeof(marker)) {
		PROBE(p, EW_GUEST_ERROR, EW_GERR_MARKER_ADDRESS, m->device, *value);
		return EW_BUS_HANDLED;
	}
	if (marker.magic != EW_MARKER_MAGIC || marker.version != 1) {
		PROBE(p, EW_GUEST_ERROR, EW_GERR_MARKER_MAGIC, m->device, *value,
			marker.magic | (uint64_t)marker.version << 32);
		return EW_BUS_HANDLED;
	}
	/* Whoever reads the recording may take these for strings. */
	marker.comm[sizeof(marker.comm) - 1] = '\0';
	marker.path[sizeof(marker.path) - 1] = '\0';
	PROBE_DATA(p, ts, EW_MARKER, &marker, sizeof(marker), marker.phase, marker.nr, marker.pid,
		(uint64_t)marker.ret, marker.args[0], marker.args[2]);
	if (marker.phase == EW_MARKER_ENTER)
		marker_buffer_record(m->mem, cr3, &marker, p);
	return EW_BUS_HANDLED;
}

static enum ew_bus_result exit_port(
	void *opaque, uint64_t offset, unsigned size, bool is_write, uint64_t *value)
{
	struct marker_ports *m = opaque;

	(void)offset;
	if (!is_write)
		return write_only(size, value);
	PROBE(*m->probe, EW_GUEST_EXIT, *value);
	m->guest_exit(m->ctx, (int)*value);
	return EW_BUS_HANDLED;
}

static enum ew_bus_result post_port(
	void *opaque, uint64_t offset, unsigned size, bool is_write, uint64_t *value)
{
	(void)opaque;
	(void)offset;
	return is_write ? EW_BUS_HANDLED : write_only(size, value);
}

int marker_ports_add(struct marker_ports *m, struct bus *bus, struct err *e)
{
	const struct bus_region ports[] = {
		{.name = "marker port", .base = EW_MARKER_PORT, .len = 4, .handler = marker_port},
		{.name = "exit port", .base = EW_EXIT_PORT, .len = 1, .handler = exit_port},
		{.name = "POST port", .base = EW_POST_PORT, .len = 1, .handler = post_port},
	};

	for (size_t i = 0; i < sizeof(ports) / sizeof(ports[0]); i++) {
		struct bus_region r = ports[i];
		int rc;

		r.space = EW_SPACE_PIO;
		r.device = m->device;
		r.opaque = m;
		rc = bus_add(bus, &r, e);
		if (rc)
			return rc;
	}
	return 0;
}
