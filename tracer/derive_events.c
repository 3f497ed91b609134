/* SPDX-License-Identifier: MIT */
/* One pass over the events in time order: guest calls from markers, requests from device events. */
#include "derive.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "array.h"
#include "derive_calls.h"
#include "derive_guest.h"
#include "derive_queues.h"
#include "hash64.h"
#include "u64_map.h"
#include "vmm/guest_abi.h"

struct pass {
	struct derive *d;
	struct calls calls;
	struct queues queues;
	struct track_state *track;
	size_t tracks, tracks_cap;
	struct u64_map track_at; /* id → index + 1 */
	size_t *slot;            /* hash: request number → index + 1 */
	size_t slots;            /* a power of two */
	size_t hole;             /* index in derive.hole: that one, or the next */
	bool in_hole, after_hole;
	struct u64_map heard; /* tasks whose system calls were seen since the last hole */
};

void derive_read_event(sqlite3_stmt *row, struct event_row *ev)
{
	ev->id = sqlite3_column_int64(row, 0);
	ev->ts = sqlite3_column_int64(row, 1);
	ev->dur = sql_int_or(row, 2, SQL_NULL);
	ev->kind = sqlite3_column_int64(row, 3);
	ev->track = sqlite3_column_int64(row, 4);
	ev->exit_id = sqlite3_column_int64(row, 5);
	for (int i = 0; i < 6; i++)
		ev->a[i] = sqlite3_column_int64(row, 6 + i);
	ev->pid = ev->flags = ev->error = 0;
}

int derive_grow(void **array, size_t *cap, size_t n, size_t size, struct err *e)
{
	return array_grow(array, cap, n, size)
		       ? err_set(e, -ENOMEM, "out of memory while deriving requests")
		       : 0;
}

bool derive_numbered(int64_t kind)
{
	switch (kind) {
#define X(k) case EW_##k:
		DERIVE_NUMBERED(X)
#undef X
		return true;
	default:
		return false;
	}
}

const char *derive_numbered_sql(char *buf, size_t size)
{
	static const int kinds[] = {
#define X(k) EW_##k,
		DERIVE_NUMBERED(X)
#undef X
	};
	size_t used = 0;

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]) && used < size; i++)
		used += (size_t)snprintf(buf + used, size - used, "%s%d", i ? ", " : "", kinds[i]);
	return buf;
}

static struct vcpu_runs *find_vcpu(const struct derive *d, int64_t track)
{
	for (size_t i = 0; i < d->vcpus; i++)
		if (d->vcpu[i].track == track)
			return &d->vcpu[i];
	return NULL;
}

bool derive_is_vcpu(const struct derive *d, int64_t track)
{
	return find_vcpu(d, track) != NULL;
}

enum vcpu_at derive_vcpu_at(const struct derive *d, int64_t track, int64_t event)
{
	const struct vcpu_runs *v = find_vcpu(d, track);
	size_t low = 0, high = v ? v->runs : 0;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (v->run[mid] / 4 <= event)
			low = mid + 1;
		else
			high = mid;
	}
	return low ? (enum vcpu_at)(v->run[low - 1] % 4) : VCPU_UNKNOWN;
}

static struct track_state *find_track(struct pass *p, int64_t id)
{
	/* Ids are above 0; of others that a damaged file has, two may be one. */
	uint64_t *at = u64_map_put(&p->track_at, (uint64_t)id & INT64_MAX);

	if (at && *at)
		return &p->track[*at - 1];
	if (!at) {
		err_set(p->d->e, -ENOMEM, "out of memory while deriving requests");
		return NULL;
	}
	if (derive_grow((void **)&p->track, &p->tracks_cap, p->tracks, sizeof(*p->track), p->d->e))
		return NULL;
	p->track[p->tracks] = (struct track_state){
		.id = id, .entering = NO_INDEX, .active = NO_INDEX};
	*at = p->tracks + 1;
	return &p->track[p->tracks++];
}

/* --- requests ------------------------------------------------------------------------------- */

static size_t *request_slot(struct pass *p, int64_t number)
{
	size_t i = hash64((uint64_t)number, p->slots);

	while (p->slot[i] && p->d->request[p->slot[i] - 1].id != number)
		i = (i + 1) & (p->slots - 1);
	return &p->slot[i];
}

