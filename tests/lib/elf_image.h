/* SPDX-License-Identifier: MIT */
/* Makes a small ELF64 file in memory that has nothing but function symbols. */
#ifndef EXITWALK_TESTS_ELF_IMAGE_H
#define EXITWALK_TESTS_ELF_IMAGE_H

#include <elf.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define ELF_IMAGE_SYMBOLS 16

struct elf_image_symbol {
	const char *name;
	uint64_t addr, size;
	unsigned char type; /* STT_FUNC … */
};

struct elf_image {
	Elf64_Ehdr header;
	Elf64_Shdr section[3]; /* none, .symtab, .strtab */
	Elf64_Sym symbol[1 + ELF_IMAGE_SYMBOLS];
	char strings[512];
};

/* At most ELF_IMAGE_SYMBOLS of them. */
static inline void elf_image_make(struct elf_image *f, const struct elf_image_symbol *s, unsigned n)
{
	size_t at = 1;

	memset(f, 0, sizeof(*f));
	memcpy(f->header.e_ident, ELFMAG, SELFMAG);
	f->header.e_ident[EI_CLASS] = ELFCLASS64;
	f->header.e_ident[EI_DATA] = ELFDATA2LSB;
	f->header.e_ident[EI_VERSION] = EV_CURRENT;
	f->header.e_type = ET_EXEC;
	f->header.e_machine = EM_X86_64;
	f->header.e_version = EV_CURRENT;
	f->header.e_ehsize = sizeof(f->header);
	f->header.e_shoff = offsetof(struct elf_image, section);
	f->header.e_shentsize = sizeof(Elf64_Shdr);
	f->header.e_shnum = 3;
	f->section[1] = (Elf64_Shdr){.sh_type = SHT_SYMTAB,
		.sh_offset = offsetof(struct elf_image, symbol),
		.sh_size = (1 + n) * sizeof(Elf64_Sym),
		.sh_link = 2,
		.sh_addralign = 8,
		.sh_entsize = sizeof(Elf64_Sym)};
	f->section[2] = (Elf64_Shdr){.sh_type = SHT_STRTAB,
		.sh_offset = offsetof(struct elf_image, strings),
		.sh_size = sizeof(f->strings),
		.sh_addralign = 1};
	for (unsigned i = 0; i < n; i++) {
		f->symbol[1 + i] = (Elf64_Sym){.st_name = (Elf64_Word)at,
			.st_info = ELF64_ST_INFO(STB_GLOBAL, s[i].type),
			.st_shndx = 1,
			.st_value = s[i].addr,
			.st_size = s[i].size};
		memcpy(f->strings + at, s[i].name, strlen(s[i].name));
		at += strlen(s[i].name) + 1;
	}
}

#endif
