/* SPDX-License-Identifier: MIT */
/* Bios and requests of the guest's block layer, as its own events tell. */
#include "derive_guest.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Functions that say which request those around them are about; Linux 6.1's names. */
static const struct {
	const char *name;
	enum guest_func_class class;
} classes[] = {
	{"submit_bio", GUEST_FUNC_SUBMIT},
	{"submit_bio_wait", GUEST_FUNC_SUBMIT},
	{"blk_finish_plug", GUEST_FUNC_PLUG},
	{"__blk_flush_plug", GUEST_FUNC_PLUG},
	{"blk_mq_flush_plug_list", GUEST_FUNC_PLUG},
	{"io_schedule", GUEST_FUNC_PLUG},
	{"virtio_queue_rq", GUEST_FUNC_QUEUE},
	{"virtqueue_kick", GUEST_FUNC_NOTIFY},
	{"virtqueue_kick_prepare", GUEST_FUNC_NOTIFY},
	{"virtqueue_notify", GUEST_FUNC_NOTIFY},
	{"vp_notify", GUEST_FUNC_NOTIFY},
	{"vp_notify_with_data", GUEST_FUNC_NOTIFY},
	{"vm_notify", GUEST_FUNC_NOTIFY},
	{"vm_notify_with_data", GUEST_FUNC_NOTIFY},
	{"vp_interrupt", GUEST_FUNC_DONE},
	{"vp_vring_interrupt", GUEST_FUNC_DONE},
	{"vm_interrupt", GUEST_FUNC_DONE},
	{"vring_interrupt", GUEST_FUNC_DONE},
	{"virtblk_done", GUEST_FUNC_DONE},
};

/* A file may say anything: sums of two such numbers do not overflow. */
#define SECTOR_MASK (INT64_MAX >> 2)
#define ERROR_MAX 1000000000000 /* ns */

bool derive_is_guest(int64_t kind)
{
	return kind >= EW_GUEST_FUNC && kind <= EW_GUEST_SOFTIRQ_RET;
}

static enum guest_func_class class_of(const char *name)
{
	for (size_t i = 0; name && i < sizeof(classes) / sizeof(classes[0]); i++)
		if (!strcmp(classes[i].name, name))
			return classes[i].class;
	return GUEST_FUNC_OTHER;
}

static int load_functions(struct derive *d)
{
	struct guest_io *g = d->guest;
	sqlite3_stmt *row = NULL;
	int ret = sql_prepare(d->db, &row, d->e,
		"SELECT value, name FROM enum_name WHERE enum = 'guest_func' ORDER BY value");

	while (!ret && (ret = sql_step(row, d->e)) > 0) {
		enum guest_func_class class = class_of((const char *)sqlite3_column_text(row, 1));

		ret = derive_grow(
			(void **)&g->func, &g->funcs_cap, g->funcs, sizeof(*g->func), d->e);
		if (!ret && class != GUEST_FUNC_OTHER)
			g->func[g->funcs++] = (struct guest_func){
				sqlite3_column_int64(row, 0), class};
	}
	sqlite3_finalize(row);
	return ret;
}

int derive_guest_begin(struct derive *d)
{
	int64_t any = 0;
	int ret = sql_get_int(d->db, d->e, "SELECT 1 FROM guest_event LIMIT 1", &any);

	if (ret || !any)
		return ret;
	d->guest = calloc(1, sizeof(*d->guest));
	if (!d->guest)
		return err_set(d->e, -ENOMEM, "out of memory while deriving requests");
	ret = load_functions(d);
	return ret ? ret
		   : sql_prepare(d->db, &d->guest->task, d->e,
			     "SELECT pid, flags, error FROM guest_event WHERE event_id = ?1");
}

void derive_guest_end(struct derive *d)
{
	struct guest_io *g = d->guest;

	if (!g)
		return;
	sqlite3_finalize(g->task);
	free(g->bio);
	free(g->rq);
	free(g->rq_bio);
	free(g->func);
	free(g);
	d->guest = NULL;
}

int64_t derive_guest_error(sqlite3_stmt *row, int column)
{
	int64_t error = sql_int_or(row, column, SQL_NULL);

	return error < 0 || error > ERROR_MAX ? SQL_NULL : error;
}

int derive_guest_task(struct derive *d, struct event_row *ev)
{
	sqlite3_stmt *s = d->guest->task;
	int ret;

	ev->pid = -1; /* nobody, if its row is missing */
	ev->error = SQL_NULL;
	sqlite3_bind_int64(s, 1, ev->id);
	ret = sql_step(s, d->e);
	if (ret > 0) {
		ev->pid = sqlite3_column_int64(s, 0);
		ev->flags = sqlite3_column_int64(s, 1);
		ev->error = derive_guest_error(s, 2);
	}
	sqlite3_reset(s);
	return ret < 0 ? ret : 0;
}

