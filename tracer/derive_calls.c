/* SPDX-License-Identifier: MIT */
/*
 * Guest calls. A process is in one call at a time, and may be on another vCPU at its end than at its
 * beginning: calls are known by pid. Where the guest's kernel traced a call that its process marked
 * too, it is one call; its tracepoints lie inside its markers. An io_submit lasts beyond its return, until io_getevents has given
 * its process as many events as were submitted.
 */
#include "derive_calls.h"

#include <errno.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_ring.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#include "vmm/guest_abi.h"

/* So far back a call is looked for whose end was traced too late. */
#define CALLS_RECENT 16

enum { MAY_READ = 1, MAY_WRITE = 2, MAY_FLUSH = 4 };

/* What a call makes the device do. */
static const struct {
	int nr;
	unsigned may;
} causes[] = {
	{SYS_read, MAY_READ},
	{SYS_pread64, MAY_READ},
	{SYS_readv, MAY_READ},
	{SYS_preadv, MAY_READ},
	{SYS_preadv2, MAY_READ},
	{SYS_write, MAY_WRITE | MAY_FLUSH},
	{SYS_pwrite64, MAY_WRITE | MAY_FLUSH},
	{SYS_writev, MAY_WRITE | MAY_FLUSH},
	{SYS_pwritev, MAY_WRITE | MAY_FLUSH},
	{SYS_pwritev2, MAY_WRITE | MAY_FLUSH},
	{SYS_fsync, MAY_WRITE | MAY_FLUSH},
	{SYS_fdatasync, MAY_WRITE | MAY_FLUSH},
	{SYS_io_submit, MAY_READ | MAY_WRITE | MAY_FLUSH},
};

struct piece {
	uint64_t gpa, end;
	int64_t event;
};

struct open_call {
	size_t call;
	int64_t pid;
	unsigned may;
	int64_t submitted; /* an io_submit that returned: how many requests; 0: it has not returned */
	int64_t reaped;    /* of its process's: how many io_getevents gave back */
	struct piece *piece;
	size_t pieces, cap;
	bool sorted; /* piece, by gpa */
};

static unsigned call_may(int64_t nr)
{
	for (size_t i = 0; i < sizeof(causes) / sizeof(causes[0]); i++)
		if (causes[i].nr == nr)
			return causes[i].may;
	return 0;
}

/* --- table guest_call ------------------------------------------------------------------------- */

static bool read_marker(struct calls *c, int64_t event, struct ew_marker *m)
{
	bool ok;

	sqlite3_bind_int64(c->marker, 1, event);
	ok = sqlite3_step(c->marker) == SQLITE_ROW &&
	     sqlite3_column_bytes(c->marker, 0) >= (int)sizeof(*m);
	if (ok)
		memcpy(m, sqlite3_column_blob(c->marker, 0), sizeof(*m));
	sqlite3_reset(c->marker);
	return ok;
}

/* A call that was not marked: number, arguments, name of the task and result, from its own events. */
static int bind_traced(struct calls *c, const struct guest_call *g)
{
	static const int parameter[] = {5, 6, 7, 8, 9, 10, 4, 13};
	int ret;

	sqlite3_bind_int64(c->traced, 1, g->enter_event);
	sqlite3_bind_int64(c->traced, 2, g->exit_event);
	ret = sql_step(c->traced, c->d->e);
	for (size_t i = 0; ret > 0 && i < sizeof(parameter) / sizeof(parameter[0]); i++)
		sqlite3_bind_value(
			c->insert, parameter[i], sqlite3_column_value(c->traced, (int)i));
	sqlite3_reset(c->traced);
	return ret < 0 ? ret : 0;
}

static void bind_text(sqlite3_stmt *stmt, int n, const char *text, size_t max)
{
	sqlite3_bind_text(stmt, n, text, (int)strnlen(text, max), SQLITE_TRANSIENT);
}

