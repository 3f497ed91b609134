/* SPDX-License-Identifier: MIT */
/* The body of the DSDT, for acpi.c. */
#ifndef EXITWALK_VMM_ACPI_DSDT_H
#define EXITWALK_VMM_ACPI_DSDT_H

#include "acpi.h"
#include "aml.h"

/* Appends the definition block's terms to `a`. */
void acpi_dsdt(struct aml *a, const struct acpi_config *c);

#endif
