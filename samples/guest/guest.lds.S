/* SPDX-License-Identifier: MIT */
/*
 * One ELF, two programs: the kernel, linked at KERNEL_MAP + physical, and the process, linked where
 * ring 3 sees it. p_paddr says where each goes. Code and data are apart (no segment is W and X).
 */
#include "layout.h"

OUTPUT_FORMAT("elf64-x86-64")
ENTRY(phys_startup_64)

PHDRS
{
	text PT_LOAD FLAGS(5);
	data PT_LOAD FLAGS(6);
	utext PT_LOAD FLAGS(5);
	udata PT_LOAD FLAGS(6);
}

SECTIONS
{
	. = KERNEL_MAP + KERNEL_PHYS;
	phys_startup_64 = startup_64 - KERNEL_MAP;
	.text : AT(ADDR(.text) - KERNEL_MAP) {
		*(.head.text)
		*(EXCLUDE_FILE(*guest/process/?*.o) .text EXCLUDE_FILE(*guest/process/?*.o) .text.*)
	} :text
	.rodata : AT(ADDR(.rodata) - KERNEL_MAP) {
		*(EXCLUDE_FILE(*guest/process/?*.o) .rodata EXCLUDE_FILE(*guest/process/?*.o) .rodata.*)
	} :text
	. = ALIGN(0x1000);
	.data : AT(ADDR(.data) - KERNEL_MAP) {
		*(EXCLUDE_FILE(*guest/process/?*.o) .data EXCLUDE_FILE(*guest/process/?*.o) .data.*)
	} :data
	.bss : AT(ADDR(.bss) - KERNEL_MAP) {
		*(EXCLUDE_FILE(*guest/process/?*.o) .bss EXCLUDE_FILE(*guest/process/?*.o) .bss.*)
	} :data
	ASSERT(. <= KERNEL_MAP + USER_PHYS, "the kernel runs into the process")

	. = USER_BASE;
	.process.text : AT(ADDR(.process.text) - USER_BASE + USER_PHYS) {
		*guest/process/?*.o(.text .text.* .rodata .rodata.*)
	} :utext
	ASSERT(. <= USER_DATA, "the code of the process is too large")
	. = USER_DATA;
	.process.data : AT(ADDR(.process.data) - USER_BASE + USER_PHYS) {
		*guest/process/?*.o(.data .data.*)
		*guest/process/?*.o(.bss)
	} :udata
	ASSERT(. <= USER_BUFFERS, "the data of the process is too large")
	. = USER_BUFFERS;
	.process.buffers : AT(ADDR(.process.buffers) - USER_BASE + USER_PHYS) {
		*guest/process/?*.o(.bss.buffers)
		. = USER_STACK_TOP - USER_BUFFERS;
	} :udata

	/DISCARD/ : {
		*(.comment .note .note.* .eh_frame .eh_frame_hdr)
	}
}
