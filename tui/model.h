/* SPDX-License-Identifier: MIT */
/*
 * The model behind the UI: a recording, a cursor in it, and everything that can be said about the
 * cursor's place. No curses here, and no SQL outside model*.c.
 *
 * Rows are read by key, a few screens around the cursor, so that time and memory do not grow with
 * the recording. A query that fails leaves a sentence in model_note() and acts like an empty
 * answer.
 */
#ifndef EXITWALK_TUI_MODEL_H
#define EXITWALK_TUI_MODEL_H

#include <stdbool.h>
#include <stdint.h>
#include "tracer/probe.h"
#include "tracer/recording.h"
#include "tracer/request_row.h"
#include "tracer/times.h"

#define MODEL_NONE INT64_MIN /* "no value": SQL's NULL, or no such row */
#define MODEL_STAGES 9
#define MODEL_LAYERS (EW_LAYER_MAX + 1)
#define MODEL_TEXT 200

enum model_mode {
	MODEL_PATH,     /* the steps of one request */
	MODEL_TIMELINE, /* every event, by id */
	MODEL_REQUESTS, /* the list of requests */
	MODEL_MODES
};

enum model_what { WHAT_EVENT, WHAT_FRAME, WHAT_INSN, WHAT_HANDOVER, WHAT_ABSENT, WHAT_ASIDE };

/* One line of the list that the cursor is in: a step, an event or a request, by its key. */
struct row {
	int64_t id;   /* step.n, event.id or request.id */
	int64_t last; /* WHAT_ASIDE: the last of the steps that it stands for */
	enum model_what what;
	int stage, layer;
	int64_t event, frame; /* the evidence; MODEL_NONE without */
	int64_t ts, dur;      /* ns; MODEL_NONE where nothing was measured */
	int64_t end;          /* WHAT_ASIDE: the time of its last step; else ts */
	int64_t kind, exit_id;
	char track[20];        /* who it happened on, "" if nobody says */
	char actor[40];        /* the same, or whom the guest's kernel ran there */
	bool aside;            /* nothing of the request happens there */
	bool uncertain;        /* it may have come before the row in front */
	char text[MODEL_TEXT]; /* as recorded: untrusted, see text_next() */
};

/* One line of a pane. The view decides how each kind looks; `value` is untrusted text. */
enum line_kind {
	LINE_TEXT,  /* prose in `value`, wrapped */
	LINE_HEAD,  /* a heading */
	LINE_FIELD, /* `key`: value, and `note` says where it comes from */
	LINE_DIM,   /* less important, or not there */
	LINE_BAR,   /* as LINE_FIELD, with a bar of `share` thousandths */
	LINE_PRE,   /* a drawing or listing: `value` is cut, not wrapped */
	LINE_HERE,  /* as LINE_PRE, and it is the current one */
	LINE_LATER, /* as LINE_PRE, but it has not happened yet */
	LINE_WARN,  /* something is wrong */
};

struct line {
	enum line_kind kind;
	unsigned share; /* LINE_BAR: 0..1000 */
	int layer;      /* LINE_BAR: whose time it is */
	char key[32];
	char value[256];
	char note[96];
};

#define LINES_MAX 160
struct lines {
	unsigned n;
	struct line line[LINES_MAX]; /* what does not fit is left out, the last line says so */
};

/* The panes that describe the cursor's place, declared once: X(ID, function suffix, title). */
#define MODEL_PANES(X)                                                                             \
	X(STEP, step, "Step")                                                                      \
	X(RINGS, rings, "Rings")                                                                   \
	X(REGS, regs, "Registers")                                                                 \
	X(STACK, stack, "Stack")                                                                   \
	X(CODE, code, "Code")                                                                      \
	X(BUDGET, budget, "Budget")

enum model_pane {
#define X(id, fn, title) PANE_##id,
	MODEL_PANES(X)
#undef X
		PANE_MAX
};

struct model;

/* `rec` is borrowed and must outlive the model. `name` is shown in the breadcrumb. */
int model_open(struct model **out, struct recording *rec, const char *name, struct err *e);
void model_close(struct model *m); /* NULL is fine */

/* How many rows around the cursor model_row() must be able to give. */
void model_span(struct model *m, unsigned rows);

enum model_mode model_mode(const struct model *m);
/* Changes the list and keeps the place: the cursor goes to the row nearest to where it was. */
void model_set_mode(struct model *m, enum model_mode mode);

