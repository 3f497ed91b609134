/* SPDX-License-Identifier: MIT */
/* From events of the host's tracepoints to rows. */
#include "host_rows.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "hash64.h"
#include "host_exit.h"
#include "host_join.h"

/* What the VMM's side of a thread adds to its exit. */
struct own {
	bool returned;      /* KVM_RUN has returned from the exit that goes on */
	bool known;         /* vmm says what of it */
	bool blind;         /* records were lost: the kvm_entry may have been among them */
	uint64_t reentered; /* when KVM_RUN was called again; 0: not yet */
	struct host_exit_vmm vmm;
};

struct host_track {
	uint32_t task;
	unsigned row;                /* of the table track */
	int vcpu;                    /* HOST_NO_VCPU: none was named */
	bool vcpu_changed;           /* the row does not say so yet */
	uint64_t entered, sys_enter; /* times; 0: none */
	struct host_exit exit;
	struct own *own; /* NULL: the tracepoints are all that is known of it */
};

/* --- tracks --------------------------------------------------------------------------------- */

void host_rows_init(struct host_rows *r, struct store *store, struct rows_counts *n, unsigned rows)
{
	*r = (struct host_rows){.store = store, .n = n, .rows = rows};
}

void host_rows_destroy(struct host_rows *r)
{
	for (unsigned i = 0; i < r->tracks; i++)
		free(r->track[i].own);
	free(r->track);
	free(r->slot);
	free(r->own);
	memset(r, 0, sizeof(*r));
}

static unsigned *find_slot(const struct host_rows *r, uint32_t task)
{
	unsigned i = (unsigned)hash64(task, r->slots);

	while (r->slot[i] && r->track[r->slot[i] - 1].task != task)
		i = (i + 1) & (r->slots - 1);
	return &r->slot[i];
}

static int grow(struct host_rows *r, struct err *e)
{
	unsigned cap = r->cap ? 2 * r->cap : 64;
	struct host_track *track = reallocarray(r->track, cap, sizeof(*track));
	unsigned *slot = calloc(2 * cap, sizeof(*slot));

	if (track)
		r->track = track;
	if (!track || !slot) {
		free(slot);
		return err_set(e, -ENOMEM, "out of memory");
	}
	free(r->slot);
	r->slot = slot;
	r->slots = 2 * cap;
	r->cap = cap;
	for (unsigned i = 0; i < r->tracks; i++)
		*find_slot(r, r->track[i].task) = i + 1;
	return 0;
}

static struct host_track *find(const struct host_rows *r, uint32_t task)
{
	unsigned index = r->slots ? *find_slot(r, task) : 0;

	return index ? &r->track[index - 1] : NULL;
}

static int add(struct host_rows *r, uint32_t task, unsigned row, struct err *e)
{
	int ret = r->tracks == r->cap ? grow(r, e) : 0;

	if (ret)
		return ret;
	r->track[r->tracks] = (struct host_track){.task = task, .row = row, .vcpu = HOST_NO_VCPU};
	*find_slot(r, task) = ++r->tracks; /* the slot is looked for first, and free */
	return 0;
}

bool host_rows_knows(const struct host_rows *r, uint32_t task)
{
	return find(r, task) != NULL;
}

static int rename_track(
	struct host_rows *r, const struct host_track *t, const char *name, struct err *e)
{
	if (t->own)
		return 0; /* the VMM says what it is called */
	store_text(r->store, STMT_TRACK_NAME, 1, name);
	store_int(r->store, STMT_TRACK_NAME, 2, t->row);
	return store_run(r->store, STMT_TRACK_NAME, e);
}

int host_rows_task(struct host_rows *r, uint32_t task, const char *name, struct err *e)
{
	const struct host_track *t = find(r, task);
	struct store *s = r->store;
	int ret;

	if (t)
		return rename_track(r, t, name, e);
	ret = add(r, task, r->rows + 1, e);
	if (ret)
		return ret;
	store_int(s, STMT_TRACK, 1, ++r->rows);
	store_text(s, STMT_TRACK, 2,
		(task & HOST_TASK_KIND) == HOST_TASK_CPU    ? "cpu"
		: (task & HOST_TASK_KIND) == HOST_TASK_IDLE ? "idle"
							    : "thread");
	store_null(s, STMT_TRACK, 3);
	store_text(s, STMT_TRACK, 4, name);
	ret = store_run(s, STMT_TRACK, e);
	return ret || !r->gather ? ret : host_gather_track(r->gather, name, false);
}

static bool room_for_own(struct host_rows *r, unsigned row)
{
	unsigned *own;

	if (row < r->owns)
		return true;
	own = reallocarray(r->own, row + 1, sizeof(*own));
	if (!own)
		return false;
	memset(own + r->owns, 0, (row + 1 - r->owns) * sizeof(*own));
	r->own = own;
	r->owns = row + 1;
	return true;
}