static int grow_slots(struct pass *p)
{
	size_t *old = p->slot;

	if (p->slots >= 2 * (p->d->requests + 1))
		return 0;
	p->slots = p->slots ? 2 * p->slots : 256;
	p->slot = calloc(p->slots, sizeof(*p->slot));
	free(old);
	if (!p->slot)
		return err_set(p->d->e, -ENOMEM, "out of memory while deriving requests");
	for (size_t i = 0; i < p->d->requests; i++)
		*request_slot(p, p->d->request[i].id) = i + 1;
	return 0;
}

static void call_by_what_is_open(struct pass *p, struct request *r)
{
	size_t call = NO_INDEX;

	if (r->call_how == CALL_BY_BUFFER)
		return;
	r->call_how = calls_only(&p->calls, r->type, &call);
	/* Another one may have begun, or this one ended, in what was lost. */
	if ((p->in_hole || p->after_hole) && r->call_how != CALL_SEVERAL)
		r->call_how = CALL_UNSEEN;
	r->call = r->call_how == CALL_ONLY ? call : NO_INDEX;
}

static int pop_request(struct pass *p, struct track_state *t, const struct event_row *ev)
{
	struct derive *d = p->d;
	struct request *r;
	size_t *slot;
	int ret = grow_slots(p);

	if (!ret)
		ret = derive_grow((void **)&d->request, &d->requests_cap, d->requests,
			sizeof(*d->request), d->e);
	if (ret)
		return ret;
	slot = request_slot(p, ev->a[0]);
	if (*slot)
		return 0; /* the number is in use: a damaged file; its first pop stays */
	r = &d->request[d->requests];
	*r = (struct request){.id = ev->a[0],
		.device = ev->a[1],
		.queue = ev->a[2],
		.head = ev->a[3],
		.track = ev->track,
		.conflict = NO_INDEX,
		.rq = NO_INDEX,
		.pop = {ev->id, ev->ts}};
	r->type = r->sector = r->bytes = r->descriptors = r->status = r->used_len = SQL_NULL;
	r->t_host = r->t_host_ret = SQL_NULL;
	r->own = r->reach = r->pop;
	ret = queues_pop(&p->queues, t, ev, r);
	if (ret)
		return ret;
	call_by_what_is_open(p, r);
	*slot = ++d->requests;
	return 0;
}

static int completed(struct pass *p, size_t index, const struct event_row *ev)
{
	struct request *r = &p->d->request[index];

	if (r->used.event)
		return 0; /* twice: a damaged file */
	r->used_len = ev->a[4];
	r->used = (struct mark){ev->id, ev->ts};
	return queues_used(&p->queues, ev->a[1], index);
}

/* An event that carries a request's number. */
static int request_event(struct pass *p, struct track_state *t, const struct event_row *ev)
{
	struct request *r;
	size_t index;

	if (!p->slots)
		return 0;
	index = *request_slot(p, ev->a[0]) - 1;
	if (index == NO_INDEX)
		return 0; /* its pop was lost: the loss is shown, nothing is invented */
	r = &p->d->request[index];
	r->own = r->reach = (struct mark){ev->id, ev->ts};
	t->active = index;
	switch (ev->kind) {
	case EW_DESCRIPTOR:
		if (r->call_how != CALL_BY_BUFFER &&
			calls_by_buffer(&p->calls, ev, &r->call, &r->buffer))
			r->call_how = CALL_BY_BUFFER;
		return 0;
	case EW_REQUEST:
		r->type = ev->a[1];
		r->sector = ev->a[2];
		r->bytes = ev->a[3];
		r->descriptors = ev->a[4];
		call_by_what_is_open(p, r);
		return 0;
	case EW_HOST_CALL:
		if (r->t_host == SQL_NULL)
			r->t_host = ev->ts;
		return 0;
	case EW_HOST_RET:
	case EW_URING_CQE:
		r->t_host_ret = ev->ts;
		return 0;
	case EW_URING_SQE:
		return index_list_add(&t->filled, index, p->d->e);
	case EW_REQ_STATUS:
		r->status = ev->a[1];
		return 0;
	case EW_QUEUE_USED:
		return completed(p, index, ev);
	default:
		return 0;
	}
}

/* io_uring_enter takes what is in the submission queue. */
static void uring_enter(struct pass *p, struct track_state *t, const struct event_row *ev)
{
	const bool ends = ev->kind == EW_URING_ENTER_RET;
	struct index_list was = t->submitted;

	if (!ends) {
		t->submitted = t->filled;
		t->filled = was;
		t->filled.n = 0;
	}
	for (size_t i = 0; i < t->submitted.n; i++) {
		struct request *r = &p->d->request[t->submitted.at[i]];
		int64_t *mark = ends ? &r->submit_ret : &r->submit;

		if (!*mark)
			*mark = ev->id;
		if (!ends && r->t_host == SQL_NULL)
			r->t_host = ev->ts;
	}
	if (ends)
		t->submitted.n = 0;
}

