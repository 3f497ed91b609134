/* SPDX-License-Identifier: MIT */
/* From events of the host's tracepoints to rows. */
#include "host_rows.h"

#include <errno.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <string.h>

#include "hw_exit.h"

/* An exit of the hardware from its kvm_exit to its kvm_entry: what vm_exit will say. */
struct host_exit {
	bool open, access, valued, returned;
	int64_t id, event_id, t_exit, t_entry; /* t_entry 0: not yet */
	uint64_t isa, reason, info1, rip;
	int64_t kvm_reason; /* if returned */
	int64_t space, addr, size, count, value;
	bool is_write;
	uint8_t present; /* as host_event's, of the kvm_exit */
};

struct host_track {
	uint32_t task;
	int vcpu;                    /* HOST_NO_VCPU: none was named */
	bool vcpu_changed;           /* the row does not say so yet */
	uint64_t entered, sys_enter; /* times; 0: none */
	struct host_exit exit;
};

/* --- tracks --------------------------------------------------------------------------------- */

void host_rows_init(struct host_rows *r, struct store *store)
{
	memset(r, 0, sizeof(*r));
	r->store = store;
}

void host_rows_destroy(struct host_rows *r)
{
	free(r->track);
	free(r->slot);
	memset(r, 0, sizeof(*r));
}

