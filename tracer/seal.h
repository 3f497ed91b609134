/* SPDX-License-Identifier: MIT */
/*
 * The seal of a finished recording: for every table its number of rows and a digest of what they say,
 * fine enough to name a single row that was changed afterwards. It finds damage, not forgery.
 */
#ifndef EXITWALK_TRACER_SEAL_H
#define EXITWALK_TRACER_SEAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sqlite3.h>
#include "err.h"

/* Rows per block of a digest. */
#define SEAL_BLOCK 1024

/* The digest of a table's rows, in the order of its primary key. All zero: of no row. */
struct seal_digest {
	uint64_t (*block)
		[2]; /* for each SEAL_BLOCK rows: the sum, and the sum weighted with the place */
	size_t blocks, cap;
	int64_t rows;
};

/* A digest that was made while the rows were written. A list ends with one whose table is NULL. */
struct seal_known {
	const char *table;
	const struct seal_digest *digest;
};

/* A row's hash: of the row on which a statement stands; of integers (bit i of known: value[i], else NULL); of
 * an integer and a blob. */
uint64_t seal_hash_row(sqlite3_stmt *row);
uint64_t seal_hash_integers(int columns, const int64_t *value, uint32_t known);
uint64_t seal_hash_blob(int64_t id, const void *data, size_t len);

/* One more row. -ENOMEM. The caller frees d->block. */
int seal_digest_add(struct seal_digest *d, uint64_t hash, struct err *e);

/* The row at a place, from 1, has another hash now. */
void seal_digest_replace(struct seal_digest *d, int64_t place, uint64_t was, uint64_t is);

/* Seals every table as it is now: the last thing that is written into a recording. Reads each row once:
 * a second for some two million events. */
int seal_write(sqlite3 *db, struct err *e);

/* The same, without reading the tables whose digests are known; NULL: none is. */
int seal_write_known(sqlite3 *db, const struct seal_known *known, struct err *e);

/* What a table is, compared with its seal. */
struct seal_verdict {
	int64_t sealed; /* rows when it was sealed; -1: the seal does not have this table */
	int64_t rows;   /* rows now; -1: there is no such table */
	bool digest;    /* the seal has a digest that fits the number of rows */
	/* Positions, in the table's order, between which rows differ; equal: it is this row. Only if the
	 * numbers of rows agree and there is a digest. -1: none differs. */
	int64_t first, last;
};

/* 0 when it could look, whatever it found. */
int seal_compare(sqlite3 *db, const char *table, struct seal_verdict *v, struct err *e);

/* The primary key of the row at a position: "7", "3, 9", "host_kernel". Returns buf, "" if unknown. */
const char *seal_row_name(sqlite3 *db, const char *table, int64_t position, char *buf, size_t size);

#endif
