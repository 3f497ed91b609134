/* SPDX-License-Identifier: MIT */
/* One pass over the events: are they ordered, are exits paired with entries, does vm_exit agree? */
#include "check_pass.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "host_trace.h"

struct exit_times {
	int64_t event, exit, dispatch[2], done[2]; /* first and last; SQL_NULL: none */
};

struct track_check {
	int64_t id;
	int64_t exit_id;   /* the exit that goes on; 0: in KVM_RUN */
	int64_t last_exit; /* 0: none yet */
	bool started;      /* a run_enter was seen */
	bool unknown;      /* records were lost: the next one sets the state */
	struct exit_times times;
};

struct pass {
	struct check *c;
	struct err *e;
	struct track_check *track;
	size_t tracks, tracks_cap;
	sqlite3_stmt *vm_exit;
	struct check_last last;
	unsigned order, pairs, exits; /* failures that were said; only the first of each is */
	int64_t run_exits;
};

#define SAY(p, counter, name, ...) CHECK_FIRST((p)->c, (p)->counter, name, __VA_ARGS__)

static struct track_check *find_track(struct pass *p, int64_t id)
{
	for (size_t i = 0; i < p->tracks; i++)
		if (p->track[i].id == id)
			return &p->track[i];
	if (derive_grow((void **)&p->track, &p->tracks_cap, p->tracks, sizeof(*p->track), p->e))
		return NULL;
	p->track[p->tracks] = (struct track_check){.id = id};
	return &p->track[p->tracks++];
}

/* The row of an exit against the events that it was made of. `entry`: SQL_NULL if it goes on. */
static int compare_exit(struct pass *p, const struct track_check *t, int64_t entry)
{
	static const char *const name[] = {"event_id", "track", "t_exit", "t_entry"};
	const int64_t want[] = {t->times.event, t->id, t->times.exit, entry};
	int ret;

	sqlite3_bind_int64(p->vm_exit, 1, t->exit_id);
	ret = sql_step(p->vm_exit, p->e);
	if (!ret)
		SAY(p, exits, "exits",
			"vm_exit %" PRId64 " is missing: event %" PRId64 " says that it happened",
			t->exit_id, t->times.event);
	if (ret > 0) {
		for (int i = 0; i < 4; i++)
			if (sql_int_or(p->vm_exit, i, SQL_NULL) != want[i])
				check_differs(p->c, &p->exits, t->exit_id, name[i],
					sqlite3_column_int64(p->vm_exit, i), want[i]);
		for (int i = 0; i < 2; i++) {
			const int64_t *seen = i ? t->times.done : t->times.dispatch;
			int64_t has = sql_int_or(p->vm_exit, 4 + i, SQL_NULL);

			if (has != seen[0] && has != seen[1])
				check_differs(p->c, &p->exits, t->exit_id,
					i ? "t_done" : "t_dispatch", has, seen[0]);
		}
	}
	sqlite3_reset(p->vm_exit);
	return ret < 0 ? ret : 0;
}

static void on_run_exit(struct pass *p, struct track_check *t, const struct event_row *ev)
{
	p->run_exits++;
	if (!t->unknown && (t->exit_id || !t->started))
		SAY(p, pairs, "pairs",
			"event %" PRId64 ": KVM_RUN returns, but exit %" PRId64
			" has not been ended by a run_enter",
			ev->id, t->exit_id);
	/* Exits are numbered over all vCPUs, when KVM_RUN returns; check_ids() finds one that is missing. */
	if (!t->unknown && ev->a[0] <= t->last_exit)
		SAY(p, pairs, "pairs",
			"event %" PRId64 " is exit %" PRId64
			", and the one before of this vCPU was %" PRId64,
			ev->id, ev->a[0], t->last_exit);
	t->exit_id = t->last_exit = ev->a[0];
	t->times = (struct exit_times){ev->id, ev->ts, {SQL_NULL, SQL_NULL}, {SQL_NULL, SQL_NULL}};
	t->unknown = false;
}