static unsigned *find_slot(const struct host_rows *r, uint32_t task)
{
	unsigned i = (task * 0x9e3779b1u) & (r->slots - 1);

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

int host_rows_task(struct host_rows *r, uint32_t task, const char *name, struct err *e)
{
	struct store *s = r->store;
	int ret = r->tracks == r->cap ? grow(r, e) : 0;
	unsigned *slot;

	if (ret)
		return ret;
	slot = find_slot(r, task);
	if (*slot)
		return 0;
	r->track[r->tracks] = (struct host_track){.task = task, .vcpu = HOST_NO_VCPU};
	*slot = ++r->tracks;
	store_int(s, STMT_TRACK, 1, r->tracks);
	store_text(s, STMT_TRACK, 2,
		(task & HOST_TASK_KIND) == HOST_TASK_CPU    ? "cpu"
		: (task & HOST_TASK_KIND) == HOST_TASK_IDLE ? "idle"
							    : "thread");
	store_null(s, STMT_TRACK, 3);
	store_text(s, STMT_TRACK, 4, name);
	return store_run(s, STMT_TRACK, e);
}

/* The row of a task's track; 0: it has none. */
static unsigned track_id(const struct host_rows *r, uint32_t task)
{
	return r->slots ? *find_slot(r, task) : 0;
}

/* --- exits ---------------------------------------------------------------------------------- */

static void int_or_null(struct store *s, enum store_stmt id, int n, int64_t value, bool known)
{
	if (known)
		store_int(s, id, n, value);
	else
		store_null(s, id, n);
}

static int store_exit(struct host_rows *r, unsigned id, const struct host_exit *x, struct err *e)
{
	struct store *s = r->store;

	store_int(s, STMT_HOST_EXIT, 1, x->id);
	store_int(s, STMT_HOST_EXIT, 2, x->event_id);
	store_int(s, STMT_HOST_EXIT, 3, id);
	int_or_null(s, STMT_HOST_EXIT, 4, (int64_t)x->isa, x->present & 1 << 1);
	int_or_null(s, STMT_HOST_EXIT, 5, (int64_t)x->reason, x->present & 1 << 2);
	int_or_null(s, STMT_HOST_EXIT, 6, (int64_t)x->info1, x->present & 1 << 4);
	int_or_null(s, STMT_HOST_EXIT, 7, x->kvm_reason, x->returned);
	int_or_null(s, STMT_HOST_EXIT, 8, x->space, x->access);
	int_or_null(s, STMT_HOST_EXIT, 9, x->addr, x->access);
	int_or_null(s, STMT_HOST_EXIT, 10, x->size, x->access && x->size);
	int_or_null(s, STMT_HOST_EXIT, 11, x->count, x->access && x->count);
	int_or_null(s, STMT_HOST_EXIT, 12, x->is_write, x->access);
	int_or_null(s, STMT_HOST_EXIT, 13, x->value, x->valued);
	int_or_null(s, STMT_HOST_EXIT, 14, (int64_t)x->rip, x->present & 1 << 3);
	store_int(s, STMT_HOST_EXIT, 15, x->t_exit);
	int_or_null(s, STMT_HOST_EXIT, 16, x->t_entry, x->t_entry != 0);
	return store_run(s, STMT_HOST_EXIT, e);
}

static int close_exit(struct host_rows *r, unsigned id, struct err *e)
{
	struct host_exit *x = &r->track[id - 1].exit;
	int ret = x->open ? store_exit(r, id, x, e) : 0;

	x->open = false;
	return ret;
}

static void name_vcpu(struct host_track *t, int vcpu)
{
	if (vcpu == HOST_NO_VCPU || t->vcpu == vcpu)
		return;
	t->vcpu = vcpu;
	t->vcpu_changed = true;
}

static void open_exit(struct host_rows *r, struct host_track *t, const struct ew_rec *rec,
	uint64_t ts, uint8_t present)
{
	struct host_exit *x = &t->exit;
	struct hw_io io;

	*x = (struct host_exit){.open = true,
		.id = (int64_t)rec->a[0],
		.event_id = (int64_t)r->n.events,
		.t_exit = (int64_t)ts,
		.isa = rec->a[1],
		.reason = rec->a[2],
		.rip = rec->a[3],
		.info1 = rec->a[4],
		.present = present};
	if (present & 1 << 1)
		r->isa = (int)rec->a[1];
	if (!hw_exit_io(x->isa, x->reason, x->info1, &io))
		return;
	x->access = true;
	x->space = EW_SPACE_PIO;
	x->addr = io.port;
	x->size = io.size;
	x->is_write = !io.in;
	x->count = io.rep ? 0 : 1;
}

/* The first access that KVM emulates in an exit is the exit's; more of them count. */
static void access_of(struct host_exit *x, const struct ew_rec *rec)
{
	if (!x->open)
		return;
	switch (rec->kind) {
	case EW_KVM_PIO:
		x->space = EW_SPACE_PIO;
		x->is_write = rec->a[0] != 0;
		x->addr = (int64_t)rec->a[1];
		x->size = (int64_t)rec->a[2];
		x->count = (int64_t)rec->a[3];
		x->value = (int64_t)rec->a[4];
		x->access = x->valued = true;
		break;
	case EW_KVM_MMIO:
		if (x->valued) {
			x->count++;
			break;
		}
		x->space = EW_SPACE_MMIO;
		x->is_write = rec->a[0] == 2;
		x->addr = (int64_t)rec->a[1];
		x->size = (int64_t)rec->a[2];
		x->value = (int64_t)rec->a[3];
		x->count = 1;
		x->access = true;
		x->valued = rec->a[0] != 0; /* the answer to a read comes later */
		break;
	case EW_KVM_FAST_MMIO:
		x->space = EW_SPACE_MMIO;
		x->is_write = true;
		x->addr = (int64_t)rec->a[0];
		x->access = true;
		break;
	default:
		break;
	}
}

/* KVM_RUN returns: with a reason, or with an error (a signal came), after which the exit goes on. */
static void returned(struct host_exit *x, const struct ew_rec *rec)
{
	if (!x->open || x->returned)
		return;
	if ((int64_t)rec->a[1] < 0 && rec->a[0] != KVM_EXIT_INTR)
		return;
	x->returned = true;
	x->kvm_reason = (int64_t)rec->a[0];
}

static int64_t since(uint64_t *begin, uint64_t ts)
{
	int64_t dur = *begin ? (int64_t)(ts - *begin) : -1;

	*begin = 0;
	return dur;
}

/* What the event does to its track; *during: the exit that it is part of, 0: none. */
static int track_state(struct host_rows *r, unsigned id, struct ew_rec *rec, uint64_t ts,
	const struct host_event *ev, int64_t *dur, int64_t *during, struct err *e)
{
	struct host_track *t = &r->track[id - 1];
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
		return close_exit(r, id, e);
	case EW_KVM_EXIT:
		ret = close_exit(r, id, e); /* its entry was lost, or made without a tracepoint */
		rec->a[0] = ++r->n.exits;
		*dur = since(&t->entered, ts);
		name_vcpu(t, ev->vcpu);
		open_exit(r, t, rec, ts, ev->present);
		break;
	case EW_KVM_PIO:
	case EW_KVM_MMIO:
	case EW_KVM_FAST_MMIO:
		access_of(&t->exit, rec);
		break;
	case EW_KVM_USERSPACE_EXIT:
		returned(&t->exit, rec);
		break;
	case EW_SYS_ENTER:
		t->sys_enter = ts;
		break;
	case EW_SYS_EXIT:
		*dur = since(&t->sys_enter, ts);
		break;
	case EW_SCHED_SWITCH:
		rec->a[0] = track_id(r, (uint32_t)rec->a[0]);
		rec->a[2] = track_id(r, (uint32_t)rec->a[2]);
		break;
	case EW_SCHED_WAKING:
		rec->a[0] = track_id(r, (uint32_t)rec->a[0]);
		break;
	default:
		break;
	}
	*during = t->exit.open ? t->exit.id : 0;
	return ret;
}

/* --- events --------------------------------------------------------------------------------- */

/* Parameters keep what they were bound to: many are NULL again and again. */
static void bind_event(struct host_rows *r, int n, int64_t value, bool known)
{
	if (known) {
		store_int(r->store, STMT_EVENT, n, value);
		r->event_bound |= 1u << n;
	} else if (r->event_bound >> n & 1) {
		store_null(r->store, STMT_EVENT, n);
		r->event_bound &= ~(1u << n);
	}
}

