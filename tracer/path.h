/* SPDX-License-Identifier: MIT */
/* One request's path, as text or as JSON. */
#ifndef EXITWALK_TRACER_PATH_H
#define EXITWALK_TRACER_PATH_H

#include "json.h"
#include "recording.h"
#include "textout.h"

/* 0, or -errno with a sentence. The request must exist. */
int path_text(sqlite3 *db, const struct textout *o, int64_t request, struct err *e);
int path_json(sqlite3 *db, struct json *j, int64_t request, struct err *e);

#endif
