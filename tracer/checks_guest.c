/* SPDX-License-Identifier: MIT */
/* The events of the guest's kernel: are they in the guest, in the order of their CPU, and what is their clock worth? */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "check_pass.h"
#include "guest_events.h"
#include "guest_place.h"

struct guest_pass {
	struct check *c;
	struct guest_vcpu vcpu[GUEST_CPUS];
	struct {
		size_t outside;
		uint64_t tsc;
		int64_t id; /* 0: none yet */
	} at[GUEST_CPUS];
	int64_t events, within, unknown, error_max;
	unsigned inside, order;
};

/* Its time is between an exit and the next entry: by how much; 0: it is not. */
static int64_t depth(struct guest_pass *p, unsigned cpu, int64_t ts)
{
	const struct guest_vcpu *v = &p->vcpu[cpu];
	size_t *i = &p->at[cpu].outside;
	int64_t since, until;

	while (*i < v->n && v->outside[*i].to < ts)
		++*i;
	if (*i == v->n || v->outside[*i].from >= ts)
		return 0;
	since = ts - v->outside[*i].from;
	until = v->outside[*i].to - ts;
	return since < until ? since : until;
}

static void one_event(struct guest_pass *p, unsigned cpu, sqlite3_stmt *row)
{
	int64_t id = sqlite3_column_int64(row, 0), error = sql_int_or(row, 4, SQL_NULL);
	uint64_t tsc = (uint64_t)sqlite3_column_int64(row, 3);
	int64_t in = depth(p, cpu, sqlite3_column_int64(row, 1));

	p->events++;
	if (error == SQL_NULL)
		p->unknown++;
	else if (error > p->error_max)
		p->error_max = error;
	if (in && error != SQL_NULL && in > error)
		CHECK_FIRST(p->c, p->inside, "guest",
			"event %" PRId64 " of the guest's kernel is %" PRId64
			" ns inside an exit of its vCPU, and its time is wrong by at most %" PRId64
			" ns",
			id, in, error);
	else if (in)
		p->within++;
	if (p->at[cpu].id && tsc < p->at[cpu].tsc)
		CHECK_FIRST(p->c, p->order, "guest",
			"event %" PRId64 " has an earlier TSC than event %" PRId64
			" in front of it on the same CPU",
			id, p->at[cpu].id);
	p->at[cpu].id = id;
	p->at[cpu].tsc = tsc;
}

static int read_events(struct guest_pass *p, struct err *e)
{
	sqlite3_stmt *row = NULL;
	int ret = sql_prepare(p->c->db, &row, e,
		"SELECT e.id, e.ts, (SELECT vcpu FROM track WHERE id = e.track), g.tsc, g.error"
		" FROM guest_event g JOIN event e ON e.id = g.event_id ORDER BY g.event_id");

	while (!ret && (ret = sql_step(row, e)) > 0) {
		int64_t cpu = sql_int_or(row, 2, -1);

		ret = 0;
		if (cpu >= 0 && cpu < GUEST_CPUS)
			one_event(p, (unsigned)cpu, row);
		else
			CHECK_FIRST(p->c, p->order, "guest", "event %" PRId64 " is on no vCPU",
				sql_int_or(row, 0, 0));
	}
	sqlite3_finalize(row);
	return ret;
}

/* Each event of the guest's kernel has its row, and each row its event. */
static int check_rows(struct check *c, struct err *e)
{
	int64_t without = 0, orphan = 0;
	char sql[192];
	int ret;

	snprintf(sql, sizeof(sql),
		"SELECT id FROM event WHERE kind >= %d AND id NOT IN (SELECT event_id FROM guest_event) LIMIT 1",
		EW_GUEST_FUNC);
	ret = sql_get_int(c->db, e, sql, &without);
	snprintf(sql, sizeof(sql),
		"SELECT event_id FROM guest_event WHERE event_id NOT IN (SELECT id FROM event WHERE kind >= %d)"
		" LIMIT 1",
		EW_GUEST_FUNC);
	if (!ret)
		ret = sql_get_int(c->db, e, sql, &orphan);
	if (!ret && without)
		check_say(c, CHECK_FAIL, "guest", "guest_event %" PRId64 " is missing", without);
	if (!ret && orphan)
		check_say(c, CHECK_FAIL, "guest",
			"guest_event %" PRId64 " belongs to no event of a guest's kernel", orphan);
	return ret;
}

