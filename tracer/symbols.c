/* SPDX-License-Identifier: MIT */
/* Loads the symbol table of a recording once and looks addresses up by bisection. */
#include "symbols.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "sql.h"

struct symbols {
	struct symbol
		*v; /* by address, then larger before smaller: the last match is the innermost */
	uint64_t *reach; /* reach[i] = the highest end of v[0..i]: where looking back can stop */
	size_t n, cap;
};

static uint64_t symbol_end(const struct symbol *y)
{
	uint64_t end = y->addr + (y->size ? y->size : 1);

	return end < y->addr ? UINT64_MAX : end;
}

static int by_address(const void *a, const void *b)
{
	const struct symbol *x = a, *y = b;

	if (x->addr != y->addr)
		return x->addr < y->addr ? -1 : 1;
	if (x->size != y->size)
		return x->size > y->size ? -1 : 1;
	return x->id > y->id ? -1 : x->id < y->id; /* of aliases, the first one stored wins */
}

static int symbols_add(struct symbols *s, sqlite3_stmt *row)
{
	const char *name = (const char *)sqlite3_column_text(row, 3);
	struct symbol *y;

	if (s->n == s->cap) {
		size_t cap = s->cap ? 2 * s->cap : 256;
		struct symbol *v = reallocarray(s->v, cap, sizeof(*v));

		if (!v)
			return -ENOMEM;
		s->v = v;
		s->cap = cap;
	}
	y = &s->v[s->n];
	y->id = sqlite3_column_int64(row, 0);
	y->addr = (uint64_t)sqlite3_column_int64(row, 1);
	y->size = (uint64_t)sqlite3_column_int64(row, 2);
	y->name = strdup(name ? name : "?");
	if (!y->name)
		return -ENOMEM;
	s->n++;
	return 0;
}

static int symbols_index(struct symbols *s)
{
	if (!s->n)
		return 0;
	qsort(s->v, s->n, sizeof(*s->v), by_address);
	s->reach = calloc(s->n, sizeof(*s->reach));
	if (!s->reach)
		return -ENOMEM;
	for (size_t i = 0; i < s->n; i++) {
		s->reach[i] = symbol_end(&s->v[i]);
		if (i && s->reach[i - 1] > s->reach[i])
			s->reach[i] = s->reach[i - 1];
	}
	return 0;
}

int symbols_load(struct symbols **out, sqlite3 *db, struct err *e)
{
	struct symbols *s = calloc(1, sizeof(*s));
	sqlite3_stmt *row = NULL;
	int ret;

	if (!s)
		return err_set(e, -ENOMEM, "out of memory");
	ret = sql_prepare(db, &row, e, "SELECT id, addr, size, name FROM symbol");
	while (!ret) {
		ret = sql_step(row, e);
		if (ret <= 0)
			break;
		ret = symbols_add(s, row);
	}
	sqlite3_finalize(row);
	if (!ret)
		ret = symbols_index(s);
	if (ret) {
		symbols_free(s);
		return err_set(e, ret, "out of memory while loading the symbols");
	}
	*out = s;
	return 0;
}

void symbols_free(struct symbols *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < s->n; i++)
		free((char *)s->v[i].name);
	free(s->v);
	free(s->reach);
	free(s);
}

const struct symbol *symbols_find(const struct symbols *s, uint64_t addr)
{
	size_t low = 0, high = s->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (s->v[mid].addr <= addr)
			low = mid + 1;
		else
			high = mid;
	}
	while (low-- > 0 && s->reach[low] > addr)
		if (symbol_end(&s->v[low]) > addr)
			return &s->v[low];
	return NULL;
}

const char *symbols_format(const struct symbols *s, uint64_t addr, char *text, size_t size)
{
	const struct symbol *y = symbols_find(s, addr);

	if (y)
		snprintf(text, size, "%s+0x%" PRIx64, y->name, addr - y->addr);
	else
		snprintf(text, size, "0x%" PRIx64, addr);
	return text;
}
