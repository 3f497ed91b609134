/* SPDX-License-Identifier: MIT */
/* A file name in the scratch directory ($TMP, else /tmp), and one-value queries, for tests. */
#ifndef EXITWALK_TESTS_SCRATCH_H
#define EXITWALK_TESTS_SCRATCH_H

#include <sqlite3.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct scratch {
	char dir[128], file[160];
};

static inline void scratch_make(struct scratch *s)
{
	const char *tmp = getenv("TMP");

	snprintf(s->dir, sizeof(s->dir), "%s/exitwalk.XXXXXX", tmp ? tmp : "/tmp");
	if (!mkdtemp(s->dir))
		abort();
	snprintf(s->file, sizeof(s->file), "%s/test.exw", s->dir);
}

static inline void scratch_remove(struct scratch *s)
{
	static const char *const suffix[] = {"", "-wal", "-shm", "-journal"};
	char name[192];

	for (unsigned i = 0; i < sizeof(suffix) / sizeof(suffix[0]); i++) {
		snprintf(name, sizeof(name), "%s%s", s->file, suffix[i]);
		unlink(name);
	}
	rmdir(s->dir);
}

#define QUERY_NULL INT64_MIN

/* First column of the first row; QUERY_NULL for NULL or no row; aborts on an SQL error. */
static inline int64_t query_int(sqlite3 *db, const char *sql)
{
	sqlite3_stmt *s = NULL;
	int64_t value = QUERY_NULL;
	int rc = sqlite3_prepare_v2(db, sql, -1, &s, NULL);

	if (rc == SQLITE_OK)
		rc = sqlite3_step(s);
	if (rc != SQLITE_ROW && rc != SQLITE_DONE) {
		fprintf(stderr, "%s: %s\n", sql, sqlite3_errmsg(db));
		abort();
	}
	if (rc == SQLITE_ROW && sqlite3_column_type(s, 0) != SQLITE_NULL)
		value = sqlite3_column_int64(s, 0);
	sqlite3_finalize(s);
	return value;
}

/* The same as text; "" for NULL or no row. The buffer is the next call's too. */
static inline const char *query_text(sqlite3 *db, const char *sql)
{
	static char buf[1024];
	sqlite3_stmt *s = NULL;
	int rc = sqlite3_prepare_v2(db, sql, -1, &s, NULL);

	if (rc == SQLITE_OK)
		rc = sqlite3_step(s);
	if (rc != SQLITE_ROW && rc != SQLITE_DONE) {
		fprintf(stderr, "%s: %s\n", sql, sqlite3_errmsg(db));
		abort();
	}
	buf[0] = 0;
	if (rc == SQLITE_ROW && sqlite3_column_text(s, 0))
		snprintf(buf, sizeof(buf), "%s", (const char *)sqlite3_column_text(s, 0));
	sqlite3_finalize(s);
	return buf;
}

#endif
