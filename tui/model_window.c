/* SPDX-License-Identifier: MIT */
/* The list under the cursor: a window of rows, read by key, that follows the cursor. */
#include "model_priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SPAN_MAX 512 /* rows of the tallest terminal that is drawn in full */

static enum model_what what_of(const char *s)
{
	if (s && strcmp(s, "frame") == 0)
		return WHAT_FRAME;
	if (s && strcmp(s, "insn") == 0)
		return WHAT_INSN;
	if (s && strcmp(s, "handover") == 0)
		return WHAT_HANDOVER;
	if (s && strcmp(s, "absent") == 0)
		return WHAT_ABSENT;
	return WHAT_EVENT;
}

void row_read(sqlite3_stmt *s, struct row *r)
{
	const char *what = (const char *)sqlite3_column_text(s, 1);
	/* The event of a frame, an instruction or a task says when it was copied, not when it ran. */
	bool timed = what_of(what) != WHAT_FRAME && what_of(what) != WHAT_INSN &&
		     (!what || strcmp(what, "task") != 0);

	r->id = sqlite3_column_int64(s, 0);
	r->what = what_of(what);
	r->stage = sqlite3_column_int(s, 2);
	r->layer = sqlite3_column_int(s, 3);
	if (r->layer < 0 || r->layer >= MODEL_LAYERS)
		r->layer = 0;
	if (r->stage < 0 || r->stage > MODEL_STAGES)
		r->stage = 0;
	r->event = mq_col(s, 4);
	r->frame = mq_col(s, 5);
	r->last = r->id;
	r->ts = r->end = timed ? mq_col(s, 6) : MODEL_NONE;
	r->dur = timed ? mq_col(s, 7) : MODEL_NONE;
	r->kind = mq_col(s, 8);
	r->exit_id = mq_col(s, 9);
	mq_text(s, 10, r->text, sizeof(r->text));
	mq_text(s, 11, r->track, sizeof(r->track));
	mq_text(s, 12, r->actor, sizeof(r->actor));
	if (!r->actor[0])
		snprintf(r->actor, sizeof(r->actor), "%s", r->track);
	r->uncertain = sqlite3_column_int(s, 13);
	r->aside = sqlite3_column_type(s, 14) != SQLITE_NULL;
}

static void read_into(struct model *m, sqlite3_stmt *s, int i)
{
	if (m->mode != MODEL_REQUESTS) {
		row_read(s, &m->win.row[i]);
		return;
	}
	request_row_read(s, &m->win.request[i]);
	m->win.row[i] = (struct row){.id = m->win.request[i].id,
		.event = MODEL_NONE,
		.frame = MODEL_NONE,
		.last = m->win.request[i].id,
		.ts = m->win.request[i].t_first,
		.end = m->win.request[i].t_first,
		.dur = MODEL_NONE,
		.kind = MODEL_NONE,
		.exit_id = MODEL_NONE};
}

static sqlite3_stmt *list(struct model *m, bool after, int64_t id, int limit)
{
	static const enum model_sql q[MODEL_MODES][2] = {
		[MODEL_PATH] = {Q_STEP_BEFORE, Q_STEP_AFTER},
		[MODEL_TIMELINE] = {Q_EVENT_BEFORE, Q_EVENT_AFTER},
		[MODEL_REQUESTS] = {Q_REQUEST_BEFORE, Q_REQUEST_AFTER},
	};

	return mq(m, q[m->mode][after], m->mode == MODEL_PATH ? m->request.id : MODEL_NONE, id,
		limit);
}

/* One row for all steps of a folded aside: the key of the first or the last one, or the row's own. */
static int64_t fold(struct model *m, int i, bool last)
{
	struct row *r = &m->win.row[i];
	const struct aside *a = aside_folded(m, r->id);

	if (!a)
		return r->id;
	aside_row(a, r);
	return last ? a->last : a->first;
}

