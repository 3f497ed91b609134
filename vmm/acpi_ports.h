/* SPDX-License-Identifier: MIT */
/* The ACPI hardware that acpi.h announces: sleep control, sleep status and reset register. */
#ifndef EXITWALK_VMM_ACPI_PORTS_H
#define EXITWALK_VMM_ACPI_PORTS_H

#include "bus.h"

struct acpi_ports {
	void (*power_off)(void *ctx); /* the guest entered S5 */
	void (*reset)(void *ctx);     /* the guest wants a reset */
	void *ctx;
	unsigned device; /* id in the recording */
};

/* Adds the region ACPI_PORTS to the bus; p is borrowed. */
int acpi_ports_add(struct acpi_ports *p, struct bus *bus, struct err *e);

#endif
