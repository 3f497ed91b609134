/* SPDX-License-Identifier: MIT */
/*
 * What the sample guest and the machine agree on, beyond the standards (PC, PCI, virtio).
 *
 * Included by both sides, so it uses nothing but fixed-width types; the guest also includes it from
 * assembly, where only the #defines are visible.
 */
#ifndef EXITWALK_VMM_GUEST_ABI_H
#define EXITWALK_VMM_GUEST_ABI_H

/*
 * Marker port. A guest process says "I am about to make this system call" and "this is what it
 * returned" by one 32-bit OUT whose value is the virtual address (below 4 GiB, mapped in the page
 * tables that are loaded at that moment) of a struct ew_marker. The VMM copies the struct; it never
 * writes to it. A bad address or a bad magic is recorded as a guest error and otherwise ignored.
 */
#define EW_MARKER_PORT 0x0b00
#define EW_MARKER_MAGIC 0x4b4d5745 /* "EWMK" */
#define EW_MARKER_ENTER 1
#define EW_MARKER_EXIT 2

/* One byte written here ends the run; the byte is the guest's exit status (0 = success). */
#define EW_EXIT_PORT 0x00f4

/* POST code port: writes are accepted and ignored. The tight OUT loop of the benchmark uses it. */
#define EW_POST_PORT 0x0080

#define EW_COM1_PORT 0x03f8
#define EW_COM1_IRQ 4

#define EW_PCI_ADDR_PORT 0x0cf8
#define EW_PCI_DATA_PORT 0x0cfc

/* The first virtio-blk function: 00:01.0, its I/O BAR pre-assigned here, INTA on this ISA line. */
#define EW_VIRTIO_BLK_DEVFN (1 << 3)
#define EW_VIRTIO_BLK_IOBASE 0xc000
#define EW_VIRTIO_BLK_IRQ 11

/*
 * Boot: long mode, CPL 0, interrupts off, flat CS 0x10 / DS 0x18, first 4 GiB identity-mapped with
 * 2 MiB pages, RIP = the ELF's e_entry (a physical address), RSI = physical address of the zero page
 * (Documentation/arch/x86/boot.rst, "64-bit Boot Protocol"). The command line's physical address is
 * the 32-bit field at offset 0x228 of the zero page (hdr.cmd_line_ptr), NUL-terminated.
 *
 * Words the sample guest knows:
 *   entry=syscall | entry=int80   how ring 3 enters the kernel (chosen by the VMM's probe)
 *   repeat=N                      how often the process repeats its list of writes (default 1)
 *   outloop=N                     no process: N times OUT to EW_POST_PORT, then exit (benchmark)
 */
#define EW_ZERO_PAGE_CMDLINE_PTR 0x228

/*
 * The sample file system: sector 0 is the superblock (starts with EW_FS_MAGIC), sector 1 the only
 * directory block; the one file's data starts at sector EW_FS_DATA_SECTOR. The guest formats a disk
 * whose superblock lacks the magic. Every 8-byte word that the process writes at file offset `off`
 * (a multiple of 8) with its n-th write (n from 1, counted over write and pwrite) is, little-endian,
 * (n << 48) | off, so that the image alone tells which write put a byte there.
 */
#define EW_FS_MAGIC "EXITFS1"
#define EW_FS_DATA_SECTOR 8

#ifndef __ASSEMBLER__
#include <stdint.h>

struct ew_marker {
	uint32_t magic;   /* EW_MARKER_MAGIC */
	uint16_t version; /* 1 */
	uint16_t phase;   /* EW_MARKER_ENTER or EW_MARKER_EXIT */
	uint32_t nr;      /* x86-64 Linux system call number */
	uint32_t pid;
	uint64_t args[6]; /* in the order rdi rsi rdx r10 r8 r9; unused ones are 0 */
	int64_t ret;      /* EXIT only: what the call returned (-errno on failure) */
	char comm[16];    /* the process's name, NUL-padded */
	char path[40];    /* the file behind args[0] where there is one, else empty; NUL-padded */
};
_Static_assert(sizeof(struct ew_marker) == 128, "guest ABI");
#endif

#endif
