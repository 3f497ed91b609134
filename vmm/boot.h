/* SPDX-License-Identifier: MIT */
/*
 * What a 64-bit kernel finds in memory when it starts: its image, the zero page, page tables, a GDT
 * (Documentation/arch/x86/boot.rst, "64-bit Boot Protocol"). Needs no KVM.
 */
#ifndef EXITWALK_VMM_BOOT_H
#define EXITWALK_VMM_BOOT_H

#include <stddef.h>
#include "mem.h"
#include "tracer/err.h"

/* Selectors of the GDT that the boot protocol asks for. */
#define BOOT_CS 0x10
#define BOOT_DS 0x18
#define BOOT_TR 0x20

/* The descriptors as the processor reads them; index = selector / 8. */
#define BOOT_GDT_ENTRIES 6
extern const uint64_t boot_gdt[BOOT_GDT_ENTRIES];

/*
 * Copies the PT_LOAD segments of a statically linked x86-64 ELF to their physical addresses and
 * zeroes the rest of each. *entry: e_entry, a physical address inside a segment. `elf` may be any
 * bytes: every offset and length is checked, -ENOEXEC or -E2BIG with a sentence.
 */
int boot_load_elf(struct guest_mem *m, const void *elf, size_t len, uint64_t *entry, struct err *e);

/* The zero page with its memory map, and the command line it points to. -E2BIG: line too long. */
int boot_zero_page(struct guest_mem *m, const char *cmdline, struct err *e);

/* Identity map of the first 4 GiB in 2 MiB pages, at LAYOUT_PML4. */
int boot_page_tables(struct guest_mem *m, struct err *e);

/* boot_gdt at LAYOUT_GDT. */
int boot_write_gdt(struct guest_mem *m, struct err *e);

#endif
