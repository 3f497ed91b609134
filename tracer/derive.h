/* SPDX-License-Identifier: MIT */
/*
 * Correlation, from events to requests and steps. derive_all() (recording.h) runs the parts below
 * in this order; docs/architecture.md says whose request is whose, how windows are cut and what the
 * budget's lines mean.
 */
#ifndef EXITWALK_TRACER_DERIVE_H
#define EXITWALK_TRACER_DERIVE_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "err.h"
#include "probe.h"
#include "sql.h"

#define NO_INDEX SIZE_MAX

/* A point on the time axis that an event marks; event = 0: none. */
struct mark {
	int64_t event, ts;
};

/* A system call of a guest process. `first` and `last` are the run_enter that ended the ENTER
 * marker's exit and the run_exit of the EXIT marker's: the call without its markers. Of a call that was
 * not marked they are the guest's own events of its beginning and end, as enter_event and exit_event are. */
struct guest_call {
	int64_t track, pid, nr;
	bool marked;
	int64_t enter_event, exit_event; /* the markers; exit_event 0: still open at the end */
	struct mark sys_enter, sys_exit; /* what the guest's kernel says of it; event 0: nothing */
	struct mark first, last;
	int64_t exit_track;      /* where the EXIT marker was written */
	struct mark exit_before; /* the run_enter in front of it */
};

/* The driver's notification of a queue. */
struct notify {
	int64_t track, exit_id; /* exit_id 0: none, or not recorded */
	bool threaded;      /* said by a thread that is no vCPU: KVM's ioeventfd was written to */
	struct mark at;     /* the queue_notify */
	struct mark exit;   /* the run_exit of exit_id */
	struct mark before; /* the run_enter in front of it */
	struct mark entry;  /* the run_enter that ends it */
	struct mark signal; /* the io_signal that wakes the I/O thread for it */
	uint16_t avail_idx;
	size_t next; /* the next one of the same queue, or NO_INDEX */
};

/* How it is known which call a request belongs to. */
enum call_how {
	CALL_NONE,
	CALL_SEVERAL,   /* more than one is open that does this */
	CALL_BY_BUFFER, /* its data lie in the call's buffer */
	CALL_ONLY,      /* no other open call does this */
	CALL_BY_SECTOR, /* its bios were queued by the task that is in the call */
	CALL_OF_KERNEL, /* they were queued by a task that is in none */
	CALL_SHARED,    /* they were queued in more than one */
	CALL_UNSEEN,    /* the guest's buffers have lost what would tell */
};

struct request {
	int64_t id, device, queue, head;
	int64_t track; /* the thread that took it from the queue */
	int64_t type, sector, bytes, descriptors, status, used_len; /* SQL_NULL: not known */
	size_t call; /* index in derive.call, or NO_INDEX */
	enum call_how call_how;
	size_t conflict; /* the call that its buffer names, where its bios name another; or NO_INDEX */
	size_t rq; /* index in derive.guest->rq, or NO_INDEX: what it is in the guest's block layer */
	size_t notify; /* index in derive.notify, or NO_INDEX: it has none of its own */
	bool threaded; /* taken by a thread that is no vCPU */
	struct mark pop;
	struct mark wake; /* the io_wake by which the thread came to it */
	struct mark used, irq, irq_ret;
	struct mark ack, ack_end; /* run_exit and run_enter of the exit that acknowledges */
	struct mark own;          /* the last event that carries this request's number */
	struct mark reach;        /* the end of the last thing that belongs to it */
	int64_t irq_track, ack_track, ack_exit;
	int64_t irq_requests; /* how many requests the interrupt was for */
	/* Events that concern it without carrying its number; 0: none. */
	int64_t buffer, submit, submit_ret, isr, pending, suppressed, unnotified;
	int64_t t_host, t_host_ret;
	struct mark first, last; /* the window */
	size_t next;             /* derive_windows(): the next one of its call that is in flight */
};

/* Records of a track that were lost between two times. */
struct loss_range {
	int64_t track, ts0, ts1;
};

/* A track that is a vCPU: its run_enters, run_exits and losses in order, event.id * 4 + enum vcpu_at. */
enum vcpu_at { VCPU_UNKNOWN, VCPU_IN_KVM_RUN, VCPU_IN_EXIT };
struct vcpu_runs {
	int64_t track, *run;
	size_t runs, cap;
};

struct host_join;

