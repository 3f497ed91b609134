/* SPDX-License-Identifier: MIT */
/*
 * A made-up Linux kernel in memory, as far as tracer/guest_linux.c looks at one: kallsyms tables in any of
 * their layouts, BTF, ORC tables, one module, one task.
 */
#ifndef EXITWALK_TESTS_KERNEL_IMAGE_H
#define EXITWALK_TESTS_KERNEL_IMAGE_H

#include <elf.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/btf_maker.h"
#include "tracer/kmem.h"
#include "tracer/orc.h"

#define IMAGE_BASE 0xffffffff9a200000u /* not where it was linked */
#define IMAGE_SIZE (256u << 10)
#define MODULE_BASE 0xffffffffc0311000u
#define MODULE_SIZE (16u << 10)
#define GS_BASE 0xffff88800f400000u
#define PERCPU_SIZE 4096u
#define CURRENT_TASK 0x80u /* in the per-CPU area */
#define TASK 0x200u

/* Functions, from the image's start on. */
#define TEXT(n) (IMAGE_BASE + 0x1000u * (n))
enum {
	F_IOWRITE16 = 1,
	F_BLK_MQ,
	F_SYS_PWRITE64,
	F_DO_SYSCALL,
	F_ENTRY,
	F_IDLE,
	F_ASM_COMMON,
	F_CALL_IRQ
};
#define F_VP_NOTIFY (MODULE_BASE + 0x100u)
#define F_VP_INTERRUPT (MODULE_BASE + 0x200u)

#define FILLERS 700 /* kallsyms has a marker for each 256 names */

enum layout { LAYOUT_6_1, LAYOUT_6_2, LAYOUT_6_4 };

struct area {
	uint64_t base;
	uint8_t *bytes;
	size_t size, used;
};

struct kernel_image {
	struct area image, module, percpu;
	enum layout layout;
	struct {
		uint64_t addr;
		char type;
		char name[40];
	} sym[FILLERS + 64];
	size_t syms;
	size_t tables; /* from here on the tables */
	size_t btf, btf_len, num_syms, orc_ips;
	struct kmem kmem;
};

static inline size_t put_bytes(struct area *a, const void *p, size_t n)
{
	size_t at = a->used;

	if (a->size - a->used < n)
		abort();
	if (p)
		memcpy(a->bytes + at, p, n);
	a->used += n;
	return at;
}

static inline size_t align_area(struct area *a, size_t n)
{
	a->used = (a->used + n - 1) / n * n;
	return a->used;
}

static inline size_t put_u16(struct area *a, uint16_t v)
{
	return put_bytes(a, &v, sizeof(v));
}

static inline size_t put_u32(struct area *a, uint32_t v)
{
	return put_bytes(a, &v, sizeof(v));
}

static inline size_t put_u64(struct area *a, uint64_t v)
{
	return put_bytes(a, &v, sizeof(v));
}

static inline void poke(struct area *a, size_t at, const void *p, size_t n)
{
	memcpy(a->bytes + at, p, n);
}

static inline void poke_u64(struct area *a, size_t at, uint64_t v)
{
	poke(a, at, &v, sizeof(v));
}

static inline void poke_u32(struct area *a, size_t at, uint32_t v)
{
	poke(a, at, &v, sizeof(v));
}

static inline void add_symbol(struct kernel_image *k, uint64_t addr, char type, const char *name)
{
	k->sym[k->syms].addr = addr;
	k->sym[k->syms].type = type;
	snprintf(k->sym[k->syms++].name, sizeof(k->sym[0].name), "%s", name);
}

/* --- kallsyms --------------------------------------------------------------------------------- */

/* Each character is a token; some bytes above them stand for more than one. */
static inline const char *token(unsigned code, char one[2])
{
	static const char *const more[] = {"virt", "queue", "sys_", "filler_", "write", "orc_"};

	one[0] = code > ' ' && code <= '~' ? (char)code : '?';
	one[1] = '\0';
	return code >= 0x80 && code < 0x80 + sizeof(more) / sizeof(more[0]) ? more[code - 0x80]
									    : one;
}

