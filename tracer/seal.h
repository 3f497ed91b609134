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

/* Seals every table as it is now: the last thing that is written into a recording. Reads each row once:
 * a second for some two million events. */
int seal_write(sqlite3 *db, struct err *e);

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
