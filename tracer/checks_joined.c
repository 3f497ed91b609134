/* SPDX-License-Identifier: MIT */
/*
 * One pass over the events of a recording that has the host's tracepoints and a VMM's own words: order,
 * numbering, vm_exit, and whether both say the same of each exit.
 */
#include "host_trace.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <string.h>

#include "check_pass.h"

/* An exit of the hardware: kvm_exit … kvm_entry. */
struct hw {
	int64_t id; /* 0: none goes on */
	int64_t event, t_exit, isa, reason, rip, qual;
	int64_t port, size; /* of its kvm_pio; SQL_NULL: none */
	bool returned;      /* KVM_RUN came back from it */
	bool blind;         /* its kvm_entry may have been lost */
	int64_t reentered;  /* SQL_NULL: KVM_RUN was not called again yet */
};

/* A return of KVM_RUN: run_exit … run_enter. */
struct vmm {
	int64_t id; /* 0: in KVM_RUN */
	int64_t event, t_exit;
	bool hw;
	int64_t dispatch[2], done[2]; /* first and last; SQL_NULL: none */
};

struct joined_track {
	struct hw hw;
	struct vmm vmm;
	bool unknown;      /* records of the VMM were lost */
	bool told, untold; /* kvm_userspace_exit was seen since run_enter; may have been lost */
	int64_t reason, errno_; /* what it said */
};

struct pass {
	struct check *c;
	struct err *e;
	struct joined_track *track; /* by id - 1 */
	int64_t tracks;
	sqlite3_stmt *row;
	int64_t exits, hw_exits, returns, unended;
	struct check_last last;
	unsigned order, pairs, rows, join; /* failures that were said; only the first of each is */
};

#define SAY(p, counter, name, ...) CHECK_FIRST((p)->c, (p)->counter, name, __VA_ARGS__)

bool host_trace_joined(sqlite3 *db)
{
	char value[8];

	return !strcmp(sql_meta(db, "host_trace", value, sizeof(value)), "on");
}

/* --- vm_exit -------------------------------------------------------------------------------- */

enum {
	EVENT,
	TRACK,
	T_EXIT,
	T_ENTRY,
	ISA,
	HW_REASON,
	RIP,
	HW_QUAL,
	DISPATCH,
	DONE,
	ADDR,
	SIZE,
	INSN_RIP,
	KVM_REASON
};
#define ROW_SQL                                                                                      \
	"SELECT event_id, track, t_exit, t_entry, isa, hw_reason, rip, hw_qual, t_dispatch, t_done," \
	" addr, size, insn_rip, kvm_reason FROM vm_exit WHERE id = ?1"

static int64_t column(struct pass *p, int n)
{
	return sql_int_or(p->row, n, SQL_NULL);
}

static int begin_row(struct pass *p, int64_t id, int64_t event)
{
	int ret;

	sqlite3_bind_int64(p->row, 1, id);
	ret = sql_step(p->row, p->e);
	if (!ret)
		SAY(p, rows, "exits",
			"vm_exit %" PRId64 " is missing: event %" PRId64 " says that it happened",
			id, event);
	return ret;
}

static int end_row(struct pass *p, int ret)
{
	sqlite3_reset(p->row);
	return ret < 0 ? ret : 0;
}

/* What the VMM was told must be what the hardware and KVM said. */
static void compare_sides(struct pass *p, const struct hw *h)
{
	int64_t rip = column(p, INSN_RIP), addr = column(p, ADDR), size = column(p, SIZE);

	if (!h->returned)
		return;
	if (rip != SQL_NULL && rip != h->rip)
		SAY(p, join, "joined",
			"exit %" PRId64 ": the VMM found its instruction at 0x%" PRIx64
			", kvm_exit says rip 0x%" PRIx64,
			h->id, rip, h->rip);
	if (h->port != SQL_NULL && (addr != h->port || size != h->size))
		SAY(p, join, "joined",
			"exit %" PRId64 ": KVM_RUN said port 0x%" PRIx64 ", %" PRId64
			" bytes, kvm_pio 0x%" PRIx64 ", %" PRId64,
			h->id, addr, size, h->port, h->size);
}