static inline size_t compress(const char *name, char type, uint8_t *out)
{
	size_t n = 0;

	out[n++] = (uint8_t)type;
	while (*name) {
		unsigned code = (unsigned char)*name;
		size_t len = 1;

		for (unsigned c = 0x80; c < 0x86; c++) {
			char one[2];
			const char *t = token(c, one);

			if (strncmp(name, t, strlen(t)) == 0) {
				code = c;
				len = strlen(t);
			}
		}
		out[n++] = (uint8_t)code;
		name += len;
	}
	return n;
}

static inline void put_names(struct kernel_image *k)
{
	struct area *a = &k->image;
	uint32_t marker[(FILLERS + 64) / 256 + 1];
	size_t names, groups = 0;

	align_area(a, 8);
	k->num_syms = put_u32(a, (uint32_t)k->syms);
	names = align_area(a, 8);
	for (size_t i = 0; i < k->syms; i++) {
		uint8_t bytes[64], len = (uint8_t)compress(k->sym[i].name, k->sym[i].type, bytes);

		if (i % 256 == 0)
			marker[groups++] = (uint32_t)(a->used - names);
		put_bytes(a, &len, 1);
		put_bytes(a, bytes, len);
	}
	align_area(a, 8);
	put_bytes(a, marker, 4 * groups);
	align_area(a, 8);
}

static inline void put_tokens(struct kernel_image *k)
{
	struct area *a = &k->image;
	size_t start = align_area(a, 8);
	uint16_t index[256];
	char one[2];

	for (unsigned i = 0; i < 256; i++) {
		const char *t = token(i, one);

		index[i] = (uint16_t)(a->used - start);
		put_bytes(a, t, strlen(t) + 1);
	}
	align_area(a, 8);
	put_bytes(a, index, sizeof(index));
	align_area(a, 8);
}

/* What is per CPU has its own (small) address; the others count from the base, backwards until 6.14. */
static inline void put_addresses(struct kernel_image *k, bool percpu)
{
	struct area *a = &k->image;

	align_area(a, 8);
	for (size_t i = 0; i < k->syms; i++) {
		uint64_t addr = k->sym[i].addr;

		if (!percpu)
			put_u32(a, (uint32_t)(addr - IMAGE_BASE));
		else if (addr < 1u << 20)
			put_u32(a, (uint32_t)addr);
		else
			put_u32(a, (uint32_t)(IMAGE_BASE - 1 - addr));
	}
	align_area(a, 8);
	put_u64(a, IMAGE_BASE);
}

static inline int by_symbol_address(const void *x, const void *y)
{
	const uint64_t *a = x, *b = y;

	return *a < *b ? -1 : *a > *b;
}

static inline void put_kallsyms(struct kernel_image *k)
{
	bool percpu;

	qsort(k->sym, k->syms, sizeof(k->sym[0]), by_symbol_address);
	percpu = k->sym[0].addr < 1u << 20;
	if (k->layout != LAYOUT_6_4)
		put_addresses(k, percpu);
	put_names(k);
	if (k->layout == LAYOUT_6_2)
		for (size_t i = 0; i < 3 * k->syms; i++) /* kallsyms_seqs_of_names */
			put_bytes(&k->image, (uint8_t[]){(uint8_t)(i * 37 + 1)}, 1);
	put_tokens(k);
	if (k->layout == LAYOUT_6_4)
		put_addresses(k, percpu);
}

/* --- BTF -------------------------------------------------------------------------------------- */

/* Offsets in the made-up structures, bytes. */
enum {
	M_LIST = 8,
	M_NAME = 24,
	M_KALLSYMS = 88,
	M_LAYOUT = 96,
	M_ARCH = 160,
	T_PID = 16,
	T_TGID = 24,
	T_COMM = 40,
};

static inline void btf_orc(struct btf_maker *b, uint32_t i32, enum layout layout)
{
	bool old = layout != LAYOUT_6_4;

	btf_type(b, "orc_entry", BTF_KIND_STRUCT | KFLAG, 6, 6);
	btf_member_of(b, "sp_offset", i32, BIT_FIELD(0, 16));
	btf_member_of(b, "bp_offset", i32, BIT_FIELD(16, 16));
	btf_member_of(b, "sp_reg", i32, BIT_FIELD(32, 4));
	btf_member_of(b, "bp_reg", i32, BIT_FIELD(36, 4));
	btf_member_of(b, "type", i32, BIT_FIELD(40, old ? 2 : 3));
	btf_member_of(b, old ? "end" : "signal", i32, BIT_FIELD(old ? 42 : 43, 1));
}

