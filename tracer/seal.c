/* SPDX-License-Identifier: MIT */
/*
 * The seal of a finished recording.
 *
 * A row has a 64-bit hash h, in which each step is a bijection of the value that comes in: a change of
 * one integer always changes it. For each block of SEAL_BLOCK rows two sums modulo 2^64 are kept, over
 * the places p = 1, 2, … in the block: S = Σ h, and W = Σ p·h, which depends on the order. If one row of
 * a block was changed, S differs by some d and W by p·d, which gives p, and so names the row.
 */
#include "seal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "recording.h"
#include "sql.h"

enum seal_sql {
#define SEAL(id, sql) SEAL_##id,
#include "statements.def"
	SEAL_MAX
};

static const char *const seal_sql[SEAL_MAX] = {
#define SEAL(id, sql) [SEAL_##id] = sql,
#include "statements.def"
};

enum { SUM, WEIGHTED, SUMS };

static uint64_t mix(uint64_t h, uint64_t v)
{
	h = (h ^ v) * 0x9e3779b97f4a7c15u; /* odd: a bijection; 2^64 divided by the golden ratio */
	return h ^ h >> 32;
}

static uint64_t mix_bytes(uint64_t h, const unsigned char *p, size_t len)
{
	uint64_t v;

	h = mix(h, len);
	for (; len >= sizeof(v); p += sizeof(v), len -= sizeof(v)) {
		memcpy(&v, p, sizeof(v));
		h = mix(h, v);
	}
	v = 0;
	if (len)
		memcpy(&v, p, len);
	return mix(h, v);
}

uint64_t seal_hash_row(sqlite3_stmt *row)
{
	int columns = sqlite3_column_count(row);
	uint64_t h = 0, bits;
	double real;

	for (int i = 0; i < columns; i++) {
		int type = sqlite3_column_type(row, i);

		h += (uint64_t)type; /* 1 is not '1', and NULL is not 0 */
		switch (type) {
		case SQLITE_INTEGER:
			h = mix(h, (uint64_t)sqlite3_column_int64(row, i));
			break;
		case SQLITE_NULL:
			h = mix(h, 0);
			break;
		case SQLITE_FLOAT:
			real = sqlite3_column_double(row, i);
			memcpy(&bits, &real, sizeof(bits));
			h = mix(h, bits);
			break;
		default: /* sqlite3_column_blob() gives text as it is */
			h = mix_bytes(h, sqlite3_column_blob(row, i),
				(size_t)sqlite3_column_bytes(row, i));
		}
	}
	return h;
}

uint64_t seal_hash_integers(int columns, const int64_t *value, uint32_t known)
{
	uint64_t h = 0;

	for (int i = 0; i < columns; i++)
		h = known >> i & 1 ? mix(h + SQLITE_INTEGER, (uint64_t)value[i])
				   : mix(h + SQLITE_NULL, 0);
	return h;
}

uint64_t seal_hash_blob(int64_t id, const void *data, size_t len)
{
	return mix_bytes(mix(SQLITE_INTEGER, (uint64_t)id) + SQLITE_BLOB, data, len);
}

int seal_digest_add(struct seal_digest *d, uint64_t h, struct err *e)
{
	uint64_t place = (uint64_t)d->rows % SEAL_BLOCK + 1;

	if (place == 1) {
		if (d->blocks == d->cap) {
			size_t more = d->cap ? 2 * d->cap : 64;
			void *bigger = reallocarray(d->block, more, sizeof(*d->block));

			if (!bigger)
				return err_set(e, -ENOMEM, "out of memory for a table's digest");
			d->block = bigger;
			d->cap = more;
		}
		memset(d->block[d->blocks++], 0, sizeof(*d->block));
	}
	d->block[d->blocks - 1][SUM] += h;
	d->block[d->blocks - 1][WEIGHTED] += place * h;
	d->rows++;
	return 0;
}

void seal_digest_replace(struct seal_digest *d, int64_t place, uint64_t was, uint64_t is)
{
	uint64_t *block;

	if (place < 1 || place > d->rows)
		return;
	block = d->block[(place - 1) / SEAL_BLOCK];
	block[SUM] += is - was;
	block[WEIGHTED] += ((uint64_t)(place - 1) % SEAL_BLOCK + 1) * (is - was);
}