enum guest_func_class derive_guest_class(const struct derive *d, const struct event_row *ev)
{
	const struct guest_io *g = d->guest;
	size_t low = 0, high = g->funcs;

	if (ev->kind != EW_GUEST_FUNC)
		return GUEST_FUNC_OTHER;
	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (g->func[mid].id < ev->a[0])
			low = mid + 1;
		else
			high = mid;
	}
	return low < g->funcs && g->func[low].id == ev->a[0] ? g->func[low].class
							     : GUEST_FUNC_OTHER;
}

/* --- extents ---------------------------------------------------------------------------------- */

/* blk_fill_rwbs(), block/blk-core.c (kernel/trace/blktrace.c before 5.13): F for a flush in front, then the
 * operation, then its flags. */
void derive_guest_extent(const struct event_row *ev, struct guest_extent *at)
{
	const char c[2] = {(char)(ev->a[3] & 0x7f), (char)(ev->a[3] >> 8 & 0x7f)};

	*at = (struct guest_extent){.dev = ev->a[0],
		.sector = ev->a[1] & SECTOR_MASK,
		.sectors = ev->a[2] & SECTOR_MASK};
	at->preflush = c[0] == 'F' && c[1] && strchr("WRDNF", c[1]);
	at->op = at->preflush ? c[1] : c[0];
	if (at->op == 'F' || !at->sectors) {
		at->preflush |= at->op == 'F';
		at->sector = at->sectors = 0;
	}
}

/* virtio-blk's disks have 16 minor numbers each (PART_BITS, drivers/block/virtio_blk.c). */
static bool same_disk(int64_t a, int64_t b)
{
	return a == b || (a >> 20 == b >> 20 && (a & 0xfffff) >> 4 == (b & 0xfffff) >> 4);
}

static int64_t common_sectors(const struct guest_extent *a, const struct guest_extent *b)
{
	int64_t from = a->sector > b->sector ? a->sector : b->sector;
	int64_t a_end = a->sector + a->sectors, b_end = b->sector + b->sectors;

	return (a_end < b_end ? a_end : b_end) - from;
}

bool derive_guest_overlap(const struct guest_extent *a, const struct guest_extent *b)
{
	if (!same_disk(a->dev, b->dev))
		return false;
	if (!a->sectors || !b->sectors) /* a flush is for whoever wants one */
		return a->preflush && b->preflush;
	return a->op == b->op && common_sectors(a, b) > 0;
}

/* --- events ----------------------------------------------------------------------------------- */

static void open_add(struct guest_open *o, size_t index)
{
	if (o->n == GUEST_OPEN_MAX)
		memmove(o->at, o->at + 1, --o->n * sizeof(*o->at));
	o->at[o->n++] = index;
}

static void open_remove(struct guest_open *o, size_t i)
{
	memmove(o->at + i, o->at + i + 1, (--o->n - i) * sizeof(*o->at));
}

static int bio_queued(struct derive *d, const struct event_row *ev, size_t call, bool unseen)
{
	struct guest_io *g = d->guest;
	int ret = derive_grow((void **)&g->bio, &g->bios_cap, g->bios, sizeof(*g->bio), d->e);
	struct guest_bio *b;

	if (ret)
		return ret;
	b = &g->bio[g->bios];
	*b = (struct guest_bio){.queued = {ev->id, ev->ts},
		.pid = derive_in_irq(ev) ? -1 : ev->pid,
		.call = derive_in_irq(ev) ? NO_INDEX : call,
		.unseen = unseen};
	derive_guest_extent(ev, &b->at);
	b->left = b->unissued = b->at.sectors;
	open_add(&g->open_bio, g->bios++);
	return 0;
}

static void rq_inserted(struct guest_io *g, const struct event_row *ev)
{
	struct guest_insert *i;

	if (g->inserts == GUEST_OPEN_MAX)
		memmove(g->insert, g->insert + 1, --g->inserts * sizeof(*g->insert));
	i = &g->insert[g->inserts++];
	i->mark = (struct mark){ev->id, ev->ts};
	i->pid = derive_in_irq(ev) ? -1 : ev->pid;
	derive_guest_extent(ev, &i->at);
}

