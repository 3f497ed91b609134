/* SPDX-License-Identifier: MIT */
/* Walks the list of a Linux guest's modules, for their names and unwind tables. */
#include <elf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "guest_linux.h"

enum {
	MODULES_MAX = 1024,
	MODULE_SYMS_MAX = 1 << 16,
	MODULE_TEXT_MAX = 64 << 20,
	MODULE_ORCS_MAX = 1 << 22,
	MODULE_NAME_LEN = 56, /* include/linux/moduleparam.h: MODULE_NAME_LEN, on 64 bits */
};

static bool read_field(
	const struct kmem *m, uint64_t at, const struct btf_field *f, void *to, size_t n)
{
	return f->bits == 8 * n && kmem_read(m, at + f->bit / 8, to, n);
}

/* A name in the guest's memory, without its NUL. Returns its length; 0: there is none. */
static size_t read_name(const struct kmem *m, uint64_t at, char *name, size_t max)
{
	/* In pieces that do not cross a page: the one behind may not be there. */
	for (size_t len = 0, n; len < max; len += n) {
		const char *end;

		n = 64 - (at + len) % 64;
		if (n > max - len)
			n = max - len;
		if (!kmem_read(m, at + len, name + len, n))
			return 0;
		end = memchr(name + len, '\0', n);
		if (end)
			return (size_t)(end - name);
	}
	return 0;
}

struct module {
	struct guest_text text;
	int number; /* in ksyms */
	uint64_t symtab, strtab;
	uint32_t syms;
};

static bool read_text(
	const struct guest_linux *g, const struct kmem *m, uint64_t at, struct guest_text *t)
{
	uint32_t size, orcs = 0;

	if (!read_field(m, at, &g->module.base, &t->from, sizeof(t->from)) ||
		!read_field(m, at, &g->module.size, &size, sizeof(size)) ||
		!kmem_is_kernel(t->from) || !size || size > MODULE_TEXT_MAX)
		return false;
	t->to = t->from + size;
	if (g->module.has_orc && read_field(m, at, &g->module.num_orcs, &orcs, sizeof(orcs)) &&
		orcs <= MODULE_ORCS_MAX &&
		read_field(m, at, &g->module.orc_ips, &t->orc.ips, sizeof(t->orc.ips)) &&
		read_field(m, at, &g->module.orcs, &t->orc.entries, sizeof(t->orc.entries)))
		t->orc.n = orcs;
	return true;
}

/* "[virtio_blk]", as /proc/kallsyms shows it. */
static int read_module(struct guest_linux *g, const struct kmem *m, uint64_t at, struct module *mod)
{
	char raw[MODULE_NAME_LEN], name[MODULE_NAME_LEN + 3];
	size_t len = read_name(m, at + g->module.name.bit / 8, raw, sizeof(raw));
	uint64_t kallsyms;

	*mod = (struct module){0};
	if (!ksyms_printable(raw, len) || !read_text(g, m, at, &mod->text))
		return -ENOENT;
	snprintf(name, sizeof(name), "[%.*s]", (int)len, raw);
	mod->number = ksyms_module(&g->syms, name);
	if (mod->number < 0)
		return mod->number;
	if (!read_field(m, at, &g->module.kallsyms, &kallsyms, sizeof(kallsyms)) ||
		!read_field(m, kallsyms, &g->module.symtab, &mod->symtab, sizeof(mod->symtab)) ||
		!read_field(m, kallsyms, &g->module.num_symtab, &mod->syms, sizeof(mod->syms)) ||
		!read_field(m, kallsyms, &g->module.strtab, &mod->strtab, sizeof(mod->strtab)) ||
		mod->syms > MODULE_SYMS_MAX)
		mod->syms = 0;
	return 0;
}

/* struct mod_kallsyms has the module's ELF symbols as they are, with addresses for values. */
static int add_symbols(struct guest_linux *g, const struct kmem *m, const struct module *mod)
{
	int ret = 0;

	for (uint32_t i = 0; !ret && i < mod->syms; i++) {
		char name[KSYMS_NAME_MAX];
		Elf64_Sym y;
		size_t len;

		if (!kmem_read(m, mod->symtab + i * sizeof(y), &y, sizeof(y)))
			break;
		if (y.st_value < mod->text.from || y.st_value >= mod->text.to ||
			y.st_shndx == SHN_UNDEF || ELF64_ST_TYPE(y.st_info) > STT_FUNC ||
			ELF64_ST_TYPE(y.st_info) == STT_OBJECT)
			continue;
		len = read_name(m, mod->strtab + y.st_name, name, sizeof(name));
		ret = ksyms_add(&g->syms,
			&(struct ksym){.addr = y.st_value,
				.size = y.st_size < MODULE_TEXT_MAX ? (uint32_t)y.st_size : 0,
				.module = (uint16_t)mod->number,
				.type = ELF64_ST_BIND(y.st_info) == STB_LOCAL ? 't' : 'T'},
			name, len);
	}
	return ret;
}

int guest_linux_modules(struct guest_linux *g, const struct kmem *m)
{
	const uint64_t link = g->module.list.bit / 8;
	uint64_t node = g->modules;
	int found = 0, ret = 0;

	if (!g->module.known || !g->modules)
		return 0;
	/* list_head.next comes first; the list ends where it began. */
	for (unsigned i = 0; !ret && i < MODULES_MAX; i++) {
		struct module mod;

		if (!kmem_read(m, node, &node, sizeof(node)) || node == g->modules ||
			!kmem_is_kernel(node))
			break;
		ret = read_module(g, m, node - link, &mod);
		if (ret == -ENOENT) {
			ret = 0;
			continue;
		}
		if (!ret)
			ret = add_symbols(g, m, &mod);
		if (!ret)
			ret = guest_linux_add_text(g, &mod.text);
		found++;
	}
	ksyms_sort(&g->syms);
	return ret ? ret : found;
}
