/* SPDX-License-Identifier: MIT */
/*
 * Asides in the list of steps: a run of steps in which nothing of the request happens is one row until its
 * steps are asked for.
 */
#include "model_priv.h"

#include <stdio.h>
#include <stdlib.h>
#include "text.h"

#define ASIDES_MAX 65536 /* of one request; the rest is never folded */

static bool add(struct model *m, sqlite3_stmt *s)
{
	struct aside *a;

	if (m->asides == m->asides_cap) {
		size_t cap = m->asides_cap ? 2 * m->asides_cap : 32;

		a = reallocarray(m->aside, cap, sizeof(*a));
		if (!a)
			return false;
		m->aside = a;
		m->asides_cap = cap;
	}
	a = &m->aside[m->asides++];
	*a = (struct aside){.first = mq_int(s, 0),
		.last = mq_int(s, 1),
		.t0 = mq_col(s, 3),
		.t1 = mq_col(s, 4),
		.event = mq_col(s, 6),
		.open = m->asides_open};
	mq_text(s, 5, a->text, sizeof(a->text));
	return true;
}

void asides_load(struct model *m)
{
	sqlite3_stmt *s;

	if (m->asides_of == m->request.id)
		return;
	m->asides = 0;
	m->asides_of = m->request.id;
	m->aside_found = 0;
	s = mq(m, Q_ASIDES, m->request.id, MODEL_NONE, MODEL_NONE);
	while (m->asides < ASIDES_MAX && mq_row(m, s))
		/* One step is as short as what could stand for it; runs follow each other. */
		if (mq_int(s, 2) > 1 &&
			(!m->asides || mq_int(s, 0) > m->aside[m->asides - 1].last) && !add(m, s))
			break;
	mq_done(s);
}

struct aside *aside_of(struct model *m, int64_t step)
{
	size_t low = 0, high = m->asides;

	if (m->mode != MODEL_PATH)
		return NULL;
	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (m->aside[mid].last < step)
			low = mid + 1;
		else
			high = mid;
	}
	return low < m->asides && m->aside[low].first <= step ? &m->aside[low] : NULL;
}

const struct aside *aside_folded(struct model *m, int64_t step)
{
	const struct aside *a = aside_of(m, step);

	return a && !a->open ? a : NULL;
}

void aside_row(const struct aside *a, struct row *r)
{
	char ns[32] = "";

	if (a->t0 != MODEL_NONE)
		text_ns(a->t1 - a->t0, ns, sizeof(ns));
	*r = (struct row){.id = a->first,
		.last = a->last,
		.what = WHAT_ASIDE,
		.stage = r->stage,
		.event = a->event,
		.frame = MODEL_NONE,
		.ts = a->t0,
		.end = a->t1,
		.dur = a->t0 == MODEL_NONE ? MODEL_NONE : a->t1 - a->t0,
		.kind = MODEL_NONE,
		.exit_id = MODEL_NONE,
		.aside = true};
	snprintf(r->text, sizeof(r->text), "aside: %s%s%s", a->text, *ns ? ", " : "", ns);
}

bool model_fold(struct model *m)
{
	const struct row *r = model_row(m, 0);
	struct aside *a = r ? aside_of(m, r->id) : NULL;

	if (!a) {
		model_say(m, m->mode == MODEL_PATH && m->asides
				     ? "this step is no aside; A shows all steps that are"
				     : "there is no aside here: nothing is folded");
		return false;
	}
	a->open = !a->open;
	return model_seek(m, a->open ? r->id : a->first);
}

bool model_fold_all(struct model *m)
{
	const struct row *r = model_row(m, 0);
	bool open = false;

	if (m->mode != MODEL_PATH || !r) {
		model_say(m, "asides are part of a request's path: Enter or t goes there");
		return false;
	}
	for (size_t i = 0; i < m->asides; i++)
		open |= !m->aside[i].open;
	m->asides_open = m->asides ? open : !m->asides_open;
	for (size_t i = 0; i < m->asides; i++)
		m->aside[i].open = m->asides_open;
	model_say(m, m->asides_open ? "all steps are shown, those aside too; A folds them"
				    : "asides are folded; a shows the steps of one, A of all");
	return model_seek(m, r->id);
}

void model_fold_found(struct model *m)
{
	struct aside *a = m->aside_found ? aside_of(m, m->aside_found) : NULL;

	if (a)
		a->open = false;
	m->aside_found = 0;
}

void aside_show(struct model *m, int64_t step)
{
	struct aside *a = aside_of(m, step),
		     *was = m->aside_found ? aside_of(m, m->aside_found) : NULL;

	if (was && was != a)
		was->open = false;
	if (a != was)
		m->aside_found = a && !a->open ? step : 0;
	if (a)
		a->open = true;
}
