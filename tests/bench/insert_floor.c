/* SPDX-License-Identifier: MIT */
/*
 * What a row costs through a statement of SQLite's at least: N rows of ten integers, one prepared INSERT, one
 * transaction, no journal, no sync, no index.
 *
 *   insert_floor FILE N
 */
#include <inttypes.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define COLUMNS 10

static void run(sqlite3 *db, const char *sql)
{
	if (sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK)
		return;
	fprintf(stderr, "insert_floor: %s\n", sqlite3_errmsg(db));
	exit(1);
}

int main(int argc, char **argv)
{
	uint64_t n = argc == 3 ? strtoull(argv[2], NULL, 0) : 0;
	struct timespec cpu;
	sqlite3_stmt *row;
	sqlite3 *db;

	if (!n)
		return fprintf(stderr, "usage: insert_floor FILE ROWS\n"), 64;
	if (sqlite3_open(argv[1], &db) != SQLITE_OK)
		return fprintf(stderr, "insert_floor: %s cannot be opened\n", argv[1]), 1;
	run(db, "PRAGMA page_size = 8192; PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;"
		"CREATE TABLE t(id INTEGER PRIMARY KEY, a, b, c, d, e, f, g, h, i); BEGIN");
	sqlite3_prepare_v2(
		db, "INSERT INTO t VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", -1, &row, NULL);
	for (uint64_t i = 1; i <= n; i++) {
		for (int k = 0; k < COLUMNS; k++)
			sqlite3_bind_int64(row, k + 1, (int64_t)(k ? i * 20000 >> 5 * k : i));
		if (sqlite3_step(row) != SQLITE_DONE)
			return fprintf(stderr, "insert_floor: %s\n", sqlite3_errmsg(db)), 1;
		sqlite3_reset(row);
	}
	run(db, "COMMIT");
	sqlite3_finalize(row);
	sqlite3_close(db);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu);
	printf("%.3f\n", (double)cpu.tv_sec + (double)cpu.tv_nsec / 1e9);
	return 0;
}