struct derive {
	sqlite3 *db;
	struct err *e;
	struct loss_range *loss; /* by track, then by time */
	size_t losses, losses_cap;
	struct guest_call *call;
	size_t calls, calls_cap;
	struct notify *notify;
	size_t notifies, notifies_cap;
	struct request *request; /* in the order of their pops */
	size_t requests, requests_cap;
	struct vcpu_runs *vcpu;
	size_t vcpus, vcpus_cap;
	struct host_join *gathered; /* for host_derive(), if somebody has it; NULL: it reads it */
	struct guest_io *guest;     /* derive_guest.h; NULL: the guest's kernel traced nothing */
	struct loss_range *hole; /* what the guest's buffers lost, by time, none touches another */
	size_t holes, holes_cap;
	bool block_traced; /* the host's block events were recorded, where there were any */
	unsigned char absent_used[64]; /* by enum absent: its text must be stored */
};

/* One row of event. exit_id 0: NULL. The last three are of table guest_event, 0 for other events. */
struct event_row {
	int64_t id, ts, dur, kind, track, exit_id, a[6];
	int64_t pid, flags, error; /* error SQL_NULL: not known */
};

#define EVENT_COLUMNS "id, ts, dur, kind, track, exit_id, a0, a1, a2, a3, a4, a5"
#define EVENT_COLUMN_TRACK 4
void derive_read_event(sqlite3_stmt *row, struct event_row *ev);

/* Makes room for one more element of `size` bytes in an array that grows by doubling. */
int derive_grow(void **array, size_t *cap, size_t n, size_t size, struct err *e);

/* X(KIND): the kinds of events whose a0 is a request's number. */
#define DERIVE_NUMBERED(X)                                                                         \
	X(QUEUE_POP)                                                                               \
	X(DESCRIPTOR)                                                                              \
	X(REQUEST)                                                                                 \
	X(REQ_STATUS)                                                                              \
	X(QUEUE_USED)                                                                              \
	X(HOST_CALL)                                                                               \
	X(HOST_RET)                                                                                \
	X(URING_SQE)                                                                               \
	X(URING_CQE)
bool derive_numbered(int64_t kind);
/* The same as an SQL list, "20, 21": `buf` as given back. */
const char *derive_numbered_sql(char *buf, size_t size);

/* Did this track ever call KVM_RUN? */
bool derive_is_vcpu(const struct derive *d, int64_t track);
/* Where it was right after that event, of whatever track. */
enum vcpu_at derive_vcpu_at(const struct derive *d, int64_t track, int64_t event);

/* Table guest_call (from markers), and derive.request in memory. */
int derive_calls_and_requests(struct derive *d);
/* request.first and .last: docs/architecture.md, "How request windows are cut". */
int derive_windows(struct derive *d);
/* Tables frame and entry_call: every snapshot unwound and symbolised. */
int derive_frames(struct derive *d);
/* Table guest_task. */
int derive_tasks(struct derive *d);
/* Table insn_text: every exiting instruction's text. */
int derive_insn_text(struct derive *d);
/* Tables request, step, absent, budget. */
int derive_requests(struct derive *d);

/* The notification's exit, or NULL if there is none. */
static inline const struct notify *derive_kick(const struct derive *d, const struct request *r)
{
	const struct notify *n = r->notify == NO_INDEX ? NULL : &d->notify[r->notify];

	return n && n->exit_id ? n : NULL;
}

/*
 * Who carries a request from one place of its window to the next: at[i].track from at[i].from on;
 * CARRIER_NONE: nobody, it waits to be taken on.
 */
#define CARRIERS_MAX 32
#define CARRIER_NONE INT64_MIN
struct carriers {
	struct {
		int64_t track;
		struct mark from;
	} at[CARRIERS_MAX];
	size_t n;
};

/* What a recording cannot show, by stage; the text depends on the KVM backend. */
enum absent {
	ABSENT_NO_CALL = 1,
	ABSENT_SEVERAL_CALLS,
	ABSENT_NO_STACK,
	ABSENT_NO_INSN,
	ABSENT_HW_EXIT,
	ABSENT_NO_KICK,
	ABSENT_NO_NOTIFY,
	ABSENT_NO_EXIT,
	ABSENT_IOEVENTFD_GUEST,
	ABSENT_IOEVENTFD_EXIT,
	ABSENT_IOEVENTFD_RETURN,
	ABSENT_IOEVENTFD_ENTRY,
	ABSENT_HOST_BLOCK,
	ABSENT_NO_BLOCK,
	ABSENT_NO_HOST_CALL,
	ABSENT_IRQ_INJECT,
	ABSENT_SHARED_COMPLETION,
	ABSENT_HW_ENTRY,
	ABSENT_NOT_ENTERED,
	ABSENT_NO_ISR_READ,
	ABSENT_MSI_NO_EXIT,
	ABSENT_NO_IRQ,
	ABSENT_GUEST_COMPLETION,
	ABSENT_NO_RETURN,
	ABSENT_KERNEL_TASK,
	ABSENT_SHARED_BIOS,
	ABSENT_UNSEEN_CALL,
	ABSENT_IOEVENTFD_INSN,
	ABSENT_MAX
};
int derive_absent_texts(struct derive *d);

#endif
