/* SPDX-License-Identifier: MIT */
/* The ORC entries that a recording's stacks need: collected after the run, stored in table orc, read again. */
#ifndef EXITWALK_TRACER_ORC_ROWS_H
#define EXITWALK_TRACER_ORC_ROWS_H

#include <sqlite3.h>

#include "err.h"
#include "orc.h"

struct orc_row {
	uint64_t ip;
	struct orc orc;
};

/* A hash table, by ip; 0 is the address of no instruction. */
struct orc_rows {
	struct orc_row *slot;
	size_t slots, n; /* slots: a power of two */
	bool failed;     /* out of memory while adding */
};

void orc_rows_free(struct orc_rows *r);
/* Of one ip the first entry stays. A failure is remembered in r->failed. */
void orc_rows_add(struct orc_rows *r, uint64_t ip, const struct orc *o);
/* An unwind_orc_fn; ctx = struct orc_rows. */
bool orc_rows_find(void *ctx, uint64_t ip, struct orc *o);

/* All rows of the table; none if the recording has no such table. -ENOMEM, or what SQLite said. */
int orc_rows_load(struct orc_rows *r, sqlite3 *db, struct err *e);

#endif
