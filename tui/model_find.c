/* SPDX-License-Identifier: MIT */
/* Searching the list under the cursor, in slices, so that a long search can be interrupted. */
#include "model_priv.h"

#include <stdio.h>
#include "text.h"

/* A request's row has no text of its own: what the list shows of it, also where its columns have no room. */
static void searched_text(struct model *m, sqlite3_stmt *s, char *buf, size_t size)
{
	struct request q;
	size_t at = 0;
	char cell[96];

	if (m->mode != MODEL_REQUESTS) {
		mq_text(s, 10, buf, size);
		return;
	}
	request_row_read(s, &q);
	for (int c = 0; c < REQUEST_COLS && at < size; c++)
		at += (size_t)snprintf(buf + at, size - at,
			c == REQUEST_COL_SECTOR ? "sector %s " : "%s ",
			request_cell(&q, (enum request_column)c, cell, sizeof(cell)));
}

enum find_result model_find(
	struct model *m, const char *needle, int dir, bool here, unsigned rows, int64_t *resume)
{
	static const enum model_sql q[MODEL_MODES][2] = {
		[MODEL_PATH] = {Q_STEP_BEFORE, Q_STEP_AFTER},
		[MODEL_TIMELINE] = {Q_EVENT_BEFORE, Q_EVENT_AFTER},
		[MODEL_REQUESTS] = {Q_REQUEST_BEFORE, Q_REQUEST_AFTER},
	};
	const struct row *r = model_row(m, 0);
	char text[512];
	unsigned seen = 0;
	int64_t from;
	sqlite3_stmt *s;

	if (!r || !*needle)
		return FIND_MISS;
	/* AFTER includes its key, BEFORE does not. */
	from = *resume   ? *resume
	       : dir > 0 ? r->id + (!here && r->what != WHAT_ASIDE)
			 : r->id + here;
	s = mq(m, q[m->mode][dir > 0], m->mode == MODEL_PATH ? m->request.id : MODEL_NONE, from,
		rows);
	while (mq_row(m, s)) {
		int64_t id = sqlite3_column_int64(s, 0);

		seen++;
		*resume = dir > 0 ? id + 1 : id;
		searched_text(m, s, text, sizeof(text));
		if (!text_matches(text, needle))
			continue;
		mq_done(s);
		aside_show(m, id);
		model_seek(m, id);
		return FIND_HIT;
	}
	return seen < rows ? FIND_MISS : FIND_MORE;
}