static int on_run_enter(struct pass *p, struct track_check *t, const struct event_row *ev)
{
	int ret = 0;

	if (!t->unknown && t->started && !t->exit_id)
		SAY(p, pairs, "pairs", "event %" PRId64 ": KVM_RUN begins twice without an exit",
			ev->id);
	else if (!t->unknown && ev->a[0] != t->exit_id)
		SAY(p, pairs, "pairs",
			"event %" PRId64 ": run_enter ends exit %" PRId64 ", the exit is %" PRId64,
			ev->id, ev->a[0], t->exit_id);
	if (!t->unknown && t->exit_id)
		ret = compare_exit(p, t, ev->ts);
	t->exit_id = 0;
	t->last_exit = ev->a[0]; /* differs only where the run_exit was lost */
	t->started = true;
	t->unknown = false;
	return ret;
}

static int one_event(struct pass *p, const struct event_row *ev)
{
	struct track_check *t = find_track(p, ev->track);
	int64_t *times;

	if (!t)
		return -ENOMEM;
	check_in_order(p->c, &p->order, &p->last, ev);
	switch (ev->kind) {
	case EW_LOST:
		t->unknown = true;
		return 0;
	case EW_RUN_EXIT:
		on_run_exit(p, t, ev);
		return 0;
	case EW_RUN_ENTER:
		return on_run_enter(p, t, ev);
	case EW_DISPATCH:
	case EW_DISPATCH_END:
		times = ev->kind == EW_DISPATCH ? t->times.dispatch : t->times.done;
		times[1] = ev->ts;
		if (times[0] == SQL_NULL)
			times[0] = ev->ts;
		break;
	default:
		break;
	}
	if (!t->unknown && ev->exit_id != t->exit_id && !check_is_guest(ev))
		SAY(p, pairs, "pairs",
			"event %" PRId64 " says exit %" PRId64 ", and exit %" PRId64 " goes on",
			ev->id, ev->exit_id, t->exit_id);
	return 0;
}

/* Rows of vm_exit that no event speaks of. */
static int extra_exits(struct pass *p)
{
	int64_t id = 0, rows = 0;
	char sql[160];
	int ret = sql_get_int(p->c->db, p->e, "SELECT count(*) FROM vm_exit", &rows);

	if (ret || rows <= p->run_exits)
		return ret;
	snprintf(sql, sizeof(sql),
		"SELECT x.id FROM vm_exit x LEFT JOIN event e ON e.id = x.event_id WHERE e.kind IS NOT"
		" %d OR e.a0 <> x.id LIMIT 1",
		EW_RUN_EXIT);
	ret = sql_get_int(p->c->db, p->e, sql, &id);
	if (!ret && id)
		SAY(p, exits, "exits", "vm_exit %" PRId64 ": no event says that it happened", id);
	return ret;
}

static int one_row(void *pass, sqlite3_stmt *row)
{
	struct event_row ev;

	derive_read_event(row, &ev);
	return one_event(pass, &ev);
}

static int walk(struct pass *p)
{
	int ret = check_each_event(p->c, one_row, p, p->e);

	for (size_t i = 0; !ret && i < p->tracks; i++)
		if (p->track[i].exit_id && !p->track[i].unknown)
			ret = compare_exit(p, &p->track[i], SQL_NULL);
	return ret ? ret : extra_exits(p);
}

int check_events(struct check *c, struct err *e)
{
	struct pass p = {.c = c, .e = e, .last = {.ts = INT64_MIN}};
	int ret;

	if (host_trace_is(c->db))
		return check_host_events(c, e);
	if (host_trace_joined(c->db))
		return check_joined_events(c, e);
	ret = sql_prepare(c->db, &p.vm_exit, e,
		"SELECT event_id, track, t_exit, t_entry, t_dispatch, t_done FROM vm_exit WHERE id ="
		" ?1");

	if (!ret)
		ret = walk(&p);
	if (!ret) {
		check_result(
			c, p.order, "order", "no event is earlier than the one in front of it");
		check_result(c, p.pairs, "pairs",
			"every exit has its entry, and every event of a vCPU stands in its exit");
		check_result(c, p.exits, "exits", "vm_exit agrees with the events");
	}
	sqlite3_finalize(p.vm_exit);
	free(p.track);
	return ret;
}
