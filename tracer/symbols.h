/* SPDX-License-Identifier: MIT */
/* The recording's symbol table in memory: address → name + offset. */
#ifndef EXITWALK_TRACER_SYMBOLS_H
#define EXITWALK_TRACER_SYMBOLS_H

#include <sqlite3.h>
#include <stddef.h>
#include <stdint.h>
#include "err.h"

struct symbol {
	uint64_t addr, size;
	int64_t id; /* symbol.id */
	const char *name;
};

struct symbols;

int symbols_load(struct symbols **out, sqlite3 *db, struct err *e);
void symbols_free(struct symbols *s); /* NULL is fine */

/* The symbol whose bytes contain addr; the innermost if they nest; NULL if there is none. A symbol
 * of size 0 contains only its own address. */
const struct symbol *symbols_find(const struct symbols *s, uint64_t addr);

/* "name+0x1f", or "0x…" if no symbol contains it. Returns text. */
const char *symbols_format(const struct symbols *s, uint64_t addr, char *text, size_t size);

#endif