/* --- the vCPU's own events -------------------------------------------------------------------- */

static int vcpu_now(
	struct pass *p, struct track_state *t, const struct event_row *ev, enum vcpu_at at)
{
	struct derive *d = p->d;
	struct vcpu_runs *v = find_vcpu(d, t->id);
	int ret = 0;

	t->vcpu = true;
	if (!v) {
		ret = derive_grow(
			(void **)&d->vcpu, &d->vcpus_cap, d->vcpus, sizeof(*d->vcpu), d->e);
		if (ret)
			return ret;
		v = &d->vcpu[d->vcpus++];
		*v = (struct vcpu_runs){.track = t->id};
	}
	ret = derive_grow((void **)&v->run, &v->cap, v->runs, sizeof(*v->run), d->e);
	if (!ret)
		v->run[v->runs++] = ev->id * 4 + at;
	return ret;
}

static int run_enter(struct pass *p, struct track_state *t, const struct event_row *ev)
{
	const struct mark now = {ev->id, ev->ts};
	struct derive *d = p->d;

	if (t->entering != NO_INDEX)
		d->call[t->entering].first = now;
	if (t->active != NO_INDEX)
		d->request[t->active].reach = now;
	for (size_t i = 0; i < t->acked.n; i++) {
		d->request[t->acked.at[i]].ack_end = now;
		d->request[t->acked.at[i]].reach = now;
	}
	for (size_t i = d->notifies; t->exit_id && i-- > 0;) { /* those of this exit */
		if (d->notify[i].at.event < t->run_exit.event)
			break;
		if (d->notify[i].track == t->id)
			d->notify[i].entry = now;
	}
	t->entering = t->active = NO_INDEX;
	t->acked.n = 0;
	t->run_enter = now;
	t->exit_id = 0;
	return vcpu_now(p, t, ev, VCPU_IN_KVM_RUN);
}

static int run_exit(struct pass *p, struct track_state *t, const struct event_row *ev)
{
	t->before = t->run_enter;
	t->run_exit = (struct mark){ev->id, ev->ts};
	t->exit_id = ev->a[0];
	return vcpu_now(p, t, ev, VCPU_IN_EXIT);
}

static int one_event(struct pass *p, const struct event_row *ev)
{
	struct track_state *t = find_track(p, ev->track);

	if (!t)
		return -ENOMEM;
	switch (ev->kind) {
	case EW_RUN_ENTER:
		return run_enter(p, t, ev);
	case EW_RUN_EXIT:
		return run_exit(p, t, ev);
	case EW_LOST:
		return t->vcpu ? vcpu_now(p, t, ev, VCPU_UNKNOWN) : 0;
	case EW_MARKER:
		return ev->a[0] == EW_MARKER_ENTER
			       ? calls_enter(&p->calls, ev, &t->entering)
			       : calls_leave(&p->calls, ev, t->run_exit, t->before);
	case EW_MARKER_BUFFER:
		return calls_buffer(&p->calls, ev);
	case EW_DRIVER_STATUS:
		return ev->a[1] ? 0 : queues_reset(&p->queues, ev->a[0], -1);
	case EW_QUEUE_SETUP:
		return queues_reset(&p->queues, ev->a[0], ev->a[1]);
	case EW_QUEUE_NOTIFY:
		return queues_notify(&p->queues, t, ev);
	case EW_IO_SIGNAL:
		return queues_signal(&p->queues, t, ev);
	case EW_IO_WAKE:
		return queues_wake(&p->queues, ev);
	case EW_NOTIFY_SUPPRESSED:
		queues_suppressed(&p->queues, ev);
		return 0;
	case EW_QUEUE_POP:
		return pop_request(p, t, ev) ?: request_event(p, t, ev);
	case EW_URING_ENTER:
	case EW_URING_ENTER_RET:
		uring_enter(p, t, ev);
		return 0;
	case EW_ISR_READ:
	case EW_IRQ_ACK:
		return ev->a[1] & 1 ? queues_acknowledge(&p->queues, t, ev->a[0]) : 0;
	case EW_ISR_SET:
	case EW_MSIX_PENDING:
	case EW_IRQ_LINE:
	case EW_IRQ_LINE_RET:
	case EW_MSI:
	case EW_MSI_RET:
	case EW_IRQFD:
	case EW_IRQFD_RET:
	case EW_IRQ_SUPPRESSED:
		return queues_interrupt(&p->queues, t, ev);
	default:
		return derive_numbered(ev->kind) ? request_event(p, t, ev) : 0;
	}
}

