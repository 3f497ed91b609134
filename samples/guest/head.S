/* SPDX-License-Identifier: MIT */
/*
 * Entry from the boot protocol (vmm/guest_abi.h), and the tables the processor reads: page tables,
 * GDT, TSS. They are built here, by the assembler, because ring 0 may be emulated: a page table
 * that is filled at run time costs more than the whole write path.
 */
#include "guest_abi.h"
#include "layout.h"

#define PTE_TABLE 0x67	      /* present, writable, user, accessed, dirty */
#define PTE_USER_RO 0x65      /* present, user, accessed, dirty */
#define PTE_USER_RW 0x67      /* present, writable, user, accessed, dirty */
#define PTE_KERNEL_TABLE 0x63 /* present, writable, accessed, dirty */
#define PTE_KERNEL_2M 0xe3    /* the same, and 2 MiB in size */

#define BUFFERS_PHYS (USER_PHYS + USER_BUFFERS - USER_BASE)

	.code64
	.section .head.text, "ax"

/* Runs at its physical address, in the identity map of the VMM. RSI: the zero page. */
	.globl startup_64
	.type startup_64, @function
startup_64:
	cli
	cld
	lea init_top_pgt(%rip), %rax
	mov %rax, %cr3
	mov $startup_high, %rax
	jmp *%rax
	.size startup_64, . - startup_64

	.text
	.globl startup_high
	.type startup_high, @function
startup_high:
	lgdt gdt_descriptor(%rip)
	mov $KERNEL_DS, %eax
	mov %eax, %ds
	mov %eax, %es
	mov %eax, %ss
	xor %eax, %eax
	mov %eax, %fs
	mov %eax, %gs
	mov $kernel_stack_top, %rsp
	push $KERNEL_CS
	push $1f
	lretq
1:	xor %ebp, %ebp
	mov %rsi, %rdi
	call start_kernel
2:	cli
	hlt
	jmp 2b
	.size startup_high, . - startup_high

	.data
	.balign 8
	.globl gdt
	.type gdt, @object
gdt:
	.quad 0
	.quad 0			  /* 0x08: Linux's 32-bit kernel code, unused */
	.quad 0x00af9b000000ffff  /* 0x10: kernel code */
	.quad 0x00cf93000000ffff  /* 0x18: kernel data */
	.quad 0			  /* 0x20: 32-bit user code: the base of SYSRET's selectors */
	.quad 0x00cff3000000ffff  /* 0x28: user data */
	.quad 0x00affb000000ffff  /* 0x30: user code */
	.quad 0
	.quad 0, 0		  /* 0x40: TSS, written by trap_init() */
	.size gdt, . - gdt
gdt_descriptor:
	.word gdt_descriptor - gdt - 1
	.quad gdt

/*
 * 64-bit TSS (Intel SDM vol. 3, 8.7): RSP0, IST1 for double faults, and an I/O bitmap (SDM vol. 1,
 * 19.5.2) that allows ring 3 the four ports of the marker and no other. IOPL 3 would do on a
 * processor, but kvm_pvm does not keep the process's IOPL, and looks here.
 */
	.balign 16
	.globl tss, tss_end
	.type tss, @object
tss:
	.long 0
	.quad kernel_stack_top, 0, 0
	.quad 0
	.quad double_fault_stack_top, 0, 0, 0, 0, 0, 0
	.quad 0
	.word 0
	.word io_bitmap - tss
io_bitmap:
	.fill EW_MARKER_PORT / 8, 1, 0xff
	.byte ~(0xf << (EW_MARKER_PORT % 8)) & 0xff
	.byte 0xff /* the processor always reads two bytes */
tss_end:
	.size tss, . - tss

	.balign 4096
	.type init_top_pgt, @object
init_top_pgt:
	.quad level3_low - KERNEL_MAP + PTE_TABLE
	.fill 510, 8, 0
	.quad level3_kernel - KERNEL_MAP + PTE_KERNEL_TABLE
	.size init_top_pgt, . - init_top_pgt
level3_low:
	.quad level2_low - KERNEL_MAP + PTE_TABLE
	.fill 511, 8, 0
/* Low half: the process, and the 2 MiB where startup_64 stands when it loads CR3. */
level2_low:
	.fill USER_BASE >> 21, 8, 0
	.quad user_pte - KERNEL_MAP + PTE_TABLE
	.fill ((KERNEL_PHYS - USER_BASE) >> 21) - 1, 8, 0
	.quad KERNEL_PHYS + PTE_KERNEL_2M
	.fill 511 - (KERNEL_PHYS >> 21), 8, 0
level3_kernel:
	.fill 510, 8, 0
	.quad level2_kernel - KERNEL_MAP + PTE_KERNEL_TABLE
	.quad 0
level2_kernel:
	.set .Li, 0
	.rept 512
	.quad (.Li << 21) + PTE_KERNEL_2M
	.set .Li, .Li + 1
	.endr

/* Frames of the process; the buffers take page (5 * i + 2) mod 32 of their region. */
	.globl user_pte
	.type user_pte, @object
user_pte:
	.set .Li, USER_BASE
	.rept (USER_DATA - USER_BASE) >> 12
	.quad USER_PHYS + .Li - USER_BASE + PTE_USER_RO
	.set .Li, .Li + 4096
	.endr
	.rept (USER_BUFFERS - USER_DATA) >> 12
	.quad USER_PHYS + .Li - USER_BASE + PTE_USER_RW
	.set .Li, .Li + 4096
	.endr
	.set .Li, 0
	.rept USER_BUFFER_PAGES
	.quad BUFFERS_PHYS + ((5 * .Li + 2) % USER_BUFFER_PAGES << 12) + PTE_USER_RW
	.set .Li, .Li + 1
	.endr
	.set .Li, USER_STACK
	.rept USER_STACK_SIZE >> 12
	.quad USER_PHYS + .Li - USER_BASE + PTE_USER_RW
	.set .Li, .Li + 4096
	.endr
	.fill (USER_BASE + USER_SIZE - USER_STACK_TOP) >> 12, 8, 0
	.size user_pte, . - user_pte

	.bss
	.balign KERNEL_STACK_SIZE
	.globl kernel_stack_top
	.type kernel_stack, @object
kernel_stack:
	.skip KERNEL_STACK_SIZE
kernel_stack_top:
	.size kernel_stack, . - kernel_stack
	.type double_fault_stack, @object
double_fault_stack:
	.skip 4096
double_fault_stack_top:
	.size double_fault_stack, . - double_fault_stack

	.section .note.GNU-stack, "", @progbits
