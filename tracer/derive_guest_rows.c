/* SPDX-License-Identifier: MIT */
/* The guest's events of a request's window, sorted in among the others. */
#include <stdlib.h>
#include <string.h>

#include "derive_guest.h"
#include "derive_guest_steps.h"

#define FRONT_FAR 2048 /* so many events in front of a window are looked through */
#define FRONT_BIOS 64  /* and these are shown from wherever they are */

static void read_row(sqlite3_stmt *s, struct event_row *ev)
{
	derive_read_event(s, ev);
	ev->pid = sqlite3_column_int64(s, 12);
	ev->flags = sqlite3_column_int64(s, 13);
	ev->error = derive_guest_error(s, 14);
}

/* Appends those with ids from … to; windows overlap, and what was read is kept. */
static int read_rows(struct writer *w, int64_t from, int64_t to)
{
	struct guest_side *g = &w->guest;
	sqlite3_stmt *s = w->guest_events;
	int ret = 0;

	sqlite3_bind_int64(s, 1, from);
	sqlite3_bind_int64(s, 2, to);
	while (!ret && (ret = sql_step(s, w->d->e)) > 0) {
		ret = derive_grow(
			(void **)&g->row, &g->rows_cap, g->rows, sizeof(*g->row), w->d->e);
		if (!ret)
			read_row(s, &g->row[g->rows++]);
	}
	sqlite3_reset(s);
	if (!ret)
		g->read_to = to;
	return ret;
}

/* The first of the rows with an id of at least `event`. */
static size_t first_row(const struct guest_side *g, int64_t event)
{
	size_t low = 0, high = g->rows;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (g->row[mid].id < event)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

/* Sorts n rows in among w->ev[start …], from the end. */
static int merge_rows(struct writer *w, const struct event_row *row, size_t n, size_t start)
{
	size_t a = w->n, at;

	while (w->n + n > w->cap) {
		int ret = derive_grow((void **)&w->ev, &w->cap, w->cap, sizeof(*w->ev), w->d->e);

		if (ret)
			return ret;
	}
	w->n += n;
	for (at = w->n; n > 0;)
		w->ev[--at] = a > start && w->ev[a - 1].id > row[n - 1].id ? w->ev[--a] : row[--n];
	return 0;
}

int derive_guest_rows(struct writer *w, int64_t from, int64_t to, size_t start)
{
	struct guest_side *g = &w->guest;
	size_t first;
	int ret = 0;

	if (!w->d->guest || from > to)
		return 0;
	if (from < g->read_from || from > g->read_to) {
		g->rows = 0;
		g->read_from = from;
		ret = read_rows(w, from, to);
	} else if (to > g->read_to) {
		first = first_row(g, from);
		g->rows -= first; /* later requests begin later */
		memmove(g->row, g->row + first, g->rows * sizeof(*g->row));
		g->read_from = from;
		ret = read_rows(w, g->read_to + 1, to);
	}
	if (ret)
		return ret;
	first = first_row(g, from);
	return merge_rows(w, g->row + first, first_row(g, to + 1) - first, start);
}

/* One that stands far in front of the window. */
static int read_one(struct writer *w, int64_t event, int64_t near)
{
	sqlite3_stmt *s = w->guest_events;
	struct event_row ev;
	int ret;

	if (!event || event >= near)
		return 0;
	sqlite3_bind_int64(s, 1, event);
	sqlite3_bind_int64(s, 2, event);
	ret = sql_step(s, w->d->e);
	if (ret > 0) {
		read_row(s, &ev);
		ret = merge_rows(w, &ev, 1, 0);
	}
	sqlite3_reset(s);
	return ret;
}

int derive_guest_front(struct writer *w)
{
	const struct guest_io *io = w->d->guest;
	const struct guest_rq *rq = w->r->rq == NO_INDEX ? NULL : &io->rq[w->r->rq];
	int64_t first = w->r->first.event, from = derive_guest_from(w, first);
	int64_t near = from > first - FRONT_FAR ? from : first - FRONT_FAR;
	int ret = 0;

	if (!rq || from >= first)
		return 0;
	for (size_t i = 0; !ret && i < rq->bios && i < FRONT_BIOS; i++)
		ret = read_one(w, io->bio[io->rq_bio[rq->bio + i]].queued.event, near);
	if (!ret)
		ret = read_one(w, rq->insert.event, near);
	if (!ret)
		ret = read_one(w, rq->issue.event, near);
	return ret ? ret : derive_guest_rows(w, near, first - 1, 0);
}

int64_t derive_guest_from(const struct writer *w, int64_t from)
{
	const struct request *r = w->r;
	const struct guest_io *io = w->d->guest;
	const struct guest_rq *rq = r->rq == NO_INDEX ? NULL : &io->rq[r->rq];

	if (!rq)
		return from;
	if (rq->issue.event < from)
		from = rq->issue.event;
	if (rq->insert.event && rq->insert.event < from)
		from = rq->insert.event;
	for (size_t i = 0; i < rq->bios; i++) {
		int64_t queued = io->bio[io->rq_bio[rq->bio + i]].queued.event;

		if (queued < from)
			from = queued;
	}
	return from;
}

void derive_guest_free(struct guest_side *g)
{
	free(g->stage);
	free(g->row);
}
