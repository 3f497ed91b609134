/* SPDX-License-Identifier: MIT */
/* Statements of the step writer: the events of a window, the rows of step, request and budget. */
#include "derive_guest.h"
#include "derive_guest_steps.h"
#include "derive_host.h"

#include <stdlib.h>

static const struct {
	unsigned char stage, layer;
} kind_info[] = {
#define EV(id, name, NAME, stage, layer, source, text, doc, a0, a1, a2, a3, a4, a5)                \
	[id] = {stage, EW_LAYER_##layer},
#include "events.def"
#undef EV
};

static bool known_kind(int64_t kind)
{
	return kind > 0 && kind < (int64_t)(sizeof(kind_info) / sizeof(kind_info[0]));
}

int steps_kind_stage(int64_t kind)
{
	return known_kind(kind) ? kind_info[kind].stage : 0;
}

int steps_put(struct writer *w, int stage, int layer, const char *what, int64_t event,
	int64_t frame, int64_t absent, int64_t from_event)
{
	int ret = derive_grow(
		(void **)&w->step, &w->steps_cap, (size_t)w->steps, sizeof(*w->step), w->d->e);

	if (ret)
		return ret;
	w->step[w->steps++] = (struct step_row){what, stage, layer, event, frame, absent,
		from_event, w->uncertain ? 1 : SQL_NULL, SQL_NULL};
	w->stage = stage;
	w->uncertain = false;
	return 0;
}

static int insert_steps(struct writer *w)
{
	int ret = 0;

	for (int64_t i = 0; !ret && i < w->steps; i++) {
		const struct step_row *s = &w->step[i];

		sqlite3_bind_text(w->insert_step, 11, s->what, -1, SQLITE_STATIC);
		ret = sql_insert(w->insert_step, w->d->e, 10,
			(int64_t[]){w->r->id, i + 1, s->stage, s->layer, s->event, s->frame,
				s->absent, s->from_event, s->uncertain, s->aside});
	}
	return ret;
}

/* Could it have happened in front of the event that was shown before? One of the two is of the guest's clock. */
static bool is_uncertain(const struct writer *w, const struct event_row *ev)
{
	const struct event_row *was = &w->shown;
	const bool guest = derive_is_guest(ev->kind);
	int64_t error;

	if (!was->id || guest == derive_is_guest(was->kind))
		return false;
	error = guest ? ev->error : was->error;
	return error == SQL_NULL || ev->ts - was->ts <= error;
}

int steps_absent(struct writer *w, int stage, int layer, enum absent absent)
{
	w->d->absent_used[absent] = 1;
	return steps_put(w, stage, layer, "absent", SQL_NULL, SQL_NULL, absent, SQL_NULL);
}

int steps_event(struct writer *w, int stage, const struct event_row *ev)
{
	int layer = known_kind(ev->kind) ? kind_info[ev->kind].layer : EW_LAYER_NONE;

	w->uncertain = is_uncertain(w, ev);
	w->shown = *ev;
	return steps_put(w, stage, layer, "event", ev->id, SQL_NULL, SQL_NULL, SQL_NULL);
}

int steps_marker(struct writer *w, int stage, int64_t event)
{
	return steps_put(
		w, stage, EW_LAYER_GUEST_USER, "event", event, SQL_NULL, SQL_NULL, SQL_NULL);
}

int steps_traced(struct writer *w, int stage, int64_t event)
{
	return steps_put(
		w, stage, EW_LAYER_GUEST_KERNEL, "event", event, SQL_NULL, SQL_NULL, SQL_NULL);
}

/* --- the guest's side of an exit ------------------------------------------------------------- */

/*
 * The frames of a snapshot, outermost first. In an interrupt handler only those from the context
 * that was interrupted on: what is behind that belongs to the system call, and stage 2 has it.
 * Returns how many, or -errno.
 */
static int put_frames(struct writer *w, int stage, int64_t snapshot)
{
	int ret, n = 0;

	sqlite3_bind_int64(w->frames, 1, snapshot);
	sqlite3_bind_int(w->frames, 2, w->kicked);
	while ((ret = sql_step(w->frames, w->d->e)) > 0) {
		/* A kernel's addresses are the upper, negative half. */
		bool user = sqlite3_column_int64(w->frames, 1) >= 0;

		ret = steps_put(w, stage, user ? EW_LAYER_GUEST_USER : EW_LAYER_GUEST_KERNEL,
			"frame", snapshot, sqlite3_column_int64(w->frames, 0), SQL_NULL, SQL_NULL);
		if (ret)
			break;
		n++;
	}
	sqlite3_reset(w->frames);
	return ret < 0 ? ret : n;
}

/* 1: the instruction is known and was put, 0: it is not, or -errno. */
static int put_insn(struct writer *w, int stage, const struct event_row *run_exit)
{
	int ret;

	sqlite3_bind_int64(w->insn, 1, run_exit->a[0]);
	ret = sql_step(w->insn, w->d->e);
	sqlite3_reset(w->insn);
	if (ret > 0)
		ret = steps_put(w, stage, EW_LAYER_GUEST_KERNEL, "insn", run_exit->id, SQL_NULL,
			      SQL_NULL, SQL_NULL)
			      ?: 1;
	return ret;
}

/* The first event of a kind in the exit that begins at run_exit, or NULL. */
static const struct event_row *in_this_exit(const struct writer *w, size_t run_exit, int64_t kind)
{
	for (size_t i = run_exit + 1; i < w->n; i++) {
		const struct event_row *ev = &w->ev[i];

		if (ev->track != w->ev[run_exit].track)
			continue;
		if (ev->kind == kind)
			return ev;
		if (ev->kind == EW_RUN_ENTER || ev->kind == EW_RUN_EXIT)
			break;
	}
	return NULL;
}

int steps_guest_side(struct writer *w, int stage, size_t run_exit, bool must_have)
{
	const struct event_row *exit = &w->ev[run_exit];
	const struct event_row *snapshot = in_this_exit(w, run_exit, EW_SNAPSHOT);
	const struct event_row *task = in_this_exit(w, run_exit, EW_TASK);
	int frames = 0, insn = 0;

	if (task)
		frames = steps_put(w, stage, EW_LAYER_GUEST_KERNEL, "task", task->id, SQL_NULL,
			SQL_NULL, SQL_NULL);
	if (!frames && snapshot)
		frames = put_frames(w, stage, snapshot->id);
	if (!frames && must_have)
		frames = steps_absent(w, stage, EW_LAYER_GUEST_KERNEL, ABSENT_NO_STACK) ?: 1;
	if (frames < 0)
		return frames;
	if (frames > 0)
		insn = put_insn(w, stage, exit);
	if (!insn && must_have)
		insn = steps_absent(w, stage, EW_LAYER_GUEST_KERNEL, ABSENT_NO_INSN);
	return insn < 0 ? insn : 0;
}

/* --- rows ------------------------------------------------------------------------------------- */

static int64_t ts_or_null(struct mark m)
{
	return m.event ? m.ts : SQL_NULL;
}

static const char *how_text(enum call_how how)
{
	return how == CALL_BY_BUFFER   ? "buffer"
	       : how == CALL_ONLY      ? "only call"
	       : how == CALL_BY_SECTOR ? "sector"
				       : NULL;
}

int steps_request(struct writer *w)
{
	const struct request *r = w->r;
	const struct notify *n = r->notify == NO_INDEX ? NULL : &w->d->notify[r->notify];
	const struct guest_rq *rq = r->rq == NO_INDEX ? NULL : &w->d->guest->rq[r->rq];
	int64_t ns[EW_LAYER_MAX + 1];
	int ret = insert_steps(w);

	if (ret)
		return ret;

	if (how_text(r->call_how))
		sqlite3_bind_text(w->insert_request, 31, how_text(r->call_how), -1, SQLITE_STATIC);
	else
		sqlite3_bind_null(w->insert_request, 31);
	ret = sql_insert(w->insert_request, w->d->e, 30,
		(int64_t[]){r->id, r->device, r->queue, r->head, r->type, r->sector, r->bytes,
			r->descriptors, r->status, r->used_len,
			r->call == NO_INDEX ? SQL_NULL : (int64_t)r->call + 1,
			w->kick ? w->kick->exit_id : SQL_NULL, r->first.ts,
			w->kick ? w->kick->exit.ts : SQL_NULL, r->pop.ts, r->t_host, r->t_host_ret,
			ts_or_null(r->used), ts_or_null(r->irq),
			w->kick ? ts_or_null(w->kick->entry) : SQL_NULL, r->last.ts, w->exits,
			n ? n->at.event : SQL_NULL, r->track, ts_or_null(r->wake),
			r->irq.event ? r->irq.event : SQL_NULL,
			r->irq.event ? r->irq_requests : SQL_NULL,
			r->conflict == NO_INDEX ? SQL_NULL : (int64_t)r->conflict + 1,
			rq ? rq->issue.event : SQL_NULL,
			rq && rq->complete.event ? rq->complete.event : SQL_NULL});
	derive_budget(w, w->ev + w->in_front, w->n - w->in_front, ns);
	for (int layer = 1; !ret && layer < EW_LAYER_IN_VMM; layer++)
		ret = sql_insert(
			w->insert_budget, w->d->e, 3, (int64_t[]){r->id, layer, ns[layer]});
	return ret;
}

/* --- statements ------------------------------------------------------------------------------- */

static int prepare_reads(struct writer *w)
{
	sqlite3_stmt *events = NULL, *guest_events = NULL;
	char sql[1024];
	int ret;

	snprintf(sql, sizeof(sql),
		"SELECT " EVENT_COLUMNS " FROM event WHERE id BETWEEN ?1 AND ?2 AND kind NOT"
		" BETWEEN %d AND %d ORDER BY id",
		EW_GUEST_FUNC, EW_GUEST_SOFTIRQ_RET);
	ret = sql_prepare(w->d->db, &events, w->d->e, sql);
	w->window = event_window(events, NULL);
	snprintf(sql, sizeof(sql),
		"SELECT " EVENT_COLUMNS " FROM event WHERE id BETWEEN min(?1, coalesce((SELECT"
		" event_id FROM vm_exit WHERE id = ?4), ?1)) AND ?2 AND (track = ?3 AND"
		" exit_id = ?4 AND (kind IN (%d, %d, %d, %d, %d, %d, %d, %d, %d, %d)"
		" OR kind >= %d AND id < ?7) OR id IN (?5, ?6)) ORDER BY id",
		EW_RUN_EXIT, EW_DISPATCH, EW_SNAPSHOT, EW_TASK, EW_STACK_PART, EW_QUEUE_NOTIFY,
		EW_IO_SIGNAL, EW_IO_SIGNAL_RET, EW_DISPATCH_END, EW_RUN_ENTER, EW_KVM_ENTRY);
	if (!ret)
		ret = sql_prepare(w->d->db, &w->prefix, w->d->e, sql);
	if (!ret && w->d->guest)
		ret = sql_prepare(w->d->db, &guest_events, w->d->e,
			"SELECT e.id, e.ts, e.dur, e.kind, e.track, e.exit_id, e.a0, e.a1, e.a2, e.a3, e.a4,"
			" e.a5, g.pid, g.flags, g.error FROM guest_event g JOIN event e ON e.id ="
			" g.event_id WHERE g.event_id BETWEEN ?1 AND ?2 ORDER BY g.event_id");
	w->guest.window = event_window(guest_events, derive_guest_read);
	if (!ret)
		ret = sql_prepare(w->d->db, &w->frames, w->d->e,
			"SELECT n, ip FROM frame WHERE event_id = ?1 AND (NOT ?2 OR n <= coalesce((SELECT"
			" min(n) FROM frame WHERE event_id = ?1 AND how = 'pt_regs'), n)) ORDER BY n"
			" DESC");
	if (!ret)
		ret = sql_prepare(w->d->db, &w->insn, w->d->e,
			"SELECT 1 FROM vm_exit WHERE id = ?1 AND insn IS NOT NULL");
	return ret;
}

int steps_prepare(struct writer *w)
{
	int ret = prepare_reads(w);

	if (!ret)
		ret = sql_prepare(w->d->db, &w->insert_step, w->d->e,
			"INSERT INTO step(request_id, n, stage, layer, event_id, frame, absent,"
			" from_event, uncertain, aside, what) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
	if (!ret)
		ret = sql_prepare(w->d->db, &w->insert_request, w->d->e,
			"INSERT INTO request(id, device, queue, head, type, sector, bytes, descriptors,"
			" status, used_len, guest_call, kick_exit, t_first, t_kick, t_pop, t_host,"
			" t_host_ret, t_used, t_irq, t_entry, t_last, exits, notify_event, track,"
			" t_wake, irq_event, irq_requests, call_conflict, guest_issue, guest_complete,"
			" call_how) VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)");
	if (!ret)
		ret = sql_prepare(w->d->db, &w->insert_budget, w->d->e,
			"INSERT INTO budget(request_id, layer, ns) VALUES(?, ?, ?)");
	return ret;
}

void steps_finish(struct writer *w)
{
	sqlite3_stmt **const all[] = {&w->prefix, &w->frames, &w->insn, &w->insert_step,
		&w->insert_request, &w->insert_budget};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		sqlite3_finalize(*all[i]);
	event_window_free(&w->window);
	free(w->ev);
	free(w->step);
	free(w->side.lead);
	derive_guest_free(&w->guest);
}
