/* SPDX-License-Identifier: MIT */
/* Moving the cursor: by rows, exits, requests and stages, and from one list to another. */
#include "model_priv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int64_t upper_bound(struct model *m, enum model_sql q, int64_t last, int64_t key)
{
	int64_t lo = 1, hi = last == MODEL_NONE ? 1 : last + 1;

	while (lo < hi) {
		int64_t mid = lo + (hi - lo) / 2;
		int64_t v = mq_one(m, q, mid, MODEL_NONE, MODEL_NONE);

		if (v != MODEL_NONE && v <= key)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static bool part_of(struct model *m, int64_t request, int64_t event)
{
	return mq_one(m, Q_EVENT_IS_STEP, request, event, MODEL_NONE) != MODEL_NONE &&
	       request_select(m, request) && m->request.id == request;
}

#define CROSSING_MAX 20000 /* rows to look at; then it is not near */

#define AROUND 32 /* requests that may be in flight with the one that a time points to */

/*
 * The request that the timeline's event belongs to: the one whose number it carries, which has it as a
 * step, or at least whose time window holds it.
 */
static void request_of_event(struct model *m)
{
	const struct row *r = model_row(m, 0);
	int64_t id;

	m->has_request = false;
	if (!r || r->ts == MODEL_NONE || m->first_request == MODEL_NONE)
		return;
	id = mq_one(m, Q_EVENT_REQUEST, r->id, MODEL_NONE, MODEL_NONE);
	if (id != MODEL_NONE && request_select(m, id) && m->request.id == id)
		return;
	id = upper_bound(m, Q_REQUEST_START, m->last_request, r->ts) - 1;
	/* One thread has one request at a time. */
	for (int64_t k = 0; k <= (m->tracks > 1 ? AROUND : 0); k++)
		if (part_of(m, id - k, r->id) || part_of(m, id + 1 + k, r->id))
			return;
	m->has_request = false;
	if (id >= m->first_request && request_select(m, id) &&
		(m->request.id != id || r->ts < m->request.t_first || r->ts > m->request.t_last))
		m->has_request = false;
}

int64_t cursor_event(struct model *m)
{
	const struct row *r = model_row(m, 0);
	int64_t id;

	if (!r)
		return MODEL_NONE;
	if (m->mode == MODEL_TIMELINE)
		return r->id;
	if (m->mode == MODEL_REQUESTS)
		return mq_one(m, Q_FIRST_EVENT_OF_STEPS, r->id, MODEL_NONE, MODEL_NONE);
	if ((r->what == WHAT_EVENT || r->what == WHAT_HANDOVER || r->what == WHAT_ASIDE) &&
		r->event != MODEL_NONE)
		return r->event;
	/* What has no time of its own happened between its neighbours. */
	id = mq_one(m, Q_EVENT_OF_STEP, m->request.id, r->id, MODEL_NONE);
	if (id == MODEL_NONE)
		id = mq_one(m, Q_FIRST_EVENT_OF_STEPS, m->request.id, MODEL_NONE, MODEL_NONE);
	return id;
}

/* Keeps enough rows on both sides of the cursor, and the timeline's request up to date. */
static void settle(struct model *m)
{
	const struct window *w = &m->win;

	if (w->cur >= 0 && ((w->cur < m->span && w->more_before) ||
				   (w->n - 1 - w->cur < m->span && w->more_after)))
		window_load(m, w->row[w->cur].id);
	if (m->mode == MODEL_TIMELINE)
		request_of_event(m);
}

bool model_seek(struct model *m, int64_t id)
{
	bool ok = window_load(m, id);

	settle(m);
	return ok;
}

bool model_move(struct model *m, int64_t delta)
{
	struct window *w = &m->win;
	int64_t start = w->cur >= 0 ? w->row[w->cur].id : 0;

	while (w->cur >= 0 && delta != 0) {
		int64_t to = w->cur + delta;

		if (to >= 0 && to < w->n) {
			w->cur = (int)to;
			break;
		}
		delta -= to < 0 ? -(int64_t)w->cur : (int64_t)(w->n - 1 - w->cur);
		w->cur = to < 0 ? 0 : w->n - 1;
		if (to < 0 ? !w->more_before : !w->more_after)
			break;
		window_load(m, w->row[w->cur].id);
	}
	settle(m);
	if (w->cur >= 0 && w->row[w->cur].id != start)
		return true;
	if (w->cur < 0)
		model_say(m, "there is nothing to step through");
	else if (m->mode == MODEL_PATH)
		model_say(m, delta > 0 ? "the last step; ] goes on to the next request"
				       : "the first step; [ goes to the request before");
	else
		model_say(m, delta > 0 ? "this is the last one" : "this is the first one");
	return false;
}

bool model_edge(struct model *m, bool last)
{
	const struct row *r = model_row(m, 0);
	int64_t before = r ? r->id : MODEL_NONE;

	model_seek(m, last ? INT64_MAX - 1 : INT64_MIN + 1);
	r = model_row(m, 0);
	if (r && r->id != before)
		return true;
	model_say(m, last ? "this is the last one" : "this is the first one");
	return false;
}

/* One that is crossed: the time between exit and entry is KVM's as seen from the lanes. */
static int side(const struct row *r)
{
	return r->layer == EW_LAYER_EXIT_ENTRY || r->layer == EW_LAYER_IN_KVM_RUN ? EW_LAYER_KVM
										  : r->layer;
}

/* Does the cursor's row begin something: another layer, thread or task than the row in front of it? */
static bool at_crossing(const struct model *m)
{
	const struct row *r = model_row(m, 0), *before;
	int rel = -1;

	while ((before = model_row(m, rel)) != NULL && before->what == WHAT_ASIDE)
		rel--;
	if (r->what == WHAT_ASIDE)
		return false;
	if (!before) /* here the walk begins */
		return true;
	if (r->layer == EW_LAYER_NONE || r->layer == EW_LAYER_RECORDER ||
		before->layer == EW_LAYER_RECORDER)
		return false;
	return side(r) != side(before) ||
	       (r->actor[0] && before->actor[0] && strcmp(r->actor, before->actor) != 0);
}

bool model_crossing(struct model *m, int dir)
{
	const struct row *r = model_row(m, 0);
	int64_t start = r ? r->id : 0;

	if (m->mode == MODEL_REQUESTS || !r)
		return model_move(m, dir);
	for (int i = 0; i < CROSSING_MAX && model_move(m, dir); i++)
		if (at_crossing(m))
			return true;
	model_seek(m, start);
	model_say(m, dir > 0 ? "no further crossing%s" : "no crossing before this%s",
		m->mode == MODEL_PATH ? " in this request" : " near here");
	return false;
}

static bool exit_of_request(struct model *m, int dir)
{
	const struct row *r = model_row(m, 0);
	int64_t n = r ? (dir > 0 ? r->last : r->id) : MODEL_NONE;
	const struct aside *a = NULL;

	/* What is folded is passed over. */
	do {
		if (a)
			n = dir > 0 ? a->last : a->first;
		if (n != MODEL_NONE)
			n = mq_one(m, dir > 0 ? Q_NEXT_STEP_OF_KIND : Q_PREV_STEP_OF_KIND,
				m->request.id, n, EW_RUN_EXIT);
		a = n == MODEL_NONE ? NULL : aside_folded(m, n);
	} while (a);
	if (n != MODEL_NONE)
		return model_seek(m, n);
	model_say(m, dir > 0 ? "no further exit; ] goes on to the next request"
			     : "no exit before this; [ goes to the request before");
	return false;
}

bool model_exit(struct model *m, int dir)
{
	const struct row *r = model_row(m, 0);
	int64_t exit, event = MODEL_NONE, last;

	if (m->mode == MODEL_PATH)
		return exit_of_request(m, dir);
	if (m->mode == MODEL_REQUESTS || !r)
		return model_move(m, dir);
	last = mq_one(m, Q_LAST_EXIT, MODEL_NONE, MODEL_NONE, MODEL_NONE);
	exit = upper_bound(m, Q_EXIT_EVENT, last, dir > 0 ? r->id : r->id - 1);
	if (dir < 0)
		exit--;
	if (exit >= 1)
		event = mq_one(m, Q_EXIT_EVENT, exit, MODEL_NONE, MODEL_NONE);
	if (event != MODEL_NONE && (dir > 0 ? event > r->id : event < r->id))
		return model_seek(m, event);
	model_say(m, dir > 0 ? "there is no exit after this" : "there is no exit before this");
	return false;
}

bool model_next_request(struct model *m, int dir)
{
	const struct row *r = model_row(m, 0);
	int64_t id;

	if (m->mode == MODEL_REQUESTS)
		return model_move(m, dir);
	if (m->first_request == MODEL_NONE || !r) {
		model_say(m, "this recording has no request");
		return false;
	}
	if (m->mode == MODEL_TIMELINE && !m->has_request) {
		/* Between two requests: the next one, or the one before. */
		id = upper_bound(m, Q_REQUEST_START, m->last_request, r->ts);
		id = dir > 0 ? id : id - 1;
	} else {
		id = m->request.id + dir;
	}
	if (id < m->first_request || id > m->last_request) {
		model_say(m, dir > 0 ? "this is the last request" : "this is the first request");
		return false;
	}
	return model_goto_request(m, id);
}

bool model_stage(struct model *m, int stage)
{
	char name[48];
	int64_t n;

	if (m->mode != MODEL_PATH || !m->has_request) {
		model_say(m, "stages are part of a request's path: Enter or t goes there");
		return false;
	}
	n = mq_one(m, Q_STEP_OF_STAGE, m->request.id, stage, MODEL_NONE);
	if (n != MODEL_NONE)
		return model_seek(m, n);
	snprintf(name, sizeof(name), "%s", model_stage_name(stage));
	model_say(m, "this request has no step of stage %d (%s)", stage, name);
	return false;
}

/* Cursor to the first event of request `id`, in the timeline. */
static bool timeline_request(struct model *m, int64_t id)
{
	int64_t event;

	if (!request_select(m, id))
		return false;
	event = mq_one(m, Q_FIRST_EVENT_OF_STEPS, m->request.id, MODEL_NONE, MODEL_NONE);
	return event != MODEL_NONE && model_seek(m, event);
}

bool model_goto_request(struct model *m, int64_t id)
{
	if (m->first_request == MODEL_NONE || id < m->first_request || id > m->last_request) {
		model_say(m, "there is no request %lld", (long long)id);
		return false;
	}
	if (m->mode == MODEL_TIMELINE)
		return timeline_request(m, id);
	if (m->mode == MODEL_PATH && !request_select(m, id))
		return false;
	return model_seek(m, m->mode == MODEL_PATH ? 0 : id);
}

/* step 0: the first one */
static bool goto_step(struct model *m, int64_t request, int64_t step)
{
	if (m->first_request == MODEL_NONE || request < m->first_request ||
		request > m->last_request || !request_select(m, request)) {
		model_say(m, "there is no request %lld", (long long)request);
		return false;
	}
	m->mode = MODEL_PATH;
	model_seek(m, step);
	if (step >= 0 && step <= m->last_step)
		return true;
	model_say(m, "request %lld has no step %lld: the last one is %lld", (long long)request,
		(long long)step, (long long)m->last_step);
	return false;
}

bool model_goto_place(struct model *m, const char *place)
{
	long long request, step = 0;
	char *end;

	errno = 0;
	request = strtoll(place, &end, 10);
	if (end != place && *end == '.' && end[1])
		step = strtoll(end + 1, &end, 10);
	if (errno || end == place || *end || request < 0 || step < 0) {
		model_say(m, "'%s' is not a number", place);
		return false;
	}
	return step ? goto_step(m, request, step) : model_goto_request(m, request);
}

bool model_goto_event(struct model *m, int64_t id)
{
	if (m->last_event == MODEL_NONE || id < m->first_event || id > m->last_event) {
		model_say(m, "there is no event %lld", (long long)id);
		return false;
	}
	m->mode = MODEL_TIMELINE;
	return model_seek(m, id);
}

static void to_path(struct model *m, int64_t event)
{
	int64_t n = MODEL_NONE;

	if (!m->has_request && m->first_request != MODEL_NONE) {
		const struct row *r = model_row(m, 0);
		int64_t id = r && r->ts != MODEL_NONE
				     ? upper_bound(m, Q_REQUEST_START, m->last_request, r->ts)
				     : m->first_request;

		if (id > m->last_request)
			id = m->last_request;
		if (request_select(m, id))
			model_say(m,
				"that event belongs to no request; this is the one nearest to it");
	}
	m->mode = MODEL_PATH;
	if (m->has_request && event != MODEL_NONE)
		n = mq_one(m, Q_STEP_OF_EVENT, m->request.id, event, MODEL_NONE);
	model_seek(m, n == MODEL_NONE ? 0 : n);
}

void model_set_mode(struct model *m, enum model_mode mode)
{
	int64_t event = cursor_event(m);
	const struct request *q = model_request(m);
	int64_t id = q ? q->id : MODEL_NONE;

	if (mode == m->mode)
		return;
	if (m->mode == MODEL_PATH && q && model_row(m, 0)) {
		m->left.request = id;
		m->left.step = model_row(m, 0)->id;
	}
	if (m->mode == MODEL_REQUESTS) {
		m->has_request = id != MODEL_NONE && request_select(m, id);
		if (mode == MODEL_PATH) {
			m->mode = mode;
			model_seek(m, id == m->left.request ? m->left.step : 0);
			return;
		}
	}
	if (mode == MODEL_PATH) {
		to_path(m, event);
		return;
	}
	m->mode = mode;
	if (mode == MODEL_TIMELINE)
		model_seek(m, event == MODEL_NONE ? 0 : event);
	else
		model_seek(m, id == MODEL_NONE ? 0 : id);
}

void model_back(struct model *m)
{
	if (m->mode == MODEL_PATH)
		return;
	if (m->left.request && m->mode == MODEL_REQUESTS)
		goto_step(m, m->left.request, m->left.step);
	else
		model_set_mode(m, MODEL_PATH);
}
