/* SPDX-License-Identifier: MIT */
/*
 * Guest calls. A process is in one call at a time, and may be on another vCPU at its end than at its
 * beginning: calls are known by pid. An io_submit lasts beyond its return, until io_getevents has given
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
	if (read_marker(c, g->enter_event, &m)) {
		bind_text(stmt, 4, m.comm, sizeof(m.comm));
		for (int i = 0; i < 6; i++)
			sqlite3_bind_int64(stmt, 6 + i, (int64_t)m.args[i]);
		bind_text(stmt, 12, m.path, sizeof(m.path));
	}
	sqlite3_bind_int64(stmt, 5, m.nr);
	if (g->exit_event && read_marker(c, g->exit_event, &left)) {
		sqlite3_bind_int64(stmt, 13, left.ret);
		sqlite3_bind_int64(stmt, 15, g->exit_event);
		sqlite3_bind_int64(stmt, 17, g->last.ts);
	}
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
			" arg5, path, ret, enter_event, exit_event, t_enter, t_exit)"
			" VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)");
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
	return ret;
}

/* --- markers ---------------------------------------------------------------------------------- */

int calls_enter(struct calls *c, const struct event_row *ev, size_t *index)
{
	bool ends = ev->a[1] == SYS_exit || ev->a[1] == SYS_exit_group;
	struct derive *d = c->d;
	int ret = derive_grow((void **)&d->call, &d->calls_cap, d->calls, sizeof(*d->call), d->e);

	/* Where that process was in a call, it never returned. */
	for (size_t i = c->opens; !ret && i-- > 0;)
		if (c->open[i].pid == ev->a[2] && (!c->open[i].submitted || ends))
			ret = close_call(c, i);
	if (!ret && c->opens == CALLS_OPEN_MAX)
		ret = close_call(c, 0);
	if (ret)
		return ret;
	d->call[d->calls] = (struct guest_call){.track = ev->track,
		.pid = ev->a[2],
		.nr = ev->a[1],
		.enter_event = ev->id,
		.first = {0, ev->ts}};
	c->open[c->opens++] = (struct open_call){
		.call = d->calls, .pid = ev->a[2], .may = call_may(ev->a[1])};
	*index = d->calls++;
	return 0;
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

int calls_leave(
	struct calls *c, const struct event_row *ev, struct mark run_exit, struct mark before)
{
	const int64_t pid = ev->a[2], result = ev->a[3];
	size_t i = c->opens;
	struct guest_call *g;
	int ret;

	while (i-- > 0 && (c->open[i].pid != pid || c->open[i].submitted))
		;
	if (i == SIZE_MAX)
		return 0; /* its ENTER marker was lost */
	g = &c->d->call[c->open[i].call];
	g->exit_event = ev->id;
	g->exit_track = ev->track;
	g->exit_before = before;
	g->last = run_exit.event ? run_exit : (struct mark){ev->id, ev->ts};
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