/* From a list to the path and the step from which one came. */
void model_back(struct model *m);

/*
 * The row `rel` lines from the cursor (0 = the cursor's own), or NULL. Valid until the next call
 * that is not const.
 */
const struct row *model_row(const struct model *m, int rel);
/* The request of a row of MODEL_REQUESTS, `rel` lines from the cursor. */
const struct request *model_request_row(const struct model *m, int rel);

/* Moves. false: there is nothing there; model_note() says why. */
bool model_move(struct model *m, int64_t delta); /* as far as it can; false if not at all */
/* To the row with this key, or the one nearest to it: what model_row(m, 0)->id was. */
bool model_seek(struct model *m, int64_t id);
bool model_edge(struct model *m, bool last);
bool model_exit(struct model *m, int dir);
/* To the next step in another layer, or by another thread or task, or back to the one before. */
bool model_crossing(struct model *m, int dir);
bool model_next_request(struct model *m, int dir);
bool model_stage(struct model *m, int stage);
bool model_goto_request(struct model *m, int64_t id);
/*
 * To a request, "2", or a step of its path, "2.139"; false with a sentence in model_note(): there is none, or
 * `place` is no number.
 */
bool model_goto_place(struct model *m, const char *place);
bool model_goto_event(struct model *m, int64_t id); /* in the timeline */

/*
 * Asides are runs of steps in which nothing of the request happens; each is one row, WHAT_ASIDE, until its steps
 * are asked for. model_fold(): the cursor's, there and back; model_fold_all(): those of this request and of all
 * that follow.
 */
bool model_fold(struct model *m);
bool model_fold_all(struct model *m);
/* Folds again what model_find() has opened, if the search is given up. */
void model_fold_found(struct model *m);

enum find_result { FIND_HIT, FIND_MISS, FIND_MORE };
/*
 * Looks for `needle` from the cursor on (dir +1) or back (-1), including the cursor's row if
 * `here`; the cursor moves to a hit. At most `rows` rows are read: FIND_MORE says where it stopped
 * in *resume (0 at the first call), to be called again with the same.
 */
enum find_result model_find(
	struct model *m, const char *needle, int dir, bool here, unsigned rows, int64_t *resume);

/*
 * The current request, or NULL if the recording has none. In the timeline: the one the cursor's
 * event is part of, or NULL.
 */
const struct request *model_request(const struct model *m);
/* The request that the story begins with: the first write; MODEL_NONE without requests. */
int64_t model_story(const struct model *m);
/* Is the path of the current request one of several threads? */
bool model_several(const struct model *m);

/*
 * What a pane says about the cursor's place. Never empty: what is missing is said, and what to
 * do.
 */
void model_pane(struct model *m, enum model_pane pane, struct lines *out);
const char *model_pane_title(enum model_pane pane);

/* ns of the current request by layer (all 0 without one); returns their sum. */
int64_t model_budget(struct model *m, int64_t ns[MODEL_LAYERS]);

/* The event that shows the cursor's row (a request's row: the request's id); MODEL_NONE: none does. */
int64_t model_evidence(const struct model *m);

/* One-line texts. Each returns buf. */
const char *model_crumb(const struct model *m, char *buf, size_t size); /* where we are */
const char *model_call(struct model *m, char *buf, size_t size);        /* the request in words */
const char *model_position(const struct model *m, char *buf, size_t size); /* "step 5/31" */
unsigned model_percent(const struct model *m);
int64_t model_lost(const struct model *m); /* records lost in this recording */
const char *model_banner(const struct model *m);
const char *model_empty(const struct model *m); /* why the list is empty, and what to do */
/*
 * Time of the row since the request's (timeline: the recording's) first; MODEL_NONE if it has
 * none.
 */
int64_t model_since(const struct model *m, const struct row *r);
/* The unit that fits all times of the list. */
struct time_unit model_unit(const struct model *m);
/* Time between the row and the last row before it that has a time; MODEL_NONE if unknown. */
int64_t model_delta(const struct model *m, int rel);

const char *model_stage_name(int stage);
const char *model_layer_name(int layer);
/* The sentence about what happened last, or ""; model_clear_note() takes it away. */
const char *model_note(const struct model *m);
void model_clear_note(struct model *m);
__attribute__((format(printf, 2, 3))) void model_say(struct model *m, const char *fmt, ...);

#endif