static int prepare_for(
	sqlite3 *db, sqlite3_stmt **stmt, enum seal_sql id, const char *table, struct err *e)
{
	char *sql = sqlite3_mprintf(seal_sql[id], table);
	int ret = sql ? sql_prepare(db, stmt, e, sql) : err_set(e, -ENOMEM, "out of memory");

	sqlite3_free(sql);
	return ret;
}

/* The digest of all rows, in the order in which SQLite stores them: by primary key. The caller frees. */
static int digest_rows(sqlite3_stmt *row, struct seal_digest *d, struct err *e)
{
	int ret;

	while ((ret = sql_step(row, e)) > 0) {
		ret = seal_digest_add(d, seal_hash_row(row), e);
		if (ret)
			break;
	}
	return ret;
}

/* `check` derives these tables again and compares them value by value: their digest would tell nothing
 * more, and to make it would double the price. */
static bool is_derived(const char *table)
{
#define TABLE(table, order, keys) #table,
	static const char *const name[] = {DERIVED_TABLES(TABLE)};
#undef TABLE

	for (size_t i = 0; i < sizeof(name) / sizeof(name[0]); i++)
		if (strcmp(name[i], table) == 0)
			return true;
	return false;
}

/* Counts the rows, and makes the digest of those that have one. */
static int read_table(
	sqlite3 *db, const char *table, sqlite3_stmt **row, struct seal_digest *d, struct err *e)
{
	int ret = prepare_for(db, row, is_derived(table) ? SEAL_COUNT : SEAL_ROWS, table, e);

	*d = (struct seal_digest){.rows = ret ? -1 : 0};
	if (ret)
		return ret;
	if (!is_derived(table))
		return digest_rows(*row, d, e);
	ret = sql_step(*row, e);
	d->rows = sqlite3_column_int64(*row, 0);
	return ret < 0 ? ret : 0;
}

static int put_seal(sqlite3 *db, const char *table, const struct seal_digest *d, struct err *e)
{
	sqlite3_stmt *insert = NULL;
	int ret = sql_prepare(db, &insert, e, seal_sql[SEAL_ADD]);

	if (!ret) {
		sqlite3_bind_text(insert, 1, table, -1, SQLITE_STATIC);
		sqlite3_bind_int64(insert, 2, d->rows);
		if (!is_derived(table))
			sqlite3_bind_blob64(insert, 3, d->block ? (const void *)d->block : "",
				d->blocks * sizeof(*d->block), SQLITE_STATIC);
		ret = sql_step(insert, e);
	}
	sqlite3_finalize(insert);
	return ret;
}

static int seal_table(sqlite3 *db, const char *table, const struct seal_known *known, struct err *e)
{
	sqlite3_stmt *row = NULL;
	struct seal_digest d = {0};
	int ret;

	for (; known && known->table; known++)
		if (strcmp(known->table, table) == 0)
			return put_seal(db, table, known->digest, e);
	ret = read_table(db, table, &row, &d, e);
	if (!ret)
		ret = put_seal(db, table, &d, e);
	sqlite3_finalize(row);
	free(d.block);
	return ret;
}

int seal_write(sqlite3 *db, struct err *e)
{
	return seal_write_known(db, NULL, e);
}

int seal_write_known(sqlite3 *db, const struct seal_known *known, struct err *e)
{
	sqlite3_stmt *tables = NULL;
	int ret = sql_exec(db, e, seal_sql[SEAL_CLEAR]);

	/* A recording that an older exitwalk began, now repaired. */
	if (!ret && sql_prepare(db, &tables, NULL, seal_sql[SEAL_GET]))
		ret = sql_exec(db, e, seal_sql[SEAL_ADD_DIGEST]);
	sqlite3_finalize(tables);
	tables = NULL;
	if (!ret)
		ret = sql_prepare(db, &tables, e, seal_sql[SEAL_TABLES]);
	while (!ret && (ret = sql_step(tables, e)) > 0)
		ret = seal_table(db, (const char *)sqlite3_column_text(tables, 0), known, e);
	sqlite3_finalize(tables);
	return ret ? ret : sql_exec(db, e, seal_sql[SEAL_KEYS]);
}

/* --- comparing ------------------------------------------------------------------------------ */

/* The place of the one row whose change explains both differences; 0: it was more than one row. */
static uint64_t changed_place(uint64_t sum, uint64_t weighted, uint64_t rows)
{
	for (uint64_t place = 1; sum && place <= rows; place++)
		if (place * sum == weighted)
			return place;
	return 0;
}

