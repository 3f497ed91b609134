// SPDX-License-Identifier: MIT
/*
 * The bytes around the RIP of an exit.
 *
 * They lie at a virtual address, so a CR3 is needed, and KVM does not say when it changes: on VT-x
 * and SVM with nested paging the guest loads CR3 without an exit. Asking at every exit would cost
 * more than recording may (vcpu_cr3). So, for an exit by IN or OUT from the upper half of the address
 * space whose CR3 did not come along, the CR3 that was last read is tried: kernels map their code
 * there alike in all page tables. The tables are walked anew each time, and the bytes are believed
 * only if the very instruction that must be there (IN or OUT, at RIP or ending right before it) is
 * there. In all other cases CR3 is read. A stale CR3 can therefore not show bytes that contradict the
 * exit.
 */
#include <string.h>

#include "vcpu.h"

enum { BEFORE = 8, FROM = 16, PAGE = 4096 };

/* Reads both halves; each one whole or not at all. They share a walk when they share a page. */
static unsigned read_halves(struct vcpu *v, uint64_t cr3, uint64_t rip, uint8_t *insn)
{
	uint64_t in_page = rip % PAGE, gpa;
	unsigned ok = 0;
	const uint8_t *p;

	if (in_page >= BEFORE && in_page + FROM <= PAGE) {
		if (mem_translate(v->mem, cr3, rip - BEFORE, &gpa))
			return 0;
		p = mem_ptr(v->mem, gpa, BEFORE + FROM);
		if (!p)
			return 0;
		memcpy(insn, p, BEFORE + FROM);
		return 3;
	}
	if (mem_read_virt(v->mem, cr3, rip - BEFORE, insn, BEFORE) == BEFORE)
		ok |= 1;
	if (mem_read_virt(v->mem, cr3, rip, insn + BEFORE, FROM) == FROM)
		ok |= 2;
	return ok;
}

/* Opcodes of IN, OUT, INS, OUTS (SDM vol. 2): 0xe4..0xe7 imm8, 0xec..0xef, 0x6c..0x6f. */
static bool with_imm8(uint8_t op)
{
	return (op & 0xfc) == 0xe4;
}

static bool without_imm8(uint8_t op)
{
	return (op & 0xfc) == 0xec || (op & 0xfc) == 0x6c;
}

static bool prefix(uint8_t b)
{
	return b == 0x66 || b == 0x67 || b == 0xf2 || b == 0xf3 || (b & 0xf0) == 0x40;
}

bool insn_is_port_io(const uint8_t insn[24], unsigned ok)
{
	if ((ok & 1) && (without_imm8(insn[BEFORE - 1]) || with_imm8(insn[BEFORE - 2])))
		return true;
	if (ok & 2)
		for (unsigned i = BEFORE; i < BEFORE + FROM; i++) {
			if (with_imm8(insn[i]) || without_imm8(insn[i]))
				return true;
			if (!prefix(insn[i]))
				return false;
		}
	return false;
}

void insn_bytes(struct vcpu *v, uint32_t reason, struct ew_exit_payload *x)
{
	if (!vcpu_cr3_known(v) && reason == KVM_EXIT_IO && x->rip >> 63 &&
		v->cr3_exit != UINT64_MAX) {
		x->insn_ok = (uint8_t)read_halves(v, v->cr3, x->rip, x->insn);
		if (insn_is_port_io(x->insn, x->insn_ok))
			return;
	}
	memset(x->insn, 0, sizeof(x->insn));
	x->insn_ok = (uint8_t)read_halves(
		v, vcpu_cr3_known(v) ? v->cr3 : vcpu_cr3(v), x->rip, x->insn);
}
