/* SPDX-License-Identifier: MIT */
/* Checks of what was derived: a fresh derivation gives the same rows, and budgets add up. */
#include "check.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "sql.h"
#include "untrusted.h"

static const struct derived {
	const char *table, *order;
	int keys;
} derived[] = {
#define TABLE(table, order, keys) {#table, order, keys},
	DERIVED_TABLES(TABLE)
#undef TABLE
};

static int open_fresh(struct check *c, sqlite3 **fresh, struct err *e)
{
	sqlite3_backup *backup = NULL;
	int ret = -ENOMEM;

	/* The empty name: a temporary file that is nowhere to be seen (sqlite.org/inmemorydb.html).
	 */
	if (sqlite3_open("", fresh) == SQLITE_OK)
		backup = sqlite3_backup_init(*fresh, "main", c->db, "main");
	if (backup) {
		sqlite3_backup_step(backup, -1);
		ret = sqlite3_backup_finish(backup) == SQLITE_OK ? untrusted_open(*fresh, e) : -EIO;
		if (!ret)
			ret = derive_all(*fresh, e);
	}
	if (ret)
		err_set(e, ret, "a private copy of the recording could not be made: %s",
			sqlite3_errmsg(*fresh));
	return ret;
}

/* "3" or "3, 7" or x'66ef': the row's key. */
static const char *row_key(sqlite3_stmt *row, const struct derived *d, char *buf, size_t size)
{
	size_t used = 0;

	*buf = '\0';
	if (sqlite3_column_type(row, 0) == SQLITE_BLOB) {
		const unsigned char *b = sqlite3_column_blob(row, 0);

		for (int i = 0; i < sqlite3_column_bytes(row, 0) && used + 3 < size; i++)
			used += (size_t)snprintf(buf + used, size - used, "%02x", b[i]);
		return buf;
	}
	for (int i = 0; i < d->keys && used < size; i++)
		used += (size_t)snprintf(buf + used, size - used, "%s%lld", i ? ", " : "",
			sqlite3_column_int64(row, i));
	return buf;
}

static bool same_value(sqlite3_stmt *a, sqlite3_stmt *b, int i)
{
	int type = sqlite3_column_type(a, i);
	int bytes;

	if (type != sqlite3_column_type(b, i))
		return false;
	if (type == SQLITE_INTEGER)
		return sqlite3_column_int64(a, i) == sqlite3_column_int64(b, i);
	if (type == SQLITE_NULL)
		return true;
	bytes = sqlite3_column_bytes(a, i);
	return bytes == sqlite3_column_bytes(b, i) &&
	       (!bytes || !memcmp(sqlite3_column_blob(a, i), sqlite3_column_blob(b, i),
				  (size_t)bytes));
}

/* -1, 0, 1: which of two rows comes first in the order of their keys. */
static int compare_keys(sqlite3_stmt *a, sqlite3_stmt *b, const struct derived *d)
{
	for (int i = 0; i < d->keys; i++) {
		int64_t x = sqlite3_column_int64(a, i), y = sqlite3_column_int64(b, i);

		if (sqlite3_column_type(a, i) == SQLITE_BLOB) {
			int n = sqlite3_column_bytes(a, i), m = sqlite3_column_bytes(b, i);
			int r = n && m ? memcmp(sqlite3_column_blob(a, i),
						 sqlite3_column_blob(b, i), (size_t)(n < m ? n : m))
				       : 0;

			return r ? r : n - m;
		}
		if (x != y)
			return x < y ? -1 : 1;
	}
	return 0;
}

