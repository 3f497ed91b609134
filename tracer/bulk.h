/* SPDX-License-Identifier: MIT */
/*
 * Rows of a recording that is made as fast as its source can be read: those of event, vm_exit and payload go
 * into pages that are made here (btree.h) and never through a statement; everything else is SQLite's. At a
 * commit the pages are put behind the end of the file, and then, all at once, the tables are made to have
 * them. So a recording that was cut off has what was committed, as any other.
 */
#ifndef EXITWALK_TRACER_BULK_H
#define EXITWALK_TRACER_BULK_H

#include <sqlite3.h>
#include "btree.h"
#include "err.h"
#include "seal.h"

struct bulk;

/*
 * For a new recording, whose database has no log (WAL) and no other writer. fd: its file; borrowed, like db,
 * which must not be in a transaction here, in bulk_commit() and in bulk_end(), and whose page size is
 * BTREE_PAGE.
 */
int bulk_create(struct bulk **out, sqlite3 *db, int fd, struct err *e);
void bulk_free(struct bulk *b); /* NULL is fine; what is not committed is lost */

/* Rows, in the order of the columns in schema.sql, whose first one is the id; bit i of known: value[i] is not
 * NULL. Events and payloads come in the order of their ids. */
#define BULK_EVENT_COLUMNS 12
#define BULK_EXIT_COLUMNS 22
int bulk_event(struct bulk *b, const int64_t *value, uint32_t known, struct err *e);
int bulk_payload(struct bulk *b, int64_t event, const void *data, size_t len, struct err *e);

/* In any order, but with every id up to the highest one before a commit. An exit may come again, and replaces
 * itself. */
int bulk_exit(struct bulk *b, const int64_t *value, uint32_t known, struct err *e);

/* After a commit of db's. */
int bulk_commit(struct bulk *b, struct err *e);

/* Commits for the last time. Now the tables are SQLite's own. */
int bulk_end(struct bulk *b, struct err *e);

/* After bulk_end(): the digests of the three tables, so that nobody has to read them again. Ends with one
 * whose table is NULL; b's own. */
const struct seal_known *bulk_digests(const struct bulk *b);

#endif
