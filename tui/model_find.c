/* SPDX-License-Identifier: MIT */
/* Searching the list under the cursor, in slices, so that a long search can be interrupted. */
#include "model_priv.h"

#include <stdio.h>
#include <string.h>
#include "text.h"

/* A request's row has no text of its own: what the list shows of it, also where its columns have no room. */
static bool request_matches(sqlite3_stmt *s, const char *needle)
{
	struct request q;
	char text[512], cell[96];
	size_t at = 0;

	request_row_read(s, &q);
	for (int c = 0; c < REQUEST_COLS && at < sizeof(text); c++)
		at += (size_t)snprintf(text + at, sizeof(text) - at,
			c == REQUEST_COL_SECTOR ? "sector %s " : "%s ",
			request_cell(&q, (enum request_column)c, cell, sizeof(cell)));
	return text_matches(text, needle);
}

/* Is the kind's name, as docs/events.md has it, what is searched for? */
static bool kind_matches(struct model *m, int64_t kind, const char *needle)
{
	char name[64];

	return kind != MODEL_NONE && strchr(needle, '_') &&
	       strcmp(thing_of(m, Q_KIND, kind, name, sizeof(name)), needle) == 0;
}

/* A heading is found where it stands, not at each of the steps under it. */
static bool heading_matches(struct model *m, const struct row *r, const char *needle)
{
	bool stage = text_matches(model_stage_name(r->stage), needle);
	bool actor = r->actor[0] && text_matches(r->actor, needle);
	const struct aside *a;
	char before[40] = "";
	sqlite3_stmt *s;

	if (m->mode != MODEL_PATH || (!stage && !actor))
		return false;
	a = aside_folded(m, r->id - 1); /* it has no headings */
	if (stage && mq_one(m, Q_STAGE_BEFORE, m->request.id, a ? a->first : r->id, MODEL_NONE) !=
			     r->stage)
		return true;
	s = mq(m, Q_ACTOR_BEFORE, m->request.id, a ? a->first : r->id, MODEL_NONE);
	if (mq_row(m, s)) {
		mq_text(s, 0, before, sizeof(before));
		mq_done(s);
	}
	return actor && model_several(m) && strcmp(before, r->actor) != 0;
}

/* Is it the folded aside itself that is searched for, by how its line begins? What it folds is found by itself. */
static bool aside_matches(const struct aside *a, const char *needle)
{
	char line[MODEL_TEXT];

	snprintf(line, sizeof(line), "aside: %s", a->text);
	return strncasecmp(line, needle, strlen(needle)) == 0;
}

/* `but`: the aside that the search goes on from. *folded: a folded aside was found, and not one of its steps. */
static bool step_matches(
	struct model *m, sqlite3_stmt *s, const char *needle, int64_t but, bool *folded)
{
	const struct aside *a;
	struct row r;

	row_read(s, &r);
	a = aside_folded(m, r.id);
	*folded = a && a->first == r.id && r.id != but && aside_matches(a, needle);
	return *folded || text_matches(r.text, needle) || kind_matches(m, r.kind, needle) ||
	       (!a && heading_matches(m, &r, needle));
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
	unsigned seen = 0;
	int64_t from, but;
	sqlite3_stmt *s;

	if (!r || !*needle)
		return FIND_MISS;
	/* AFTER includes its key, BEFORE does not. */
	from = *resume   ? *resume
	       : dir > 0 ? r->id + (!here && r->what != WHAT_ASIDE)
			 : r->id + here;
	but = here ? MODEL_NONE : r->id;
	s = mq(m, q[m->mode][dir > 0], m->mode == MODEL_PATH ? m->request.id : MODEL_NONE, from,
		rows);
	while (mq_row(m, s)) {
		int64_t id = sqlite3_column_int64(s, 0);
		bool folded = false;

		seen++;
		*resume = dir > 0 ? id + 1 : id;
		if (m->mode == MODEL_REQUESTS ? !request_matches(s, needle)
					      : !step_matches(m, s, needle, but, &folded))
			continue;
		mq_done(s);
		if (folded)
			model_fold_found(m);
		else
			aside_show(m, id);
		model_seek(m, id);
		return FIND_HIT;
	}
	return seen < rows ? FIND_MISS : FIND_MORE;
}
