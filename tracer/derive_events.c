/* SPDX-License-Identifier: MIT */
/* One pass over the events in time order: guest calls from markers, requests from device events. */
#include "derive.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/guest_abi.h"

/* What is going on on one track (one thread). */
struct track_state {
	int64_t id;
	struct mark run_enter; /* the last one */
	struct mark before;    /* the run_enter in front of the current exit */
	struct mark run_exit;  /* of the current exit */
	int64_t exit_id;       /* 0: in KVM_RUN */
	size_t *open;          /* calls entered and not yet left, oldest first */
	size_t opens, opens_cap;
	size_t entering; /* the call whose ENTER marker's exit has not ended yet */
	size_t active;   /* the last request with events in the current exit */
	size_t acked;    /* the request whose interrupt this exit's ISR read acknowledges */
};

struct device_state {
	int64_t id;
	size_t last_used; /* the last request completed and not yet acknowledged */
};

struct pass {
	struct derive *d;
	struct track_state *track;
	size_t tracks, tracks_cap;
	struct device_state *device;
	size_t devices, devices_cap;
	size_t *slot; /* hash: request number → index + 1 */
	size_t slots; /* a power of two */
	sqlite3_stmt *marker, *insert_call;
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
}

int derive_grow(void **array, size_t *cap, size_t n, size_t size, struct err *e)
{
	size_t more = *cap ? 2 * *cap : 64;
	void *bigger;

	if (n < *cap)
		return 0;
	bigger = reallocarray(*array, more, size);
	if (!bigger)
		return err_set(e, -ENOMEM, "out of memory while deriving requests");
	*array = bigger;
	*cap = more;
	return 0;
}

static struct track_state *find_track(struct pass *p, int64_t id)
{
	for (size_t i = 0; i < p->tracks; i++)
		if (p->track[i].id == id)
			return &p->track[i];
	if (derive_grow((void **)&p->track, &p->tracks_cap, p->tracks, sizeof(*p->track), p->d->e))
		return NULL;
	p->track[p->tracks] = (struct track_state){
		.id = id, .entering = NO_INDEX, .active = NO_INDEX, .acked = NO_INDEX};
	return &p->track[p->tracks++];
}

static struct device_state *find_device(struct pass *p, int64_t id)
{
	for (size_t i = 0; i < p->devices; i++)
		if (p->device[i].id == id)
			return &p->device[i];
	if (derive_grow(
		    (void **)&p->device, &p->devices_cap, p->devices, sizeof(*p->device), p->d->e))
		return NULL;
	p->device[p->devices] = (struct device_state){.id = id, .last_used = NO_INDEX};
	return &p->device[p->devices++];
}

/* --- guest calls ---------------------------------------------------------------------------- */

static bool read_marker(struct pass *p, int64_t event, struct ew_marker *m)
{
	bool ok;

	sqlite3_bind_int64(p->marker, 1, event);
	ok = sqlite3_step(p->marker) == SQLITE_ROW &&
	     sqlite3_column_bytes(p->marker, 0) >= (int)sizeof(*m);
	if (ok)
		memcpy(m, sqlite3_column_blob(p->marker, 0), sizeof(*m));
	sqlite3_reset(p->marker);
	return ok;
}

static void bind_text(sqlite3_stmt *stmt, int n, const char *text, size_t max)
{
	sqlite3_bind_text(stmt, n, text, (int)strnlen(text, max), SQLITE_TRANSIENT);
}

/* Writes the row of a call: when it is left, or at the end if it never was. */
static int store_call(struct pass *p, size_t index)
{
	const struct guest_call *c = &p->d->call[index];
	struct ew_marker m = {0}, left;
	sqlite3_stmt *stmt = p->insert_call;
	int ret;

	sqlite3_clear_bindings(stmt);
	sqlite3_bind_int64(stmt, 1, (int64_t)index + 1);
	sqlite3_bind_int64(stmt, 2, c->track);
	sqlite3_bind_int64(stmt, 3, c->pid);
	if (read_marker(p, c->enter_event, &m)) {
		bind_text(stmt, 4, m.comm, sizeof(m.comm));
		for (int i = 0; i < 6; i++)
			sqlite3_bind_int64(stmt, 6 + i, (int64_t)m.args[i]);
		bind_text(stmt, 12, m.path, sizeof(m.path));
	}
	sqlite3_bind_int64(stmt, 5, m.nr);
	if (c->exit_event && read_marker(p, c->exit_event, &left)) {
		sqlite3_bind_int64(stmt, 13, left.ret);
		sqlite3_bind_int64(stmt, 15, c->exit_event);
		sqlite3_bind_int64(stmt, 17, c->last.ts);
	}
	sqlite3_bind_int64(stmt, 14, c->enter_event);
	sqlite3_bind_int64(stmt, 16, c->first.ts);
	ret = sql_step(stmt, p->d->e);
	sqlite3_reset(stmt);
	return ret < 0 ? ret : 0;
}

