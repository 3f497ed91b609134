/* SPDX-License-Identifier: MIT */
/* Searching the list under the cursor, in slices, so that a long search can be interrupted. */
#include "model_priv.h"

#include <stdio.h>
#include "text.h"

/* A request's row has no text of its own: what the list shows of it. */
static void searched_text(struct model *m, sqlite3_stmt *s, char *buf, size_t size)
{
	char part[4][64];

	if (m->mode != MODEL_REQUESTS) {
		mq_text(s, 10, buf, size);
		return;
	}
	for (int i = 0; i < 4; i++)
		mq_text(s, 12 + i, part[i], sizeof(part[i]));
	snprintf(buf, size, "%s %s %s %s sector %lld", part[0], part[1], part[2], part[3],
		(long long)sqlite3_column_int64(s, 1));
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
	char text[MODEL_TEXT + 128];
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
