/* SPDX-License-Identifier: MIT */
/*
 * Which request of the guest's block layer each of ours is. Ours are taken in the order of their rings, and
 * the guest issues in that order too: the first one fits that has the operation, sector and length, was issued
 * before the device took it and completed after the device had done it. Which disk of the guest a device
 * is, the requests tell that fit on one disk only.
 */
#include <errno.h>
#include <linux/virtio_blk.h>
#include <stdlib.h>

#include "derive_guest.h"
#include "hash64.h"

#define DISKS_MAX 64
#define FIRST_FAR 16384 /* a bio that so many events overtook is shown in front of the window */
#define UNKNOWN_ERROR 1000000 /* ns; where nobody can say how wrong a time is */

struct disk_vote {
	int64_t device, dev;
	size_t votes;
};

struct join {
	struct derive *d;
	struct guest_io *g;
	size_t *head; /* hash: the first request of an operation, sector and length, index + 1 */
	size_t slots; /* a power of two */
	struct disk_vote vote[DISKS_MAX];
	size_t votes;
};

/* Is a in front of b, even if the time of one of them is wrong by `error`? */
static bool before(int64_t a, int64_t b, int64_t error)
{
	int64_t end;

	if (__builtin_add_overflow(a, error == SQL_NULL ? UNKNOWN_ERROR : error, &end))
		return false;
	return end < b;
}

static bool same_place(const struct guest_extent *a, const struct guest_extent *b)
{
	return a->op == b->op && a->sector == b->sector && a->sectors == b->sectors;
}

static size_t *slot_of(struct join *j, const struct guest_extent *at)
{
	uint64_t rest = hash64_mix((uint64_t)at->sectors << 8 ^ (uint64_t)at->op);
	size_t i = hash64((uint64_t)at->sector ^ rest, j->slots);

	while (j->head[i] && !same_place(&j->g->rq[j->head[i] - 1].at, at))
		i = (i + 1) & (j->slots - 1);
	return &j->head[i];
}

/* Chains of the same operation, sector and length, each in the order of time. */
static void make_chains(struct join *j)
{
	for (size_t i = 0; i < j->slots; i++)
		j->head[i] = 0;
	for (size_t i = j->g->rqs; i-- > 0;) {
		struct guest_rq *rq = &j->g->rq[i];
		size_t *slot = slot_of(j, &rq->at);

		rq->same = *slot ? *slot - 1 : NO_INDEX;
		*slot = i + 1;
	}
}

/* Where it is on the disk; false: there is nothing to compare. */
static bool place_of(const struct request *r, struct guest_extent *at)
{
	*at = (struct guest_extent){.op = 0};
	switch (r->type) {
	case VIRTIO_BLK_T_IN:
	case VIRTIO_BLK_T_OUT:
		at->op = r->type == VIRTIO_BLK_T_IN ? 'R' : 'W';
		at->sector = r->sector;
		at->sectors = r->bytes / 512;
		return at->sectors > 0;
	case VIRTIO_BLK_T_FLUSH:
		at->op = 'F';
		return true;
	default:
		return false;
	}
}

static bool fits(const struct guest_rq *rq, const struct request *r)
{
	if (rq->joined || before(r->pop.ts, rq->issue.ts, rq->issue_error))
		return false;
	return !rq->complete.event || !r->used.event ||
	       !before(rq->complete.ts, r->used.ts, rq->complete_error);
}

/* The first one that may still be one of those that are taken from now on. */
static size_t first_live(struct join *j, size_t *slot, const struct request *r)
{
	while (*slot) {
		const struct guest_rq *rq = &j->g->rq[*slot - 1];
		bool over = rq->joined || (rq->complete.event && before(rq->complete.ts, r->pop.ts,
									 rq->complete_error));

		if (!over || rq->same == NO_INDEX)
			return *slot - 1;
		*slot = rq->same + 1;
	}
	return NO_INDEX;
}

/* --- which disk is which device ---------------------------------------------------------------- */

static void vote(struct join *j, int64_t device, int64_t dev)
{
	size_t i = 0;

	while (i < j->votes && (j->vote[i].device != device || j->vote[i].dev != dev))
		i++;
	if (i == DISKS_MAX)
		return;
	if (i == j->votes)
		j->vote[j->votes++] = (struct disk_vote){device, dev, 0};
	j->vote[i].votes++;
}

