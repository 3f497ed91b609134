/* SPDX-License-Identifier: MIT */
/*
 * Entries into the kernel and the ways back. Each entry leaves a complete struct pt_regs (Linux's
 * layout, <asm/ptrace.h>) on the stack, and RBP = its address | 1. That is Linux's
 * ENCODE_FRAME_POINTER (arch/x86/entry/calling.h, CONFIG_FRAME_POINTER=y): a saved RBP with bit 0
 * set says "no frame here but a pt_regs; go on with the registers in it".
 */
#include <asm/errno.h>
#include "layout.h"

/* On entry orig_rax is on the stack already. */
.macro PUSH_REGS rax=%rax
	push %rdi
	push %rsi
	push %rdx
	push %rcx
	push \rax
	push %r8
	push %r9
	push %r10
	push %r11
	push %rbx
	push %rbp
	push %r12
	push %r13
	push %r14
	push %r15
	lea 1(%rsp), %rbp
.endm

/* All but RDI; leaves RSP at the slot of RDI. */
.macro POP_REGS
	pop %r15
	pop %r14
	pop %r13
	pop %r12
	pop %rbp
	pop %rbx
	pop %r11
	pop %r10
	pop %r9
	pop %r8
	pop %rax
	pop %rcx
	pop %rdx
	pop %rsi
.endm

.macro FUNC name
	.balign 16
	.globl \name
	.type \name, @function
\name:
.endm

.macro ENDFUNC name
	.size \name, . - \name
.endm

	.text

/*
 * SYSCALL: RIP in RCX, RFLAGS in R11, and still the stack of the process. One processor, so a
 * variable does what Linux does with swapgs and per-CPU data.
 */
FUNC entry_SYSCALL_64
	mov %rsp, saved_user_rsp(%rip)
	mov $kernel_stack_top, %rsp
	push $USER_DS
	push saved_user_rsp(%rip)
	push %r11
	push $USER_CS
	push %rcx
	push %rax
	PUSH_REGS rax=$-ENOSYS
	mov %rsp, %rdi
	movslq %eax, %rsi
	call do_syscall_64
	POP_REGS
	pop %rdi
	mov 32(%rsp), %rsp /* over orig_rax, rip, cs, eflags */
	sysretq
ENDFUNC entry_SYSCALL_64

/* int $0x80, with the 64-bit convention: not Linux's, where this vector means the i386 ABI. */
FUNC entry_INT80_compat
	push %rax
	PUSH_REGS rax=$-ENOSYS
	mov %rsp, %rdi
	movslq %eax, %rsi
	call do_syscall_64
	jmp restore_regs_and_iret
ENDFUNC entry_INT80_compat

/* Also where a new process begins: start_process() puts a pt_regs at RSP. */
FUNC restore_regs_and_iret
	POP_REGS
	pop %rdi
	add $8, %rsp /* orig_rax */
	iretq
ENDFUNC restore_regs_and_iret

/* void ret_to_user(struct pt_regs *regs) */
FUNC ret_to_user
	mov %rdi, %rsp
	jmp restore_regs_and_iret
ENDFUNC ret_to_user

/* Sixteen stubs of 16 bytes; each says which vector it is. */
FUNC irq_entries_start
	.set .Lvector, IRQ_VECTOR_BASE
	.rept IRQ_COUNT
	.balign 16
	push $.Lvector
	jmp asm_common_interrupt
	.set .Lvector, .Lvector + 1
	.endr
ENDFUNC irq_entries_start

FUNC asm_common_interrupt
	PUSH_REGS
	mov %rsp, %rdi
	mov 120(%rsp), %rsi
	movq $-1, 120(%rsp) /* orig_rax: not a system call */
	call common_interrupt
	jmp restore_regs_and_iret
ENDFUNC asm_common_interrupt

/* void exc_xxx(struct pt_regs *regs, long error_code, long vector) */
.macro EXCEPTION vector name has_error
FUNC asm_\name
	.if \has_error == 0
	push $0
	.endif
	PUSH_REGS
	mov %rsp, %rdi
	mov 120(%rsp), %rsi
	mov $\vector, %edx
	movq $-1, 120(%rsp)
	call \name
	jmp restore_regs_and_iret
ENDFUNC asm_\name
	.pushsection .rodata
	.quad asm_\name
	.popsection
.endm

/* The processor's vectors 0 to 31 (Intel SDM vol. 3, table 6-1), in order: a table of addresses. */
	.section .rodata
	.balign 8
	.globl exception_entries
	.type exception_entries, @object
exception_entries:
	.text
EXCEPTION 0 exc_divide_error 0
EXCEPTION 1 exc_debug 0
EXCEPTION 2 exc_nmi 0
EXCEPTION 3 exc_int3 0
EXCEPTION 4 exc_overflow 0
EXCEPTION 5 exc_bounds 0
EXCEPTION 6 exc_invalid_op 0
EXCEPTION 7 exc_device_not_available 0
EXCEPTION 8 exc_double_fault 1
EXCEPTION 9 exc_coproc_segment_overrun 0
EXCEPTION 10 exc_invalid_tss 1
EXCEPTION 11 exc_segment_not_present 1
EXCEPTION 12 exc_stack_segment 1
EXCEPTION 13 exc_general_protection 1
EXCEPTION 14 exc_page_fault 1
EXCEPTION 15 exc_spurious 0
EXCEPTION 16 exc_coprocessor_error 0
EXCEPTION 17 exc_alignment_check 1
EXCEPTION 18 exc_machine_check 0
EXCEPTION 19 exc_simd_coprocessor_error 0
	.section .rodata
	.size exception_entries, . - exception_entries

	.bss
	.balign 8
saved_user_rsp:
	.skip 8

	.section .note.GNU-stack, "", @progbits