static int end_hw(struct pass *p, int64_t track, int64_t t_entry)
{
	static const char *const name[] = {
		"event_id", "track", "t_exit", "t_entry", "isa", "hw_reason", "rip", "hw_qual"};
	struct hw *h = &p->track[track - 1].hw;
	const int64_t want[] = {
		h->event, track, h->t_exit, t_entry, h->isa, h->reason, h->rip, h->qual};
	int ret;

	if (!h->id)
		return 0;
	p->unended += t_entry == SQL_NULL;
	ret = begin_row(p, h->id, h->event);
	for (int i = 0; ret > 0 && i < 8; i++)
		if (column(p, i) != want[i])
			check_differs(p->c, &p->rows, h->id, name[i], column(p, i), want[i]);
	if (ret > 0)
		compare_sides(p, h);
	h->id = 0;
	return end_row(p, ret);
}

static void compare_times(struct pass *p, const struct vmm *v)
{
	const int64_t *const seen[] = {v->dispatch, v->done};

	for (int i = 0; i < 2; i++) {
		int64_t has = column(p, DISPATCH + i);

		if (has != seen[i][0] && has != seen[i][1])
			check_differs(p->c, &p->rows, v->id, i ? "t_done" : "t_dispatch", has,
				seen[i][0]);
	}
}

static int end_vmm(struct pass *p, int64_t track, int64_t t_enter)
{
	static const char *const name[] = {"event_id", "track", "t_exit", "t_entry", "isa"};
	struct vmm *v = &p->track[track - 1].vmm;
	const int64_t want[] = {v->event, track, v->t_exit, t_enter, SQL_NULL};
	int ret;

	if (!v->id)
		return 0;
	ret = begin_row(p, v->id, v->event);
	for (int i = 0; ret > 0 && !v->hw && i < 5; i++)
		if (column(p, i) != want[i])
			check_differs(p->c, &p->rows, v->id, name[i], column(p, i), want[i]);
	if (ret > 0)
		compare_times(p, v);
	v->id = 0;
	return end_row(p, ret);
}

/* --- events --------------------------------------------------------------------------------- */

static void next_number(struct pass *p, const struct event_row *ev)
{
	if (ev->a[0] != ++p->exits)
		SAY(p, pairs, "pairs",
			"event %" PRId64 " is exit %" PRId64 ", and the one before was %" PRId64,
			ev->id, ev->a[0], p->exits - 1);
	p->exits = ev->a[0];
}

static int on_kvm_exit(struct pass *p, struct joined_track *t, const struct event_row *ev)
{
	int ret = end_hw(p, ev->track, t->hw.reentered);

	next_number(p, ev);
	p->hw_exits++;
	t->hw = (struct hw){.id = ev->a[0],
		.event = ev->id,
		.t_exit = ev->ts,
		.isa = ev->a[1],
		.reason = ev->a[2],
		.rip = ev->a[3],
		.qual = ev->a[4],
		.port = SQL_NULL,
		.reentered = SQL_NULL};
	return ret;
}

/* A return with an error has no reason: for a signal the VMM says KVM_EXIT_INTR. */
static void compare_reason(struct pass *p, const struct joined_track *t, const struct event_row *ev)
{
	if (t->untold || t->unknown)
		return;
	if (!t->told)
		SAY(p, join, "joined",
			"event %" PRId64 ": KVM_RUN returned, and no kvm_userspace_exit says so",
			ev->id);
	else if (t->errno_ >= 0 ? t->reason != ev->a[1]
				: ev->a[1] != KVM_EXIT_INTR && ev->a[1] != KVM_EXIT_UNKNOWN &&
					  ev->a[1] != t->reason)
		SAY(p, join, "joined",
			"event %" PRId64 ": KVM_RUN returned with reason %" PRId64
			", kvm_userspace_exit said %" PRId64 ", errno %" PRId64,
			ev->id, ev->a[1], t->reason, t->errno_);
}