static void compare_blocks(
	const struct seal_digest *d, const uint8_t *sealed, struct seal_verdict *v)
{
	for (size_t b = 0; b < d->blocks; b++) {
		int64_t before = (int64_t)b * SEAL_BLOCK;
		int64_t rows = d->rows - before < SEAL_BLOCK ? d->rows - before : SEAL_BLOCK;
		uint64_t was[SUMS], sum, weighted, place;

		memcpy(was, sealed + b * sizeof(was), sizeof(was));
		sum = d->block[b][SUM] - was[SUM];
		weighted = d->block[b][WEIGHTED] - was[WEIGHTED];
		if (!sum && !weighted)
			continue;
		place = changed_place(sum, weighted, (uint64_t)rows);
		if (v->first < 0)
			v->first = before + (place ? (int64_t)place - 1 : 0);
		v->last = before + (place ? (int64_t)place : rows) - 1;
	}
}

/* The seal's row of a table: stands on it, or *has is false. */
static int find_seal(sqlite3 *db, const char *table, sqlite3_stmt **seal, bool *has, struct err *e)
{
	int ret = sql_prepare(db, seal, NULL, seal_sql[SEAL_GET]);

	if (ret) /* a recording of a time when seals had no digest */
		ret = sql_prepare(db, seal, e, seal_sql[SEAL_GET_ROWS]);
	if (ret)
		return ret;
	sqlite3_bind_text(*seal, 1, table, -1, SQLITE_STATIC);
	ret = sql_step(*seal, e);
	*has = ret > 0;
	return ret < 0 ? ret : 0;
}

int seal_compare(sqlite3 *db, const char *table, struct seal_verdict *v, struct err *e)
{
	sqlite3_stmt *seal = NULL, *row = NULL;
	struct seal_digest d = {0};
	struct err why = {""};
	bool has = false;
	int ret = find_seal(db, table, &seal, &has, e);

	*v = (struct seal_verdict){.sealed = -1, .rows = -1, .first = -1, .last = -1};
	if (!ret && has)
		v->sealed = sqlite3_column_int64(seal, 0);
	if (!ret) {
		ret = read_table(db, table, &row, &d, &why);
		if (!row)
			ret = 0; /* there is no such table */
		if (ret)
			err_set(e, ret, "%s", why.msg);
		v->rows = d.rows;
	}
	v->digest = is_derived(table) || (has && sqlite3_column_type(seal, 1) == SQLITE_BLOB);
	/* A digest that does not fit the number of rows beside it was damaged itself. */
	if (!ret && v->digest && v->rows == v->sealed) {
		if ((size_t)sqlite3_column_bytes(seal, 1) == d.blocks * sizeof(*d.block))
			compare_blocks(&d, sqlite3_column_blob(seal, 1), v);
		else
			v->digest = false;
	}
	sqlite3_finalize(seal);
	sqlite3_finalize(row);
	free(d.block);
	return ret;
}

/* One value of a key, as text; a blob in hexadecimal digits. */
static size_t put_value(char *buf, size_t size, sqlite3_stmt *row, int column)
{
	const unsigned char *p = sqlite3_column_blob(row, column);
	int n = sqlite3_column_bytes(row, column);
	size_t used = 0;

	if (sqlite3_column_type(row, column) != SQLITE_BLOB)
		return (size_t)snprintf(buf, size, "%s", sqlite3_column_text(row, column));
	for (int i = 0; i < n && used < size; i++)
		used += (size_t)snprintf(buf + used, size - used, "%02x", p[i]);
	return used;
}

const char *seal_row_name(sqlite3 *db, const char *table, int64_t position, char *buf, size_t size)
{
	sqlite3_stmt *key = NULL, *row = NULL;
	size_t used = 0;

	*buf = '\0';
	if (!sql_prepare(db, &key, NULL, seal_sql[SEAL_KEY_COLUMNS]) &&
		!prepare_for(db, &row, SEAL_ROW_AT, table, NULL)) {
		sqlite3_bind_text(key, 1, table, -1, SQLITE_STATIC);
		sqlite3_bind_int64(row, 1, position);
		if (sql_step(row, NULL) > 0)
			while (used < size && sql_step(key, NULL) > 0) {
				if (used)
					used += (size_t)snprintf(buf + used, size - used, ", ");
				if (used < size)
					used += put_value(buf + used, size - used, row,
						sqlite3_column_int(key, 0));
			}
	}
	sqlite3_finalize(key);
	sqlite3_finalize(row);
	return buf;
}
