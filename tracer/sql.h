/* SPDX-License-Identifier: MIT */
/* Thin helpers over SQLite: its errors as -errno and one sentence. */
#ifndef EXITWALK_TRACER_SQL_H
#define EXITWALK_TRACER_SQL_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>
#include "err.h"

/* -errno for SQLite's result code `rc`, with SQLite's own message in the sentence. */
int sql_error(sqlite3 *db, int rc, struct err *e);

int sql_prepare(sqlite3 *db, sqlite3_stmt **stmt, struct err *e, const char *sql);
int sql_exec(sqlite3 *db, struct err *e, const char *sql);

/* 1: there is a row, 0: done, or -errno. */
int sql_step(sqlite3_stmt *stmt, struct err *e);

#define SQL_NULL INT64_MIN /* stands for NULL where an integer is bound */

/* Binds n integers to ?1…, steps a statement that gives no rows, and resets it. */
int sql_insert(sqlite3_stmt *stmt, struct err *e, int n, const int64_t *values);

/* A NULL column has no integer: the caller says what stands for it. */
int64_t sql_int_or(sqlite3_stmt *stmt, int column, int64_t null);

/* First column of the first row; *value is untouched if there is no row or it is NULL. */
int sql_get_int(sqlite3 *db, struct err *e, const char *sql, int64_t *value);

/* The value of a key in meta as text into buf ("" if absent). Returns buf. */
const char *sql_meta(sqlite3 *db, const char *key, char *buf, size_t size);

#endif