static inline void btf_module(struct btf_maker *b, uint32_t i32, uint32_t ptr, enum layout layout)
{
	bool old = layout != LAYOUT_6_4;
	uint32_t chars, list, area, arch;

	chars = btf_array_of(b, btf_type(b, "char", BTF_KIND_TYPEDEF, 0, i32), 56);
	list = btf_type(b, "list_head", BTF_KIND_STRUCT, 2, 16);
	btf_member_of(b, "next", ptr, 0);
	btf_member_of(b, "prev", ptr, 64);
	area = btf_type(
		b, old ? "module_layout" : "module_memory", BTF_KIND_STRUCT, old ? 3 : 2, 24);
	btf_member_of(b, "base", ptr, 0);
	btf_member_of(b, "size", i32, 64);
	if (old)
		btf_member_of(b, "text_size", i32, 96);
	else
		area = btf_array_of(b, area, 7);
	arch = btf_type(b, "mod_arch_specific", BTF_KIND_STRUCT, 3, 24);
	btf_member_of(b, "num_orcs", i32, 0);
	btf_member_of(b, "orc_unwind_ip", ptr, 64);
	btf_member_of(b, "orc_unwind", ptr, 128);
	btf_type(b, "mod_kallsyms", BTF_KIND_STRUCT, 3, 24);
	btf_member_of(b, "symtab", ptr, 0);
	btf_member_of(b, "num_symtab", i32, 64);
	btf_member_of(b, "strtab", ptr, 128);
	btf_type(b, "module", BTF_KIND_STRUCT, 5, 512);
	btf_member_of(b, "list", list, 8 * M_LIST);
	btf_member_of(b, "name", chars, 8 * M_NAME);
	btf_member_of(b, "kallsyms", ptr, 8 * M_KALLSYMS);
	btf_member_of(b, old ? "core_layout" : "mem", area, 8 * M_LAYOUT);
	btf_member_of(b, "arch", arch, 8 * M_ARCH);
}

static inline void put_btf(struct kernel_image *k)
{
	struct btf_maker b = {.strings_len = 1};
	uint32_t i32, ptr, inner;
	uint8_t bytes[BTF_BYTES_MAX];

	i32 = btf_type(&b, "int", BTF_KIND_INT, 0, 4);
	btf_more(&b, (uint32_t[]){32}, 4);
	ptr = btf_type(&b, "", BTF_KIND_PTR, 0, 0);
	btf_orc(&b, i32, k->layout);
	btf_module(&b, i32, ptr, k->layout);
	inner = btf_type(&b, "", BTF_KIND_UNION, 1, 8);
	btf_member_of(&b, "tgid", i32, 0);
	btf_type(&b, "task_struct", BTF_KIND_STRUCT, 3, 64);
	btf_member_of(&b, "pid", i32, 8 * T_PID);
	btf_member_of(&b, "", inner, 8 * T_TGID);
	btf_member_of(&b, "comm", ptr, 8 * T_COMM);
	btf_type(&b, "pcpu_hot", BTF_KIND_STRUCT, 1, 64);
	btf_member_of(&b, "current_task", ptr, 8 * 0x10);
	align_area(&k->image, 8);
	k->btf = put_bytes(&k->image, bytes, btf_bytes(&b, bytes));
	k->btf_len = k->image.used - k->btf;
	add_symbol(k, k->image.base + k->btf, 'R', "__start_BTF");
	add_symbol(k, k->image.base + k->image.used, 'R', "__stop_BTF");
}

/* --- ORC -------------------------------------------------------------------------------------- */

struct orc_at {
	uint64_t ip;
	struct orc orc;
};

/* As the layout's kernel encodes it. */
static inline void put_orc_entry(struct area *a, const struct orc *o, enum layout layout)
{
	static const uint8_t old[] = {[ORC_TYPE_REGS] = 1, [ORC_TYPE_REGS_PARTIAL] = 2};
	unsigned type = layout == LAYOUT_6_4 ? o->type : old[o->type];

	if (layout != LAYOUT_6_4 && o->type == ORC_TYPE_END)
		type = 4; /* the bit `end` behind a type of two bits */
	put_u16(a, (uint16_t)o->sp_offset);
	put_u16(a, (uint16_t)o->bp_offset);
	put_u16(a, (uint16_t)(o->sp_reg | o->bp_reg << 4 | type << 8));
}

