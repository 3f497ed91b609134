/* SPDX-License-Identifier: MIT */
/* From records to rows. */
#include "rows.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "host_exit.h"
#include "insn_memo.h"

/* Does the argument exist? Used ones come first. */
#define USED(a) (#a[0] != '_' || #a[1] != 0)

int rows_init(struct rows *r, struct store *store, struct err *e)
{
	memset(r, 0, sizeof(*r));
	r->store = store;
	memset(r->args, 6, sizeof(r->args)); /* a kind that nobody declared keeps everything */
#define EV(id, name, NAME, stage, layer, source, text, doc, a0, a1, a2, a3, a4, a5)                \
	r->args[id] = USED(a0) + USED(a1) + USED(a2) + USED(a3) + USED(a4) + USED(a5);
#include "events.def"
#undef EV
	r->memo = insn_memo_create();
	return r->memo ? 0 : err_set(e, -ENOMEM, "out of memory");
}

void rows_destroy(struct rows *r)
{
	insn_memo_destroy(r->memo);
	host_rows_destroy(&r->host);
	for (unsigned i = 0; i <= ROWS_TRACKS_MAX; i++) {
		if (r->track[i])
			free(r->track[i]->sqe);
		free(r->track[i]);
	}
	memset(r, 0, sizeof(*r));
}

int rows_add_track(struct rows *r, unsigned track, struct err *e)
{
	if (track == 0 || track > ROWS_TRACKS_MAX)
		return err_set(
			e, -ENOSPC, "more than %d threads cannot be recorded", ROWS_TRACKS_MAX);
	r->track[track] = calloc(1, sizeof(*r->track[track]));
	if (track > r->tracks)
		r->tracks = track;
	return r->track[track] ? 0 : err_set(e, -ENOMEM, "out of memory");
}

static void int_or_null(struct store *s, enum store_stmt id, int n, int64_t value, bool known)
{
	if (known)
		store_int(s, id, n, value);
	else
		store_null(s, id, n);
}

/* The columns that change while the exit is open: parameters 1 to 6 of both statements. */
static void bind_progress(struct store *s, enum store_stmt id, const struct rows_exit *x)
{
	bool moved = x->p.space < EW_SPACE_MAX;

	int_or_null(s, id, 1, x->region, x->t_dispatch != 0);
	int_or_null(s, id, 2, x->result, x->t_done != 0);
	int_or_null(s, id, 3, (int64_t)x->value, moved && (x->p.is_write || x->t_done));
	int_or_null(s, id, 4, (int64_t)x->t_dispatch, x->t_dispatch != 0);
	int_or_null(s, id, 5, (int64_t)x->t_done, x->t_done != 0);
	int_or_null(s, id, 6, (int64_t)x->t_entry, x->t_entry != 0);
}

/* The VMM's part of an exit that the tracepoints know too. */
static int give_vmm(struct rows *r, unsigned track, struct rows_exit *x, struct err *e)
{
	struct host_exit_vmm vmm = {.p = x->p,
		.value = x->value,
		.t_dispatch = x->t_dispatch,
		.t_done = x->t_done,
		.region = x->region,
		.result = x->result,
		.reason = x->reason};
	const uint8_t *insn;

	vmm.insn_len = insn_memo_locate(
		r->memo, &x->p, host_rows_rip(&r->host, track, x->id), &vmm.insn_rip, &insn);
	if (vmm.insn_len > sizeof(vmm.insn))
		vmm.insn_len = 0;
	memcpy(vmm.insn, insn, vmm.insn_len);
	return host_rows_vmm(&r->host, track, x->id, &vmm, x->t_entry, e);
}

static int store_exit(struct rows *r, unsigned track, struct rows_exit *x, struct err *e)
{
	struct store *s = r->store;
	bool moved = x->p.space < EW_SPACE_MAX;
	const uint8_t *insn;
	uint64_t insn_rip;
	unsigned len;

	if (x->hw)
		return give_vmm(r, track, x, e);
	if (x->stored) {
		if (!x->changed)
			return 0;
		x->changed = false;
		bind_progress(s, STMT_EXIT_DONE, x);
		store_int(s, STMT_EXIT_DONE, 7, x->id);
		return store_run(s, STMT_EXIT_DONE, e);
	}
	x->stored = true;
	x->changed = false;
	r->n.exits += !r->joined; /* else its id has counted it */
	len = insn_memo_locate(r->memo, &x->p, 0, &insn_rip, &insn);
	bind_progress(s, STMT_EXIT, x);
	store_int(s, STMT_EXIT, 7, x->id);
	store_int(s, STMT_EXIT, 8, x->event_id);
	store_int(s, STMT_EXIT, 9, track);
	store_int(s, STMT_EXIT, 10, x->reason);
	int_or_null(s, STMT_EXIT, 11, x->p.space, moved);
	int_or_null(s, STMT_EXIT, 12, (int64_t)x->p.addr, moved);
	int_or_null(s, STMT_EXIT, 13, x->p.size, moved);
	int_or_null(s, STMT_EXIT, 14, x->p.count, moved);
	int_or_null(s, STMT_EXIT, 15, x->p.is_write, moved);
	store_int(s, STMT_EXIT, 16, (int64_t)x->p.rip);
	int_or_null(s, STMT_EXIT, 17, (int64_t)insn_rip, len != 0);
	if (len)
		sqlite3_bind_blob(s->stmt[STMT_EXIT], 18, insn, (int)len, SQLITE_STATIC);
	else
		store_null(s, STMT_EXIT, 18);
	store_int(s, STMT_EXIT, 19, (int64_t)x->ts);
	return store_run(s, STMT_EXIT, e);
}

