/* SPDX-License-Identifier: MIT */
/* Walks a chain of frame pointers, through kernel entries, in copied stack bytes. */
#include "unwind.h"

#include <asm/ptrace.h>
#include <string.h>

struct stack_bytes {
	const uint8_t *data;
	size_t len;
	uint64_t base;
};

static bool stack_read(const struct stack_bytes *s, uint64_t addr, void *to, size_t n)
{
	uint64_t offset = addr - s->base; /* wraps to something huge below base */

	if (offset > s->len || s->len - offset < n)
		return false;
	memcpy(to, s->data + offset, n);
	return true;
}

/* Bits 63..47 all equal: what can be an address with 4-level paging. 0 ends a chain (psABI). */
static bool is_code_address(uint64_t ip)
{
	int64_t top = (int64_t)ip >> 47;

	return ip && (top == 0 || top == -1);
}

const char *unwind_how_name(enum unwind_how how)
{
	static const char *const name[] = {
		[UNWIND_RIP] = "rip",
		[UNWIND_FP] = "fp",
		[UNWIND_PT_REGS] = "pt_regs",
		[UNWIND_ORC] = "orc",
		[UNWIND_SCAN] = "scan",
	};

	return name[how];
}

size_t unwind_stack(const struct ew_regs *regs, const void *stack, size_t len, uint64_t base,
	struct unwind_frame *frames, size_t max)
{
	const struct stack_bytes s = {stack, len, base};
	uint64_t bp = regs->rbp;
	uint64_t floor = regs->rsp;
	size_t n = 0;

	if (!max)
		return 0;
	frames[n++] = (struct unwind_frame){.ip = regs->rip, .how = UNWIND_RIP};
	while (n < max && bp >= floor) {
		struct unwind_frame *f = &frames[n];

		if (bp & 1) {
			struct pt_regs saved;

			if (!stack_read(&s, bp & ~1ull, &saved, sizeof(saved)) ||
				!is_code_address(saved.rip))
				break;
			f->ip = saved.rip;
			f->how = UNWIND_PT_REGS;
			f->user = (saved.cs & 3) == 3;
			floor = (bp & ~1ull) + sizeof(saved);
			bp = saved.rbp;
		} else {
			uint64_t frame[2]; /* the caller's RBP, the return address */

			if ((bp & 7) || !stack_read(&s, bp, frame, sizeof(frame)) ||
				!is_code_address(frame[1]))
				break;
			f->ip = frame[1];
			f->how = UNWIND_FP;
			f->user = false;
			floor = bp + sizeof(frame);
			bp = frame[0];
		}
		n++;
		if (f->user)
			break;
	}
	return n;
}