static void on_run_exit(struct pass *p, struct joined_track *t, const struct event_row *ev)
{
	bool hw = t->hw.id && !t->hw.returned;

	p->returns++;
	if (!t->unknown && t->vmm.id)
		SAY(p, pairs, "pairs",
			"event %" PRId64 ": KVM_RUN returns, but exit %" PRId64
			" has not been ended by a run_enter",
			ev->id, t->vmm.id);
	if (!hw)
		next_number(p, ev);
	else if (ev->a[0] != t->hw.id)
		SAY(p, join, "joined",
			"event %" PRId64 " is exit %" PRId64 ", and the hardware's is %" PRId64,
			ev->id, ev->a[0], t->hw.id);
	t->hw.returned |= hw;
	compare_reason(p, t, ev);
	t->vmm = (struct vmm){.id = ev->a[0],
		.event = ev->id,
		.t_exit = ev->ts,
		.hw = hw,
		.dispatch = {SQL_NULL, SQL_NULL},
		.done = {SQL_NULL, SQL_NULL}};
	t->unknown = false;
}

static int on_run_enter(struct pass *p, struct joined_track *t, const struct event_row *ev)
{
	bool hw = t->vmm.id && t->vmm.hw;
	int ret;

	if (!t->unknown && ev->a[0] != t->vmm.id)
		SAY(p, pairs, "pairs",
			"event %" PRId64 ": run_enter ends exit %" PRId64 ", the exit is %" PRId64,
			ev->id, ev->a[0], t->vmm.id);
	ret = t->unknown ? 0 : end_vmm(p, ev->track, ev->ts);
	t->vmm.id = 0;
	t->unknown = t->told = t->untold = false;
	if (!hw || !t->hw.id)
		return ret;
	t->hw.reentered = ev->ts;
	return ret || !t->hw.blind ? ret : end_hw(p, ev->track, ev->ts);
}

/* Records of the host were lost: what goes on is not known, but for an exit that the VMM has. */
static int on_host_loss(struct pass *p)
{
	int ret = 0;

	for (int64_t i = 1; !ret && i <= p->tracks; i++) {
		struct joined_track *t = &p->track[i - 1];

		t->untold = true;
		if (t->hw.id && t->hw.returned && t->hw.reentered == SQL_NULL)
			t->hw.blind = true;
		else
			ret = end_hw(p, i, t->hw.reentered);
	}
	return ret;
}

static void in_exit(struct pass *p, const struct joined_track *t, const struct event_row *ev)
{
	bool host = ev->kind >= EW_KVM_ENTRY;
	int64_t id = host && t->hw.id ? t->hw.id : t->vmm.id;

	if (!t->unknown && ev->exit_id != id && !check_is_guest(ev))
		SAY(p, pairs, "pairs",
			"event %" PRId64 " says exit %" PRId64 ", and exit %" PRId64 " goes on",
			ev->id, ev->exit_id, id);
}

static void note_times(struct joined_track *t, const struct event_row *ev)
{
	int64_t *times = ev->kind == EW_DISPATCH ? t->vmm.dispatch : t->vmm.done;

	if (ev->kind != EW_DISPATCH && ev->kind != EW_DISPATCH_END)
		return;
	times[1] = ev->ts;
	if (times[0] == SQL_NULL)
		times[0] = ev->ts;
}

static void note_kvm(struct joined_track *t, const struct event_row *ev)
{
	if (ev->kind == EW_KVM_PIO && t->hw.id) {
		t->hw.port = ev->a[1];
		t->hw.size = ev->a[2];
	} else if (ev->kind == EW_KVM_USERSPACE_EXIT) {
		t->told = true;
		t->reason = ev->a[0];
		t->errno_ = ev->a[1];
	}
}

