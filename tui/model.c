/* SPDX-License-Identifier: MIT */
/* The model's life, its statements and its one-line texts. */
#include "model_priv.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "text.h"

static const char *const sql_of[Q_MAX] = {
#define SQL(id, text) [Q_##id] = text,
#include "model_sql.def"
};

void model_say(struct model *m, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(m->note, sizeof(m->note), fmt, ap);
	va_end(ap);
}

static void bind(sqlite3_stmt *s, int i, int64_t v)
{
	if (i > sqlite3_bind_parameter_count(s))
		return;
	if (v == MODEL_NONE)
		sqlite3_bind_null(s, i);
	else
		sqlite3_bind_int64(s, i, v);
}

sqlite3_stmt *mq(struct model *m, enum model_sql q, int64_t a, int64_t b, int64_t c)
{
	sqlite3_stmt **s = &m->stmt[q];

	if (!*s && sqlite3_prepare_v3(m->rec->db, sql_of[q], -1, SQLITE_PREPARE_PERSISTENT, s,
			   NULL) != SQLITE_OK) {
		model_say(m, "the recording cannot be read: %s; try exitwalk check",
			sqlite3_errmsg(m->rec->db));
		return NULL;
	}
	sqlite3_reset(*s);
	bind(*s, 1, a);
	bind(*s, 2, b);
	bind(*s, 3, c);
	return *s;
}

bool mq_row(struct model *m, sqlite3_stmt *s)
{
	int rc = s ? sqlite3_step(s) : SQLITE_DONE;

	if (rc == SQLITE_ROW)
		return true;
	if (rc != SQLITE_DONE)
		model_say(m, "the recording cannot be read: %s; try exitwalk check",
			sqlite3_errmsg(m->rec->db));
	if (s)
		sqlite3_reset(s);
	return false;
}

void mq_done(sqlite3_stmt *s)
{
	if (s)
		sqlite3_reset(s);
}

int64_t mq_int(sqlite3_stmt *s, int column)
{
	return sqlite3_column_int64(s, column);
}

int64_t mq_col(sqlite3_stmt *s, int column)
{
	if (sqlite3_column_type(s, column) == SQLITE_NULL)
		return MODEL_NONE;
	return sqlite3_column_int64(s, column);
}

void mq_text(sqlite3_stmt *s, int column, char *buf, size_t size)
{
	const char *t = (const char *)sqlite3_column_text(s, column);

	snprintf(buf, size, "%s", t ? t : "");
}

int64_t mq_one(struct model *m, enum model_sql q, int64_t a, int64_t b, int64_t c)
{
	sqlite3_stmt *s = mq(m, q, a, b, c);
	int64_t v = MODEL_NONE;

	if (mq_row(m, s)) {
		v = mq_col(s, 0);
		sqlite3_reset(s);
	}
	return v;
}

static void queues_load(struct model *m)
{
	/*
	 * Drivers set their queues up at the start: look no further, so that opening stays
	 * quick.
	 */
	sqlite3_stmt *s = mq(m, Q_QUEUE_SETUPS, m->first_event + 50000, EW_QUEUE_SETUP, MODEL_NONE);

	while (m->queues < QUEUES_MAX && mq_row(m, s)) {
		struct queue_setup *q = &m->queue[m->queues++];

		q->device = mq_col(s, 0);
		q->queue = mq_col(s, 1);
		q->size = mq_col(s, 2);
		q->desc = mq_col(s, 3);
		q->avail = mq_col(s, 4);
		q->used = mq_col(s, 5);
	}
	mq_done(s);
}

/* The story begins with a process's write; failing that, with the first request. */
static void begin(struct model *m)
{
	int64_t id;

	m->story = MODEL_NONE;
	if (m->first_request == MODEL_NONE)
		return;
	id = mq_one(m, Q_FIRST_WRITE, m->first_request + 10000, MODEL_NONE, MODEL_NONE);
	m->story = id == MODEL_NONE ? m->first_request : id;
	if (!request_select(m, m->story) || m->note[0] || m->rec->banner[0])
		return;
	if (m->request.call != MODEL_NONE && strcmp(m->request.type, "VIRTIO_BLK_T_OUT") == 0)
		model_say(m, "the first write is request %lld; r lists all, ? helps",
			(long long)m->request.id);
	else
		model_say(m, "this is request %lld of %lld; r lists all, ? helps",
			(long long)m->request.id, (long long)m->last_request);
}