static int close_exit(struct rows *r, unsigned track, struct rows_exit *x, struct err *e)
{
	int ret = x->open ? store_exit(r, track, x, e) : 0;

	x->open = false;
	return ret;
}

int rows_store_open(struct rows *r, struct err *e)
{
	int ret = 0;

	for (unsigned i = 1; !ret && i <= ROWS_TRACKS_MAX && r->track[i]; i++)
		if (r->track[i]->exit.open)
			ret = store_exit(r, i, &r->track[i]->exit, e);
	return ret || !r->joined ? ret : host_rows_flush(&r->host, e);
}

/* The id of an exit: the VMM's number, which counts over all vCPUs, or with the tracepoints' exits a number
 * of its own. */
static void number_exit(struct rows *r, unsigned track, struct rows_exit *x)
{
	x->number = x->id;
	if (!r->joined)
		return;
	x->id = host_rows_returned(&r->host, track);
	x->hw = x->id != 0;
	if (!x->hw)
		x->id = (int64_t)++r->n.exits;
}

static void open_exit(
	struct rows *r, unsigned track, struct ew_rec *rec, uint64_t ts, const void *payload)
{
	struct rows_track *t = r->track[track];

	t->exit = (struct rows_exit){.open = true,
		.id = (int64_t)rec->a[0],
		.event_id = (int64_t)r->n.events,
		.reason = (int64_t)rec->a[1],
		.ts = ts};
	t->exit.p.space = EW_SPACE_MAX;
	if (payload && rec->payload >= sizeof(t->exit.p))
		memcpy(&t->exit.p, payload, sizeof(t->exit.p));
	t->exit.value = t->exit.p.is_write ? t->exit.p.value : 0;
	number_exit(r, track, &t->exit);
	rec->a[0] = (uint64_t)t->exit.id;
	t->during = t->exit.id;
	t->depth = 0;
}

static int64_t dispatch_begins(struct rows_track *t, const struct ew_rec *rec, uint64_t ts)
{
	/* The look-up began where the event before it ended: the exit, an outer dispatch … */
	int64_t dur = -1;

	if (t->during)
		dur = ts > t->previous ? (int64_t)(ts - t->previous) : 0;
	if (t->depth < ROWS_DISPATCH_DEPTH)
		t->dispatch[t->depth] = ts;
	if (t->depth++ == 0 && t->during && !t->exit.t_dispatch) {
		t->exit.region = (int64_t)rec->a[2];
		t->exit.t_dispatch = ts;
		t->exit.changed = true;
	}
	return dur;
}

static int64_t dispatch_ends(struct rows_track *t, const struct ew_rec *rec, uint64_t ts)
{
	struct rows_exit *x = &t->exit;
	uint64_t shift = x->accesses * x->p.size * 8;

	if (t->depth == 0)
		return -1; /* its dispatch was lost */
	t->depth--;
	if (t->depth == 0 && t->during) {
		/* A repeated access is dispatched several times: value holds the first 8 bytes. */
		if (!x->p.is_write && shift < 64)
			x->value |= rec->a[2] << shift;
		if (x->accesses++ == 0)
			x->result = (int64_t)rec->a[1];
		x->t_done = ts;
		x->changed = true;
	}
	if (t->depth >= ROWS_DISPATCH_DEPTH)
		return -1;
	return (int64_t)(ts - t->dispatch[t->depth]);
}

/* The time since *begin, which is thereby used up; -1 if it was not seen. */
static int64_t since(uint64_t *begin, uint64_t ts)
{
	int64_t dur = *begin ? (int64_t)(ts - *begin) : -1;

	*begin = 0;
	return dur;
}

/* After a loss nobody knows where the vCPU is until the next run_enter or run_exit says it. */
static void forget(struct rows_track *t)
{
	t->during = 0;
	t->entered = 0;
	memset(t->begun, 0, sizeof(t->begun));
	if (t->sqe)
		memset(t->sqe, 0, ROWS_URING_SLOTS * sizeof(*t->sqe));
	t->depth = 0;
}

