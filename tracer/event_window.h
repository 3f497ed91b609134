/* SPDX-License-Identifier: MIT */
/*
 * Events by their ids, for readers who want one range after the other: the ranges of successive requests overlap,
 * the more of them are in flight the more, and what was read once is kept.
 */
#ifndef EXITWALK_TRACER_EVENT_WINDOW_H
#define EXITWALK_TRACER_EVENT_WINDOW_H

#include "derive.h"

struct event_window {
	sqlite3_stmt *stmt; /* those with ids from ?1 to ?2, in order; the window's */
	void (*read)(sqlite3_stmt *row, struct event_row *ev); /* NULL: derive_read_event() */
	struct event_row *row;                                 /* with ids from `from` to `to` */
	size_t rows, cap;
	int64_t from, to;
};

/* Where the first of n rows, in the order of their ids, stands whose id is at least `event`; n: nowhere. */
size_t event_rows_from(const struct event_row *row, size_t n, int64_t event);

/* Takes over a statement. */
static inline struct event_window event_window(
	sqlite3_stmt *stmt, void (*read)(sqlite3_stmt *row, struct event_row *ev))
{
	return (struct event_window){.stmt = stmt, .read = read, .from = 1};
}

/* Those with ids from … to: *n of them at *row, until the next call. -errno with a sentence. */
int event_window_read(struct event_window *w, int64_t from, int64_t to,
	const struct event_row **row, size_t *n, struct err *e);

void event_window_free(struct event_window *w);

#endif
