/* SPDX-License-Identifier: MIT */
/* Reads ORC tables where the guest's kernel has them. */
#include "orc.h"

#include <string.h>

enum { RAW_MAX = 8 };

static bool take_field(const struct btf *b, const char *name, struct btf_field *f)
{
	return btf_field(b, "orc_entry", name, f) && f->bits && f->bits <= 16 &&
	       f->bit + f->bits <= 8 * RAW_MAX;
}

static bool by_types(const struct btf *b, struct orc_format *f)
{
	f->size = btf_size(b, "orc_entry");
	if (!f->size || f->size > RAW_MAX || !take_field(b, "sp_offset", &f->sp_offset) ||
		!take_field(b, "bp_offset", &f->bp_offset) ||
		!take_field(b, "sp_reg", &f->sp_reg) || !take_field(b, "bp_reg", &f->bp_reg) ||
		!take_field(b, "type", &f->type))
		return false;
	if (!take_field(b, "end", &f->end))
		f->end = (struct btf_field){0, 0};
	return true;
}

void orc_format_of(const struct btf *b, bool has_headers, struct orc_format *f)
{
	if (b && by_types(b, f))
		return;
	*f = (struct orc_format){{0, 16}, {16, 16}, {32, 4}, {36, 4}, {40, 2}, {42, 1}, 6};
	if (has_headers) {
		f->type.bits = 3;
		f->end.bits = 0;
	}
}

static uint64_t field(const struct btf_field *f, uint64_t raw)
{
	return raw >> f->bit & ((1u << f->bits) - 1);
}

void orc_decode(const struct orc_format *f, const uint8_t *bytes, struct orc *o)
{
	/* Until 6.3: UNWIND_HINT_TYPE_*, and what has no caller has no stack pointer. */
	static const uint8_t before[] = {ORC_TYPE_CALL, ORC_TYPE_REGS, ORC_TYPE_REGS_PARTIAL};
	uint64_t raw = 0, type;

	memcpy(&raw, bytes, f->size);
	type = field(&f->type, raw);
	*o = (struct orc){
		.sp_offset = (int16_t)field(&f->sp_offset, raw),
		.bp_offset = (int16_t)field(&f->bp_offset, raw),
		.sp_reg = (uint8_t)field(&f->sp_reg, raw),
		.bp_reg = (uint8_t)field(&f->bp_reg, raw),
	};
	if (!f->end.bits)
		o->type = type <= ORC_TYPE_REGS_PARTIAL ? (uint8_t)type : ORC_TYPE_UNDEFINED;
	else if (o->sp_reg == ORC_REG_UNDEFINED)
		o->type = field(&f->end, raw) ? ORC_TYPE_END : ORC_TYPE_UNDEFINED;
	else
		o->type = type < sizeof(before) ? before[type] : ORC_TYPE_UNDEFINED;
}

/* The address that entry i is for. */
static bool ip_at(const struct kmem *m, const struct orc_table *t, size_t i, uint64_t *ip)
{
	int32_t distance;

	if (!kmem_read(m, t->ips + 4 * i, &distance, sizeof(distance)))
		return false;
	*ip = t->ips + 4 * i + (uint64_t)(int64_t)distance;
	return true;
}

bool orc_find(const struct kmem *m, const struct orc_format *f, const struct orc_table *t,
	uint64_t ip, struct orc *o)
{
	uint8_t raw[RAW_MAX], code[ORC_CALL_BYTES];
	size_t low = 0, high = t->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		uint64_t here;

		if (!ip_at(m, t, mid, &here))
			return false;
		if (here <= ip)
			low = mid + 1;
		else
			high = mid;
	}
	if (!low || !kmem_read(m, t->entries + (low - 1) * f->size, raw, f->size))
		return false;
	orc_decode(f, raw, o);
	o->after_call = kmem_read(m, ip + 1 - sizeof(code), code, sizeof(code)) &&
			orc_is_call(code);
	return true;
}

/* CALL rel32 (e8), or CALL r/m64 (ff /2) with what the ModRM byte asks for (SDM vol. 2). */
bool orc_is_call(const uint8_t b[ORC_CALL_BYTES])
{
	static const struct {
		uint8_t len, mod; /* of ff /2: bytes, and the field mod */
	} indirect[] = {{2, 3}, {2, 0}, {3, 1}, {3, 0}, {4, 1}, {6, 2}, {6, 0}, {7, 2}, {7, 0}};

	if (b[ORC_CALL_BYTES - 5] == 0xe8)
		return true;
	for (size_t i = 0; i < sizeof(indirect) / sizeof(indirect[0]); i++) {
		const uint8_t *p = b + ORC_CALL_BYTES - indirect[i].len;

		if (p[0] == 0xff && (p[1] >> 3 & 7) == 2 && p[1] >> 6 == indirect[i].mod)
			return true;
	}
	return false;
}
