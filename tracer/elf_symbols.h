/* SPDX-License-Identifier: MIT */
/* Function symbols of an ELF file in memory. */
#ifndef EXITWALK_TRACER_ELF_SYMBOLS_H
#define EXITWALK_TRACER_ELF_SYMBOLS_H

#include <stddef.h>
#include <stdint.h>
#include "err.h"

/* Called for each; the name is borrowed. Non-zero ends the walk and is returned. */
typedef int (*elf_symbol_fn)(void *ctx, uint64_t addr, uint64_t size, const char *name);

/*
 * Every defined symbol of type STT_FUNC in .symtab (.dynsym if there is none). Returns their number,
 * -ENOEXEC if these bytes are no ELF file or a damaged one, or what fn returned.
 */
int elf_symbols(const void *elf, size_t len, elf_symbol_fn fn, void *ctx, const char *module,
	struct err *e);

#endif