static void collect_votes(struct join *j)
{
	for (size_t i = 0; i < j->d->requests; i++) {
		const struct request *r = &j->d->request[i];
		bool several = false, found = false;
		struct guest_extent at;
		int64_t dev = 0;
		size_t *slot;

		if (!place_of(r, &at))
			continue;
		slot = slot_of(j, &at);
		for (size_t k = first_live(j, slot, r); k != NO_INDEX; k = j->g->rq[k].same) {
			const struct guest_rq *rq = &j->g->rq[k];

			if (before(r->pop.ts, rq->issue.ts, rq->issue_error))
				break;
			if (!fits(rq, r))
				continue;
			several |= found && rq->at.dev != dev;
			dev = rq->at.dev;
			found = true;
		}
		if (found && !several)
			vote(j, r->device, dev);
	}
}

/* The disk that has more votes of this device than any other disk has, and than any other device gives it. */
static bool disk_of(const struct join *j, int64_t device, int64_t *dev)
{
	const struct disk_vote *best = NULL;

	for (size_t i = 0; i < j->votes; i++)
		if (j->vote[i].device == device && (!best || j->vote[i].votes > best->votes))
			best = &j->vote[i];
	for (size_t i = 0; best && i < j->votes; i++)
		if (&j->vote[i] != best &&
			(j->vote[i].device == device || j->vote[i].dev == best->dev) &&
			j->vote[i].votes >= best->votes)
			return false;
	if (best)
		*dev = best->dev;
	return best;
}

/* --- whose a request is ------------------------------------------------------------------------ */

static void no_call(struct request *r, enum call_how how)
{
	r->call = NO_INDEX;
	r->call_how = how;
	r->buffer = 0;
}

static void call_by_bios(struct derive *d, struct request *r)
{
	const struct guest_rq *rq = &d->guest->rq[r->rq];
	const bool by_buffer = r->call_how == CALL_BY_BUFFER;
	size_t call = NO_INDEX, was = r->call;
	bool unseen = rq->partly;

	if (!rq->bios)
		return; /* queued before anything was traced, or lost */
	for (size_t i = 0; i < rq->bios; i++) {
		const struct guest_bio *b = &d->guest->bio[d->guest->rq_bio[rq->bio + i]];

		unseen |= b->unseen;
		if (i && b->call != call && !b->unseen) {
			no_call(r, CALL_SHARED); /* also if one of the buffers is known */
			return;
		}
		call = b->call;
	}
	if (unseen) {
		if (!by_buffer || rq->bios > 1 || rq->partly)
			no_call(r, CALL_UNSEEN);
	} else if (call == NO_INDEX) {
		if (!by_buffer) /* else a kernel thread has queued it, for that call's data */
			no_call(r, CALL_OF_KERNEL);
	} else {
		if (by_buffer && was != call) {
			r->conflict = was;
			r->buffer = 0;
		}
		r->call = call;
		r->call_how = CALL_BY_SECTOR;
	}
}

static void join_request(struct join *j, struct request *r)
{
	struct guest_extent at;
	int64_t dev;
	size_t *slot;

	if (!place_of(r, &at) || !disk_of(j, r->device, &dev))
		return;
	slot = slot_of(j, &at);
	for (size_t k = first_live(j, slot, r); k != NO_INDEX; k = j->g->rq[k].same) {
		struct guest_rq *rq = &j->g->rq[k];

		if (before(r->pop.ts, rq->issue.ts, rq->issue_error))
			return;
		if (rq->at.dev != dev || !fits(rq, r))
			continue;
		rq->joined = true;
		r->rq = k;
		if (rq->complete.event > r->reach.event)
			r->reach = rq->complete;
		call_by_bios(j->d, r);
		return;
	}
}

int derive_guest_join(struct derive *d)
{
	struct join j = {.d = d, .g = d->guest, .slots = 256};

	if (!d->guest || !d->guest->rqs)
		return 0;
	while (j.slots < 2 * (d->guest->rqs + d->requests))
		j.slots *= 2;
	j.head = calloc(j.slots, sizeof(*j.head));
	if (!j.head)
		return err_set(d->e, -ENOMEM, "out of memory while deriving requests");
	make_chains(&j);
	collect_votes(&j);
	make_chains(&j);
	for (size_t i = 0; i < d->requests; i++)
		join_request(&j, &d->request[i]);
	free(j.head);
	return 0;
}

void derive_guest_first(const struct derive *d, struct request *r)
{
	const struct guest_io *io = d->guest;
	const struct guest_rq *rq = r->rq == NO_INDEX ? NULL : &io->rq[r->rq];
	const struct mark none = {0, 0};

	if (!rq)
		return;
	const struct mark at[] = {
		rq->issue, rq->insert, rq->bios ? io->bio[io->rq_bio[rq->bio]].queued : none};

	for (size_t i = 0; i < sizeof(at) / sizeof(at[0]); i++)
		if (at[i].event && at[i].event < r->first.event &&
			r->pop.event - at[i].event < FIRST_FAR)
			r->first = at[i];
}