static int enter_call(struct pass *p, struct track_state *t, const struct event_row *ev)
{
	struct derive *d = p->d;
	int ret = derive_grow((void **)&d->call, &d->calls_cap, d->calls, sizeof(*d->call), d->e);

	if (!ret)
		ret = derive_grow(
			(void **)&t->open, &t->opens_cap, t->opens, sizeof(*t->open), d->e);
	if (ret)
		return ret;
	d->call[d->calls] = (struct guest_call){
		.track = ev->track, .pid = ev->a[2], .enter_event = ev->id, .first = {0, ev->ts}};
	t->open[t->opens++] = t->entering = d->calls++;
	return 0;
}

/* The newest open call of that pid ends; older ones of the same pid never returned. */
static int leave_call(struct pass *p, struct track_state *t, const struct event_row *ev)
{
	bool found = false;

	for (size_t i = t->opens; i-- > 0;) {
		struct guest_call *c = &p->d->call[t->open[i]];
		int ret;

		if (c->pid != ev->a[2])
			continue;
		if (!found) {
			c->exit_event = ev->id;
			c->last = t->run_exit.event ? t->run_exit : (struct mark){ev->id, ev->ts};
		}
		found = true;
		ret = store_call(p, t->open[i]);
		if (ret)
			return ret;
		t->opens--;
		memmove(&t->open[i], &t->open[i + 1], (t->opens - i) * sizeof(*t->open));
	}
	return 0;
}

/* --- requests ------------------------------------------------------------------------------- */

static size_t *request_slot(struct pass *p, int64_t number)
{
	size_t i = (uint64_t)number * 0x9e3779b97f4a7c15u & (p->slots - 1);

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
		.call = t->opens ? t->open[t->opens - 1] : NO_INDEX,
		.kick_exit = ev->exit_id,
		.pop = {ev->id, ev->ts},
		.own = {ev->id, ev->ts}};
	r->type = r->sector = r->bytes = r->descriptors = r->status = r->used_len = SQL_NULL;
	r->t_host = r->t_host_ret = r->t_used = r->t_irq = r->t_entry = SQL_NULL;
	if (t->exit_id && t->exit_id == ev->exit_id) {
		r->kick = t->run_exit;
		r->before = t->before;
	}
	r->reach = r->own;
	*slot = ++d->requests;
	return 0;
}

/* An event that carries a request's number. */
static int request_event(struct pass *p, struct track_state *t, const struct event_row *ev)
{
	struct device_state *dev;
	struct request *r;
	size_t *slot;

	if (!p->slots)
		return 0;
	slot = request_slot(p, ev->a[0]);
	if (!*slot)
		return 0; /* its pop was lost: the loss is shown, nothing is invented */
	r = &p->d->request[*slot - 1];
	r->own = r->reach = (struct mark){ev->id, ev->ts};
	t->active = *slot - 1;
	switch (ev->kind) {
	case EW_REQUEST:
		r->type = ev->a[1];
		r->sector = ev->a[2];
		r->bytes = ev->a[3];
		r->descriptors = ev->a[4];
		break;
	case EW_HOST_CALL:
		if (r->t_host == SQL_NULL)
			r->t_host = ev->ts;
		break;
	case EW_HOST_RET:
		r->t_host_ret = ev->ts;
		break;
	case EW_REQ_STATUS:
		r->status = ev->a[1];
		break;
	case EW_QUEUE_USED:
		r->used_len = ev->a[4];
		r->t_used = ev->ts;
		dev = find_device(p, ev->a[1]);
		if (!dev)
			return -ENOMEM;
		dev->last_used = *slot - 1;
		break;
	default:
		break;
	}
	return 0;
}

/* --- the vCPU's own events -------------------------------------------------------------------- */