static int of_track(struct pass *p, struct joined_track *t, const struct event_row *ev)
{
	int ret;

	switch (ev->kind) {
	case EW_KVM_EXIT:
		ret = on_kvm_exit(p, t, ev);
		in_exit(p, t, ev);
		return ret;
	case EW_KVM_ENTRY:
		in_exit(p, t, ev);
		return end_hw(p, ev->track, ev->ts);
	case EW_RUN_EXIT:
		on_run_exit(p, t, ev);
		in_exit(p, t, ev);
		return 0;
	case EW_RUN_ENTER:
		in_exit(p, t, ev);
		return on_run_enter(p, t, ev);
	case EW_LOST:
		t->unknown = true;
		return on_host_loss(p);
	default:
		note_times(t, ev);
		note_kvm(t, ev);
		in_exit(p, t, ev);
		return 0;
	}
}

static int one_event(struct pass *p, const struct event_row *ev)
{
	if (ev->track < 1 || ev->track > p->tracks) {
		SAY(p, pairs, "pairs",
			"event %" PRId64 " is of track %" PRId64 ", which is missing", ev->id,
			ev->track);
		return 0;
	}
	check_in_order(p->c, &p->order, &p->last, ev);
	return of_track(p, &p->track[ev->track - 1], ev);
}

static int one_row(void *pass, sqlite3_stmt *row)
{
	struct event_row ev;

	derive_read_event(row, &ev);
	return one_event(pass, &ev);
}

static int walk(struct pass *p)
{
	int64_t rows = 0;
	int ret = check_each_event(p->c, one_row, p, p->e);

	for (int64_t i = 1; !ret && i <= p->tracks; i++) {
		ret = end_hw(p, i, SQL_NULL);
		if (!ret && !p->track[i - 1].unknown)
			ret = end_vmm(p, i, SQL_NULL);
	}
	if (!ret)
		ret = sql_get_int(p->c->db, p->e, "SELECT count(*) FROM vm_exit", &rows);
	if (!ret && rows > p->exits)
		SAY(p, rows, "exits",
			"vm_exit has %" PRId64 " rows, and %" PRId64 " exits happened", rows,
			p->exits);
	return ret;
}

static void say(struct pass *p)
{
	char text[160];

	check_result(p->c, p->order, "order", "no event is earlier than the one in front of it");
	check_result(p->c, p->pairs, "pairs",
		"every exit has its entry, and every event of a vCPU stands in its exit");
	check_result(p->c, p->rows, "exits", "vm_exit agrees with the events");
	snprintf(text, sizeof(text),
		"%" PRId64 " returns of KVM_RUN and %" PRId64 " exits of the hardware are %" PRId64
		" exits, and both sides say the same",
		p->returns, p->hw_exits, p->exits);
	check_result(p->c, p->join, "joined", text);
	if (p->unended)
		check_say(p->c, CHECK_NOTE, "pairs",
			"%" PRId64
			" exits have no kvm_entry behind them: a gap, or the end of the recording",
			p->unended);
}

int check_joined_events(struct check *c, struct err *e)
{
	struct pass p = {.c = c, .e = e, .last = {.ts = INT64_MIN}};
	int ret = sql_get_int(c->db, e, "SELECT max(id) FROM track", &p.tracks);

	if (ret)
		return ret;
	p.track = calloc((size_t)p.tracks + 1, sizeof(*p.track));
	if (!p.track)
		return err_set(e, -ENOMEM, "out of memory");
	for (int64_t i = 0; i < p.tracks; i++) {
		struct vmm *v = &p.track[i].vmm;

		p.track[i].hw.reentered = SQL_NULL;
		v->dispatch[0] = v->dispatch[1] = v->done[0] = v->done[1] = SQL_NULL;
	}
	ret = sql_prepare(c->db, &p.row, e, ROW_SQL);
	if (!ret)
		ret = walk(&p);
	if (!ret)
		say(&p);
	sqlite3_finalize(p.row);
	free(p.track);
	return ret;
}
