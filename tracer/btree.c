/* SPDX-License-Identifier: MIT */
/* The pages of a table of SQLite's, made from rows in order. */
#include "btree.h"

#include <assert.h>
#include <string.h>

#define LEAF 0x0d     /* flags of a table's leaf */
#define INTERIOR 0x05 /* and of its interior pages */
#define LEAF_HEADER 8
#define INTERIOR_HEADER 12
#define POINTER 2      /* bytes of a cell's place in the array behind the header */
#define CHILD_MAX 13   /* a cell of an interior page: page number, varint */
#define VARINT_MAX 9   /* bytes */
#define TYPE_ZERO 8    /* serial types of the integers 0 and 1, which have no bytes */
#define TYPE_BLOB_0 12 /* a blob of n bytes is 12 + 2 n */
#define BLOB_MAX 64    /* so that its type is one or two bytes */

static void put16(uint8_t *p, unsigned v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void put32(uint8_t *p, uint32_t v)
{
	v = __builtin_bswap32(v);
	memcpy(p, &v, sizeof(v));
}

/* Big-endian groups of seven bits; the ninth byte has eight. */
static unsigned put_varint(uint8_t *p, uint64_t v)
{
	unsigned n = 1;

	if (v < 0x80) {
		*p = (uint8_t)v;
		return 1;
	}
	if (v >> 56) {
		p[8] = (uint8_t)v;
		v >>= 8;
		for (int i = 7; i >= 0; i--, v >>= 7)
			p[i] = (uint8_t)(v & 0x7f) | 0x80;
		return 9;
	}
	while (v >> 7 * n)
		n++;
	for (unsigned i = 0; i < n; i++)
		p[i] = (uint8_t)(v >> 7 * (n - 1 - i) | 0x80);
	p[n - 1] &= 0x7f;
	return n;
}

/* --- records -------------------------------------------------------------------------------- */

/* By the number of bits that an integer needs with its sign: its serial type, and its bytes. */
static unsigned serial_type(int64_t v, unsigned *bytes)
{
	static const uint8_t size[] = {1, 1, 2, 3, 4, 6, 6, 8, 8};
	static const uint8_t type[] = {1, 1, 2, 3, 4, 5, 5, 6, 6};
	unsigned octets;

	*bytes = 0;
	if (v == 0 || v == 1)
		return TYPE_ZERO + (unsigned)v;
	octets = (unsigned)(64 - __builtin_clzll((uint64_t)(v ^ v >> 63) | 1)) / 8 + 1;
	*bytes = size[octets];
	return type[octets];
}

void btree_integers(struct btree_record *r, int columns, const int64_t *value, uint32_t known)
{
	uint8_t *type = r->bytes, *body = type + 1 + columns;

	assert(columns <= BTREE_COLUMNS);
	memset(type, 0, BTREE_COLUMNS + 1); /* NULL */
	type[0] = (uint8_t)(1 + columns);   /* the header's own length; all types are one byte */
	for (known &= ~1u; known; known &= known - 1) {
		int i = __builtin_ctz(known);
		unsigned bytes;
		uint64_t big;

		type[1 + i] = (uint8_t)serial_type(value[i], &bytes);
		/* Eight bytes are written, of which the first ones count. */
		big = __builtin_bswap64((uint64_t)value[i] << (64 - 8 * bytes) % 64);
		memcpy(body, &big, sizeof(big));
		body += bytes;
	}
	r->len = (size_t)(body - r->bytes);
}

void btree_blob(struct btree_record *r, const void *data, size_t len)
{
	unsigned n = 1;

	assert(len <= BLOB_MAX);
	r->bytes[n++] = 0;
	n += put_varint(r->bytes + n, TYPE_BLOB_0 + 2 * len);
	r->bytes[0] = (uint8_t)n;
	memcpy(r->bytes + n, data, len);
	r->len = n + len;
}

/* --- pages ---------------------------------------------------------------------------------- */

static unsigned header_of(unsigned level)
{
	return level ? INTERIOR_HEADER : LEAF_HEADER;
}

static unsigned room(const struct btree_page *p, unsigned level)
{
	return p->content - header_of(level) - POINTER * p->cells;
}

static void put_cell(struct btree_page *p, unsigned level, const uint8_t *head, unsigned head_len,
	const uint8_t *body, size_t len)
{
	p->content -= (unsigned)(head_len + len);
	memcpy(p->bytes + p->content, head, head_len);
	if (len)
		memcpy(p->bytes + p->content + head_len, body, len);
	put16(p->bytes + header_of(level) + POINTER * p->cells++, p->content);
}

static void put_child(struct btree_page *p, uint32_t child, int64_t key)
{
	uint8_t cell[CHILD_MAX];

	put32(cell, child);
	put_cell(p, 1, cell, 4 + put_varint(cell + 4, (uint64_t)key), NULL, 0);
}

static void begin(struct btree_page *p)
{
	memset(p->bytes, 0, sizeof(p->bytes));
	p->cells = 0;
	p->content = BTREE_PAGE;
	p->number = 0;
}

static void put_header(uint8_t *bytes, unsigned level, unsigned cells, unsigned content)
{
	bytes[0] = level ? INTERIOR : LEAF;
	put16(bytes + 1, 0); /* no free blocks */
	put16(bytes + 3, cells);
	put16(bytes + 5, content);
	bytes[7] = 0; /* no fragments */
}

void btree_init(struct btree *t, uint32_t root)
{
	t->root = root;
	t->levels = 0;
	t->last = 0;
	begin(&t->leaf);
}

bool btree_add(struct btree *t, int64_t rowid, const struct btree_record *r)
{
	uint8_t head[2 * VARINT_MAX];
	unsigned n = put_varint(head, r->len);

	n += put_varint(head + n, (uint64_t)rowid);
	if (n + r->len + POINTER > room(&t->leaf, 0))
		return false;
	put_cell(&t->leaf, 0, head, n, r->bytes, r->len);
	t->last = rowid;
	return true;
}

void btree_next_leaf(struct btree *t)
{
	begin(&t->leaf);
}

bool btree_link(struct btree *t, unsigned level, uint32_t number, int64_t key,
	struct btree_page *full, int64_t *full_key)
{
	struct btree_level *l = &t->level[level - 1];

	if (level > t->levels) {
		begin(&l->page);
		l->child = 0;
		t->levels = level;
	}
	/* There must be room for one cell more: btree_edge() makes one of the last child. */
	if (l->child && room(&l->page, level) < 2 * (CHILD_MAX + POINTER)) {
		*full = l->page;
		put_header(full->bytes, level, full->cells, full->content);
		put32(full->bytes + LEAF_HEADER, l->child);
		*full_key = l->key;
		begin(&l->page);
		l->child = 0;
		return false;
	}
	if (l->child)
		put_child(&l->page, l->child, l->key);
	l->child = number;
	l->key = key;
	return true;
}

void btree_edge(const struct btree *t, unsigned level, uint32_t below, uint8_t *bytes)
{
	const struct btree_level *l = level ? &t->level[level - 1] : NULL;
	struct btree_page p = l ? l->page : t->leaf;

	if (l) {
		put_child(&p, l->child, l->key);
		put32(p.bytes + LEAF_HEADER, below);
	}
	put_header(p.bytes, level, p.cells, p.content);
	memcpy(bytes, p.bytes, sizeof(p.bytes));
}
