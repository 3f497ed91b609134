/* SPDX-License-Identifier: MIT */
/*
 * What the guest's kernel traced of its block layer, and which of our requests that is: bios that tasks
 * queue, requests that the block layer makes of them and issues, and their completions. They are joined by
 * disk, sector and length.
 */
#ifndef EXITWALK_TRACER_DERIVE_GUEST_H
#define EXITWALK_TRACER_DERIVE_GUEST_H

#include "derive.h"

/* guest_event.flags */
#define GUEST_IN_HARDIRQ 1
#define GUEST_IN_SOFTIRQ 2
#define GUEST_IN_IRQ (GUEST_IN_HARDIRQ | GUEST_IN_SOFTIRQ)

/* A place on the disk. op: the letter of blk_fill_rwbs() that says what is done ('W', 'R', 'F' …). */
struct guest_extent {
	int64_t dev, sector, sectors;
	char op;
	bool preflush; /* what was written before is to be made stable first */
};

struct guest_bio {
	struct guest_extent at;
	struct mark queued;
	int64_t pid;      /* who queued it; -1: an interrupt */
	int64_t left;     /* sectors that are not completed yet */
	int64_t unissued; /* and of which no request was issued yet */
	size_t call;      /* in which call that task was; index in derive.call, or NO_INDEX */
	bool unseen;      /* that is not known: the guest's buffers have lost what would tell */
};

/* A request of the guest's block layer, from its issue on. */
struct guest_rq {
	struct guest_extent at;
	struct mark insert, issue, complete; /* insert, complete: event 0: not seen */
	int64_t insert_pid, issue_pid;
	int64_t issue_track, complete_track;
	int64_t issue_error, complete_error;
	size_t bio, bios; /* its bios: guest_io.rq_bio[bio …] */
	size_t same;      /* the next one of the same operation, sector and length, or NO_INDEX */
	bool partly;      /* some of its sectors are of no bio that is known */
	bool joined;      /* it is one of our requests */
};

/* What a function of the guest's kernel is for, as far as that tells which request it is about. */
enum guest_func_class {
	GUEST_FUNC_OTHER,
	GUEST_FUNC_SUBMIT, /* in front of the event that a bio is queued */
	GUEST_FUNC_PLUG,   /* for all that the task has collected */
	GUEST_FUNC_QUEUE,  /* in front of the event that a request is issued */
	GUEST_FUNC_NOTIFY, /* for all that was put into the ring since the last one */
	GUEST_FUNC_DONE,   /* part of the driver's interrupt handler */
};

struct guest_func {
	int64_t id;
	enum guest_func_class class;
};

/* Bios, or requests, that are under way; the oldest are left out. */
#define GUEST_OPEN_MAX 1024
struct guest_open {
	size_t at[GUEST_OPEN_MAX], n;
};

struct guest_insert {
	struct guest_extent at;
	struct mark mark;
	int64_t pid;
};

struct guest_io {
	struct guest_bio *bio;
	size_t bios, bios_cap;
	struct guest_rq *rq;
	size_t rqs, rqs_cap;
	size_t *rq_bio, rq_bios, rq_bios_cap;
	struct guest_open open_bio, open_rq;
	struct guest_insert insert[GUEST_OPEN_MAX]; /* not yet issued */
	size_t inserts;
	struct guest_func *func; /* those of a class, by id */
	size_t funcs, funcs_cap;
	sqlite3_stmt *task; /* pid, flags, error of an event */
};

/* An event of the guest's kernel? */
bool derive_is_guest(int64_t kind);
/* 0: a task, else in an interrupt. */
static inline bool derive_in_irq(const struct event_row *ev)
{
	return ev->flags & GUEST_IN_IRQ;
}

/* derive.guest, if there is anything to put into it. */
int derive_guest_begin(struct derive *d);
void derive_guest_end(struct derive *d);
/* By how much a time may be wrong; SQL_NULL: not known, or a number that none can be. */
int64_t derive_guest_error(sqlite3_stmt *row, int column);
/* Adds the columns of guest_event to an event of the guest's kernel. */
int derive_guest_task(struct derive *d, struct event_row *ev);

/* An event of the block layer, in the order of time; call: of its task, or NO_INDEX; unseen: nobody knows of which. */
int derive_guest_block(struct derive *d, const struct event_row *ev, size_t call, bool unseen);
/* The guest's buffers lost events: what is under way now may be over, and something else may be. */
void derive_guest_forget(struct derive *d);
/* request.rq, and by it request.call, where nothing is ambiguous. */
int derive_guest_join(struct derive *d);

/* request.first of one that no call is known to have caused: where its first bio was queued. */
void derive_guest_first(const struct derive *d, struct request *r);

void derive_guest_extent(const struct event_row *ev, struct guest_extent *at);
/* The same operation on the same disk, with a sector in common? A disk's partitions have numbers of their own. */
bool derive_guest_overlap(const struct guest_extent *a, const struct guest_extent *b);
enum guest_func_class derive_guest_class(const struct derive *d, const struct event_row *ev);

#endif
