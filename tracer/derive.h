/* SPDX-License-Identifier: MIT */
/*
 * Correlation, from events to requests and steps. derive_all() (recording.h) runs the parts below
 * in this order; docs/architecture.md says how windows are cut and what the budget's lines mean.
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
 * marker's exit and the run_exit of the EXIT marker's: the call without its markers. */
struct guest_call {
	int64_t track, pid;
	int64_t enter_event, exit_event; /* the markers; exit_event 0: still open at the end */
	struct mark first, last;
};

struct request {
	int64_t id, device, queue, head, track;
	int64_t type, sector, bytes, descriptors, status, used_len; /* SQL_NULL: not known */
	size_t call;           /* index in derive.call, or NO_INDEX */
	int64_t kick_exit;     /* 0: none */
	struct mark pop, kick; /* kick: the run_exit of kick_exit */
	struct mark before;    /* the run_enter in front of the kick */
	struct mark own;       /* the last event that carries this request's number */
	struct mark reach;     /* the end of the last exit that belongs to it */
	int64_t t_host, t_host_ret, t_used, t_irq, t_entry;
	struct mark first, last; /* the window */
	bool shares_completion;  /* a later request of the same kick has the interrupt */
};

/* Records of a track that were lost between two times. */
struct loss_range {
	int64_t track, ts0, ts1;
};

struct derive {
	sqlite3 *db;
	struct err *e;
	struct loss_range *loss; /* by track, then by time */
	size_t losses, losses_cap;
	struct guest_call *call;
	size_t calls, calls_cap;
	struct request *request; /* in the order of their pops */
	size_t requests, requests_cap;
	unsigned char absent_used[64]; /* by enum absent: its text must be stored */
};

/* One row of event. exit_id 0: NULL. */
struct event_row {
	int64_t id, ts, dur, kind, track, exit_id, a[6];
};

#define EVENT_COLUMNS "id, ts, dur, kind, track, exit_id, a0, a1, a2, a3, a4, a5"
void derive_read_event(sqlite3_stmt *row, struct event_row *ev);

/* Makes room for one more element of `size` bytes in an array that grows by doubling. */
int derive_grow(void **array, size_t *cap, size_t n, size_t size, struct err *e);

/* Tables guest_call (from markers), and derive.request in memory. */
int derive_calls_and_requests(struct derive *d);
/* request.first and .last: docs/architecture.md, "How request windows are cut". */
void derive_windows(struct derive *d);
/* Table frame: every snapshot unwound and symbolised. */
int derive_frames(struct derive *d);
/* Table insn_text: every exiting instruction's text. */
int derive_insn_text(struct derive *d);
/* Tables request, step, absent, budget. */
int derive_requests(struct derive *d);

/* The layer budget of one request: ns[layer], summing to last.ts - first.ts. `ev` are the events of
 * its window, in order, the first and the last being the window's; those of other tracks do not
 * count. */
void derive_budget(const struct derive *d, const struct request *r, const struct event_row *ev,
	size_t n, int64_t ns[EW_LAYER_MAX + 1]);

/* What a recording cannot show, by stage; the text depends on the KVM backend. */
enum absent {
	ABSENT_NO_CALL = 1,
	ABSENT_NO_STACK,
	ABSENT_NO_INSN,
	ABSENT_HW_EXIT,
	ABSENT_NO_KICK,
	ABSENT_HOST_BLOCK,
	ABSENT_NO_HOST_CALL,
	ABSENT_IRQ_INJECT,
	ABSENT_SHARED_COMPLETION,
	ABSENT_HW_ENTRY,
	ABSENT_NO_ISR_READ,
	ABSENT_GUEST_COMPLETION,
	ABSENT_NO_RETURN,
	ABSENT_MAX
};
int derive_absent_texts(struct derive *d);

#endif