int host_rows_own(struct host_rows *r, uint32_t task, unsigned row, struct err *e)
{
	int ret = find(r, task) ? 0 : add(r, task, row, e);
	struct host_track *t = find(r, task);

	if (ret)
		return ret;
	t->row = row; /* it may have had events before anybody said whose it is */
	if (!t->own)
		t->own = calloc(1, sizeof(*t->own));
	if (!t->own || !room_for_own(r, row))
		return err_set(e, -ENOMEM, "out of memory");
	r->own[row] = (unsigned)(t - r->track) + 1;
	return 0;
}

unsigned host_rows_track(const struct host_rows *r, uint32_t task)
{
	const struct host_track *t = find(r, task);

	return t ? t->row : 0;
}

/* --- exits ---------------------------------------------------------------------------------- */

static void gather_exit(struct host_rows *r, const struct host_track *t)
{
	const struct host_exit *x = &t->exit;

	host_gather_exit(r->gather, t->row,
		&(struct host_gather_exit){.id = x->id,
			.space = x->access ? x->space : SQL_NULL,
			.addr = x->addr,
			.size = x->access && x->size ? x->size : SQL_NULL,
			.value = x->valued ? x->value : SQL_NULL,
			.is_write = x->access && x->is_write,
			.to_vmm = x->returned});
}

static int store_exit(struct host_rows *r, const struct host_track *t, struct err *e)
{
	if (r->gather)
		gather_exit(r, t);
	return host_exit_store(
		r->store, t->row, &t->exit, t->own && t->own->known ? &t->own->vmm : NULL, e);
}

static int close_exit(struct host_rows *r, struct host_track *t, struct err *e)
{
	int ret = t->exit.open ? store_exit(r, t, e) : 0;

	t->exit.open = false;
	if (t->own)
		t->own->returned = t->own->known = t->own->blind = false;
	return ret;
}

static struct host_track *own_track(const struct host_rows *r, unsigned row)
{
	return row < r->owns && r->own[row] ? &r->track[r->own[row] - 1] : NULL;
}

int64_t host_rows_returned(struct host_rows *r, unsigned row)
{
	struct host_track *t = own_track(r, row);

	if (!t || !t->exit.open || t->own->returned)
		return 0;
	t->own->returned = true;
	t->own->reentered = 0;
	return t->exit.id;
}

uint64_t host_rows_rip(const struct host_rows *r, unsigned row, int64_t exit_id)
{
	const struct host_track *t = own_track(r, row);

	return t && t->exit.open && t->exit.id == exit_id && t->exit.present & 1 << 3 ? t->exit.rip
										      : 0;
}

int host_rows_vmm(struct host_rows *r, unsigned row, int64_t exit_id,
	const struct host_exit_vmm *vmm, uint64_t reenter, struct err *e)
{
	struct host_track *t = own_track(r, row);

	if (!t || !t->exit.open || t->exit.id != exit_id)
		return 0;
	t->own->vmm = *vmm;
	t->own->known = true;
	t->own->reentered = reenter;
	if (!reenter || !t->own->blind)
		return 0;
	t->exit.t_entry = (int64_t)reenter;
	return close_exit(r, t, e);
}

/* The exit ends without a kvm_entry: KVM_RUN has returned again, or another one began. */
static int end_exit(struct host_rows *r, struct host_track *t, struct err *e)
{
	if (t->own && t->own->reentered)
		t->exit.t_entry = (int64_t)t->own->reentered;
	return close_exit(r, t, e);
}

static void name_vcpu(struct host_track *t, int vcpu)
{
	if (vcpu == HOST_NO_VCPU || t->vcpu == vcpu)
		return;
	t->vcpu = vcpu;
	t->vcpu_changed = true;
}

static int64_t since(uint64_t *begin, uint64_t ts)
{
	int64_t dur = *begin ? (int64_t)(ts - *begin) : -1;

	*begin = 0;
	return dur;
}

