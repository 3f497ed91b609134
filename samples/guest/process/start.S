/* SPDX-License-Identifier: MIT */
/*
 * Where the process begins. RDI and RSI come from start_process(): how to enter the kernel, and
 * how often to repeat. RBP = 0 ends the chain of frames, as the psABI asks.
 */
	.text
	.globl _start
	.type _start, @function
_start:
	xor %ebp, %ebp
	call main
	mov %eax, %edi
	call _exit
	ud2
	.size _start, . - _start

	.section .note.GNU-stack, "", @progbits
