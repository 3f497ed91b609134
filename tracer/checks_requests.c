/* SPDX-License-Identifier: MIT */
/* Is every request that was taken completed once, with nothing of it in front or behind? */
#include "check.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "derive.h"

enum state { UNSEEN, TAKEN, COMPLETED };

/* Requests are numbered from 1 in the order in which they are taken: state[number]. */
struct requests {
	struct check *c;
	struct err *e;
	unsigned char *state;
	size_t cap;
	int64_t highest;
	int64_t losses; /* then a request may lack records */
	int64_t unseen; /* requests without their pop, because of that */
	unsigned failures;
};

__attribute__((format(printf, 2, 3))) static void fail(struct requests *q, const char *fmt, ...)
{
	char text[256];
	va_list ap;

	if (q->failures++)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	check_say(q->c, CHECK_FAIL, "requests", "%s", text);
}

/* Numbers cannot run ahead of the events by more than what was lost. */
static bool plausible(struct requests *q, const struct event_row *ev)
{
	int64_t limit = ev->id;

	if (q->losses)
		limit += (int64_t)1 << 24;
	if (ev->a[0] > 0 && ev->a[0] <= limit)
		return true;
	fail(q, "event %" PRId64 " is of request %" PRId64 ", which there cannot be", ev->id,
		ev->a[0]);
	return false;
}

static int make_room(struct requests *q, int64_t number)
{
	while ((size_t)number >= q->cap) {
		size_t was = q->cap;
		int ret = derive_grow((void **)&q->state, &q->cap, was, 1, q->e);

		if (ret)
			return ret;
		memset(q->state + was, UNSEEN, q->cap - was);
	}
	if (number > q->highest)
		q->highest = number;
	return 0;
}

static int one_event(struct requests *q, const struct event_row *ev)
{
	const int64_t number = ev->a[0];
	unsigned char *state;
	int ret;

	if (!plausible(q, ev))
		return 0;
	ret = make_room(q, number);
	if (ret)
		return ret;
	state = &q->state[number];
	if (ev->kind == EW_QUEUE_POP) {
		if (*state != UNSEEN)
			fail(q, "event %" PRId64 ": request %" PRId64 " is taken a second time",
				ev->id, number);
		*state = TAKEN;
		return 0;
	}
	if (*state == UNSEEN && q->losses) {
		q->unseen++;
		*state = TAKEN;
	}
	if (*state == UNSEEN)
		fail(q, "event %" PRId64 " is of request %" PRId64 ", which was not taken before",
			ev->id, number);
	else if (*state == COMPLETED)
		fail(q, "event %" PRId64 " is of request %" PRId64 ", which was complete before",
			ev->id, number);
	if (ev->kind == EW_QUEUE_USED)
		*state = COMPLETED;
	return 0;
}

static void say_result(struct requests *q)
{
	int64_t missing = 0, flying = 0, first = 0;

	for (int64_t i = 1; i <= q->highest; i++) {
		if (q->state[i] == UNSEEN && !missing++ && !q->losses)
			fail(q, "request %" PRId64 " is missing: a later one was taken", i);
		if (q->state[i] == TAKEN && !flying++)
			first = i;
	}
	if (q->failures > 1)
		check_say(q->c, CHECK_FAIL, "requests", "and %u more events", q->failures - 1);
	if (q->failures)
		return;
	if (missing || q->unseen)
		check_say(q->c, CHECK_NOTE, "requests",
			"records were lost: %" PRId64 " requests have none, %" PRId64
			" lack their pop",
			missing, q->unseen);
	if (flying)
		check_say(q->c, CHECK_NOTE, "requests",
			"%" PRId64 " of %" PRId64
			" requests were not completed, the first is request %" PRId64,
			flying, q->highest, first);
	else
		check_say(q->c, CHECK_OK, "requests",
			"each of %" PRId64 " requests was taken from its queue and completed, once",
			q->highest);
}

/* The task that queued a request's bios was in one call, and its data lie in the buffer of another one. */
static int say_conflicts(struct check *c, struct err *e)
{
	int64_t n = 0, first = 0, joined = 0;
	int ret = sql_get_int(
		c->db, e, "SELECT count(*) FROM request WHERE guest_issue NOTNULL", &joined);

	if (!ret)
		ret = sql_get_int(
			c->db, e, "SELECT count(*) FROM request WHERE call_conflict NOTNULL", &n);
	if (!ret && n)
		ret = sql_get_int(c->db, e,
			"SELECT min(id) FROM request WHERE call_conflict NOTNULL", &first);
	if (ret || !joined)
		return ret;
	if (n)
		check_say(c, CHECK_FAIL, "requests",
			"%" PRId64
			" requests belong to one call by their bios and to another by their"
			" data; the first is request %" PRId64,
			n, first);
	else
		check_say(c, CHECK_OK, "requests",
			"%" PRId64
			" are known to the guest's block layer, and no buffer says another call"
			" than their bios do",
			joined);
	return 0;
}

int check_requests(struct check *c, struct err *e)
{
	struct requests q = {.c = c, .e = e};
	char sql[256], numbered[64];
	sqlite3_stmt *row = NULL;
	struct event_row ev;
	int ret = sql_get_int(c->db, e, "SELECT count(*) FROM loss", &q.losses);

	snprintf(sql, sizeof(sql),
		"SELECT " EVENT_COLUMNS " FROM event WHERE kind IN (%s) ORDER BY id",
		derive_numbered_sql(numbered, sizeof(numbered)));
	if (!ret)
		ret = sql_prepare(c->db, &row, e, sql);
	while (!ret && (ret = sql_step(row, e)) > 0) {
		derive_read_event(row, &ev);
		ret = one_event(&q, &ev);
	}
	sqlite3_finalize(row);
	if (!ret)
		say_result(&q);
	free(q.state);
	return ret ? ret : say_conflicts(c, e);
}
