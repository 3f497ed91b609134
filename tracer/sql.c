/* SPDX-License-Identifier: MIT */
/* Thin helpers over SQLite: its errors as -errno and one sentence. */
#include "sql.h"

#include <errno.h>

int sql_error(sqlite3 *db, int rc, struct err *e)
{
	int code;

	switch (rc & 0xff) {
	case SQLITE_NOMEM:
		code = -ENOMEM;
		break;
	case SQLITE_FULL:
		code = -ENOSPC;
		break;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		code = -EBUSY;
		break;
	case SQLITE_READONLY:
	case SQLITE_PERM:
	case SQLITE_AUTH:
		code = -EACCES;
		break;
	default:
		code = -EIO;
	}
	return err_set(
		e, code, "the database answers: %s", db ? sqlite3_errmsg(db) : sqlite3_errstr(rc));
}

int sql_prepare(sqlite3 *db, sqlite3_stmt **stmt, struct err *e, const char *sql)
{
	int rc = sqlite3_prepare_v2(db, sql, -1, stmt, NULL);

	return rc == SQLITE_OK ? 0 : sql_error(db, rc, e);
}

int sql_exec(sqlite3 *db, struct err *e, const char *sql)
{
	int rc = sqlite3_exec(db, sql, NULL, NULL, NULL);

	return rc == SQLITE_OK ? 0 : sql_error(db, rc, e);
}

int sql_step(sqlite3_stmt *stmt, struct err *e)
{
	int rc = sqlite3_step(stmt);

	if (rc == SQLITE_ROW)
		return 1;
	return rc == SQLITE_DONE ? 0 : sql_error(sqlite3_db_handle(stmt), rc, e);
}

int sql_insert(sqlite3_stmt *stmt, struct err *e, int n, const int64_t *values)
{
	int ret;

	for (int i = 0; i < n; i++) {
		if (values[i] == SQL_NULL)
			sqlite3_bind_null(stmt, i + 1);
		else
			sqlite3_bind_int64(stmt, i + 1, values[i]);
	}
	ret = sql_step(stmt, e);
	sqlite3_reset(stmt);
	return ret < 0 ? ret : 0;
}

int64_t sql_int_or(sqlite3_stmt *stmt, int column, int64_t null)
{
	if (sqlite3_column_type(stmt, column) == SQLITE_NULL)
		return null;
	return sqlite3_column_int64(stmt, column);
}

int sql_get_int(sqlite3 *db, struct err *e, const char *sql, int64_t *value)
{
	sqlite3_stmt *stmt = NULL;
	int ret = sql_prepare(db, &stmt, e, sql);

	if (!ret)
		ret = sql_step(stmt, e);
	if (ret > 0)
		*value = sql_int_or(stmt, 0, *value);
	sqlite3_finalize(stmt);
	return ret < 0 ? ret : 0;
}

const char *sql_meta(sqlite3 *db, const char *key, char *buf, size_t size)
{
	sqlite3_stmt *stmt = NULL;
	const char *text = NULL;

	if (!sql_prepare(db, &stmt, NULL, "SELECT value FROM meta WHERE key = ?1") &&
		sqlite3_bind_text(stmt, 1, key, -1, SQLITE_STATIC) == SQLITE_OK &&
		sqlite3_step(stmt) == SQLITE_ROW)
		text = (const char *)sqlite3_column_text(stmt, 0);
	snprintf(buf, size, "%s", text ? text : "");
	sqlite3_finalize(stmt);
	return buf;
}
