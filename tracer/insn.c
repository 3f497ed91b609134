/* SPDX-License-Identifier: MIT */
/* Finds the instruction that exited in the bytes around RIP, and prints instructions. */
#include "insn.h"

#include <Zydis/Zydis.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define BEFORE 8 /* bytes of the window in front of RIP */
#define AFTER 16

struct decoded {
	ZydisDecodedInstruction insn;
	ZydisDecodedOperand op[ZYDIS_MAX_OPERAND_COUNT];
};

static bool decode(const uint8_t *bytes, size_t len, struct decoded *d)
{
	ZydisDecoder decoder;

	memset(d, 0, sizeof(*d));
	return ZYAN_SUCCESS(ZydisDecoderInit(
		       &decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64)) &&
	       ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder, bytes, len, &d->insn, d->op));
}

static bool is_string_io(const struct decoded *d)
{
	return d->insn.meta.category == ZYDIS_CATEGORY_IOSTRINGOP;
}

static bool has_rep(const struct decoded *d)
{
	return d->insn.attributes & (ZYDIS_ATTRIB_HAS_REP | ZYDIS_ATTRIB_HAS_REPNE);
}

/* Bytes that one IN, OUT, INS or OUTS moves: the width of the data operand, whichever it is. */
static unsigned pio_size(const struct decoded *d)
{
	switch (d->insn.mnemonic) {
	case ZYDIS_MNEMONIC_OUT:
		return d->op[1].size / 8;
	case ZYDIS_MNEMONIC_IN:
		return d->op[0].size / 8;
	case ZYDIS_MNEMONIC_INSB:
	case ZYDIS_MNEMONIC_OUTSB:
		return 1;
	case ZYDIS_MNEMONIC_INSW:
	case ZYDIS_MNEMONIC_OUTSW:
		return 2;
	case ZYDIS_MNEMONIC_INSD:
	case ZYDIS_MNEMONIC_OUTSD:
		return 4;
	default:
		return 0;
	}
}

static bool pio_is_write(const struct decoded *d)
{
	switch (d->insn.mnemonic) {
	case ZYDIS_MNEMONIC_OUT:
	case ZYDIS_MNEMONIC_OUTSB:
	case ZYDIS_MNEMONIC_OUTSW:
	case ZYDIS_MNEMONIC_OUTSD:
		return true;
	default:
		return false;
	}
}

static bool fits_pio(const struct decoded *d, const struct ew_exit_payload *p)
{
	unsigned size = pio_size(d);

	if (!size || size != p->size || pio_is_write(d) != !!p->is_write)
		return false;
	if (p->count > 1 && !(is_string_io(d) && has_rep(d)))
		return false;
	for (unsigned i = 0; !is_string_io(d) && i < d->insn.operand_count_visible; i++)
		if (d->op[i].type == ZYDIS_OPERAND_TYPE_IMMEDIATE &&
			d->op[i].imm.value.u != p->addr)
			return false;
	return true;
}

static bool fits_mmio(const struct decoded *d, const struct ew_exit_payload *p)
{
	for (unsigned i = 0; i < d->insn.operand_count; i++) {
		const ZydisDecodedOperand *op = &d->op[i];

		if (op->type != ZYDIS_OPERAND_TYPE_MEMORY || op->mem.type != ZYDIS_MEMOP_TYPE_MEM ||
			op->size / 8 != p->size)
			continue;
		/* A read-modify-write exits once for each half. */
		if (op->actions & (p->is_write ? ZYDIS_OPERAND_ACTION_MASK_WRITE
					       : ZYDIS_OPERAND_ACTION_MASK_READ))
			return true;
	}
	return false;
}

static bool fits(const struct decoded *d, const struct ew_exit_payload *p)
{
	return p->space == EW_SPACE_MMIO ? fits_mmio(d, p) : fits_pio(d, p);
}

static bool same_operands(const struct decoded *a, const struct decoded *b)
{
	for (unsigned i = 0; i < a->insn.operand_count_visible; i++)
		if (a->op[i].type != b->op[i].type || a->op[i].reg.value != b->op[i].reg.value ||
			a->op[i].mem.segment != b->op[i].mem.segment ||
			a->op[i].mem.base != b->op[i].mem.base ||
			a->op[i].mem.index != b->op[i].mem.index)
			return false;
	return true;
}

