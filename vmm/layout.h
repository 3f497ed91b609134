/* SPDX-License-Identifier: MIT */
/* Every guest-physical address that the machine chooses, and why it is there. */
#ifndef EXITWALK_VMM_LAYOUT_H
#define EXITWALK_VMM_LAYOUT_H

/* RAM is one slot from 0. It ends below the 32-bit PCI hole, where IOAPIC and LAPIC live. */
#define LAYOUT_RAM_MIN_MIB 32
#define LAYOUT_RAM_MAX_MIB 3072
#define LAYOUT_RAM_DEFAULT_MIB 64
#define LAYOUT_RAM_LINUX_MIB 256 /* a distribution kernel with room for its initramfs */

/*
 * Below 640 KiB, where a PC has free RAM: what the guest needs until it has built its own. A guest
 * may overwrite all of it once it has read the zero page and loaded its own CR3 and GDTR.
 */
#define LAYOUT_GDT 0x500        /* behind the real-mode IVT and the BIOS data area */
#define LAYOUT_ZERO_PAGE 0x7000 /* struct boot_params, 4 KiB */
#define LAYOUT_STACK_TOP 0x8ff0 /* the page behind it; a guest should not count on a stack */
#define LAYOUT_PML4 0x9000      /* one page of page-map level 4 */
#define LAYOUT_PDPT 0xa000      /* one page: 4 entries used, 1 GiB each */
#define LAYOUT_PD 0xb000        /* four pages: 4 * 512 * 2 MiB = the first 4 GiB */
#define LAYOUT_CMDLINE 0x20000
#define LAYOUT_CMDLINE_SIZE 2048 /* with the NUL; what x86 Linux takes (COMMAND_LINE_SIZE) */

/* 0x9fc00..0x100000 is reserved in the memory map (EBDA, VGA and ROM space of a PC). */
#define LAYOUT_LOW_RAM_END 0x9fc00
/* No byte of an image may be loaded below 1 MiB: that would overwrite the above. */
#define LAYOUT_IMAGE_MIN 0x100000

/*
 * Memory BARs of PCI functions, inside the bridge's window (ACPI_PCI_MMIO_FIRST), and virtio-mmio devices,
 * outside of it and below the IOAPIC.
 */
#define LAYOUT_PCI_BARS 0xe0000000u
#define LAYOUT_VIRTIO_MMIO 0xfe000000u

/*
 * Pages that KVM on VT-x uses for itself (api.rst, KVM_SET_IDENTITY_MAP_ADDR and KVM_SET_TSS_ADDR:
 * one page and three pages). Above all RAM, below where a BIOS ROM would be.
 */
#define LAYOUT_KVM_IDENTITY_MAP 0xfffbc000
#define LAYOUT_KVM_TSS 0xfffbd000

#endif
