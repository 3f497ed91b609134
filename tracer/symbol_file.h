/* SPDX-License-Identifier: MIT */
/* Names of a Linux kernel's addresses from a file: a vmlinux, a System.map, a copy of /proc/kallsyms. */
#ifndef EXITWALK_TRACER_SYMBOL_FILE_H
#define EXITWALK_TRACER_SYMBOL_FILE_H

#include "err.h"
#include "ksyms.h"

/*
 * Adds the file's symbols, by the addresses that it has. `name` is for the sentence. -ENOEXEC: it is none of
 * the three, or damaged, or has only zeros for addresses (/proc/kallsyms as a user reads it); -ENOMEM, -E2BIG.
 */
int symbol_file_read(
	struct ksyms *s, const void *data, size_t len, const char *name, struct err *e);

/*
 * Moves the kernel's symbols to where its image is in this boot: `base`, the first address that is mapped.
 * Modules stay only if nothing had to be moved: the file is of the same boot then. -ENOENT: it has no _text.
 */
int symbol_file_move(struct ksyms *s, uint64_t base);

#endif