static int store_event(struct host_rows *r, unsigned track, const struct ew_rec *rec, uint64_t ts,
	int64_t dur, int64_t during, unsigned present, struct err *e)
{
	struct store *s = r->store;

	store_int(s, STMT_EVENT, 1, (int64_t)r->n.events);
	store_int(s, STMT_EVENT, 2, (int64_t)ts);
	bind_event(r, 3, dur, dur >= 0);
	store_int(s, STMT_EVENT, 4, rec->kind);
	store_int(s, STMT_EVENT, 5, track);
	bind_event(r, 6, during, during != 0);
	for (int i = 0; i < 6; i++)
		bind_event(r, 7 + i, (int64_t)rec->a[i], present >> i & 1);
	return store_run(s, STMT_EVENT, e);
}

static int store_payload(struct host_rows *r, const struct host_event *ev, struct err *e)
{
	store_int(r->store, STMT_PAYLOAD, 1, (int64_t)r->n.events);
	sqlite3_bind_blob(r->store->stmt[STMT_PAYLOAD], 2, ev->data,
		ev->bytes < HOST_DATA ? ev->bytes : HOST_DATA, SQLITE_STATIC);
	return store_run(r->store, STMT_PAYLOAD, e);
}

static uint64_t in_order(struct host_rows_counts *n, uint64_t ts)
{
	if (n->events == 0)
		n->first_ts = n->last_ts = ts;
	if (ts < n->last_ts) {
		n->late++;
		if (n->last_ts - ts > n->late_max_ns)
			n->late_max_ns = n->last_ts - ts;
		ts = n->last_ts;
	}
	n->last_ts = ts;
	return ts;
}

int host_rows_add(struct host_rows *r, const struct host_event *ev, struct err *e)
{
	unsigned id = track_id(r, ev->task);
	unsigned present = ev->present;
	struct ew_rec rec = ev->rec;
	int64_t dur = -1, during = 0;
	uint64_t ts;
	int ret;

	if (!id)
		return err_set(e, -EPROTO, "an event came before its task");
	ts = in_order(&r->n, rec.ts);
	r->n.events++;
	ret = track_state(r, id, &rec, ts, ev, &dur, &during, e);
	if (rec.kind == EW_KVM_ENTRY || rec.kind == EW_KVM_EXIT)
		present |= 1;
	if (!ret)
		ret = store_event(r, id, &rec, ts, dur, during, present, e);
	if (!ret && ev->bytes)
		ret = store_payload(r, ev, e);
	return ret;
}

/* --- losses --------------------------------------------------------------------------------- */

/* Nobody knows any more what goes on on any track. */
static int forget(struct host_rows *r, struct err *e)
{
	int ret = 0;

	for (unsigned i = 1; !ret && i <= r->tracks; i++) {
		r->track[i - 1].entered = r->track[i - 1].sys_enter = 0;
		ret = close_exit(r, i, e);
	}
	return ret;
}

int host_rows_lost(
	struct host_rows *r, uint32_t task, uint64_t ts0, uint64_t ts1, uint64_t n, struct err *e)
{
	const struct ew_rec rec = {.kind = EW_LOST, .a = {n}};
	unsigned id = track_id(r, task);
	struct store *s = r->store;
	uint64_t ts;
	int ret;

	if (!id || ts1 < ts0)
		return err_set(e, -EPROTO, "a gap came before its CPU, or ends before it begins");
	ret = forget(r, e);
	ts = in_order(&r->n, ts1);
	r->n.events++;
	r->n.losses++;
	r->n.lost += n;
	if (!ret)
		ret = store_event(r, id, &rec, ts, (int64_t)(ts1 - ts0), 0, n ? 1 : 0, e);
	store_int(s, STMT_LOSS, 1, id);
	store_int(s, STMT_LOSS, 2, (int64_t)ts0);
	store_int(s, STMT_LOSS, 3, (int64_t)ts1);
	int_or_null(s, STMT_LOSS, 4, (int64_t)n, n != 0);
	return ret ? ret : store_run(s, STMT_LOSS, e);
}

int host_rows_flush(struct host_rows *r, struct err *e)
{
	struct store *s = r->store;
	int ret = 0;

	for (unsigned i = 1; !ret && i <= r->tracks; i++) {
		struct host_track *t = &r->track[i - 1];

		if (t->exit.open)
			ret = store_exit(r, i, &t->exit, e);
		if (ret || !t->vcpu_changed)
			continue;
		t->vcpu_changed = false;
		store_int(s, STMT_TRACK_VCPU, 1, t->vcpu);
		store_int(s, STMT_TRACK_VCPU, 2, i);
		ret = store_run(s, STMT_TRACK_VCPU, e);
	}
	return ret;
}
