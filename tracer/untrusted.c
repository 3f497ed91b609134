/* SPDX-License-Identifier: MIT */
/* Reads a recording without running what its author may have hidden in it. */
#include "untrusted.h"

#include <errno.h>
#include <string.h>

#include "schema/schema.h"
#include "sql.h"

/* https://www.sqlite.org/security.html, "untrusted SQLite database files" */
static void settings(sqlite3 *db)
{
	sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	sqlite3_db_config(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
	sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL);
	sqlite3_limit(db, SQLITE_LIMIT_LENGTH, UNTRUSTED_LENGTH);
	sqlite3_exec(db, "PRAGMA cell_size_check = ON", NULL, NULL, NULL);
}

/* This program's own schema, in an empty database. */
static int own_schema(sqlite3 **own, struct err *e)
{
	if (sqlite3_open(":memory:", own) != SQLITE_OK)
		return err_set(e, -ENOMEM, "out of memory");
	return sql_exec(*own, e, schema_sql);
}

/*
 * A view in the place of a table, a virtual table (it has no root page), a generated column (hidden is
 * 2 or 3) and an index of an expression (cid is -2) would run SQL of the file. A table that is missing
 * is somebody else's message.
 */
static const char *const odd_table =
	"SELECT name FROM sqlite_schema WHERE type = 'table' AND coalesce(rootpage, 0) < 1 UNION ALL"
	" SELECT name FROM sqlite_schema WHERE type = 'view' AND name NOT LIKE 'v\\_%' ESCAPE '\\'"
	" AND name NOT LIKE 'e\\_%' ESCAPE '\\' UNION ALL"
	" SELECT s.name FROM sqlite_schema s, pragma_table_xinfo(s.name) c WHERE s.type = 'table'"
	" AND c.hidden <> 0 UNION ALL"
	" SELECT s.tbl_name FROM sqlite_schema s, pragma_index_xinfo(s.name) c WHERE s.type = 'index'"
	" AND c.cid = -2 LIMIT 1";

int untrusted_open(sqlite3 *db, struct err *e)
{
	sqlite3_stmt *row = NULL;
	int ret;

	settings(db);
	/* The table-valued function of the pragma counts as unsafe in a schema, not in a query. */
	ret = sql_prepare(db, &row, e, odd_table);
	if (!ret)
		ret = sql_step(row, e);
	if (ret > 0)
		ret = err_set(e, -EIO, "its table %s is none that exitwalk makes",
			(const char *)sqlite3_column_text(row, 0) ?: "without a name");
	sqlite3_finalize(row);
	return ret;
}

static int add_view(sqlite3 *db, const char *sql, struct err *e)
{
	static const char create[] = "CREATE VIEW ";
	char *temp;
	int ret;

	if (!sql || strncmp(sql, create, sizeof(create) - 1) != 0)
		return 0;
	temp = sqlite3_mprintf("CREATE TEMP VIEW %s", sql + sizeof(create) - 1);
	ret = temp ? sql_exec(db, e, temp) : err_set(e, -ENOMEM, "out of memory");
	sqlite3_free(temp);
	return ret;
}

/* A name without its schema is looked for in temp first (sqlite.org/lang_naming.html). */
int untrusted_views(sqlite3 *db, struct err *e)
{
	sqlite3_stmt *row = NULL;
	sqlite3 *own = NULL;
	int ret = own_schema(&own, e);

	if (!ret)
		ret = sql_prepare(
			own, &row, e, "SELECT sql FROM sqlite_schema WHERE type = 'view'");
	while (!ret && (ret = sql_step(row, e)) > 0)
		ret = add_view(db, (const char *)sqlite3_column_text(row, 0), e);
	sqlite3_finalize(row);
	sqlite3_close(own);
	return ret;
}
