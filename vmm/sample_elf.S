/* SPDX-License-Identifier: MIT */
/* The sample guest, as a part of the program. */
	.section .rodata
	.balign 64
	.globl sample_elf, sample_elf_end
	.type sample_elf, @object
sample_elf:
	.incbin EW_SAMPLE_ELF
sample_elf_end:
	.size sample_elf, . - sample_elf
	.section .note.GNU-stack, "", @progbits