static void run_enter(struct pass *p, struct track_state *t, const struct event_row *ev)
{
	const struct mark now = {ev->id, ev->ts};

	if (t->entering != NO_INDEX)
		p->d->call[t->entering].first = now;
	if (t->active != NO_INDEX) {
		struct request *r = &p->d->request[t->active];

		r->reach = now;
		for (size_t i = t->active + 1; i-- > 0;) { /* all of this kick */
			r = &p->d->request[i];
			if (r->track != t->id || r->kick_exit != t->exit_id)
				break;
			if (r->t_entry == SQL_NULL)
				r->t_entry = ev->ts;
		}
	}
	if (t->acked != NO_INDEX)
		p->d->request[t->acked].reach = now;
	t->entering = t->active = t->acked = NO_INDEX;
	t->run_enter = now;
	t->exit_id = 0;
}

static int isr_read(struct pass *p, struct track_state *t, const struct event_row *ev)
{
	struct device_state *dev = find_device(p, ev->a[0]);

	if (!dev)
		return -ENOMEM;
	if (!(ev->a[1] & 1) || dev->last_used == NO_INDEX)
		return 0;
	if (p->d->request[dev->last_used].track == t->id)
		t->acked = dev->last_used;
	dev->last_used = NO_INDEX;
	return 0;
}

/* The line goes up for the request that was put on the used ring last, and those in front of it. */
static void irq_line(struct pass *p, const struct event_row *ev)
{
	for (size_t d = 0; d < p->devices && ev->a[1] == 1; d++) {
		if (p->device[d].id != ev->a[2] || p->device[d].last_used == NO_INDEX)
			continue;
		for (size_t i = p->device[d].last_used + 1; i-- > 0;) {
			struct request *r = &p->d->request[i];

			if (r->t_irq != SQL_NULL)
				break;
			if (r->device == ev->a[2] && r->t_used != SQL_NULL)
				r->t_irq = ev->ts;
		}
	}
}

static int one_event(struct pass *p, const struct event_row *ev)
{
	struct track_state *t = find_track(p, ev->track);

	if (!t)
		return -ENOMEM;
	switch (ev->kind) {
	case EW_RUN_ENTER:
		run_enter(p, t, ev);
		return 0;
	case EW_RUN_EXIT:
		t->before = t->run_enter;
		t->run_exit = (struct mark){ev->id, ev->ts};
		t->exit_id = ev->a[0];
		return 0;
	case EW_MARKER:
		return ev->a[0] == EW_MARKER_ENTER ? enter_call(p, t, ev) : leave_call(p, t, ev);
	case EW_QUEUE_POP:
		return pop_request(p, t, ev) ?: request_event(p, t, ev);
	case EW_ISR_READ:
		return isr_read(p, t, ev);
	case EW_IRQ_LINE:
		irq_line(p, ev);
		return 0;
	default:
		return request_event(p, t, ev);
	}
}

/* Only the kinds that one_event() looks at. */
static int all_events(struct pass *p)
{
	sqlite3_stmt *row = NULL;
	struct event_row ev;
	char sql[256];
	int ret;

	snprintf(sql, sizeof(sql),
		"SELECT " EVENT_COLUMNS
		" FROM event WHERE kind IN (%d, %d, %d, %d, %d, %d, %d, %d, %d,"
		" %d, %d, %d) ORDER BY id",
		EW_RUN_ENTER, EW_RUN_EXIT, EW_MARKER, EW_QUEUE_POP, EW_ISR_READ, EW_IRQ_LINE,
		EW_DESCRIPTOR, EW_REQUEST, EW_HOST_CALL, EW_HOST_RET, EW_REQ_STATUS, EW_QUEUE_USED);
	ret = sql_prepare(p->d->db, &row, p->d->e, sql);
	while (!ret && (ret = sql_step(row, p->d->e)) > 0) {
		derive_read_event(row, &ev);
		ret = one_event(p, &ev);
	}
	sqlite3_finalize(row);
	return ret;
}

int derive_calls_and_requests(struct derive *d)
{
	struct pass p = {.d = d};
	int ret = sql_prepare(
		d->db, &p.marker, d->e, "SELECT data FROM payload WHERE event_id = ?1");

	if (!ret)
		ret = sql_prepare(d->db, &p.insert_call, d->e,
			"INSERT INTO guest_call(id, track, pid, comm, nr, arg0, arg1, arg2, arg3, arg4,"
			" arg5, path, ret, enter_event, exit_event, t_enter, t_exit)"
			" VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)");
	if (!ret)
		ret = all_events(&p);
	for (size_t t = 0; t < p.tracks; t++) {
		for (size_t i = 0; !ret && i < p.track[t].opens; i++)
			ret = store_call(&p, p.track[t].open[i]);
		free(p.track[t].open);
	}
	sqlite3_finalize(p.marker);
	sqlite3_finalize(p.insert_call);
	free(p.track);
	free(p.device);
	free(p.slot);
	return ret;
}
