/* SPDX-License-Identifier: MIT */
/* Unwinding copied guest stacks, off-line: pure functions on registers and raw bytes. */
#ifndef EXITWALK_TRACER_UNWIND_H
#define EXITWALK_TRACER_UNWIND_H

#include <stdbool.h>
#include <stddef.h>
#include "orc.h"
#include "probe.h"

#define UNWIND_MAX_FRAMES 64

enum unwind_how {
	UNWIND_RIP,     /* the instruction pointer itself */
	UNWIND_FP,      /* a return address, found along the chain of frame pointers */
	UNWIND_PT_REGS, /* the RIP in a struct pt_regs that a kernel entry left on the stack */
	UNWIND_ORC,     /* a return address, found by an entry of the kernel's ORC tables */
	UNWIND_SCAN,    /* a guess: the next word that stands behind a call */
};

struct unwind_frame {
	uint64_t ip;
	enum unwind_how how;
	bool user; /* CPL 3 */
};

/* Does its ip stand behind a call, and not at an instruction that runs or was interrupted? */
static inline bool unwind_is_return(enum unwind_how how)
{
	return how == UNWIND_FP || how == UNWIND_ORC || how == UNWIND_SCAN;
}

/* What frame.how stores: "rip", "fp", "pt_regs", "orc", "scan". */
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

/* Bytes that were copied from one stack, from the guest's address `base` on. */
struct unwind_piece {
	const uint8_t *data;
	size_t len;
	uint64_t base;
};

/* The entry for an instruction; false: there is none. The answer for an address is always the same. */
typedef bool (*unwind_orc_fn)(void *ctx, uint64_t ip, struct orc *o);

/* A system call, from the struct pt_regs that its entry into the kernel left. */
struct unwind_call {
	bool there;
	uint64_t nr, arg[6];
};

/*
 * The same by ORC entries. The pieces are in the order in which the stacks were left: an interrupt's first,
 * then that of what it interrupted. Where no entry leads on, the words above are searched for
 * one that has an entry and stands behind a call (UNWIND_SCAN). `call` is filled in if the walk ends in
 * ring 3 with all registers known; whether it was a system call only the entry point's name can tell.
 */
size_t unwind_orc(const struct ew_regs *regs, const struct unwind_piece *pieces, size_t n,
	unwind_orc_fn find, void *ctx, struct unwind_frame *frames, size_t max,
	struct unwind_call *call);

#endif
