/* SPDX-License-Identifier: MIT */
/*
 * ORC: how Linux finds a caller's frame without frame pointers (Documentation/arch/x86/orc-unwinder.rst).
 * For each instruction an entry says where the stack pointer of the caller is, and its RBP.
 */
#ifndef EXITWALK_TRACER_ORC_H
#define EXITWALK_TRACER_ORC_H

#include "btf.h"
#include "kmem.h"

/* arch/x86/include/asm/orc_types.h: ORC_REG_*. The recording stores these numbers. */
enum orc_reg {
	ORC_REG_UNDEFINED,
	ORC_REG_PREV_SP,
	ORC_REG_DX,
	ORC_REG_DI,
	ORC_REG_BP,
	ORC_REG_SP,
	ORC_REG_R10,
	ORC_REG_R13,
	ORC_REG_BP_INDIRECT,
	ORC_REG_SP_INDIRECT,
};

/* What lies at the caller's stack pointer. The numbers are Linux's since 6.4, and what is stored. */
enum orc_type {
	ORC_TYPE_UNDEFINED,    /* nobody knows */
	ORC_TYPE_END,          /* there is no caller */
	ORC_TYPE_CALL,         /* a return address below it */
	ORC_TYPE_REGS,         /* a struct pt_regs */
	ORC_TYPE_REGS_PARTIAL, /* its last five members, which an exception pushes */
};

struct orc {
	int16_t sp_offset, bp_offset;
	uint8_t sp_reg, bp_reg; /* enum orc_reg */
	uint8_t type;           /* enum orc_type */
	bool after_call;        /* the bytes in front of the next address are a call */
};

/* Where the fields of struct orc_entry are in this kernel. */
struct orc_format {
	struct btf_field sp_offset, bp_offset, sp_reg, bp_reg, type;
	struct btf_field end; /* until 6.3, which has other types; bits 0: none */
	uint32_t size;        /* bytes */
};

/*
 * By the kernel's own types. Without them (btf NULL), or if they do not tell, by what is known of 6.1 and, if
 * the kernel has ORC headers (6.4 on), of those; 6.3 without types is read wrong.
 */
void orc_format_of(const struct btf *b, bool has_headers, struct orc_format *f);

/* An entry as the kernel has it, f->size bytes. */
void orc_decode(const struct orc_format *f, const uint8_t *raw, struct orc *o);

/* Sorted by address. ips: 32-bit distances from themselves; entries: struct orc_entry. */
struct orc_table {
	uint64_t ips, entries; /* the guest's addresses */
	size_t n;
};

/* The entry that is valid for the instruction at `ip`; false if there is none or it cannot be read. */
bool orc_find(const struct kmem *m, const struct orc_format *f, const struct orc_table *t,
	uint64_t ip, struct orc *o);

/* Do these bytes, the last of which stands in front of a return address, end with a call? */
#define ORC_CALL_BYTES 7
bool orc_is_call(const uint8_t bytes[ORC_CALL_BYTES]);

#endif