/* The rows in front of this key, up to place `at`; returns the place of the first one. */
static int load_before(struct model *m, int64_t id, int at)
{
	sqlite3_stmt *s = list(m, false, id, at);
	int64_t key;

	while (at > 0 && mq_row(m, s)) {
		read_into(m, s, --at);
		key = m->win.row[at].id;
		id = fold(m, at, false);
		if (id != key) /* and not those in between */
			s = list(m, false, id, at);
	}
	return at;
}

/* The rows from this key on, from place `at` to `end`; returns the place behind the last one. */
static int load_after(struct model *m, int64_t id, int at, int end)
{
	sqlite3_stmt *s = list(m, true, id, end - at);
	int64_t key;

	while (at < end && mq_row(m, s)) {
		read_into(m, s, at);
		key = m->win.row[at].id;
		id = fold(m, at++, true);
		if (id != key)
			s = list(m, true, id + 1, end - at);
	}
	return at;
}

bool window_load(struct model *m, int64_t id)
{
	struct window *w = &m->win;
	const struct aside *a;
	int half = m->cap / 2, back;

	w->n = 0;
	w->cur = -1;
	w->more_before = w->more_after = false;
	if (m->mode == MODEL_PATH && !m->has_request)
		return false;
	if (m->mode == MODEL_PATH)
		asides_load(m);
	a = aside_folded(m, id);
	if (a)
		id = a->first;
	back = load_before(m, id, half);
	w->more_before = back == 0;
	w->n = half - back;
	memmove(w->row, w->row + back, (size_t)w->n * sizeof(*w->row));
	memmove(w->request, w->request + back, (size_t)w->n * sizeof(*w->request));
	w->cur = w->n;

	w->n = load_after(m, id, w->n, w->cur + m->cap - half);
	w->more_after = w->n == w->cur + m->cap - half;
	if (w->cur >= w->n)
		w->cur = w->n - 1;
	return w->n > 0;
}

void model_span(struct model *m, unsigned rows)
{
	int span = rows < 16 ? 16 : rows > SPAN_MAX ? SPAN_MAX : (int)rows;
	int cap = span * 4;
	const struct row *r = model_row(m, 0);
	int64_t id = r ? r->id : 0;
	struct row *row;
	struct request *request;

	if (span == m->span)
		return;
	row = realloc(m->win.row, (size_t)cap * sizeof(*row));
	if (row)
		m->win.row = row;
	request = realloc(m->win.request, (size_t)cap * sizeof(*request));
	if (request)
		m->win.request = request;
	if (!row || !request) { /* a smaller one was shrunk for certain; else keep the old size */
		m->cap = m->cap < cap ? m->cap : cap;
		return;
	}
	m->span = span;
	m->cap = cap;
	window_load(m, id);
}

const struct row *model_row(const struct model *m, int rel)
{
	int i = m->win.cur + rel;

	return m->win.cur >= 0 && i >= 0 && i < m->win.n ? &m->win.row[i] : NULL;
}

const struct request *model_request_row(const struct model *m, int rel)
{
	int i = m->win.cur + rel;

	if (m->mode != MODEL_REQUESTS || m->win.cur < 0 || i < 0 || i >= m->win.n)
		return NULL;
	return &m->win.request[i];
}

bool model_several(const struct model *m)
{
	return m->has_request && m->several;
}

bool request_select(struct model *m, int64_t id)
{
	sqlite3_stmt *s = mq(m, Q_REQUEST_AFTER, MODEL_NONE, id, 1);

	if (!mq_row(m, s))
		return false;
	request_row_read(s, &m->request);
	sqlite3_reset(s);
	m->has_request = true;
	m->last_step = mq_one(m, Q_LAST_STEP, m->request.id, MODEL_NONE, MODEL_NONE);
	m->several = mq_one(m, Q_STEP_TRACKS, m->request.id, MODEL_NONE, MODEL_NONE) > 1;
	return true;
}
