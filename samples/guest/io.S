/* SPDX-License-Identifier: MIT */
/*
 * Port I/O, named as in Linux's lib/iomap.c. In assembly, so that the instruction that exits is the
 * same whichever compiler is used; and each pushes a frame, or a walk along RBP from the exit would
 * miss the caller.
 */
#include "guest_abi.h"

.macro FUNC name
	.balign 16
	.globl \name
	.type \name, @function
\name:
	push %rbp
	mov %rsp, %rbp
.endm

.macro ENDFUNC name
	pop %rbp
	ret
	.size \name, . - \name
.endm

	.text

/* void iowriteN(value, port) */
FUNC iowrite8
	mov %esi, %edx
	mov %edi, %eax
	out %al, (%dx)
ENDFUNC iowrite8

FUNC iowrite16
	mov %esi, %edx
	mov %edi, %eax
	out %ax, (%dx)
ENDFUNC iowrite16

FUNC iowrite32
	mov %esi, %edx
	mov %edi, %eax
	out %eax, (%dx)
ENDFUNC iowrite32

/* value ioreadN(port) */
FUNC ioread8
	mov %edi, %edx
	xor %eax, %eax
	in (%dx), %al
ENDFUNC ioread8

FUNC ioread16
	mov %edi, %edx
	xor %eax, %eax
	in (%dx), %ax
ENDFUNC ioread16

FUNC ioread32
	mov %edi, %edx
	in (%dx), %eax
ENDFUNC ioread32

/* void post_loop(unsigned long n): n times OUT to EW_POST_PORT, for the benchmark */
FUNC post_loop
	test %rdi, %rdi
	jz 2f
1:	out %al, $EW_POST_PORT
	dec %rdi
	jnz 1b
2:
ENDFUNC post_loop

	.section .note.GNU-stack, "", @progbits
