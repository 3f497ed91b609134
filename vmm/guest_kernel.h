/* SPDX-License-Identifier: MIT */
/* A Linux guest's kernel in the guest's memory: found through page tables, read while it runs and after. */
#ifndef EXITWALK_VMM_GUEST_KERNEL_H
#define EXITWALK_VMM_GUEST_KERNEL_H

#include "mem.h"
#include "tracer/guest_linux.h"

struct recorder;

struct guest_kernel {
	const struct guest_mem *mem;
	struct kmem kmem; /* reads by `cr3` */
	uint64_t cr3;
	struct guest_linux kernel;
	bool found;
	unsigned asked, tries;
	uint64_t base, bytes; /* of the image */
	uint64_t copy_ns, find_ns;
	struct ksyms given; /* of a file, until it is used */
	const char *file;   /* its name; NULL: there is none */
	bool refused;       /* it is of another kernel */
};

/* m is borrowed. */
void guest_kernel_init(struct guest_kernel *g, const struct guest_mem *m);
void guest_kernel_free(struct guest_kernel *g);

/* Names are to come from these symbols (symbol_file.h), if they fit. s is empty afterwards; file is borrowed. */
void guest_kernel_symbols(struct guest_kernel *g, struct ksyms *s, const char *file);

/*
 * The task that runs where GS.base is gs_base. The first call looks for the kernel, which takes as long as
 * copying and reading its image (some 50 ms, measured and recorded); a failed search is repeated a few times,
 * ever more seldom. By one thread at a time: who has the devices' turn.
 */
bool guest_kernel_task(
	struct guest_kernel *g, uint64_t cr3, uint64_t gs_base, struct guest_task *t);

/*
 * A copy of a stack from rsp on that ended with the stack itself (a page behind it is not there). The
 * word on top of an interrupt's stack is the stack pointer that it left (Linux: call_on_stack, arch/x86/
 * include/asm/irq_stack.h). False if this word can be none.
 */
bool guest_kernel_left_stack(uint64_t rsp, const uint8_t *stack, uint64_t len, uint64_t *left);

/* After recorder_stop: names and unwind entries into the recording, and how they were found. cr3: the last
 * one that was seen (a reset may end in real mode), for a kernel that was not looked for yet. 0 or -errno. */
int guest_kernel_describe(struct guest_kernel *g, uint64_t cr3, struct recorder *r, struct err *e);

#endif
