/* SPDX-License-Identifier: MIT */
/*
 * The pages of a table of SQLite's, made from rows that come in the order of their rowids: what SQLite would
 * make of them, without a statement per row. Source: https://www.sqlite.org/fileformat2.html, "B-tree Pages"
 * and "Record Format". No page knows its own number, so a page can be filled before it has one.
 */
#ifndef EXITWALK_TRACER_BTREE_H
#define EXITWALK_TRACER_BTREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BTREE_PAGE 8192  /* bytes: the page size of a recording */
#define BTREE_LEVELS 7   /* of interior pages: 500 to the power of 7 leaves */
#define BTREE_COLUMNS 22 /* the most that a table here has */

/* A row without its rowid: what is encoded of it. */
struct btree_record {
	size_t len;
	uint8_t bytes[16 + 9 * BTREE_COLUMNS + 8];
};

/* Column 0 is the rowid, and NULL in the record; bit i of known: value[i] is there, else it is NULL. */
void btree_integers(struct btree_record *r, int columns, const int64_t *value, uint32_t known);

/* A rowid and a blob of at most 64 bytes. */
void btree_blob(struct btree_record *r, const void *data, size_t len);

struct btree_page {
	uint8_t bytes[BTREE_PAGE];
	unsigned cells, content; /* content: where the last cell begins */
	uint32_t number;         /* of the page in the file; 0: it has none yet */
};

/* An interior page that is being filled. Its last child is kept apart: it becomes a cell when there is
 * another one behind it, or the right pointer when the page is full. */
struct btree_level {
	struct btree_page page;
	uint32_t child;
	int64_t key; /* the highest rowid in child */
};

/* The right edge of the tree: everything to the left of it is full and has been given away. */
struct btree {
	uint32_t root; /* the page that sqlite_schema names */
	struct btree_page leaf;
	int64_t last; /* the highest rowid in leaf */
	struct btree_level level[BTREE_LEVELS];
	unsigned levels;
};

void btree_init(struct btree *t, uint32_t root);

/* False: the leaf is full, and the row is not in it. */
bool btree_add(struct btree *t, int64_t rowid, const struct btree_record *r);

/* Begins a new leaf. */
void btree_next_leaf(struct btree *t);

/*
 * A full page of the level below has the number `number` and holds rowids up to key. False: the level's page
 * is full: *full is its content and *full_key its highest rowid; it must be written, and linked one level
 * higher, and then the call be made again.
 */
bool btree_link(struct btree *t, unsigned level, uint32_t number, int64_t key,
	struct btree_page *full, int64_t *full_key);

/* What is to be written of the right edge: level 0 is the leaf; of an interior page, whose right pointer is
 * the number of the page below. The page of the highest level is the root's. */
void btree_edge(const struct btree *t, unsigned level, uint32_t below, uint8_t *bytes);

#endif
