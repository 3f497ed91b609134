/* SPDX-License-Identifier: MIT */
/* Turns the events of a request's window into its ordered steps, and writes its row and budget. */
#include "derive.h"

#include <stdlib.h>
#include <string.h>

static const struct {
	unsigned char stage, layer;
} kind_info[] = {
#define EV(id, name, NAME, stage, layer, source, text, doc, a0, a1, a2, a3, a4, a5)                \
	[id] = {stage, EW_LAYER_##layer},
#include "events.def"
#undef EV
};

/* The request that is being written. */
struct writer {
	struct derive *d;
	sqlite3_stmt *events, *prefix, *frames, *insn;
	sqlite3_stmt *insert_step, *insert_request, *insert_budget;
	const struct request *r;
	struct event_row *ev; /* the kick in front of the window (where there is one), the window */
	size_t n, cap, in_front;
	int64_t steps;
	int stage; /* of the last step: within an exit it never goes back */
	bool kicked, acked;
};

static int put(struct writer *w, int stage, int layer, const char *what, int64_t event,
	int64_t frame, int64_t absent)
{
	w->stage = stage;
	sqlite3_bind_text(w->insert_step, 8, what, -1, SQLITE_STATIC);
	return sql_insert(w->insert_step, w->d->e, 7,
		(int64_t[]){w->r->id, ++w->steps, stage, layer, event, frame, absent});
}

static int put_absent(struct writer *w, int stage, int layer, enum absent absent)
{
	w->d->absent_used[absent] = 1;
	return put(w, stage, layer, "absent", SQL_NULL, SQL_NULL, absent);
}

static bool known_kind(int64_t kind)
{
	return kind > 0 && kind < (int64_t)(sizeof(kind_info) / sizeof(kind_info[0]));
}

static int put_event(struct writer *w, int stage, const struct event_row *ev)
{
	int layer = known_kind(ev->kind) ? kind_info[ev->kind].layer : EW_LAYER_NONE;

	return put(w, stage, layer, "event", ev->id, SQL_NULL, SQL_NULL);
}

static int put_marker(struct writer *w, int stage, int64_t event)
{
	return put(w, stage, EW_LAYER_GUEST_USER, "event", event, SQL_NULL, SQL_NULL);
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

		ret = put(w, stage, user ? EW_LAYER_GUEST_USER : EW_LAYER_GUEST_KERNEL, "frame",
			snapshot, sqlite3_column_int64(w->frames, 0), SQL_NULL);
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
		ret = put(w, stage, EW_LAYER_GUEST_KERNEL, "insn", run_exit->id, SQL_NULL, SQL_NULL)
			      ?: 1;
	return ret;
}

static int put_guest_side(
	struct writer *w, int stage, const struct event_row *ev, size_t n, bool must_have)
{
	int frames = 0, insn = 0;

	for (size_t i = 0; i < n && frames >= 0; i++)
		if (ev[i].kind == EW_SNAPSHOT)
			frames = put_frames(w, stage, ev[i].id);
	if (!frames && must_have)
		frames = put_absent(w, stage, EW_LAYER_GUEST_KERNEL, ABSENT_NO_STACK) ?: 1;
	if (frames < 0)
		return frames;
	if (frames > 0)
		insn = put_insn(w, stage, &ev[0]);
	if (!insn && must_have)
		insn = put_absent(w, stage, EW_LAYER_GUEST_KERNEL, ABSENT_NO_INSN);
	return insn < 0 ? insn : 0;
}

/* --- exits ------------------------------------------------------------------------------------ */

/* The exit by which the driver notified the device: stages 2 to 8. */
static int put_kick_exit(struct writer *w, const struct event_row *ev, size_t n)
{
	bool host_call = false, host_done = false, irq = false;
	int ret = put_guest_side(w, 2, ev, n, true);

	w->kicked = true;
	if (!ret)
		ret = put_absent(w, 3, EW_LAYER_KVM, ABSENT_HW_EXIT);
	for (size_t i = 0; !ret && i < n; i++) {
		int stage = known_kind(ev[i].kind) ? kind_info[ev[i].kind].stage : 0;

		if (ev[i].id == w->r->first.event && ev[i].id != w->r->kick.event)
			continue; /* where the request in front was cut off: its event */
		host_call |= ev[i].kind == EW_HOST_CALL;
		irq |= ev[i].kind == EW_IRQ_LINE;
		if (stage >= 7 && !host_done) {
			host_done = true;
			ret = put_absent(w, 6, EW_LAYER_HOST_KERNEL,
				host_call ? ABSENT_HOST_BLOCK : ABSENT_NO_HOST_CALL);
		}
		if (!ret && ev[i].kind == EW_RUN_ENTER && irq)
			ret = put_absent(w, 7, EW_LAYER_KVM, ABSENT_IRQ_INJECT);
		if (!ret)
			ret = put_event(w, stage > w->stage ? stage : w->stage, &ev[i]);
		if (!ret && ev[i].kind == EW_RUN_ENTER)
			ret = put_absent(w, 8, EW_LAYER_KVM, ABSENT_HW_ENTRY);
	}
	if (!ret && w->r->shares_completion)
		ret = put_absent(w, 7, EW_LAYER_KVM, ABSENT_SHARED_COMPLETION);
	return ret;
}

/* Any other exit: the handler's read of the ISR register is stage 9, the rest 4 and 8. */
static int put_other_exit(struct writer *w, const struct event_row *ev, size_t n)
{
	bool isr = false;
	int ret;

	for (size_t i = 0; i < n; i++)
		isr |= ev[i].kind == EW_ISR_READ && w->kicked;
	w->acked |= isr;
	ret = put_guest_side(w, w->kicked ? 9 : 2, ev, n, false);
	for (size_t i = 0; !ret && i < n; i++)
		ret = put_event(w, isr ? 9 : ev[i].kind == EW_RUN_ENTER ? 8 : 4, &ev[i]);
	return ret;
}

/* How many events from ev[0], a run_exit, on belong to its exit: up to its run_enter. */
static size_t exit_length(const struct writer *w, const struct event_row *ev, size_t n)
{
	for (size_t i = 1; i < n; i++) {
		if (ev[i].track != w->r->track)
			continue;
		if (ev[i].kind == EW_RUN_ENTER)
			return i + 1;
		if (ev[i].kind == EW_RUN_EXIT)
			return i; /* the run_enter was lost */
	}
	return n;
}

/* --- the whole path --------------------------------------------------------------------------- */

static int put_begin(struct writer *w)
{
	const struct request *r = w->r;

	if (r->call == NO_INDEX)
		return put_absent(w, 1, EW_LAYER_GUEST_USER, ABSENT_NO_CALL);
	return put_marker(w, 1, w->d->call[r->call].enter_event);
}

static int put_middle(struct writer *w, size_t n)
{
	int ret = 0;

	for (size_t i = 0; !ret && i < n;) {
		const struct event_row *ev = &w->ev[i];
		size_t len = 1;

		if (ev->kind == EW_RUN_EXIT && ev->track == w->r->track) {
			len = exit_length(w, ev, n - i);
			ret = w->r->kick_exit && ev->a[0] == w->r->kick_exit
				      ? put_kick_exit(w, ev, len)
				      : put_other_exit(w, ev, len);
		} else if (ev->kind == EW_RUN_ENTER) {
			ret = put_event(w, w->steps == 1 ? 1 : 8, ev);
		} else {
			int stage = known_kind(ev->kind) ? kind_info[ev->kind].stage : 0;

			ret = put_event(w, stage ? stage : w->stage, ev);
		}
		i += len;
	}
	return ret;
}

static int put_end(struct writer *w, const struct event_row *last)
{
	const struct request *r = w->r;
	const struct guest_call *c = r->call == NO_INDEX ? NULL : &w->d->call[r->call];
	int ret = 0;

	if (!w->kicked)
		ret = put_absent(w, 2, EW_LAYER_GUEST_KERNEL, ABSENT_NO_KICK);
	if (!ret && !w->acked && !r->shares_completion)
		ret = put_absent(w, 9, EW_LAYER_GUEST_KERNEL, ABSENT_NO_ISR_READ);
	if (!ret && r->t_used != SQL_NULL)
		ret = put_absent(w, 9, EW_LAYER_GUEST_KERNEL, ABSENT_GUEST_COMPLETION);
	if (!ret && last)
		ret = put_event(w, 9, last);
	if (ret || !c)
		return ret;
	if (c->exit_event)
		return put_marker(w, 9, c->exit_event);
	return put_absent(w, 9, EW_LAYER_GUEST_USER, ABSENT_NO_RETURN);
}

static int load_rows(struct writer *w, sqlite3_stmt *stmt)
{
	int ret = 0;

	while (!ret && (ret = sql_step(stmt, w->d->e)) > 0) {
		ret = derive_grow((void **)&w->ev, &w->cap, w->n, sizeof(*w->ev), w->d->e);
		if (!ret)
			derive_read_event(stmt, &w->ev[w->n++]);
	}
	sqlite3_reset(stmt);
	return ret;
}

/* Several requests may share a kick: the later ones have it in front of their window. */
static int load_events(struct writer *w)
{
	const struct request *r = w->r;
	int ret = 0;

	w->n = w->in_front = 0;
	if (r->kick.event && r->kick.event < r->first.event) {
		sqlite3_bind_int64(w->prefix, 1, r->kick.event);
		sqlite3_bind_int64(w->prefix, 2, r->first.event - 1);
		sqlite3_bind_int64(w->prefix, 3, r->track);
		ret = load_rows(w, w->prefix);
		w->in_front = w->n;
	}
	sqlite3_bind_int64(w->events, 1, r->first.event);
	sqlite3_bind_int64(w->events, 2, r->last.event);
	sqlite3_bind_int64(w->events, 3, r->track);
	sqlite3_bind_int64(w->events, 4, r->id);
	return ret ? ret : load_rows(w, w->events);
}

static int store_request(struct writer *w, int64_t exits)
{
	const struct request *r = w->r;
	int64_t ns[EW_LAYER_MAX + 1];
	int ret = sql_insert(w->insert_request, w->d->e, 22,
		(int64_t[]){r->id, r->device, r->queue, r->head, r->type, r->sector, r->bytes,
			r->descriptors, r->status, r->used_len,
			r->call == NO_INDEX ? SQL_NULL : (int64_t)r->call + 1,
			r->kick_exit ? r->kick_exit : SQL_NULL, r->first.ts,
			r->kick.event ? r->kick.ts : SQL_NULL, r->pop.ts, r->t_host, r->t_host_ret,
			r->t_used, r->t_irq, r->t_entry, r->last.ts, exits});

	derive_budget(w->d, r, w->ev + w->in_front, w->n - w->in_front, ns);
	for (int layer = 1; !ret && layer <= EW_LAYER_MAX; layer++)
		ret = sql_insert(
			w->insert_budget, w->d->e, 3, (int64_t[]){r->id, layer, ns[layer]});
	return ret;
}

static int one_request(struct writer *w)
{
	const struct request *r = w->r;
	const struct event_row *last = NULL;
	int64_t exits = 0;
	int ret = load_events(w);

	w->steps = w->stage = 0;
	w->kicked = w->acked = false;
	if (ret)
		return ret;
	/* The EXIT marker's exit ends the window; it is not one of the path. */
	if (w->n > w->in_front && r->call != NO_INDEX && w->d->call[r->call].exit_event &&
		w->ev[w->n - 1].id == w->d->call[r->call].last.event)
		last = &w->ev[w->n - 1];
	for (size_t i = w->in_front; i < w->n - !!last; i++)
		exits += w->ev[i].kind == EW_RUN_EXIT && w->ev[i].track == r->track;
	ret = put_begin(w);
	if (!ret)
		ret = put_middle(w, w->n - !!last);
	if (!ret)
		ret = put_end(w, last);
	return ret ? ret : store_request(w, exits);
}

static int prepare_reads(struct writer *w)
{
	char sql[512];
	int ret;

	snprintf(sql, sizeof(sql),
		"SELECT " EVENT_COLUMNS " FROM event WHERE id BETWEEN ?1 AND ?2 AND (track = ?3"
		" OR a0 = ?4 AND kind IN (%d, %d, %d, %d, %d, %d, %d)) ORDER BY id",
		EW_QUEUE_POP, EW_DESCRIPTOR, EW_REQUEST, EW_HOST_CALL, EW_HOST_RET, EW_REQ_STATUS,
		EW_QUEUE_USED);
	ret = sql_prepare(w->d->db, &w->events, w->d->e, sql);
	snprintf(sql, sizeof(sql),
		"SELECT " EVENT_COLUMNS " FROM event WHERE id BETWEEN ?1 AND ?2 AND track = ?3"
		" AND kind IN (%d, %d, %d, %d) ORDER BY id",
		EW_RUN_EXIT, EW_DISPATCH, EW_SNAPSHOT, EW_QUEUE_NOTIFY);
	if (!ret)
		ret = sql_prepare(w->d->db, &w->prefix, w->d->e, sql);
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

static int prepare_writes(struct writer *w)
{
	int ret = sql_prepare(w->d->db, &w->insert_step, w->d->e,
		"INSERT INTO step(request_id, n, stage, layer, event_id, frame, absent, what)"
		" VALUES(?, ?, ?, ?, ?, ?, ?, ?)");

	if (!ret)
		ret = sql_prepare(w->d->db, &w->insert_request, w->d->e,
			"INSERT INTO request(id, device, queue, head, type, sector, bytes, descriptors,"
			" status, used_len, guest_call, kick_exit, t_first, t_kick, t_pop, t_host,"
			" t_host_ret, t_used, t_irq, t_entry, t_last, exits)"
			" VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)");
	if (!ret)
		ret = sql_prepare(w->d->db, &w->insert_budget, w->d->e,
			"INSERT INTO budget(request_id, layer, ns) VALUES(?, ?, ?)");
	return ret;
}

int derive_requests(struct derive *d)
{
	struct writer w = {.d = d};
	sqlite3_stmt **const all[] = {&w.events, &w.prefix, &w.frames, &w.insn, &w.insert_step,
		&w.insert_request, &w.insert_budget};
	int ret = prepare_reads(&w);

	if (!ret)
		ret = prepare_writes(&w);
	for (size_t i = 0; !ret && i < d->requests; i++) {
		w.r = &d->request[i];
		ret = one_request(&w);
	}
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		sqlite3_finalize(*all[i]);
	free(w.ev);
	return ret;
}