/* --- the guest's own events ------------------------------------------------------------------- */

/* What was open at an edge of a hole may be over, and something else may have begun. */
static int at_edge(struct pass *p, bool inside)
{
	p->in_hole = inside;
	p->after_hole = true;
	u64_map_free(&p->heard);
	derive_guest_forget(p->d);
	return calls_forget_traced(&p->calls);
}

/* Where the guest's buffers lost events between the last event and this one. */
static int pass_holes(struct pass *p, int64_t ts)
{
	const struct derive *d = p->d;
	int ret = 0;

	while (!ret && p->hole < d->holes) {
		if (!p->in_hole && ts >= d->hole[p->hole].ts0)
			ret = at_edge(p, true);
		else if (p->in_hole && ts >= d->hole[p->hole].ts1) {
			p->hole++;
			ret = at_edge(p, false);
		} else {
			break;
		}
	}
	return ret;
}

static int heard_of(struct pass *p, int64_t pid)
{
	if (pid < 0 || !p->after_hole || u64_map_put(&p->heard, (uint64_t)pid))
		return 0;
	return err_set(p->d->e, -ENOMEM, "out of memory while deriving requests");
}

/* In which call is its task? Not known in a hole, nor behind one until the task has entered or left a call. */
static int block_event(struct pass *p, const struct event_row *ev)
{
	size_t call = calls_of_task(&p->calls, ev->pid);
	bool heard = !p->after_hole || u64_map_find(&p->heard, (uint64_t)ev->pid) ||
		     (call != NO_INDEX && p->d->call[call].marked);

	return derive_guest_block(p->d, ev, call, p->in_hole || !heard);
}

/* An event of the guest's kernel: its system calls and its block layer. */
static int guest_event(struct pass *p, struct event_row *ev)
{
	int ret = derive_guest_task(p->d, ev);

	if (ret)
		return ret;
	switch (ev->kind) {
	case EW_GUEST_SYS_ENTER:
		return calls_sys_enter(&p->calls, ev) ?: heard_of(p, ev->pid);
	case EW_GUEST_SYS_EXIT:
		return calls_sys_exit(&p->calls, ev) ?: heard_of(p, ev->pid);
	default:
		return block_event(p, ev);
	}
}

static int all_events(struct pass *p)
{
	sqlite3_stmt *row = NULL;
	struct event_row ev;
	char sql[224];
	int ret;

	/* Not those of which there are many and that one_event() does not look at: these, and tracepoints,
	 * whose kinds come last. */
	snprintf(sql, sizeof(sql),
		"SELECT " EVENT_COLUMNS
		" FROM event WHERE kind NOT IN (%d, %d, %d) AND kind < %d OR (%d AND kind BETWEEN"
		" %d AND %d) ORDER BY id",
		EW_DISPATCH, EW_DISPATCH_END, EW_SNAPSHOT, EW_KVM_ENTRY, p->d->guest != NULL,
		EW_GUEST_SYS_ENTER, EW_GUEST_RQ_COMPLETE);
	ret = sql_prepare(p->d->db, &row, p->d->e, sql);
	while (!ret && (ret = sql_step(row, p->d->e)) > 0) {
		derive_read_event(row, &ev);
		ret = pass_holes(p, ev.ts);
		if (!ret)
			ret = derive_is_guest(ev.kind) ? guest_event(p, &ev) : one_event(p, &ev);
	}
	sqlite3_finalize(row);
	return ret;
}

int derive_calls_and_requests(struct derive *d)
{
	struct pass p = {.d = d, .queues = {.d = d}};
	int ret = calls_begin(&p.calls, d);

	if (!ret)
		ret = all_events(&p);
	ret = calls_end(&p.calls, ret);
	queues_end(&p.queues);
	for (size_t i = 0; i < p.tracks; i++) {
		free(p.track[i].acked.at);
		free(p.track[i].filled.at);
		free(p.track[i].submitted.at);
		free(p.track[i].served.at);
	}
	free(p.track);
	u64_map_free(&p.track_at);
	u64_map_free(&p.heard);
	free(p.slot);
	return ret;
}