/*
 * Are the bytes in front of the shorter reading nothing but prefixes of the longer one, without effect? A REX prefix
 * names other registers: 40 88 3e is "mov [rsi], dil", 88 3e "mov [rsi], bh".
 */
static bool same_but_prefixes(const struct decoded *longer, const struct decoded *shorter)
{
	unsigned extra = longer->insn.length - shorter->insn.length;

	return longer->insn.mnemonic == shorter->insn.mnemonic &&
	       longer->insn.opcode == shorter->insn.opcode &&
	       longer->insn.raw.prefix_count >= extra + shorter->insn.raw.prefix_count &&
	       same_operands(longer, shorter);
}

/*
 * The length of the fitting instruction that ends at RIP; 0 = none, -1 = not clear which. The byte
 * in front of an instruction may look like a prefix of it without effect (the f2 of "mov edx, esi;
 * out dx, al" = 89 f2 ee): then the shorter reading is taken. But f3 before INS and OUTS is REP.
 */
static int length_behind(const struct ew_exit_payload *p)
{
	struct decoded best = {0}, d;
	int found = 0;

	for (unsigned len = 1; len <= BEFORE; len++) {
		if (!decode(p->insn + BEFORE - len, len, &d) || d.insn.length != len ||
			!fits(&d, p))
			continue;
		if (found && !same_but_prefixes(&d, &best))
			return -1;
		if (!found || (is_string_io(&d) && has_rep(&d) && !has_rep(&best))) {
			best = d;
			found = (int)len;
		}
	}
	return found;
}

/* The fitting instruction that begins there and that RIP is at or right behind; its length, or 0. */
static unsigned length_at(const struct ew_exit_payload *p, uint64_t rip)
{
	uint64_t behind = p->rip - rip;
	struct decoded d;

	if (behind > BEFORE || !(p->insn_ok & (behind ? 1 : 2)) ||
		!decode(p->insn + BEFORE - behind, behind ? behind : AFTER, &d) || !fits(&d, p) ||
		(behind && d.insn.length != behind))
		return 0;
	return d.insn.length;
}

unsigned insn_locate(
	const struct ew_exit_payload *p, uint64_t hw_rip, uint64_t *insn_rip, uint8_t insn[16])
{
	struct decoded d;
	unsigned at = 0;
	int behind = 0;

	if ((p->space != EW_SPACE_PIO && p->space != EW_SPACE_MMIO) || !p->size)
		return 0;
	at = hw_rip ? length_at(p, hw_rip) : 0;
	if (at) {
		memset(insn, 0, 16);
		memcpy(insn, p->insn + BEFORE - (p->rip - hw_rip), at);
		*insn_rip = hw_rip;
		return at;
	}
	if ((p->insn_ok & 2) && decode(p->insn + BEFORE, AFTER, &d) && fits(&d, p))
		at = d.insn.length;
	if (p->insn_ok & 1)
		behind = length_behind(p);
	if (!at == !behind || behind < 0)
		return 0;
	memset(insn, 0, 16);
	if (at) {
		memcpy(insn, p->insn + BEFORE, at);
		*insn_rip = p->rip;
		return at;
	}
	memcpy(insn, p->insn + BEFORE - behind, (size_t)behind);
	*insn_rip = p->rip - (unsigned)behind;
	return (unsigned)behind;
}

unsigned insn_format(const uint8_t *bytes, size_t len, uint64_t rip, char *text, size_t text_size)
{
	struct decoded d;
	ZydisFormatter f;

	snprintf(text, text_size, "(bad)");
	if (!len || !decode(bytes, len, &d) ||
		!ZYAN_SUCCESS(ZydisFormatterInit(&f, ZYDIS_FORMATTER_STYLE_INTEL)))
		return 0;
	ZydisFormatterSetProperty(&f, ZYDIS_FORMATTER_PROP_HEX_UPPERCASE, ZYAN_FALSE);
	if (!ZYAN_SUCCESS(ZydisFormatterFormatInstruction(
		    &f, &d.insn, d.op, d.insn.operand_count_visible, text, text_size, rip, NULL))) {
		snprintf(text, text_size, "(bad)");
		return 0;
	}
	return d.insn.length;
}
