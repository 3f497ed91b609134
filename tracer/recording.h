/* SPDX-License-Identifier: MIT */
/*
 * Opening a recording to read it. Every reader (path, report, check, view) comes through here, so a
 * foreign, empty, truncated or newer file gets the same one sentence everywhere.
 */
#ifndef EXITWALK_TRACER_RECORDING_H
#define EXITWALK_TRACER_RECORDING_H

#include <stdbool.h>
#include <sqlite3.h>
#include "err.h"

struct recording {
	sqlite3 *
		db; /* read-only; for a cut-off file a private copy with the derived tables added */
	bool cut_off;     /* the writer never finished it */
	bool older;       /* of an older schema version: what is derived was derived anew */
	char banner[256]; /* empty, or what to show above everything (cut off, records lost …) */
};

/*
 * Opens `path`. A recording that was cut off is copied (to an unlinked temporary file), its requests
 * and steps are derived there, and the banner says so; so is one of an older schema version. The file
 * itself is never written.
 * -ENOENT, -EACCES, -EPROTO (not an exitwalk recording), -ENODATA (empty), -ENOTSUP (newer schema),
 * -EIO (damaged): each with a sentence that says what to do.
 */
int recording_open(struct recording *r, const char *path, struct err *e);
void recording_close(struct recording *r);

/* X(table, columns that order its rows, how many of them, its first ones, name a row): what derive_all()
 * makes, and makes anew whatever was there. */
#define DERIVED_TABLES(X)                                                                          \
	X(guest_call, "id", 1)                                                                     \
	X(request, "id", 1)                                                                        \
	X(frame, "event_id, n", 2)                                                                 \
	X(guest_task, "event_id", 1)                                                               \
	X(entry_call, "event_id", 1)                                                               \
	X(step, "request_id, n", 2)                                                                \
	X(absent, "id", 1)                                                                         \
	X(budget, "request_id, layer", 2)                                                          \
	X(insn_text, "insn", 1)

/*
 * Turns events into the rows of those tables, and builds the indexes (derived
 * rows that are already there are replaced). Called by recorder_finish, by recording_open on a copy
 * and by `check --repair`.
 */
int derive_all(sqlite3 *db, struct err *e);

/*
 * Derives the file itself anew and seals it, in one transaction; note() (or NULL) may change what is in it before
 * the seal. For the caller to make sure that nobody records into it.
 */
int recording_derive_anew(const char *path, int (*note)(sqlite3 *db, struct err *e), struct err *e);

#endif
