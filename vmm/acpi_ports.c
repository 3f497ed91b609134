// SPDX-License-Identifier: MIT
/* Three byte-wide registers: what a hardware-reduced ACPI machine has of power management. */
#include "acpi.h"
#include "acpi_ports.h"

/* ACPI 6.4, 4.8.3.7 */
enum { SLP_TYP_SHIFT = 2, SLP_TYP_MASK = 7, SLP_EN = 1 << 5 };

static void written(struct acpi_ports *p, uint64_t offset, uint64_t value)
{
	switch (offset) {
	case ACPI_PORT_SLEEP_CONTROL:
		if ((value & SLP_EN) && (value >> SLP_TYP_SHIFT & SLP_TYP_MASK) == ACPI_S5_TYPE)
			p->power_off(p->ctx);
		break;
	case ACPI_PORT_RESET:
		if (value == ACPI_RESET_VALUE)
			p->reset(p->ctx);
		break;
	default: /* sleep status: a one clears a bit that is never set */
		break;
	}
}

static enum ew_bus_result handle(
	void *opaque, uint64_t offset, unsigned size, bool is_write, uint64_t *value)
{
	if (size != 1)
		return EW_BUS_BAD_SIZE;
	if (is_write)
		written(opaque, offset, *value);
	else
		*value = 0;
	return EW_BUS_HANDLED;
}

int acpi_ports_add(struct acpi_ports *p, struct bus *bus, struct err *e)
{
	struct bus_region r = {
		.name = "ACPI sleep and reset registers",
		.device = p->device,
		.space = EW_SPACE_PIO,
		.base = ACPI_PORTS,
		.len = ACPI_PORTS_LEN,
		.handler = handle,
		.opaque = p,
	};

	return bus_add(bus, &r, e);
}
