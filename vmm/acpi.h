/* SPDX-License-Identifier: MIT */
/*
 * The ACPI tables (ACPI 6.4) from which a Linux guest learns of its processors, its interrupts, its
 * buses and how to switch itself off. Distribution kernels for the cloud read no MP table any more.
 *
 * The machine says it is "hardware-reduced" (3.11.1): no PM1 registers, no SCI, no PM timer, and
 * Linux then uses neither the 8259 nor the 8254. What is left of ACPI hardware is three bytes of ports.
 */
#ifndef EXITWALK_VMM_ACPI_H
#define EXITWALK_VMM_ACPI_H

#include <stdint.h>
#include "mem.h"
#include "tracer/err.h"

/*
 * Addresses that belong to these tables. The tables are where a PC's BIOS has its own, so that they
 * lie in memory which the memory map reserves; the RSDP is first, where a kernel also looks by itself.
 */
#define ACPI_TABLES 0xe0000
#define ACPI_TABLES_SIZE 0x10000

/* Windows that the PCI host bridge passes down: BARs lie inside. RAM ends where the first begins. */
#define ACPI_PCI_MMIO_FIRST 0xc0000000
#define ACPI_PCI_MMIO_LAST 0xfdffffff

#define ACPI_IOAPIC 0xfec00000
#define ACPI_LAPIC 0xfee00000

/* acpi_ports.h */
#define ACPI_PORTS 0x0600
#define ACPI_PORT_SLEEP_CONTROL 0
#define ACPI_PORT_SLEEP_STATUS 1
#define ACPI_PORT_RESET 2
#define ACPI_PORTS_LEN 4
#define ACPI_S5_TYPE 5     /* SLP_TYP of "soft off", in \_S5 and in the sleep control register */
#define ACPI_RESET_VALUE 1 /* what the guest writes to be reset */

/* Where a PC's processor starts after a reset, f000:fff0. */
#define ACPI_RESET_VECTOR 0xffff0

#define ACPI_MAX_CPUS 254 /* xAPIC ids; 255 is "all" */
#define ACPI_MAX_PCI 32
#define ACPI_MAX_MMIO 32

/* A virtio-mmio transport. */
struct acpi_mmio {
	uint32_t base, len;
	uint32_t gsi;
};

struct acpi_config {
	unsigned cpus;                 /* 1..ACPI_MAX_CPUS; APIC id = index */
	uint8_t pci_gsi[ACPI_MAX_PCI]; /* by slot: where INTA arrives; 0: no interrupt */
	struct acpi_mmio mmio[ACPI_MAX_MMIO];
	unsigned mmio_count;
};

/* Writes all tables at ACPI_TABLES, and code at ACPI_RESET_VECTOR that writes the reset register; *rsdp is what the zero page's acpi_rsdp_addr wants. -EINVAL for a
 * configuration that tables cannot express, -E2BIG if memory ends below them. */
int acpi_build(struct guest_mem *m, const struct acpi_config *c, uint64_t *rsdp, struct err *e);

#endif
