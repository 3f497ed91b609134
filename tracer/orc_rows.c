/* SPDX-License-Identifier: MIT */
#include "orc_rows.h"

#include <errno.h>
#include <stdlib.h>

#include "hash64.h"
#include "sql.h"

void orc_rows_free(struct orc_rows *r)
{
	free(r->slot);
	*r = (struct orc_rows){0};
}

/* Where ip is, or where it would be; slots > n. */
static struct orc_row *place(const struct orc_rows *r, uint64_t ip)
{
	size_t i = hash64(ip, r->slots);

	while (r->slot[i].ip && r->slot[i].ip != ip)
		i = (i + 1) & (r->slots - 1);
	return &r->slot[i];
}

static bool grow(struct orc_rows *r)
{
	struct orc_rows bigger = {.slots = r->slots ? 2 * r->slots : 256, .n = r->n};

	bigger.slot = calloc(bigger.slots, sizeof(*bigger.slot));
	if (!bigger.slot)
		return false;
	for (size_t i = 0; i < r->slots; i++)
		if (r->slot[i].ip)
			*place(&bigger, r->slot[i].ip) = r->slot[i];
	free(r->slot);
	*r = bigger;
	return true;
}

void orc_rows_add(struct orc_rows *r, uint64_t ip, const struct orc *o)
{
	struct orc_row *row;

	if (!ip || (r->slots < 2 * (r->n + 1) && !grow(r))) {
		r->failed |= ip != 0;
		return;
	}
	row = place(r, ip);
	if (row->ip)
		return;
	*row = (struct orc_row){ip, *o};
	r->n++;
}

bool orc_rows_find(void *ctx, uint64_t ip, struct orc *o)
{
	const struct orc_rows *r = ctx;
	const struct orc_row *row = r->n && ip ? place(r, ip) : NULL;

	if (!row || !row->ip)
		return false;
	*o = row->orc;
	return true;
}

int orc_rows_load(struct orc_rows *r, sqlite3 *db, struct err *e)
{
	sqlite3_stmt *row = NULL;
	int64_t has = 0;
	int ret = sql_get_int(db, e, "SELECT count(*) FROM sqlite_schema WHERE name = 'orc'", &has);

	if (ret || !has)
		return ret;
	ret = sql_prepare(db, &row, e,
		"SELECT ip, type, sp_reg, sp_offset, bp_reg, bp_offset, after_call FROM orc");
	while (!ret && (ret = sql_step(row, e)) > 0) {
		const struct orc o = {
			.type = (uint8_t)sqlite3_column_int(row, 1),
			.sp_reg = (uint8_t)sqlite3_column_int(row, 2),
			.sp_offset = (int16_t)sqlite3_column_int(row, 3),
			.bp_reg = (uint8_t)sqlite3_column_int(row, 4),
			.bp_offset = (int16_t)sqlite3_column_int(row, 5),
			.after_call = sqlite3_column_int(row, 6) != 0,
		};

		orc_rows_add(r, (uint64_t)sqlite3_column_int64(row, 0), &o);
		ret = 0;
	}
	sqlite3_finalize(row);
	if (!ret && r->failed)
		ret = err_set(e, -ENOMEM, "out of memory for the ORC entries");
	return ret;
}