/* Begins a span, or ends it and gives its length; -1: neither, or its beginning was not seen. */
static int64_t span(struct rows_track *t, unsigned kind, uint64_t ts)
{
	switch (kind) {
#define SPAN(begin, end)                                                                           \
	case EW_##begin:                                                                           \
		t->begun[ROWS_SPAN_##begin] = ts;                                                  \
		return -1;                                                                         \
	case EW_##end:                                                                             \
		return since(&t->begun[ROWS_SPAN_##begin], ts);
		ROWS_SPANS(SPAN)
#undef SPAN
	default:
		return -1;
	}
}

static void sqe_filled(struct rows_track *t, uint64_t request, uint64_t ts)
{
	if (!t->sqe)
		t->sqe = calloc(ROWS_URING_SLOTS, sizeof(*t->sqe));
	if (t->sqe) /* else the durations are missing, and nothing more */
		t->sqe[request % ROWS_URING_SLOTS] = (struct rows_sqe){request, ts};
}

static int64_t cqe_read(struct rows_track *t, uint64_t request, uint64_t ts)
{
	struct rows_sqe *s = t->sqe ? &t->sqe[request % ROWS_URING_SLOTS] : NULL;

	return s && s->ts && s->request == request ? since(&s->ts, ts) : -1;
}

/* What the record does to its track's state; *dur: event.dur, -1 = NULL. */
static int track_state(struct rows *r, unsigned track, struct ew_rec *rec, uint64_t ts,
	const void *payload, int64_t *dur, struct err *e)
{
	struct rows_track *t = r->track[track];
	int ret = 0;

	switch (rec->kind) {
	case EW_RUN_ENTER:
		if (t->exit.open && t->exit.number == (int64_t)rec->a[0]) {
			rec->a[0] = (uint64_t)t->exit.id;
			*dur = (int64_t)(ts - t->exit.ts);
			t->exit.t_entry = ts;
			t->exit.changed = true;
		} else if (r->joined) {
			rec->a[0] =
				0; /* its run_exit was lost, and nobody can say which exit it was */
		}
		ret = close_exit(r, track, &t->exit, e);
		t->entered = ts;
		break;
	case EW_RUN_EXIT:
		*dur = since(&t->entered, ts);
		ret = close_exit(r, track, &t->exit, e); /* its run_enter was lost */
		open_exit(r, track, rec, ts, payload);
		break;
	case EW_DISPATCH:
		*dur = dispatch_begins(t, rec, ts);
		break;
	case EW_DISPATCH_END:
		*dur = dispatch_ends(t, rec, ts);
		break;
	case EW_SNAPSHOT:
		*dur = (int64_t)rec->a[4];
		break;
	case EW_LOCK_WAIT:
		*dur = rec->a[0] && rec->a[0] < ts ? (int64_t)(ts - rec->a[0]) : 0;
		break;
	case EW_URING_SQE:
		sqe_filled(t, rec->a[0], ts);
		break;
	case EW_URING_CQE:
		*dur = cqe_read(t, rec->a[0], ts);
		break;
	case EW_THREAD:
		ret = r->joined ? rows_thread(r, track, (uint32_t)rec->a[0], e) : 0;
		break;
	case EW_LOST:
		*dur = (int64_t)(rec->ts - rec->a[1]);
		forget(t);
		break;
	default:
		*dur = span(t, rec->kind, ts);
		break;
	}
	t->previous = rec->kind == EW_SNAPSHOT && *dur > 0 ? ts + (uint64_t)*dur : ts;
	return ret;
}

int rows_add(struct rows *r, unsigned track, const struct ew_rec *given, const void *payload,
	struct err *e)
{
	unsigned present = (1u << r->args[given->kind < sizeof(r->args) ? given->kind : 0]) - 1;
	struct rows_track *t = r->track[track];
	uint64_t ts = event_row_begin(&r->n, given->ts);
	struct ew_rec rec = *given;
	int64_t dur = -1, during;
	int ret;

	ret = track_state(r, track, &rec, ts, payload, &dur, e);
	during = rec.kind == EW_RUN_ENTER ? (int64_t)rec.a[0] : t->during;
	if (rec.kind == EW_RUN_ENTER)
		t->during = 0;
	if (!ret)
		ret = event_row_store(r->store, &r->n, track, &rec, ts, dur, during, present, e);
	if (!ret && payload && rec.kind != EW_RUN_EXIT)
		ret = event_row_payload(r->store, &r->n, payload, rec.payload, e);
	if (!ret && rec.kind == EW_LOST)
		ret = event_row_loss(r->store, &r->n, track, rec.a[1], rec.ts, rec.a[0], e);
	return ret;
}

/* --- tracepoints of the host ---------------------------------------------------------------- */

void rows_join(struct rows *r)
{
	r->joined = true;
	host_rows_init(&r->host, r->store, &r->n, r->tracks);
}

int rows_thread(struct rows *r, unsigned track, uint32_t task, struct err *e)
{
	return host_rows_own(&r->host, task, track, e);
}

int rows_add_host(struct rows *r, const struct host_event *ev, struct err *e)
{
	unsigned track = host_rows_track(&r->host, ev->task);

	return host_rows_add(
		&r->host, ev, track && track <= r->tracks ? r->track[track]->during : 0, e);
}
