/* SPDX-License-Identifier: MIT */
/* The recording's database as its recorder sees it: creating it, its statements. */
#ifndef EXITWALK_TRACER_STORE_H
#define EXITWALK_TRACER_STORE_H

#include <stdbool.h>
#include <stdint.h>
#include <sqlite3.h>
#include "err.h"

enum store_stmt {
#define STMT(id, sql) STMT_##id,
#include "statements.def"
	STMT_MAX
};

enum store_exec {
#define EXEC(id, sql) EXEC_##id,
#include "statements.def"
	EXEC_MAX
};

struct bulk;

struct store {
	sqlite3 *db;
	sqlite3_stmt *stmt[STMT_MAX];
	int lock; /* holds the flock that says: somebody records into this file */
	bool in_transaction;
	unsigned event_bound; /* parameters of STMT_EVENT that are not NULL */
	struct bulk *bulk;    /* the rows of events and exits go there, if it is not NULL */
	char *path;           /* real */
	bool earlier;         /* an earlier recording waits beside it: store_replace() */
};

/*
 * Creates the database and puts the schema into it. A recording that is there is put aside until store_replace().
 * max_pages: the size at which writing fails as if the disk were full, in pages of 8 KiB; 0: no bound.
 * -EEXIST (something else is there), -EBUSY (a recorder has it open), or the system's error.
 */
int store_create(struct store *s, const char *path, unsigned max_pages, struct err *e);

/* The same, for a source that can be read again: rows go to s->bulk, what was committed survives the end of
 * the process but not of the machine, until store_end_bulk(). */
int store_create_bulk(struct store *s, const char *path, struct err *e);

/* Commits; all tables are SQLite's from then on, and so is the file's safety. */
int store_end_bulk(struct store *s, struct err *e);

/* There is something to record: an earlier recording of that name is removed. */
void store_replace(struct store *s);

/* Rolls back what is not committed. Without store_replace() an earlier recording is back in its place. All zero is
 * fine. */
void store_close(struct store *s);

/* The same, and what was begun is not kept either. */
void store_discard(struct store *s);

int store_exec(struct store *s, enum store_exec id, struct err *e);

/* Both do nothing if there is nothing to do. */
int store_begin(struct store *s, struct err *e);
int store_commit(struct store *s, struct err *e);

/* Parameters of a statement; they stay until the next store_run(). */
void store_int(struct store *s, enum store_stmt id, int n, int64_t value);
void store_null(struct store *s, enum store_stmt id, int n);
void store_text(struct store *s, enum store_stmt id, int n, const char *value); /* NULL: NULL */
/* Runs an inserting statement with the parameters that were set. The text and blobs are borrowed. */
int store_run(struct store *s, enum store_stmt id, struct err *e);

int store_meta_int(struct store *s, const char *key, int64_t value, struct err *e);
int store_meta_text(struct store *s, const char *key, const char *value, struct err *e);

/* Makes the finished database one file that can be read without writing beside it. */
int store_one_file(struct store *s, struct err *e);

/* The text of a statement, for who has a connection of its own. */
const char *store_sql(enum store_stmt id);

#endif