int model_open(struct model **out, struct recording *rec, const char *name, struct err *e)
{
	struct model *m = calloc(1, sizeof(*m));

	if (!m)
		return err_set(e, -ENOMEM, "out of memory");
	m->rec = rec;
	snprintf(m->name, sizeof(m->name), "%s", name);
	/* A page cache of 4 MiB: the window is small, and the recording may be large. */
	sqlite3_exec(rec->db, "PRAGMA cache_size = -4096; PRAGMA mmap_size = 0", NULL, NULL, NULL);
	m->first_request = mq_one(m, Q_FIRST_REQUEST, MODEL_NONE, MODEL_NONE, MODEL_NONE);
	m->tracks = mq_one(m, Q_TRACKS, MODEL_NONE, MODEL_NONE, MODEL_NONE);
	m->last_request = mq_one(m, Q_LAST_REQUEST, MODEL_NONE, MODEL_NONE, MODEL_NONE);
	m->first_event = mq_one(m, Q_FIRST_EVENT, MODEL_NONE, MODEL_NONE, MODEL_NONE);
	m->last_event = mq_one(m, Q_LAST_EVENT, MODEL_NONE, MODEL_NONE, MODEL_NONE);
	m->first_ts = mq_one(m, Q_EVENT_TS, 0, MODEL_NONE, MODEL_NONE);
	m->last_ts = mq_one(m, Q_EVENT_TS, m->last_event, MODEL_NONE, MODEL_NONE);
	m->lost = mq_one(m, Q_LOST, MODEL_NONE, MODEL_NONE, MODEL_NONE);
	if (m->first_event != MODEL_NONE)
		queues_load(m);
	if (m->note[0]) { /* the tables that everything needs cannot be read */
		int ret = err_set(e, -EIO, "%s", m->note);

		model_close(m);
		return ret;
	}
	m->mode = MODEL_PATH;
	begin(m);
	model_span(m, 64);
	if (!m->win.row) {
		model_close(m);
		return err_set(e, -ENOMEM, "out of memory");
	}
	*out = m;
	return 0;
}

void model_close(struct model *m)
{
	if (!m)
		return;
	for (int i = 0; i < Q_MAX; i++)
		sqlite3_finalize(m->stmt[i]);
	free(m->aside);
	free(m->win.row);
	free(m->win.request);
	free(m);
}

enum model_mode model_mode(const struct model *m)
{
	return m->mode;
}

const struct request *model_request(const struct model *m)
{
	if (m->mode == MODEL_REQUESTS)
		return model_request_row(m, 0);
	return m->has_request ? &m->request : NULL;
}

int64_t model_evidence(const struct model *m)
{
	const struct row *r = model_row(m, 0);

	if (!r)
		return MODEL_NONE;
	return m->mode == MODEL_REQUESTS ? r->id : r->event;
}

int64_t model_story(const struct model *m)
{
	return m->story;
}

int64_t model_lost(const struct model *m)
{
	return m->lost == MODEL_NONE ? 0 : m->lost;
}

const char *model_banner(const struct model *m)
{
	return m->rec->banner;
}

const char *model_note(const struct model *m)
{
	return m->note;
}

void model_clear_note(struct model *m)
{
	m->note[0] = 0;
}

int64_t model_since(const struct model *m, const struct row *r)
{
	int64_t start = m->mode == MODEL_PATH && m->has_request ? m->request.t_first : m->first_ts;

	if (r->ts == MODEL_NONE || start == MODEL_NONE)
		return MODEL_NONE;
	return r->ts - start;
}

struct time_unit model_unit(const struct model *m)
{
	if (m->mode == MODEL_PATH && m->has_request)
		return time_unit_of(m->request.t_last - m->request.t_first);
	return time_unit_of(m->first_ts == MODEL_NONE || m->last_ts == MODEL_NONE
				    ? 0
				    : m->last_ts - m->first_ts);
}

int64_t model_delta(const struct model *m, int rel)
{
	const struct row *r = model_row(m, rel), *before;

	if (!r || r->ts == MODEL_NONE)
		return MODEL_NONE;
	for (int i = rel - 1; (before = model_row(m, i)) != NULL; i--)
		if (before->end != MODEL_NONE)
			return r->ts - before->end;
	return MODEL_NONE;
}

const char *model_empty(const struct model *m)
{
	if (m->mode == MODEL_TIMELINE)
		return "This recording has no events: the machine never ran, or the recorder was ended "
		       "before its first write. Record again: exitwalk run";
	if (m->rec->cut_off)
		return "No virtio request in what was written before the recording was cut off. t shows "
		       "the events that are there.";
	return "No virtio request in this recording: the guest used no disk, or what was recorded does not "
	       "show it. t shows all events; exitwalk run without options records the sample guest's writes.";
}

const char *model_position(const struct model *m, char *buf, size_t size)
{
	const struct row *r = model_row(m, 0);

	if (!r)
		snprintf(buf, size, "nothing recorded");
	else if (m->mode == MODEL_PATH && r->what == WHAT_ASIDE)
		snprintf(buf, size, "steps %lld-%lld/%lld", (long long)r->id, (long long)r->last,
			(long long)m->last_step);
	else if (m->mode == MODEL_PATH)
		snprintf(buf, size, "step %lld/%lld", (long long)r->id, (long long)m->last_step);
	else if (m->mode == MODEL_TIMELINE)
		snprintf(buf, size, "event %lld/%lld", (long long)r->id, (long long)m->last_event);
	else
		snprintf(buf, size, "request %lld/%lld", (long long)r->id,
			(long long)m->last_request);
	return buf;
}

unsigned model_percent(const struct model *m)
{
	const struct row *r = model_row(m, 0);
	int64_t first = m->mode == MODEL_PATH       ? 1
			: m->mode == MODEL_TIMELINE ? m->first_event
						    : m->first_request;
	int64_t last = m->mode == MODEL_PATH       ? m->last_step
		       : m->mode == MODEL_TIMELINE ? m->last_event
						   : m->last_request;

	if (!r || last <= first || r->last >= last)
		return r ? 100 : 0;
	return (unsigned)((double)(r->id - first) * 100.0 / (double)(last - first));
}
