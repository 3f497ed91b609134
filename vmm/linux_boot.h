/* SPDX-License-Identifier: MIT */
/*
 * Puts a Linux kernel into guest memory so that it can be entered in 64-bit mode: a bzImage as
 * distributions ship it, or an ELF vmlinux, with an initrd (Documentation/arch/x86/boot.rst,
 * "64-bit Boot Protocol"). Needs no KVM.
 */
#ifndef EXITWALK_VMM_LINUX_BOOT_H
#define EXITWALK_VMM_LINUX_BOOT_H

#include <stdbool.h>
#include <stddef.h>
#include "mem.h"
#include "tracer/err.h"

/* The files, as bytes; borrowed. They may be anything: every offset and length is checked. */
struct linux_files {
	const void *kernel;
	size_t kernel_len;
	const void *initrd; /* NULL: none */
	size_t initrd_len;
};

/* Where everything went (guest-physical). */
struct linux_start {
	uint64_t entry;              /* RIP; RSI = LAYOUT_ZERO_PAGE */
	uint64_t kernel, kernel_end; /* what the kernel needs until it reads the memory map */
	uint64_t initrd;             /* 0: none */
};

/* Does the file carry a Linux/x86 setup header? (An ELF file does not.) */
bool linux_is_bzimage(const void *file, size_t len);

/*
 * What the kernel says of itself ("6.1.0-9-amd64 (builder@host) #1 SMP …"; setup header field
 * kernel_version), or "" if it says nothing printable. A vmlinux has no such header.
 */
void linux_version(const void *file, size_t len, char *text, size_t size);

/*
 * Loads kernel and initrd, writes the zero page and the command line; boot_page_tables() and
 * boot_write_gdt() are still to be called. `rsdp`: the ACPI tables (acpi.h), 0 if there are none.
 * -ENOEXEC: not a kernel that can be entered so; -E2BIG: memory or command line too small. `e` names
 * the header field.
 */
int linux_boot(struct guest_mem *m, const struct linux_files *f, const char *cmdline, uint64_t rsdp,
	struct linux_start *out, struct err *e);

#endif
