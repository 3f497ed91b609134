/* SPDX-License-Identifier: MIT */
/* Walks copied stack bytes by ORC entries, as unwind_next_frame() of Linux does in its own. */
#include "unwind.h"

#include <asm/ptrace.h>
#include <string.h>

struct walk {
	const struct unwind_piece *piece;
	size_t pieces, at; /* at: the piece in which sp is */
	uint64_t ip, sp, bp;
	bool bp_known;
	bool exact;                 /* ip is an instruction's address, not one behind a call */
	const struct pt_regs *regs; /* all registers of this frame, or NULL */
	struct pt_regs saved;
};

/* What an entry leads to. */
enum step { STEP_OK, STEP_END, STEP_LOST };

static bool read_at(const struct walk *w, uint64_t addr, void *to, size_t n)
{
	for (size_t i = w->at; i < w->pieces; i++) {
		uint64_t offset = addr - w->piece[i].base; /* wraps to something huge below base */

		if (offset <= w->piece[i].len && w->piece[i].len - offset >= n) {
			memcpy(to, w->piece[i].data + offset, n);
			return true;
		}
	}
	return false;
}

static bool was_copied(const struct walk *w, uint64_t sp)
{
	for (size_t i = w->at; i < w->pieces; i++)
		if (sp - w->piece[i].base <= w->piece[i].len)
			return true;
	return false;
}

/* The stack pointer moves up in its piece, or on to a later one: neither cycles nor garbage trap it. */
static bool move_sp(struct walk *w, uint64_t sp)
{
	for (size_t i = w->at; i < w->pieces; i++) {
		if (sp - w->piece[i].base > w->piece[i].len)
			continue;
		if (i == w->at && sp <= w->sp)
			return false;
		w->at = i;
		w->sp = sp;
		return true;
	}
	return false;
}

/* Where the entry says that the caller's stack begins. */
static bool previous_sp(const struct walk *w, const struct orc *o, uint64_t *sp)
{
	const uint64_t offset = (uint64_t)(int64_t)o->sp_offset;

	switch (o->sp_reg) {
	case ORC_REG_SP:
		*sp = w->sp + offset;
		return true;
	case ORC_REG_BP:
		*sp = w->bp + offset;
		return w->bp_known;
	case ORC_REG_SP_INDIRECT:
		if (!read_at(w, w->sp, sp, sizeof(*sp)))
			return false;
		*sp += offset;
		return true;
	case ORC_REG_BP_INDIRECT:
		return w->bp_known && read_at(w, w->bp + offset, sp, sizeof(*sp));
	case ORC_REG_DX:
	case ORC_REG_DI:
	case ORC_REG_R10:
	case ORC_REG_R13:
		if (!w->regs)
			return false;
		*sp = o->sp_reg == ORC_REG_DX    ? w->regs->rdx
		      : o->sp_reg == ORC_REG_DI  ? w->regs->rdi
		      : o->sp_reg == ORC_REG_R10 ? w->regs->r10
						 : w->regs->r13;
		return true;
	default:
		return false;
	}
}

/* RBP of the caller: where the entry says it was saved; else it is still what it was. */
static void previous_bp(struct walk *w, const struct orc *o, uint64_t sp)
{
	const uint64_t from = o->bp_reg == ORC_REG_PREV_SP ? sp : w->bp;

	if (o->bp_reg == ORC_REG_PREV_SP || (o->bp_reg == ORC_REG_BP && w->bp_known))
		w->bp_known = read_at(
			w, from + (uint64_t)(int64_t)o->bp_offset, &w->bp, sizeof(w->bp));
	else if (o->bp_reg != ORC_REG_UNDEFINED)
		w->bp_known = false;
}

/* A return address below sp. */
static enum step step_call(struct walk *w, const struct orc *o, uint64_t sp)
{
	uint64_t ip;

	if (!read_at(w, sp - sizeof(ip), &ip, sizeof(ip)) || !kmem_is_kernel(ip))
		return STEP_LOST;
	previous_bp(w, o, sp);
	w->regs = NULL;
	w->exact = false;
	w->ip = ip;
	return move_sp(w, sp) ? STEP_OK : STEP_LOST;
}

/* A struct pt_regs at sp, or only its end. */
static enum step step_regs(struct walk *w, const struct orc *o, uint64_t sp)
{
	const bool all = o->type == ORC_TYPE_REGS;
	const size_t skip = all ? 0 : offsetof(struct pt_regs, rip);
	struct pt_regs r = {0};

