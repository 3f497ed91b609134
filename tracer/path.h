/* SPDX-License-Identifier: MIT */
/* One request's path, as text or as JSON. */
#ifndef EXITWALK_TRACER_PATH_H
#define EXITWALK_TRACER_PATH_H

#include "json.h"
#include "recording.h"
#include "textout.h"

/* 0, or -errno with a sentence. The request must exist. asides: every step of each, else one line for it. */
int path_text(sqlite3 *db, const struct textout *o, int64_t request, bool asides, struct err *e);
int path_json(sqlite3 *db, struct json *j, int64_t request, struct err *e);
/* A line for each request, as wide as the terminal; `mark` is the one to begin with. 0, or -errno with a sentence. */
int path_list(sqlite3 *db, const struct textout *o, int64_t mark, struct err *e);

/* What path_text() and path_steps() share. */
#define PATH_W_TIME 10
struct path_heading {
	int64_t t_first, t_last;
	bool uncertain; /* a step was */
};
int path_steps(sqlite3 *db, const struct textout *o, int64_t request, struct path_heading *h,
	bool asides, struct err *e);
/* A column's text; "?" for NULL. */
const char *path_column(sqlite3_stmt *row, int i);

#endif
