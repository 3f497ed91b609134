/* SPDX-License-Identifier: MIT */
#include "symbol_file.h"

#include <ctype.h>
#include <errno.h>
#include <gelf.h>
#include <stdlib.h>
#include <string.h>

/* Documentation/arch/x86/x86_64/mm.rst: the kernel's text mapping. What is per CPU lies below it. */
#define KERNEL_FROM 0xffffffff80000000ull
#define IMAGE_ALIGN (2ull << 20)

/* --- vmlinux ---------------------------------------------------------------------------------- */

/* A letter as nm(1) has it, as far as ksym_is_function() asks; 0: this symbol names no address. */
static char elf_type(Elf *elf, const GElf_Sym *y)
{
	bool local = GELF_ST_BIND(y->st_info) == STB_LOCAL;
	unsigned type = GELF_ST_TYPE(y->st_info);
	GElf_Shdr section;

	if (y->st_shndx == SHN_ABS)
		return 'A';
	if (type > STT_FUNC || !gelf_getshdr(elf_getscn(elf, y->st_shndx), &section) ||
		y->st_shndx == SHN_UNDEF)
		return 0;
	if (section.sh_flags & SHF_EXECINSTR)
		return local ? 't' : 'T';
	return local ? 'd' : 'D';
}

static int add_elf_table(struct ksyms *s, Elf *elf, Elf_Scn *table, const GElf_Shdr *header)
{
	Elf_Data *data = elf_getdata(table, NULL);
	size_t count = data && header->sh_entsize ? data->d_size / header->sh_entsize : 0;
	int ret = 0;
	GElf_Sym y;

	for (size_t i = 0; !ret && i < count && i < INT32_MAX && gelf_getsym(data, (int)i, &y);
		i++) {
		const char *name = elf_strptr(elf, header->sh_link, y.st_name);
		struct ksym k = {.addr = y.st_value, .type = elf_type(elf, &y)};

		if (k.type && name && y.st_size < UINT32_MAX) {
			k.size = (uint32_t)y.st_size;
			ret = ksyms_add(s, &k, name, strlen(name));
		}
	}
	return ret;
}

static int read_elf(struct ksyms *s, const void *image, size_t len)
{
	Elf_Scn *table = NULL;
	GElf_Shdr header;
	int ret = 0;
	Elf *elf;

	if (elf_version(EV_CURRENT) == EV_NONE)
		return -ENOEXEC;
	/* elf_memory() takes a pointer to non-const, but writes only after elf_update(). */
	elf = elf_memory((char *)(uintptr_t)image, len);
	if (!elf || elf_kind(elf) != ELF_K_ELF)
		ret = -ENOEXEC;
	while (!ret && (table = elf_nextscn(elf, table)))
		if (gelf_getshdr(table, &header) && header.sh_type == SHT_SYMTAB)
			ret = add_elf_table(s, elf, table, &header);
	elf_end(elf);
	return ret;
}

/* --- System.map, /proc/kallsyms ----------------------------------------------------------------- */

/* "ffffffff81000000 T _text", and in /proc/kallsyms "\t[module]" behind a module's. */
static int add_line(struct ksyms *s, const char *line, size_t len)
{
	const char *end = line + len, *name, *p;
	char module[64] = "vmlinux";
	struct ksym y = {0};
	int number;

	for (p = line; p < end && isxdigit((unsigned char)*p); p++)
		y.addr = y.addr << 4 |
			 (unsigned)(isdigit((unsigned char)*p) ? *p - '0' : (*p | 32) - 'a' + 10);
	if (p == line || p - line > 16 || end - p < 4 || p[0] != ' ' || p[2] != ' ')
		return -ENOEXEC;
	y.type = p[1];
	name = p + 3;
	for (p = name; p < end && *p != '\t' && *p != ' ' && *p != '\r'; p++)
		;
	len = (size_t)(p - name);
	while (p < end && (*p == '\t' || *p == ' '))
		p++;
	if (p < end && *p == '[')
		snprintf(module, sizeof(module), "%.*s", (int)strcspn(p, "\r\n"), p);
	number = ksyms_module(s, module);
	if (number < 0)
		return number;
	y.module = (uint16_t)number;
	return ksyms_add(s, &y, name, len);
}

static int read_lines(struct ksyms *s, const char *text, size_t len)
{
	const char *end = text + len;
	int ret = 0;

	while (!ret && text < end) {
		const char *nl = memchr(text, '\n', (size_t)(end - text));
		size_t n = (size_t)((nl ? nl : end) - text);
		char line[KSYMS_NAME_MAX + 128];

		if (n >= sizeof(line))
			return -ENOEXEC;
		memcpy(line, text, n);
		line[n] = '\0';
		ret = add_line(s, line, n);
		text += n + 1;
	}
	return ret;
}

/* --- both --------------------------------------------------------------------------------------- */

static bool all_zero(const struct ksyms *s)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->v[i].addr)
			return false;
	return true;
}

int symbol_file_read(struct ksyms *s, const void *data, size_t len, const char *name, struct err *e)
{
	int ret = ksyms_module(s, "vmlinux");

	if (ret >= 0)
		ret = len > EI_NIDENT && memcmp(data, ELFMAG, SELFMAG) == 0
			      ? read_elf(s, data, len)
			      : read_lines(s, data, len);
	if (ret == -ENOMEM)
		return err_set(e, ret, "out of memory for the symbols of %s", name);
	if (ret == -E2BIG)
		return err_set(
			e, ret, "%s has more symbols than any kernel: is it the right file?", name);
	if (ret || !s->n)
		return err_set(e, -ENOEXEC,
			"%s names no addresses: give a vmlinux with symbols, a System.map or a copy of "
			"/proc/kallsyms",
			name);
	if (all_zero(s))
		return err_set(e, -ENOEXEC,
			"%s has only zeros for addresses: copy /proc/kallsyms as root", name);
	return 0;
}

int symbol_file_move(struct ksyms *s, uint64_t base)
{
	const struct ksym *text = ksyms_by_name(s, "_text");
	uint64_t by;
	size_t kept = 0;

	if (!text)
		return -ENOENT;
	by = base - (text->addr & ~(IMAGE_ALIGN - 1));
	for (size_t i = 0; i < s->n; i++) {
		if (by && s->v[i].module != text->module)
			continue;
		s->v[kept] = s->v[i];
		if (s->v[kept].addr >= KERNEL_FROM)
			s->v[kept].addr += by;
		kept++;
	}
	s->n = kept;
	return 0;
}