	if (!read_at(w, sp, (uint8_t *)&r + skip, sizeof(r) - skip))
		return STEP_LOST;
	if (!all)
		previous_bp(w, o, sp);
	else
		w->bp = r.rbp;
	w->bp_known |= all;
	w->saved = r;
	w->regs = all ? &w->saved : NULL;
	w->exact = true;
	w->ip = r.rip;
	if ((r.cs & 3) == 3)
		return STEP_OK;
	return kmem_is_kernel(r.rip) && move_sp(w, r.rsp) ? STEP_OK : STEP_LOST;
}

static enum step step(struct walk *w, const struct orc *o)
{
	uint64_t sp;

	if (o->type == ORC_TYPE_END)
		return STEP_END;
	if (o->type == ORC_TYPE_UNDEFINED || !previous_sp(w, o, &sp))
		return STEP_LOST;
	if (!was_copied(w, sp))
		return STEP_END; /* a guess from what lies in front of it would be a wrong one */
	return o->type == ORC_TYPE_CALL ? step_call(w, o, sp) : step_regs(w, o, sp);
}

/* The next word of this stack that is an address behind a call. */
static bool scan(struct walk *w, unwind_orc_fn find, void *ctx)
{
	const struct unwind_piece *p = &w->piece[w->at];

	for (uint64_t sp = (w->sp + 7) & ~7ull; sp - p->base < p->len; sp += sizeof(w->ip)) {
		struct orc o;

		if (!read_at(w, sp, &w->ip, sizeof(w->ip)))
			break;
		if (!kmem_is_kernel(w->ip) || !find(ctx, w->ip - 1, &o) || !o.after_call)
			continue;
		w->sp = sp + sizeof(w->ip);
		w->bp_known = w->exact = false;
		w->regs = NULL;
		return true;
	}
	return false;
}

/* ew_regs has the order of struct kvm_regs. */
static struct pt_regs as_pt_regs(const struct ew_regs *r)
{
	return (struct pt_regs){.r15 = r->r15,
		.r14 = r->r14,
		.r13 = r->r13,
		.r12 = r->r12,
		.rbp = r->rbp,
		.rbx = r->rbx,
		.r11 = r->r11,
		.r10 = r->r10,
		.r9 = r->r9,
		.r8 = r->r8,
		.rax = r->rax,
		.rcx = r->rcx,
		.rdx = r->rdx,
		.rsi = r->rsi,
		.rdi = r->rdi,
		.rip = r->rip,
		.rsp = r->rsp};
}

/* Arguments as Linux takes them from the registers (arch/x86/entry/entry_64.S, entry_SYSCALL_64). */
static void take_call(const struct pt_regs *r, struct unwind_call *call)
{
	*call = (struct unwind_call){.there = true,
		.nr = r->orig_rax,
		.arg = {r->rdi, r->rsi, r->rdx, r->r10, r->r8, r->r9}};
}

size_t unwind_orc(const struct ew_regs *regs, const struct unwind_piece *pieces, size_t n,
	unwind_orc_fn find, void *ctx, struct unwind_frame *frames, size_t max,
	struct unwind_call *call)
{
	struct walk w = {.piece = pieces,
		.pieces = n,
		.ip = regs->rip,
		.sp = regs->rsp,
		.bp = regs->rbp,
		.bp_known = true,
		.exact = true,
		.saved = as_pt_regs(regs)};
	size_t i = 0;

	*call = (struct unwind_call){0};
	w.regs = &w.saved;
	if (!max || !n)
		return 0;
	frames[i++] = (struct unwind_frame){.ip = regs->rip, .how = UNWIND_RIP};
	while (i < max) {
		enum unwind_how how = UNWIND_ORC;
		enum step s = STEP_LOST;
		struct orc o;

		if (find(ctx, w.exact ? w.ip : w.ip - 1, &o)) {
			s = step(&w, &o);
			if (o.type == ORC_TYPE_REGS || o.type == ORC_TYPE_REGS_PARTIAL)
				how = UNWIND_PT_REGS;
		}
		if (s == STEP_END)
			break;
		if (s == STEP_LOST) {
			how = UNWIND_SCAN;
			if (!scan(&w, find, ctx))
				break;
		}
		frames[i] = (struct unwind_frame){.ip = w.ip, .how = how};
		frames[i].user = how == UNWIND_PT_REGS && (w.saved.cs & 3) == 3;
		if (frames[i++].user) {
			if (w.regs)
				take_call(w.regs, call);
			break;
		}
	}
	return i;
}