/* Writes the row of a call: when it is left, or at the end if it never was. */
static int store_call(struct calls *c, size_t index)
{
	const struct guest_call *g = &c->d->call[index];
	struct ew_marker m = {0}, left;
	sqlite3_stmt *stmt = c->insert;
	int ret;

	sqlite3_clear_bindings(stmt);
	sqlite3_bind_int64(stmt, 1, (int64_t)index + 1);
	sqlite3_bind_int64(stmt, 2, g->track);
	sqlite3_bind_int64(stmt, 3, g->pid);
	sqlite3_bind_int64(stmt, 5, g->nr);
	if (!g->marked) {
		ret = bind_traced(c, g);
		if (ret)
			return ret;
	} else if (read_marker(c, g->enter_event, &m)) {
		bind_text(stmt, 4, m.comm, sizeof(m.comm));
		for (int i = 0; i < 6; i++)
			sqlite3_bind_int64(stmt, 6 + i, (int64_t)m.args[i]);
		bind_text(stmt, 12, m.path, sizeof(m.path));
	}
	if (g->marked && g->exit_event && read_marker(c, g->exit_event, &left))
		sqlite3_bind_int64(stmt, 13, left.ret);
	if (g->exit_event) {
		sqlite3_bind_int64(stmt, 15, g->exit_event);
		sqlite3_bind_int64(stmt, 17, g->last.ts);
	}
	if (g->sys_enter.event)
		sqlite3_bind_int64(stmt, 18, g->sys_enter.event);
	if (g->sys_exit.event)
		sqlite3_bind_int64(stmt, 19, g->sys_exit.event);
	sqlite3_bind_int64(stmt, 14, g->enter_event);
	sqlite3_bind_int64(stmt, 16, g->first.ts);
	ret = sql_step(stmt, c->d->e);
	sqlite3_reset(stmt);
	return ret < 0 ? ret : 0;
}

int calls_begin(struct calls *c, struct derive *d)
{
	int ret;

	*c = (struct calls){.d = d};
	c->open = calloc(CALLS_OPEN_MAX, sizeof(*c->open));
	if (!c->open)
		return err_set(d->e, -ENOMEM, "out of memory while deriving requests");
	ret = sql_get_int(d->db, d->e, "SELECT count(*) FROM track WHERE kind = 'vcpu'", &c->vcpus);
	if (!ret)
		ret = sql_prepare(
			d->db, &c->marker, d->e, "SELECT data FROM payload WHERE event_id = ?1");
	if (!ret)
		ret = sql_prepare(d->db, &c->insert, d->e,
			"INSERT INTO guest_call(id, track, pid, comm, nr, arg0, arg1, arg2, arg3, arg4,"
			" arg5, path, ret, enter_event, exit_event, t_enter, t_exit, sys_enter,"
			" sys_exit) VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)");
	if (!ret)
		ret = sql_prepare(d->db, &c->traced, d->e,
			"SELECT e.a0, e.a1, e.a2, e.a3, e.a4, e.a5, (SELECT n.name FROM guest_event g JOIN"
			" enum_name n ON n.enum = 'guest_pid' AND n.value = g.pid WHERE g.event_id = e.id),"
			" (SELECT x.a1 FROM event x WHERE x.id = ?2) FROM event e WHERE e.id = ?1");
	return ret;
}

/* Takes it out of the list; a call that did not return is stored as such. */
static int close_call(struct calls *c, size_t i)
{
	struct open_call *o = &c->open[i];
	int ret = o->submitted ? 0 : store_call(c, o->call);

	free(o->piece);
	c->opens--;
	memmove(o, o + 1, (c->opens - i) * sizeof(*o));
	return ret;
}

int calls_end(struct calls *c, int ret)
{
	for (size_t i = 0; i < c->opens; i++) {
		if (!ret && !c->open[i].submitted)
			ret = store_call(c, c->open[i].call);
		free(c->open[i].piece);
	}
	free(c->open);
	sqlite3_finalize(c->marker);
	sqlite3_finalize(c->insert);
	sqlite3_finalize(c->traced);
	return ret;
}

/* --- markers ---------------------------------------------------------------------------------- */

static int open_call(struct calls *c, const struct guest_call *g)
{
	struct derive *d = c->d;
	int ret = derive_grow((void **)&d->call, &d->calls_cap, d->calls, sizeof(*d->call), d->e);

	if (!ret && c->opens == CALLS_OPEN_MAX)
		ret = close_call(c, 0);
	if (ret)
		return ret;
	d->call[d->calls] = *g;
	c->open[c->opens++] = (struct open_call){
		.call = d->calls++, .pid = g->pid, .may = call_may(g->nr)};
	return 0;
}

/* The newest call of that process that has not returned; NO_INDEX: none. */
static size_t newest_of(const struct calls *c, int64_t pid)
{
	size_t i = c->opens;

	while (i-- > 0)
		if (c->open[i].pid == pid && !c->open[i].submitted)
			return i;
	return NO_INDEX;
}

