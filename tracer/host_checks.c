/* SPDX-License-Identifier: MIT */
/* One pass over the events of a recording of host tracepoints: order, exits and entries, vm_exit. */
#include "host_trace.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "check_pass.h"

struct host_track {
	int64_t exit_id; /* the exit that goes on; 0: none, or not known */
	int64_t event, t_exit, arg[6];
};

struct pass {
	struct check *c;
	struct err *e;
	struct host_track *track; /* by id - 1 */
	int64_t tracks;
	sqlite3_stmt *vm_exit;
	int64_t exits, unended;
	struct check_last last;
	unsigned order, pairs, rows; /* failures that were said; only the first of each is */
};

#define SAY(p, counter, name, ...) CHECK_FIRST((p)->c, (p)->counter, name, __VA_ARGS__)

bool host_trace_is(sqlite3 *db)
{
	char value[8];

	return *sql_meta(db, "import.file", value, sizeof(value)) ||
	       *sql_meta(db, "attach.pid", value, sizeof(value));
}

/* The row of an exit against its kvm_exit and kvm_entry; t_entry SQL_NULL: none was seen. */
static int compare_exit(struct pass *p, int64_t track, int64_t t_entry)
{
	static const char *const name[] = {
		"event_id", "track", "t_exit", "t_entry", "isa", "hw_reason", "rip", "hw_qual"};
	const struct host_track *t = &p->track[track - 1];
	const int64_t want[] = {
		t->event, track, t->t_exit, t_entry, t->arg[1], t->arg[2], t->arg[3], t->arg[4]};
	int ret;

	p->unended += t_entry == SQL_NULL;
	sqlite3_bind_int64(p->vm_exit, 1, t->exit_id);
	ret = sql_step(p->vm_exit, p->e);
	if (!ret)
		SAY(p, rows, "exits",
			"vm_exit %" PRId64 " is missing: event %" PRId64 " says that it happened",
			t->exit_id, t->event);
	for (int i = 0; ret > 0 && i < 8; i++) {
		int64_t has = sql_int_or(p->vm_exit, i, SQL_NULL);

		if (has != want[i])
			SAY(p, rows, "exits",
				"vm_exit %" PRId64 ": %s is %" PRId64 ", event %" PRId64
				" says %" PRId64,
				t->exit_id, name[i], has, t->event, want[i]);
	}
	sqlite3_reset(p->vm_exit);
	return ret < 0 ? ret : 0;
}

static int end_exit(struct pass *p, int64_t track, int64_t t_entry)
{
	struct host_track *t = &p->track[track - 1];
	int ret = t->exit_id ? compare_exit(p, track, t_entry) : 0;

	t->exit_id = 0;
	return ret;
}

static int one_event(struct pass *p, const struct event_row *ev)
{
	struct host_track *t;
	int ret = 0;

	if (ev->track < 1 || ev->track > p->tracks) {
		SAY(p, pairs, "pairs",
			"event %" PRId64 " is of track %" PRId64 ", which is missing", ev->id,
			ev->track);
		return 0;
	}
	check_in_order(p->c, &p->order, &p->last, ev);
	t = &p->track[ev->track - 1];
	if (ev->kind == EW_LOST) {
		for (int64_t i = 1; !ret && i <= p->tracks; i++)
			ret = end_exit(p, i, SQL_NULL);
		return ret;
	}
	if (ev->kind == EW_KVM_EXIT) {
		ret = end_exit(p, ev->track, SQL_NULL);
		if (ev->a[0] != ++p->exits)
			SAY(p, pairs, "pairs",
				"event %" PRId64 " is exit %" PRId64 ", and the one before was "
				"%" PRId64,
				ev->id, ev->a[0], p->exits - 1);
		p->exits = ev->a[0];
		t->exit_id = ev->a[0];
		t->event = ev->id;
		t->t_exit = ev->ts;
		for (int i = 0; i < 6; i++)
			t->arg[i] = ev->a[i];
	}
	if (ev->exit_id != t->exit_id)
		SAY(p, pairs, "pairs",
			"event %" PRId64 " says exit %" PRId64 ", and exit %" PRId64 " goes on",
			ev->id, ev->exit_id, t->exit_id);
	return ev->kind == EW_KVM_ENTRY && !ret ? end_exit(p, ev->track, ev->ts) : ret;
}

/* Arguments that the tracepoint did not have are NULL in both. */
static void read_event(sqlite3_stmt *row, struct event_row *ev)
{
	derive_read_event(row, ev);
	for (int i = 1; i < 6; i++)
		ev->a[i] = sql_int_or(row, 6 + i, SQL_NULL);
}

static int one_row(void *pass, sqlite3_stmt *row)
{
	struct event_row ev;

	read_event(row, &ev);
	return one_event(pass, &ev);
}

static int walk(struct pass *p)
{
	int64_t rows = 0;
	int ret = check_each_event(p->c, one_row, p, p->e);

	for (int64_t i = 1; !ret && i <= p->tracks; i++)
		ret = end_exit(p, i, SQL_NULL);
	if (!ret)
		ret = sql_get_int(p->c->db, p->e, "SELECT count(*) FROM vm_exit", &rows);
	if (!ret && rows > p->exits)
		SAY(p, rows, "exits",
			"vm_exit has %" PRId64 " rows, and %" PRId64 " exits happened", rows,
			p->exits);
	return ret;
}

int check_host_events(struct check *c, struct err *e)
{
	struct pass p = {.c = c, .e = e, .last = {.ts = INT64_MIN}};
	int ret = sql_get_int(c->db, e, "SELECT count(*) FROM track", &p.tracks);

	p.track = calloc((size_t)p.tracks + 1, sizeof(*p.track));
	if (!p.track)
		return err_set(e, -ENOMEM, "out of memory");
	if (!ret)
		ret = sql_prepare(c->db, &p.vm_exit, e,
			"SELECT event_id, track, t_exit, t_entry, isa, hw_reason, rip, hw_qual FROM"
			" vm_exit WHERE id = ?1");
	if (!ret)
		ret = walk(&p);
	if (!ret) {
		check_result(
			c, p.order, "order", "no event is earlier than the one in front of it");
		check_result(c, p.pairs, "pairs", "every event stands in its exit");
		check_result(c, p.rows, "exits", "vm_exit agrees with the events");
	}
	if (!ret && p.unended)
		check_say(c, CHECK_NOTE, "pairs",
			"%" PRId64 " of %" PRId64
			" exits have no kvm_entry behind them: a gap, the end of"
			" the recording, or an entry that KVM does not trace",
			p.unended, p.exits);
	sqlite3_finalize(p.vm_exit);
	free(p.track);
	return ret;
}