/* When a vCPU's offset was found to be another one. */
static int say_offsets(struct check *c, struct err *e)
{
	sqlite3_stmt *row = NULL;
	bool any = false;
	char sql[320];
	int ret;

	snprintf(sql, sizeof(sql),
		"SELECT id, a0, a1, was FROM (SELECT id, a0, a1, lag(a1) OVER (PARTITION BY a0 ORDER BY id) AS was"
		" FROM event WHERE kind = %d) WHERE a1 <> was ORDER BY id LIMIT 8",
		EW_TSC_OFFSET);
	ret = sql_prepare(c->db, &row, e, sql);
	while (!ret && (ret = sql_step(row, e)) > 0) {
		any = true;
		ret = 0;
		check_say(c, CHECK_NOTE, "guest",
			"event %" PRId64 ": the TSC offset of vCPU %" PRId64 " is %" PRId64
			" now, before it was %" PRId64
			"; what the guest did between the two readings may be wrong by the difference",
			sql_int_or(row, 0, 0), sql_int_or(row, 1, 0), sql_int_or(row, 2, 0),
			sql_int_or(row, 3, 0));
	}
	sqlite3_finalize(row);
	if (!ret && !any)
		check_say(c, CHECK_OK, "guest", "the TSC offset of no vCPU changed");
	return ret;
}

static void say_events(struct guest_pass *p)
{
	char moved[24];
	struct check *c = p->c;

	sql_meta(c->db, "guest_trace.moved", moved, sizeof(moved));
	if (!p->inside && !p->order)
		check_say(c, CHECK_OK, "guest",
			"none of %" PRId64
			" events of the guest's kernel lies between an exit and the next entry of its vCPU;"
			" their times are wrong by at most %" PRId64 " ns",
			p->events, p->error_max);
	if (p->inside > 1)
		check_say(c, CHECK_FAIL, "guest", "and %u more events inside exits", p->inside - 1);
	if (p->within)
		check_say(c, CHECK_NOTE, "guest",
			"%" PRId64 " events lie inside exits by less than their times may be wrong",
			p->within);
	if (*moved)
		check_say(c, CHECK_NOTE, "guest",
			"%s events stand at the edge of an exit: by their times alone they were in it, by less than"
			" those may be wrong",
			moved);
	if (p->unknown)
		check_say(c, CHECK_NOTE, "guest",
			"nobody can say by how much the times of %" PRId64 " events are wrong",
			p->unknown);
}

/* What the recording says of its guest's trace, where it is not as it ought to be. */
static void say_meta(struct check *c)
{
	static const struct {
		const char *key, *text;
		enum check_verdict verdict;
	} line[] = {
		{"guest_trace.clock_ahead_ns",
			"ns are between the arrival of a reading of the TSC by the guest's agent and its converted time,"
			" which is later: the conversion is wrong",
			CHECK_FAIL},
		{"guest_trace.damage", "is why the guest's trace could not be decoded to its end",
			CHECK_NOTE},
		{"guest_trace.gaps", "gaps are in what the guest's agent sent", CHECK_NOTE},
		{"guest_trace.pages_damaged", "pages of the guest's trace made no sense",
			CHECK_NOTE},
		{"guest_trace.unplaced", "events were of a CPU that the machine does not have",
			CHECK_NOTE},
		{"guest_trace.too_many", "events and losses were too many, and are left out",
			CHECK_NOTE},
		{"guest_trace.missing", "is what the guest's agent could not do", CHECK_NOTE},
	};
	char value[400];

	for (size_t i = 0; i < sizeof(line) / sizeof(line[0]); i++)
		if (*sql_meta(c->db, line[i].key, value, sizeof(value)))
			check_say(c, line[i].verdict, "guest", "%s %s", value, line[i].text);
	sql_meta(c->db, "guest_trace.end", value, sizeof(value));
	if (!strncmp(value, "missing", 7))
		check_say(c, CHECK_NOTE, "guest", "the end of the guest's trace is %s", value);
}

static int check_merged(struct check *c, struct err *e)
{
	struct guest_pass *p = calloc(1, sizeof(*p));
	int ret;

	if (!p)
		return err_set(e, -ENOMEM, "out of memory");
	p->c = c;
	ret = check_rows(c, e);
	if (!ret)
		ret = guest_vcpus_read(p->vcpu, c->db, e);
	if (!ret)
		ret = read_events(p, e);
	if (!ret) {
		say_events(p);
		say_meta(c);
		ret = say_offsets(c, e);
	}
	guest_vcpus_free(p->vcpu);
	free(p);
	return ret;
}

int check_guest(struct check *c, struct err *e)
{
	char state[256];

	sql_meta(c->db, GUEST_TRACE, state, sizeof(state));
	if (!strcmp(state, GUEST_TRACE_MERGED))
		return check_merged(c, e);
	if (*state)
		check_say(c, CHECK_NOTE, "guest", "the guest's own trace is %s", state);
	return 0;
}