int calls_enter(struct calls *c, const struct event_row *ev, size_t *index)
{
	bool ends = ev->a[1] == SYS_exit || ev->a[1] == SYS_exit_group;
	struct guest_call g = {.track = ev->track,
		.pid = ev->a[2],
		.nr = ev->a[1],
		.marked = true,
		.enter_event = ev->id,
		.first = {0, ev->ts}};
	size_t newest = newest_of(c, ev->a[2]);
	struct guest_call *was = newest == NO_INDEX ? NULL : &c->d->call[c->open[newest].call];
	int ret = 0;

	/* It has its marker in front: the guest's time of its beginning is wrong by that much. */
	if (was && !was->marked && was->nr == g.nr) {
		g.sys_enter = was->sys_enter;
		*was = g;
		*index = c->open[newest].call;
		return 0;
	}
	/* Where that process was in a call, it never returned. */
	for (size_t i = c->opens; !ret && i-- > 0;)
		if (c->open[i].pid == ev->a[2] && (!c->open[i].submitted || ends))
			ret = close_call(c, i);
	if (!ret)
		ret = open_call(c, &g);
	*index = c->d->calls - 1;
	return ret;
}

/*
 * io_getevents gave that process so many events. Of which io_submit they are it does not say: all of
 * the process's are over when it has got as many as it submitted.
 */
static int reap(struct calls *c, int64_t pid, int64_t events)
{
	struct open_call *oldest = NULL;
	int64_t missing = 0;
	int ret = 0;

	for (size_t i = c->opens; i-- > 0;)
		if (c->open[i].pid == pid && c->open[i].submitted) {
			oldest = &c->open[i];
			missing += oldest->submitted - oldest->reaped;
		}
	if (!oldest)
		return 0;
	oldest->reaped += events;
	for (size_t i = c->opens; !ret && events >= missing && i-- > 0;)
		if (c->open[i].pid == pid && c->open[i].submitted)
			ret = close_call(c, i);
	return ret;
}

/* It has returned: closed, unless it goes on until what it submitted is done. */
static int return_from(struct calls *c, size_t i, int64_t result)
{
	const struct guest_call *g = &c->d->call[c->open[i].call];
	const int64_t pid = c->open[i].pid;
	int ret;

	if (g->nr == SYS_io_submit && result > 0 && result <= INT32_MAX) {
		c->open[i].submitted = result;
		return store_call(c, c->open[i].call);
	}
	ret = close_call(c, i);
	if (!ret && (g->nr == SYS_io_getevents || g->nr == SYS_io_pgetevents) && result > 0 &&
		result <= INT32_MAX)
		ret = reap(c, pid, result);
	return ret;
}

int calls_leave(
	struct calls *c, const struct event_row *ev, struct mark run_exit, struct mark before)
{
	size_t i = newest_of(c, ev->a[2]);
	struct guest_call *g;

	while (i != NO_INDEX && !c->d->call[c->open[i].call].marked) {
		int ret = close_call(c, i); /* it was in the marked one and never returned */

		if (ret)
			return ret;
		i = newest_of(c, ev->a[2]);
	}
	if (i == NO_INDEX)
		return 0; /* its ENTER marker was lost */
	g = &c->d->call[c->open[i].call];
	g->exit_event = ev->id;
	g->exit_track = ev->track;
	g->exit_before = before;
	g->last = run_exit.event ? run_exit : (struct mark){ev->id, ev->ts};
	return return_from(c, i, ev->a[3]);
}

/* --- the guest's own events -------------------------------------------------------------------- */

int calls_sys_enter(struct calls *c, const struct event_row *ev)
{
	const struct mark now = {ev->id, ev->ts};
	size_t i = newest_of(c, ev->pid);
	struct guest_call *g = i == NO_INDEX ? NULL : &c->d->call[c->open[i].call];
	int ret = 0;

	if (g && g->marked && g->nr == ev->a[0] && !g->sys_enter.event) {
		g->sys_enter = now;
		return 0;
	}
	if (g && !g->marked)
		ret = close_call(c, i); /* its return was not traced */
	if (ret)
		return ret;
	return open_call(c, &(struct guest_call){.track = ev->track,
				    .pid = ev->pid,
				    .nr = ev->a[0],
				    .enter_event = ev->id,
				    .sys_enter = now,
				    .first = now});
}

/* A marked call whose EXIT marker came in front: the guest's time of its end is wrong by that much. */
static void return_late(struct calls *c, const struct event_row *ev)
{
	struct derive *d = c->d;

	for (size_t i = d->calls; i-- > 0 && i + CALLS_RECENT >= d->calls;)
		if (d->call[i].pid == ev->pid) {
			if (d->call[i].marked && d->call[i].nr == ev->a[0] &&
				d->call[i].sys_enter.event && !d->call[i].sys_exit.event)
				d->call[i].sys_exit = (struct mark){ev->id, ev->ts};
			return;
		}
}

