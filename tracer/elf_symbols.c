/* SPDX-License-Identifier: MIT */
/* Function symbols of an ELF file in memory (libelf). */
#include "elf_symbols.h"

#include <errno.h>
#include <gelf.h>
#include <stdbool.h>
#include <string.h>

/* A name that can be printed as it is; anything else is damage. */
static bool is_name(const char *s)
{
	if (!s || !*s)
		return false;
	for (; *s; s++)
		if ((unsigned char)*s <= ' ' || (unsigned char)*s > '~')
			return false;
	return true;
}

static Elf_Scn *find_table(Elf *elf, uint32_t type, GElf_Shdr *header)
{
	Elf_Scn *s = NULL;

	while ((s = elf_nextscn(elf, s)))
		if (gelf_getshdr(s, header) && header->sh_type == type)
			return s;
	return NULL;
}

static int walk(Elf *elf, Elf_Scn *table, const GElf_Shdr *header, elf_symbol_fn fn, void *ctx)
{
	Elf_Data *data = elf_getdata(table, NULL);
	size_t count;
	GElf_Sym sym;
	int found = 0;

	if (!data || !data->d_buf || header->sh_entsize == 0)
		return -ENOEXEC;
	/* The smaller of what the header says and what is there. */
	count = data->d_size / header->sh_entsize;
	for (size_t i = 0; i < count && i < INT32_MAX && gelf_getsym(data, (int)i, &sym); i++) {
		const char *name;
		int ret;

		if (GELF_ST_TYPE(sym.st_info) != STT_FUNC || sym.st_shndx == SHN_UNDEF)
			continue;
		name = elf_strptr(elf, header->sh_link, sym.st_name);
		if (!is_name(name))
			continue;
		ret = fn(ctx, sym.st_value, sym.st_size, name);
		if (ret)
			return ret;
		found++;
	}
	return found;
}

int elf_symbols(const void *image, size_t len, elf_symbol_fn fn, void *ctx, const char *module,
	struct err *e)
{
	GElf_Shdr header;
	Elf_Scn *table;
	Elf *elf;
	int ret;

	if (elf_version(EV_CURRENT) == EV_NONE)
		return err_set(e, -ENOSYS, "libelf is older than the header it was built with");
	/* elf_memory() takes a pointer to non-const, but writes only after elf_update(). */
	elf = len < EI_NIDENT ? NULL : elf_memory((char *)(uintptr_t)image, len);
	if (!elf || elf_kind(elf) != ELF_K_ELF) {
		elf_end(elf);
		return err_set(e, -ENOEXEC, "%s: not an ELF file; its addresses stay without names",
			module);
	}
	table = find_table(elf, SHT_SYMTAB, &header);
	if (!table)
		table = find_table(elf, SHT_DYNSYM, &header);
	ret = table ? walk(elf, table, &header, fn, ctx) : 0;
	elf_end(elf);
	if (ret == -ENOEXEC)
		err_set(e, ret, "%s: its symbol table is damaged; its addresses stay without names",
			module);
	return ret;
}
