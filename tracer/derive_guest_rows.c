/* SPDX-License-Identifier: MIT */
/* The guest's events of a request's window, sorted in among the others. */
#include <stdlib.h>
#include <string.h>

#include "derive_guest.h"
#include "derive_guest_steps.h"

#define FRONT_FAR 2048 /* so many events in front of a window are looked through */
#define FRONT_BIOS 64  /* and these are shown from wherever they are */

void derive_guest_read(sqlite3_stmt *s, struct event_row *ev)
{
	derive_read_event(s, ev);
	ev->pid = sqlite3_column_int64(s, 12);
	ev->flags = sqlite3_column_int64(s, 13);
	ev->error = derive_guest_error(s, 14);
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
	const struct event_row *row = NULL;
	size_t n = 0;
	int ret = 0;

	if (w->d->guest)
		ret = event_window_read(&w->guest.window, from, to, &row, &n, w->d->e);
	return ret ? ret : merge_rows(w, row, n, start);
}

/* One that stands far in front of the window. */
static int read_one(struct writer *w, int64_t event, int64_t near)
{
	sqlite3_stmt *s = w->guest.window.stmt;
	struct event_row ev;
	int ret;

	if (!event || event >= near)
		return 0;
	sqlite3_bind_int64(s, 1, event);
	sqlite3_bind_int64(s, 2, event);
	ret = sql_step(s, w->d->e);
	if (ret > 0) {
		derive_guest_read(s, &ev);
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
	event_window_free(&g->window);
}