static inline void put_orcs(struct area *a, const struct orc_at *v, size_t n, enum layout layout,
	uint64_t *ips, uint64_t *entries)
{
	*ips = a->base + align_area(a, 4);
	for (size_t i = 0; i < n; i++)
		put_u32(a, (uint32_t)(v[i].ip - (a->base + a->used)));
	*entries = a->base + a->used;
	for (size_t i = 0; i < n; i++)
		put_orc_entry(a, &v[i].orc, layout);
}

#define BY_SP(off)                                                                                 \
	{                                                                                          \
		.sp_offset = off, .sp_reg = ORC_REG_SP, .type = ORC_TYPE_CALL                      \
	}
#define BY_BP                                                                                      \
	{                                                                                          \
		.sp_offset = 16, .sp_reg = ORC_REG_BP, .bp_offset = -16,                           \
		.bp_reg = ORC_REG_PREV_SP, .type = ORC_TYPE_CALL                                   \
	}

static inline void put_kernel_orcs(struct kernel_image *k)
{
	static const struct orc_at v[] = {
		{TEXT(F_IOWRITE16), BY_SP(8)},
		{TEXT(F_BLK_MQ), BY_SP(8 + 0x18)},
		{TEXT(F_BLK_MQ) + 0x800, {.type = ORC_TYPE_UNDEFINED}},
		{TEXT(F_SYS_PWRITE64), BY_BP},
		{TEXT(F_DO_SYSCALL), BY_SP(8 + 0x10)},
		{TEXT(F_ENTRY), {.sp_reg = ORC_REG_SP, .type = ORC_TYPE_REGS}},
		{TEXT(F_IDLE), {.sp_reg = ORC_REG_UNDEFINED, .type = ORC_TYPE_END}},
		{TEXT(F_ASM_COMMON), {.sp_reg = ORC_REG_SP, .type = ORC_TYPE_REGS}},
		{TEXT(F_CALL_IRQ),
			{.sp_reg = ORC_REG_SP_INDIRECT, .sp_offset = 0x20, .type = ORC_TYPE_CALL}},
		{TEXT(F_CALL_IRQ) + 0x100, {.type = ORC_TYPE_UNDEFINED}},
	};
	const size_t n = sizeof(v) / sizeof(v[0]);
	uint64_t ips, entries;

	put_orcs(&k->image, v, n, k->layout, &ips, &entries);
	k->orc_ips = (size_t)(ips - k->image.base);
	add_symbol(k, ips, 'r', "__start_orc_unwind_ip");
	add_symbol(k, ips + 4 * n, 'r', "__stop_orc_unwind_ip");
	add_symbol(k, entries, 'r', "__start_orc_unwind");
}

/* --- a module and a task ---------------------------------------------------------------------- */

static inline void put_elf_symbol(
	struct area *a, uint32_t name, uint64_t value, uint64_t size, unsigned char info)
{
	const Elf64_Sym y = {.st_name = name,
		.st_info = info,
		.st_shndx = 1,
		.st_value = value,
		.st_size = size};

	put_bytes(a, &y, sizeof(y));
}

static inline void put_module(struct kernel_image *k, uint64_t head)
{
	static const struct orc_at v[] = {{F_VP_NOTIFY, BY_SP(8)}, {F_VP_INTERRUPT, BY_SP(8)}};
	static const char strings[] = "\0vp_notify\0vp_interrupt\0data";
	struct area *a = &k->module;
	uint64_t ips, entries, symtab, strtab, kallsyms;
	size_t at;

	a->used = 0x1000;
	put_orcs(a, v, 2, k->layout, &ips, &entries);
	strtab = a->base + put_bytes(a, strings, sizeof(strings));
	symtab = a->base + align_area(a, 8);
	put_elf_symbol(a, 0, 0, 0, 0);
	put_elf_symbol(a, 1, F_VP_NOTIFY, 0x80, ELF64_ST_INFO(STB_GLOBAL, STT_FUNC));
	put_elf_symbol(a, 11, F_VP_INTERRUPT, 0x80, ELF64_ST_INFO(STB_LOCAL, STT_FUNC));
	put_elf_symbol(a, 24, MODULE_BASE + 0x300, 8, ELF64_ST_INFO(STB_LOCAL, STT_OBJECT));
	kallsyms = a->base + a->used;
	put_u64(a, symtab);
	put_u64(a, 4);
	put_u64(a, strtab);
	at = align_area(a, 64);
	put_bytes(a, NULL, 512);
	poke_u64(a, at + M_LIST, head);
	poke(a, at + M_NAME, "virtio_pci", 11);
	poke_u64(a, at + M_KALLSYMS, kallsyms);
	poke_u64(a, at + M_LAYOUT, MODULE_BASE);
	poke_u32(a, at + M_LAYOUT + 8, 0x1000);
	poke_u32(a, at + M_LAYOUT + 12, 0x1000);
	poke_u32(a, at + M_ARCH, 2);
	poke_u64(a, at + M_ARCH + 8, ips);
	poke_u64(a, at + M_ARCH + 16, entries);
	poke_u64(&k->image, head - k->image.base, a->base + at + M_LIST);
}

