/* SPDX-License-Identifier: MIT */
/*
 * A writer of ACPI Machine Language (ACPI 6.4, 20.2): as much of it as a static DSDT needs. Errors
 * are sticky: after `overflow` nothing more is written, and the caller looks once, at the end.
 */
#ifndef EXITWALK_VMM_AML_H
#define EXITWALK_VMM_AML_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct aml {
	uint8_t *buf; /* borrowed */
	size_t size, len;
	bool overflow;
};

/* One or two bytes that open something with a length in front of its contents. */
enum aml_op {
	AML_SCOPE = 0x10,
	AML_BUFFER = 0x11,
	AML_PACKAGE = 0x12,
	AML_DEVICE = 0x5b82,
};

/* Everything up to aml_close(mark) is inside. A package's element count follows by aml_byte(). */
size_t aml_open(struct aml *a, enum aml_op op);
void aml_close(struct aml *a, size_t mark);
/* The same for a resource template (20.2.5.4, 6.4): a buffer with its length and an end tag. */
size_t aml_open_resources(struct aml *a);
void aml_close_resources(struct aml *a, size_t mark);

void aml_byte(struct aml *a, uint8_t byte);
/* The `bytes` low bytes of value, little-endian. */
void aml_raw(struct aml *a, uint64_t value, unsigned bytes);
/* A name of up to 4 characters, padded with '_'; a leading '\\' is kept. */
void aml_name(struct aml *a, const char *name);
void aml_integer(struct aml *a, uint64_t value);
void aml_string(struct aml *a, const char *text);
/* "PNP0A03" as the number that EISAID() makes of it (19.3.4, ASL macros). */
void aml_eisa_id(struct aml *a, const char *id);

/* Name (name, …): the object follows. */
void aml_define(struct aml *a, const char *name);
void aml_define_integer(struct aml *a, const char *name, uint64_t value);

/* Resource descriptors (6.4.2, 6.4.3). Ranges are first..last, both included. */
void aml_io_ports(struct aml *a, uint16_t base, uint8_t len);
void aml_isa_irq(struct aml *a, unsigned irq);               /* edge, active high, exclusive */
void aml_level_irq(struct aml *a, uint32_t gsi);             /* level, active high, shared */
void aml_memory(struct aml *a, uint32_t base, uint32_t len); /* read and write */
void aml_bus_window(struct aml *a, uint16_t first, uint16_t last);
void aml_io_window(struct aml *a, uint16_t first, uint16_t last);
void aml_memory_window(struct aml *a, uint32_t first, uint32_t last);

#endif