/* What the event does to its track; *during: the exit that it is part of, 0: none. */
static int track_state(struct host_rows *r, struct host_track *t, struct ew_rec *rec, uint64_t ts,
	const struct host_event *ev, int64_t *dur, int64_t *during, struct err *e)
{
	int ret = 0;

	switch (rec->kind) {
	case EW_KVM_ENTRY:
		*during = t->exit.open ? t->exit.id : 0;
		rec->a[0] = (uint64_t)*during;
		if (t->exit.open) {
			*dur = (int64_t)ts - t->exit.t_exit;
			t->exit.t_entry = (int64_t)ts;
		}
		t->entered = ts;
		name_vcpu(t, ev->vcpu);
		return close_exit(r, t, e);
	case EW_KVM_EXIT:
		ret = end_exit(r, t, e); /* its entry was lost, or made without a tracepoint */
		rec->a[0] = ++r->n->exits;
		*dur = since(&t->entered, ts);
		name_vcpu(t, ev->vcpu);
		host_exit_open(&t->exit, rec, ev->present, (int64_t)r->n->events, ts);
		if (ev->present & 1 << 1)
			r->isa = (int)rec->a[1];
		break;
	case EW_KVM_PIO:
	case EW_KVM_MMIO:
	case EW_KVM_FAST_MMIO:
	case EW_KVM_USERSPACE_EXIT:
		host_exit_note(&t->exit, rec);
		break;
	case EW_SYS_ENTER:
		t->sys_enter = ts;
		name_vcpu(t, ev->vcpu);
		break;
	case EW_SYS_EXIT:
		*dur = since(&t->sys_enter, ts);
		break;
	case EW_HOST_FUNC_EXIT:
		if ((ev->present & 0xc) == 0xc && rec->a[3] >= rec->a[2])
			*dur = (int64_t)(rec->a[3] - rec->a[2]);
		break;
	case EW_SCHED_SWITCH:
		rec->a[0] = host_rows_track(r, (uint32_t)rec->a[0]);
		rec->a[2] = host_rows_track(r, (uint32_t)rec->a[2]);
		break;
	case EW_SCHED_WAKING:
		rec->a[0] = host_rows_track(r, (uint32_t)rec->a[0]);
		break;
	default:
		break;
	}
	*during = t->exit.open ? t->exit.id : 0;
	return ret;
}

/* --- events --------------------------------------------------------------------------------- */

static int store_event(struct host_rows *r, const struct host_track *t, const struct ew_rec *rec,
	uint64_t ts, int64_t dur, int64_t exit_id, unsigned present, struct err *e)
{
	int ret = event_row_store(r->store, r->n, t->row, rec, ts, dur, exit_id, present, e);
	struct event_row ev;

	if (ret || !r->gather)
		return ret;
	ev = (struct event_row){.id = (int64_t)r->n->events,
		.ts = (int64_t)ts,
		.dur = dur,
		.kind = rec->kind,
		.track = t->row,
		.exit_id = exit_id};
	for (int i = 0; i < 6; i++)
		ev.a[i] = present >> i & 1 ? (int64_t)rec->a[i] : 0;
	return host_gather_event(r->gather, &ev);
}

int host_rows_add(struct host_rows *r, const struct host_event *ev, int64_t outer, struct err *e)
{
	struct host_track *t = find(r, ev->task);
	unsigned present = ev->present;
	struct ew_rec rec = ev->rec;
	int64_t dur = -1, during = 0;
	uint64_t ts;
	int ret;

	if (!t)
		return err_set(e, -EPROTO, "an event came before its task");
	ts = event_row_begin(r->n, rec.ts);
	ret = track_state(r, t, &rec, ts, ev, &dur, &during, e);
	if (rec.kind == EW_KVM_ENTRY || rec.kind == EW_KVM_EXIT)
		present |= 1;
	if (!ret)
		ret = store_event(r, t, &rec, ts, dur, during ? during : outer, present, e);
	if (!ret && ev->bytes)
		ret = event_row_payload(
			r->store, r->n, ev->data, ev->bytes < HOST_DATA ? ev->bytes : HOST_DATA, e);
	return ret;
}

/* --- losses --------------------------------------------------------------------------------- */

/* Nobody knows any more what goes on on any track, but for an exit that the VMM has. */
static int forget(struct host_rows *r, struct err *e)
{
	int ret = 0;

	for (unsigned i = 0; !ret && i < r->tracks; i++) {
		struct host_track *t = &r->track[i];

		t->entered = t->sys_enter = 0;
		if (t->exit.open && t->own && t->own->returned && !t->own->reentered)
			t->own->blind = true;
		else
			ret = end_exit(r, t, e);
	}
	return ret;
}

int host_rows_lost(
	struct host_rows *r, uint32_t task, uint64_t ts0, uint64_t ts1, uint64_t n, struct err *e)
{
	const struct ew_rec rec = {.kind = EW_LOST, .a = {n}};
	const struct host_track *t = find(r, task);
	uint64_t ts;
	int ret;

	if (!t || ts1 < ts0)
		return err_set(e, -EPROTO, "a gap came before its CPU, or ends before it begins");
	ret = forget(r, e);
	ts = event_row_begin(r->n, ts1);
	if (!ret)
		ret = store_event(r, t, &rec, ts, (int64_t)(ts1 - ts0), 0, n ? 1 : 0, e);
	return ret ? ret : event_row_loss(r->store, r->n, t->row, ts0, ts1, n, e);
}

int host_rows_flush(struct host_rows *r, struct err *e)
{
	struct store *s = r->store;
	int ret = 0;

	for (unsigned i = 0; !ret && i < r->tracks; i++) {
		struct host_track *t = &r->track[i];

		if (t->exit.open)
			ret = store_exit(r, t, e);
		if (ret || !t->vcpu_changed || t->own)
			continue;
		t->vcpu_changed = false;
		store_int(s, STMT_TRACK_VCPU, 1, t->vcpu);
		store_int(s, STMT_TRACK_VCPU, 2, t->row);
		ret = store_run(s, STMT_TRACK_VCPU, e);
	}
	return ret;
}