/* Says the first difference. Returns 1 if there is one, 0, or -errno. */
static int first_difference(struct check *c, const struct derived *d, sqlite3_stmt *has,
	sqlite3_stmt *want, struct err *e)
{
	char key[96];

	for (;;) {
		int h = sql_step(has, e), w = h < 0 ? h : sql_step(want, e), order;

		if (h < 0 || w < 0)
			return -EIO;
		if (!h && !w)
			return 0;
		order = !h ? 1 : !w ? -1 : compare_keys(has, want, d);
		if (order) {
			check_say(c, CHECK_FAIL, "derived", "%s (%s) %s", d->table,
				row_key(order > 0 ? want : has, d, key, sizeof(key)),
				order > 0 ? "is missing"
					  : "follows from nothing that was recorded");
			return 1;
		}
		for (int i = 0; i < sqlite3_column_count(has); i++) {
			if (same_value(has, want, i))
				continue;
			row_key(has, d, key, sizeof(key));
			check_say(c, CHECK_FAIL, "derived",
				"%s (%s): %s is %s, derived again it is %s", d->table, key,
				sqlite3_column_name(has, i),
				(const char *)sqlite3_column_text(has, i) ?: "NULL",
				(const char *)sqlite3_column_text(want, i) ?: "NULL");
			return 1;
		}
	}
}

int check_derived(struct check *c, struct err *e)
{
	sqlite3 *fresh = NULL;
	int found = 0;
	int ret = 0;

	if (c->recording->cut_off) {
		check_say(c, CHECK_NOTE, "derived",
			"nothing was derived yet: the recording was cut off");
		return 0;
	}
	if (c->recording->older) {
		check_say(c, CHECK_NOTE, "derived",
			"made by an older exitwalk: calls, requests and steps were derived anew to be looked at");
		return 0;
	}
	ret = open_fresh(c, &fresh, e);
	for (size_t i = 0; !ret && i < sizeof(derived) / sizeof(derived[0]); i++) {
		sqlite3_stmt *has = NULL, *want = NULL;
		char sql[128];

		snprintf(sql, sizeof(sql), "SELECT * FROM %s ORDER BY %s", derived[i].table,
			derived[i].order);
		ret = sql_prepare(c->db, &has, e, sql);
		if (!ret)
			ret = sql_prepare(fresh, &want, e, sql);
		if (!ret)
			ret = first_difference(c, &derived[i], has, want, e);
		found |= ret > 0;
		if (ret > 0)
			ret = 0;
		sqlite3_finalize(has);
		sqlite3_finalize(want);
	}
	sqlite3_close(fresh);
	if (!ret && !found)
		check_say(c, CHECK_OK, "derived",
			"calls, requests, steps, frames and budgets follow from the events");
	return ret;
}

int check_budgets(struct check *c, struct err *e)
{
	int64_t requests = 0, bad = 0, unaccounted = 0, first = 0;
	int ret = sql_get_int(c->db, e, "SELECT count(*) FROM request", &requests);

	if (!ret)
		ret = sql_get_int(c->db, e,
			"SELECT q.id FROM request q LEFT JOIN budget b ON b.request_id = q.id GROUP BY"
			" q.id HAVING sum(b.ns) IS NOT q.t_last - q.t_first OR min(b.ns) < 0 LIMIT "
			"1",
			&bad);
	if (!ret)
		ret = sql_get_int(c->db, e,
			"SELECT count(*) FROM budget b JOIN enum_name n ON n.enum = 'layer' AND n.value ="
			" b.layer WHERE n.name = 'unaccounted' AND b.ns <> 0",
			&unaccounted);
	if (!ret && unaccounted)
		ret = sql_get_int(c->db, e,
			"SELECT b.request_id FROM budget b JOIN enum_name n ON n.enum = 'layer' AND"
			" n.value = b.layer WHERE n.name = 'unaccounted' AND b.ns <> 0 LIMIT 1",
			&first);
	if (ret)
		return ret;
	if (bad)
		check_say(c, CHECK_FAIL, "budgets",
			"the layers of request %" PRId64 " do not add up to its wall time", bad);
	else
		check_say(c, CHECK_OK, "budgets",
			"the layers of each of %" PRId64 " requests add up to its wall time",
			requests);
	if (unaccounted)
		check_say(c, CHECK_NOTE, "budgets",
			"%" PRId64 " requests have unaccounted time; the first is request %" PRId64,
			unaccounted, first);
	return 0;
}
