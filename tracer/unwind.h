/* SPDX-License-Identifier: MIT */
/* Unwinding a copied guest stack, off-line: a pure function on registers and raw bytes. */
#ifndef EXITWALK_TRACER_UNWIND_H
#define EXITWALK_TRACER_UNWIND_H

#include <stdbool.h>
#include <stddef.h>
#include "probe.h"

#define UNWIND_MAX_FRAMES 64

enum unwind_how {
	UNWIND_RIP,     /* the instruction pointer itself */
	UNWIND_FP,      /* a return address, found along the chain of frame pointers */
	UNWIND_PT_REGS, /* the RIP in a struct pt_regs that a kernel entry left on the stack */
};

struct unwind_frame {
	uint64_t ip;
	enum unwind_how how;
	bool user; /* CPL 3 */
};

/* What frame.how stores: "rip", "fp", "pt_regs". */
const char *unwind_how_name(enum unwind_how how);

/*
 * Walks from regs->rip outwards along RBP. `stack` holds the `len` bytes from guest address `base`
 * on. Where RBP has bit 0 set there is no frame but a struct pt_regs at RBP & ~1 (Linux:
 * ENCODE_FRAME_POINTER, arch/x86/include/asm/frame.h), and the walk goes on in the interrupted
 * context, up to and including the first one in ring 3. Each place must lie above the one before,
 * so that neither cycles nor garbage can trap it. Returns the number of frames stored, innermost
 * first; at least 1 if max > 0.
 */
size_t unwind_stack(const struct ew_regs *regs, const void *stack, size_t len, uint64_t base,
	struct unwind_frame *frames, size_t max);

#endif
