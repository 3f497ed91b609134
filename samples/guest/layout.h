/* SPDX-License-Identifier: MIT */
/*
 * Where things are in memory, for C, assembly and the linker script, and what the kernel and the
 * process share.
 */
#ifndef GUEST_LAYOUT_H
#define GUEST_LAYOUT_H

/* Physical 0..1 GiB appears here, as Linux's __START_KERNEL_map does. */
#define KERNEL_MAP 0xffffffff80000000
#define KERNEL_PHYS 0x1000000
#define KERNEL_STACK_SIZE 8192

/*
 * The process: one 2 MiB region, so one page of page-table entries (user_pte in head.S). Everything
 * lies at USER_PHYS + (address - USER_BASE) but the pages of the data buffers, which are scrambled
 * among themselves, so that no two neighbours are contiguous for the disk.
 */
#define USER_BASE 0x400000
#define USER_SIZE 0x200000
#define USER_PHYS 0x1200000
#define USER_DATA 0x410000
#define USER_BUFFERS 0x420000
#define USER_BUFFER_PAGES 32
#define USER_STACK 0x440000
#define USER_STACK_SIZE 0x4000
#define USER_STACK_TOP (USER_STACK + USER_STACK_SIZE)

/* Selectors, numbered as Linux numbers them (arch/x86/include/asm/segment.h). */
#define KERNEL_CS 0x10
#define KERNEL_DS 0x18
#define USER32_CS 0x23
#define USER_DS 0x2b
#define USER_CS 0x33
#define TSS_SELECTOR 0x40

/* Interrupt vectors. */
#define IRQ_VECTOR_BASE 0x20
#define IRQ_COUNT 16
#define SYSCALL_VECTOR 0x80

#ifndef __ASSEMBLER__
/*
 * As an operand ("+r") of inline assembly: RSP counts as used, so gcc, which drops the frame of a
 * function that neither calls nor uses its stack, keeps it. Wanted where the processor leaves the
 * function for elsewhere: HLT, OUT. Linux has it as ASM_CALL_CONSTRAINT.
 */
register unsigned long current_stack_pointer __asm__("rsp");
#define KEEP_FRAME "+r"(current_stack_pointer)
#endif

#endif
