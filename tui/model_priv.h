/* SPDX-License-Identifier: MIT */
/* What the model*.c files share and nobody else sees. */
#ifndef EXITWALK_TUI_MODEL_PRIV_H
#define EXITWALK_TUI_MODEL_PRIV_H

#include <sqlite3.h>
#include "model.h"

enum model_sql {
#define SQL(id, text) Q_##id,
#include "model_sql.def"
	Q_MAX
};

/* The rows around the cursor, in order of their key. */
struct window {
	struct row *row;
	struct request *request; /* filled in MODEL_REQUESTS only */
	int n, cur;              /* cur is -1 if n is 0 */
	bool more_before, more_after;
};

/* A run of steps aside that can be folded. */
struct aside {
	int64_t first, last, t0, t1, event;
	bool open; /* its steps are shown */
	char text[MODEL_TEXT - 40];
};

#define QUEUES_MAX 16
struct queue_setup {
	int64_t device, queue, size, desc, avail, used;
};

struct model {
	struct recording *rec;
	char name[64];
	sqlite3_stmt *stmt[Q_MAX];
	enum model_mode mode;
	struct window win;
	int span, cap; /* rows wanted around the cursor; rows that fit into win */
	bool has_request;
	struct request request;                         /* the current one, valid if has_request */
	bool several;                                   /* threads in its path */
	int64_t first_request, last_request, last_step; /* MODEL_NONE if there are none */
	int64_t first_event, last_event, first_ts, last_ts;
	int64_t lost, tracks, story;
	struct aside *aside; /* those of request asides_of, in order */
	size_t asides, asides_cap;
	int64_t asides_of,
		aside_found; /* aside_found: a step of the one that the search opened; 0: none */
	bool asides_open;    /* how they are when they are loaded */
	struct queue_setup queue[QUEUES_MAX];
	unsigned queues;
	struct {
		int64_t request, step;
	} left; /* where the path was left for a list */
	char note[256];
};

/*
 * Resets and returns the statement with a (and b, c) bound, MODEL_NONE as NULL; NULL if it cannot
 * be prepared. The caller steps it; the next mq() of the same id resets it again.
 */
sqlite3_stmt *mq(struct model *m, enum model_sql q, int64_t a, int64_t b, int64_t c);
/* true: there is a row. An error goes to the note. */
bool mq_row(struct model *m, sqlite3_stmt *s);
void mq_done(sqlite3_stmt *s);               /* ends the reading early; NULL is fine */
int64_t mq_int(sqlite3_stmt *s, int column); /* 0 for NULL */
int64_t mq_col(sqlite3_stmt *s, int column); /* MODEL_NONE for NULL */
void mq_text(sqlite3_stmt *s, int column, char *buf, size_t size);
/* First column of the first row, or MODEL_NONE. */
int64_t mq_one(struct model *m, enum model_sql q, int64_t a, int64_t b, int64_t c);

/* model_window.c: puts the cursor on the row with this key, or the nearest; false if the list is
 * empty. */
bool window_load(struct model *m, int64_t id);
void row_read(sqlite3_stmt *s, struct row *r); /* columns of ROW_STEP and ROW_EVENT */
bool request_select(struct model *m, int64_t id);
/* Number of the first row (1..last) whose value by query q, rising with it, is > key; last + 1 if
 * none. */
int64_t upper_bound(struct model *m, enum model_sql q, int64_t last, int64_t key);

/* model_aside.c: those of the current request, unless they are there. */
void asides_load(struct model *m);
/* The one that a step is part of, folded or not; NULL: none, or there are no steps in this list. */
struct aside *aside_of(struct model *m, int64_t step);
const struct aside *aside_folded(struct model *m, int64_t step);
/* Makes a row of the one whose step it was. */
void aside_row(const struct aside *a, struct row *r);
/* The search has found this step: it is shown, and the aside that was opened for the hit before is folded. */
void aside_show(struct model *m, int64_t step);

/* model_names.c. Each returns buf. */
const char *name_of(struct model *m, const char *list, int64_t value, char *buf, size_t size);
const char *label_of(struct model *m, const char *list, int64_t value, char *buf, size_t size);
const char *symbol_of(struct model *m, uint64_t addr, char *buf, size_t size);
const char *thing_of(struct model *m, enum model_sql q, int64_t id, char *buf, size_t size);
const char *explain_symbol(const char *name); /* NULL: nothing to say */
const char *explain_stage(int stage);
/* An argument of an event of that kind, as the kind's text template shows it. */
void argument(struct model *m, const char *kind, const char *template, const char *arg,
	int64_t value, char *buf, size_t size);

/* The last event at or before the cursor; MODEL_NONE if there is none. */
int64_t cursor_event(struct model *m);

/* model_lines.c */
struct line *line_add(struct lines *l, enum line_kind kind);
__attribute__((format(printf, 3, 4))) void line_text(
	struct lines *l, enum line_kind kind, const char *fmt, ...);
__attribute__((format(printf, 4, 5))) void line_field(
	struct lines *l, const char *key, const char *note, const char *fmt, ...);

#define X(id, fn, title) void pane_##fn(struct model *m, struct lines *out);
MODEL_PANES(X)
#undef X

#endif
