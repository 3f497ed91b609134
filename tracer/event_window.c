/* SPDX-License-Identifier: MIT */
/* Ranges of events, of which what was read is kept. */
#include "event_window.h"

#include <stdlib.h>
#include <string.h>

#define BEHIND 65536 /* so many rows in front of a range are kept: the next one may begin earlier */

size_t event_rows_from(const struct event_row *row, size_t n, int64_t event)
{
	size_t low = 0, high = n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (row[mid].id < event)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static int append(struct event_window *w, int64_t from, int64_t to, struct err *e)
{
	int ret = 0;

	sqlite3_bind_int64(w->stmt, 1, from);
	sqlite3_bind_int64(w->stmt, 2, to);
	while (!ret && (ret = sql_step(w->stmt, e)) > 0) {
		ret = derive_grow((void **)&w->row, &w->cap, w->rows, sizeof(*w->row), e);
		if (!ret)
			(w->read ? w->read : derive_read_event)(w->stmt, &w->row[w->rows++]);
	}
	sqlite3_reset(w->stmt);
	if (!ret)
		w->to = to;
	return ret;
}

static void drop_before(struct event_window *w, int64_t from)
{
	size_t n = event_rows_from(w->row, w->rows, from);

	if (n < BEHIND || n < w->rows / 2)
		return;
	w->rows -= n;
	memmove(w->row, w->row + n, w->rows * sizeof(*w->row));
	w->from = from;
}

int event_window_read(struct event_window *w, int64_t from, int64_t to,
	const struct event_row **row, size_t *n, struct err *e)
{
	size_t first;
	int ret = 0;

	*n = 0;
	if (from > to)
		return 0;
	if (from < w->from || from > w->to + 1) {
		w->rows = 0;
		w->from = from;
		w->to = from - 1;
	}
	if (to > w->to) {
		drop_before(w, from);
		ret = append(w, w->to + 1, to, e);
	}
	first = event_rows_from(w->row, w->rows, from);
	*row = w->row + first;
	*n = event_rows_from(w->row, w->rows, to + 1) - first;
	return ret;
}

void event_window_free(struct event_window *w)
{
	sqlite3_finalize(w->stmt);
	free(w->row);
	*w = (struct event_window){.from = 1};
}