static inline void put_task(struct kernel_image *k)
{
	struct area *a = &k->percpu;

	poke_u64(a, CURRENT_TASK + (k->layout == LAYOUT_6_2 ? 0x10 : 0), GS_BASE + TASK);
	poke_u32(a, TASK + T_PID, 42);
	poke_u32(a, TASK + T_TGID, 41);
	poke(a, TASK + T_COMM, "kworker/0:1H", 13);
}

/* --- all of it -------------------------------------------------------------------------------- */

static inline bool image_read(const struct kmem *m, uint64_t addr, void *to, size_t n)
{
	const struct kernel_image *k = m->ctx;
	const struct area *const area[] = {&k->image, &k->module, &k->percpu};

	for (size_t i = 0; i < 3; i++) {
		uint64_t at = addr - area[i]->base;

		if (at <= area[i]->size && area[i]->size - at >= n) {
			memcpy(to, area[i]->bytes + at, n);
			return true;
		}
	}
	return false;
}

static inline void new_area(struct area *a, uint64_t base, size_t size)
{
	*a = (struct area){.base = base, .bytes = calloc(1, size), .size = size};
	if (!a->bytes)
		abort();
}

static inline struct kernel_image *kernel_image_new(enum layout layout)
{
	static const char *const function[] = {[F_IOWRITE16] = "iowrite16",
		[F_BLK_MQ] = "blk_mq_dispatch_rq_list",
		[F_SYS_PWRITE64] = "__x64_sys_pwrite64",
		[F_DO_SYSCALL] = "do_syscall_64",
		[F_ENTRY] = "entry_SYSCALL_64_after_hwframe",
		[F_IDLE] = "default_idle",
		[F_ASM_COMMON] = "asm_common_interrupt",
		[F_CALL_IRQ] = "common_interrupt"};
	struct kernel_image *k = calloc(1, sizeof(*k));
	size_t head;

	if (!k)
		abort();
	k->layout = layout;
	k->kmem = (struct kmem){image_read, k};
	new_area(&k->image, IMAGE_BASE, IMAGE_SIZE);
	new_area(&k->module, MODULE_BASE, MODULE_SIZE);
	new_area(&k->percpu, GS_BASE, PERCPU_SIZE);
	add_symbol(k, IMAGE_BASE, 'T', "_text");
	for (unsigned i = 1; i < sizeof(function) / sizeof(function[0]); i++)
		add_symbol(k, TEXT(i), i == F_BLK_MQ ? 't' : 'T', function[i]);
	for (unsigned i = 0; i < FILLERS; i++) {
		char name[24];

		snprintf(name, sizeof(name), "filler_%u", i);
		add_symbol(k, TEXT(10) + 16 * i, 't', name);
	}
	add_symbol(k, CURRENT_TASK, 'A', layout == LAYOUT_6_2 ? "pcpu_hot" : "current_task");
	k->tables = k->image.used = 0x10000;
	head = put_u64(&k->image, 0);
	put_u64(&k->image, 0);
	add_symbol(k, IMAGE_BASE + head, 'd', "modules");
	put_btf(k);
	put_kernel_orcs(k);
	add_symbol(k, IMAGE_BASE + IMAGE_SIZE, 'B', "_end");
	put_kallsyms(k);
	put_module(k, IMAGE_BASE + head);
	put_task(k);
	return k;
}

static inline void kernel_image_free(struct kernel_image *k)
{
	free(k->image.bytes);
	free(k->module.bytes);
	free(k->percpu.bytes);
	free(k);
}

#endif