/* The first insert that is part of it; requests that were merged had one each. */
static void take_inserts(struct guest_io *g, struct guest_rq *rq)
{
	size_t n = 0;

	for (size_t i = 0; i < g->inserts; i++) {
		if (!derive_guest_overlap(&g->insert[i].at, &rq->at)) {
			g->insert[n++] = g->insert[i];
			continue;
		}
		if (!rq->insert.event) {
			rq->insert = g->insert[i].mark;
			rq->insert_pid = g->insert[i].pid;
		}
	}
	g->inserts = n;
}

/*
 * Its bios. One whose sectors were all issued is another request's, unless there is no other one: then this request is
 * issued for the second time.
 */
static int take_bios(struct derive *d, struct guest_rq *rq, bool again)
{
	struct guest_io *g = d->guest;
	int64_t covered = 0;

	for (size_t i = 0; i < g->open_bio.n; i++) {
		struct guest_bio *b = &g->bio[g->open_bio.at[i]];
		int ret;

		if (!derive_guest_overlap(&b->at, &rq->at) ||
			(b->at.sectors && !again && b->unissued <= 0))
			continue;
		ret = derive_grow(
			(void **)&g->rq_bio, &g->rq_bios_cap, g->rq_bios, sizeof(*g->rq_bio), d->e);
		if (ret)
			return ret;
		g->rq_bio[g->rq_bios++] = g->open_bio.at[i];
		rq->bios++;
		if (!rq->at.sectors || !b->at.sectors)
			continue;
		covered += common_sectors(&b->at, &rq->at);
		b->unissued -= common_sectors(&b->at, &rq->at);
	}
	rq->partly = covered < rq->at.sectors;
	return rq->bios || again ? 0 : take_bios(d, rq, true);
}

static int rq_issued(struct derive *d, const struct event_row *ev)
{
	struct guest_io *g = d->guest;
	int ret = derive_grow((void **)&g->rq, &g->rqs_cap, g->rqs, sizeof(*g->rq), d->e);
	struct guest_rq *rq;

	if (ret)
		return ret;
	rq = &g->rq[g->rqs];
	*rq = (struct guest_rq){.issue = {ev->id, ev->ts},
		.insert_pid = -1,
		.issue_pid = derive_in_irq(ev) ? -1 : ev->pid,
		.issue_track = ev->track,
		.issue_error = ev->error,
		.bio = g->rq_bios,
		.same = NO_INDEX};
	derive_guest_extent(ev, &rq->at);
	take_inserts(g, rq);
	ret = take_bios(d, rq, false);
	if (!ret)
		open_add(&g->open_rq, g->rqs++);
	return ret;
}

/* Its bios lose what was done of them. */
static void bios_done(struct guest_io *g, const struct guest_rq *rq)
{
	for (size_t i = g->open_bio.n; i-- > 0;) {
		struct guest_bio *b = &g->bio[g->open_bio.at[i]];

		if (b->queued.event > rq->issue.event || !derive_guest_overlap(&b->at, &rq->at))
			continue;
		if (b->at.sectors && rq->at.sectors)
			b->left -= common_sectors(&b->at, &rq->at);
		if (b->left <= 0)
			open_remove(&g->open_bio, i);
	}
}

static void rq_completed(struct guest_io *g, const struct event_row *ev)
{
	struct guest_extent at;

	derive_guest_extent(ev, &at);
	for (size_t i = 0; i < g->open_rq.n; i++) {
		struct guest_rq *rq = &g->rq[g->open_rq.at[i]];

		if (rq->at.dev != at.dev || rq->at.op != at.op || rq->at.sector != at.sector ||
			rq->at.sectors != at.sectors)
			continue;
		rq->complete = (struct mark){ev->id, ev->ts};
		rq->complete_track = ev->track;
		rq->complete_error = ev->error;
		open_remove(&g->open_rq, i);
		bios_done(g, rq);
		return;
	}
}

int derive_guest_block(struct derive *d, const struct event_row *ev, size_t call, bool unseen)
{
	switch (ev->kind) {
	case EW_GUEST_BIO_QUEUE:
		return bio_queued(d, ev, call, unseen);
	case EW_GUEST_RQ_INSERT:
		rq_inserted(d->guest, ev);
		return 0;
	case EW_GUEST_RQ_ISSUE:
		return rq_issued(d, ev);
	case EW_GUEST_RQ_COMPLETE:
		rq_completed(d->guest, ev);
		return 0;
	default:
		return 0;
	}
}

void derive_guest_forget(struct derive *d)
{
	d->guest->open_bio.n = d->guest->open_rq.n = d->guest->inserts = 0;
}