int calls_sys_exit(struct calls *c, const struct event_row *ev)
{
	const struct mark now = {ev->id, ev->ts};
	size_t i = newest_of(c, ev->pid);
	struct guest_call *g = i == NO_INDEX ? NULL : &c->d->call[c->open[i].call];

	if (!g || g->nr != ev->a[0] || !g->sys_enter.event || g->sys_exit.event) {
		if (!g)
			return_late(c, ev);
		return 0; /* its beginning was not traced */
	}
	g->sys_exit = now;
	if (g->marked)
		return 0;
	g->exit_event = ev->id;
	g->exit_track = ev->track;
	g->last = now;
	return return_from(c, i, ev->a[1]);
}

int calls_forget_traced(struct calls *c)
{
	int ret = 0;

	for (size_t i = c->opens; !ret && i-- > 0;)
		if (!c->d->call[c->open[i].call].marked)
			ret = close_call(c, i);
	return ret;
}

size_t calls_of_task(const struct calls *c, int64_t pid)
{
	size_t i = newest_of(c, pid);

	return i == NO_INDEX ? NO_INDEX : c->open[i].call;
}

/* --- whose is it? ----------------------------------------------------------------------------- */

int calls_buffer(struct calls *c, const struct event_row *ev)
{
	for (size_t i = c->opens; i-- > 0;) {
		struct open_call *o = &c->open[i];
		uint64_t gpa = (uint64_t)ev->a[2];
		int ret;

		if (o->pid != ev->a[0] || o->submitted)
			continue;
		ret = derive_grow(
			(void **)&o->piece, &o->cap, o->pieces, sizeof(*o->piece), c->d->e);
		if (!ret)
			o->piece[o->pieces++] = (struct piece){
				gpa, gpa + (uint64_t)ev->a[3], ev->id};
		o->sorted = false;
		return ret;
	}
	return 0;
}

static int compare_pieces(const void *a, const void *b)
{
	const struct piece *x = a, *y = b;

	return x->gpa < y->gpa ? -1 : x->gpa > y->gpa;
}

/* Pieces of one buffer lie beside each other: the last one that begins before `end` is the one. */
static const struct piece *find_piece(struct open_call *o, uint64_t gpa, uint64_t end)
{
	size_t low = 0, high = o->pieces;

	if (!o->sorted)
		qsort(o->piece, o->pieces, sizeof(*o->piece), compare_pieces);
	o->sorted = true;
	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (o->piece[mid].gpa < end)
			low = mid + 1;
		else
			high = mid;
	}
	return low && o->piece[low - 1].end > gpa ? &o->piece[low - 1] : NULL;
}

bool calls_by_buffer(
	const struct calls *c, const struct event_row *descriptor, size_t *call, int64_t *event)
{
	const uint64_t gpa = (uint64_t)descriptor->a[2], end = gpa + (uint64_t)descriptor->a[3];
	const unsigned may = descriptor->a[4] & VRING_DESC_F_WRITE ? MAY_READ : MAY_WRITE;

	if (descriptor->a[4] & VRING_DESC_F_INDIRECT)
		return false; /* a table of descriptors */
	for (size_t i = c->opens; i-- > 0;) {
		struct open_call *o = &c->open[i];
		const struct piece *p = o->pieces && o->may & may ? find_piece(o, gpa, end) : NULL;

		if (!p)
			continue;
		*call = o->call;
		*event = p->event;
		return true;
	}
	return false;
}

static unsigned request_may(int64_t type)
{
	switch (type) {
	case SQL_NULL:
		return MAY_READ | MAY_WRITE | MAY_FLUSH;
	case VIRTIO_BLK_T_IN:
	case VIRTIO_BLK_T_GET_ID:
		return MAY_READ;
	case VIRTIO_BLK_T_FLUSH:
		return MAY_FLUSH;
	default:
		return MAY_WRITE;
	}
}

/* With one vCPU a single open call is what the guest is doing, whatever it is. */
enum call_how calls_only(const struct calls *c, int64_t type, size_t *call)
{
	const unsigned may = request_may(type);
	size_t fitting = 0, inside = 0, only = NO_INDEX;

	for (size_t i = 0; i < c->opens; i++) {
		inside += !c->open[i].submitted;
		if (c->open[i].may & may) {
			fitting++;
			*call = c->open[i].call;
		}
		if (!c->open[i].submitted)
			only = c->open[i].call;
	}
	if (fitting == 1)
		return CALL_ONLY;
	if (fitting > 1)
		return CALL_SEVERAL;
	*call = only;
	return c->vcpus <= 1 && inside == 1 ? CALL_ONLY : CALL_NONE;
}
