/* SPDX-License-Identifier: MIT */
/* The request that is being written: its events, and what puts a step into the table. */
#ifndef EXITWALK_TRACER_DERIVE_STEPS_H
#define EXITWALK_TRACER_DERIVE_STEPS_H

#include "event_window.h"

/* What the host's tracepoints have of the request (derive_host.c). */
#define HOST_SIDE_SECTORS 64
struct host_side {
	size_t *lead; /* by event: the run_exit + 1 of the exit that begins with it; 0: none */
	size_t cap;
	bool hw_exit, hw_entry; /* the kick's kvm_exit and kvm_entry are there */
	bool irq, block;        /* so are KVM's words on the interrupt, and block events so far */
	bool in_call;           /* the host's system call for it goes on */
	bool injected;          /* kvm_inj_virq was a step, its kvm_entry not yet */
	int64_t waker; /* the exit, served by KVM, in which its thread was woken; 0: none */
	int64_t sector[HOST_SIDE_SECTORS];
	unsigned sectors;
};
/* What the guest's own events have of it (derive_guest_steps.c). Places in writer.ev; NO_INDEX: none. */
struct guest_side {
	bool on;                   /* there is something */
	const struct guest_rq *rq; /* NULL: its place in the guest's block layer is not known */
	int64_t caller, worker; /* pids of who queued its bios and of who issued it; -1: nobody */
	size_t begin;           /* where the worker's part begins */
	size_t irq, complete;   /* the interrupt's handler and rq_complete */
	size_t waking, back;    /* the caller is woken, and runs */
	int64_t deliver;        /* the exit at whose end the interrupt is injected; 0: none */
	int64_t handed;         /* the event by which the caller handed it to the worker; 0: none */
	bool notified;          /* functions by which the driver notified are steps */
	unsigned char *stage;   /* by event: its step's stage, 0: it is no step */
	size_t cap;
	struct event_window window;
};

/* A row of step; SQL_NULL: none. */
struct step_row {
	const char *what;
	int64_t stage, layer, event, frame, absent, from_event, uncertain, aside;
};

#define LEAD_DONE SIZE_MAX /* of a run_exit: the guest's side of its exit was put before */

struct writer {
	struct derive *d;
	struct host_side side;
	struct guest_side guest;
	struct event_window window; /* of those that are not the guest's */
	sqlite3_stmt *prefix, *frames, *insn;
	sqlite3_stmt *insert_step, *insert_request, *insert_budget;
	const struct request *r;
	const struct notify *kick; /* its notification's exit; NULL: none */
	struct carriers carriers;
	struct event_row *ev; /* the kick in front of the window (where there is one), the window */
	size_t n, cap, in_front;
	struct step_row *step; /* the request's, up to now */
	int64_t steps, exits;
	size_t steps_cap;
	struct event_row shown; /* the last event that is a step; id 0: none yet */
	bool uncertain;   /* the next step and the one before it may have come in the other order */
	size_t carrier;   /* index in carriers, at the event that is looked at */
	int64_t current;  /* the request whose event was the last one on the thread's track */
	int64_t handler;  /* the exit in which the interrupt handler asks; 0: none yet */
	int stage;        /* of the last step */
	int kick_stage;   /* of the last step of the kick's exit: within it it never goes back */
	int thread_stage; /* of the last step that names the request */
	bool kicked;      /* the driver's notification is behind us, or there is none */
	bool acked;       /* an exit of the interrupt handler was seen */
	bool host, host_said; /* a host system call was made; what is below it was said */
	bool inject;          /* an interrupt was raised: what KVM did with it is to be said */
	bool returned;        /* the call's end was put */
	bool entered;         /* the run_enter was put that ends the notification's exit */
};

/* From `from` on, or from where the one before begins if that is later, it is that track. */
void carriers_hand_to(struct carriers *c, int64_t track, struct mark from);
void derive_carriers(const struct writer *w, struct carriers *c);

/* The layer budget of the request: ns[layer], summing to last.ts - first.ts. `ev` are the events of
 * its window on its carriers' tracks, in order. */
void derive_budget(
	const struct writer *w, const struct event_row *ev, size_t n, int64_t ns[EW_LAYER_MAX + 1]);

/* step.aside of all steps that were put: derive_aside.c. */
int derive_asides(struct writer *w);

int steps_prepare(struct writer *w);
void steps_finish(struct writer *w);

int steps_put(struct writer *w, int stage, int layer, const char *what, int64_t event,
	int64_t frame, int64_t absent, int64_t from_event);
int steps_absent(struct writer *w, int stage, int layer, enum absent absent);
int steps_event(struct writer *w, int stage, const struct event_row *ev);
int steps_marker(struct writer *w, int stage, int64_t event);
/* An event of the guest's kernel that is not in the window. */
int steps_traced(struct writer *w, int stage, int64_t event);
/* What the guest was doing at an exit: frames and instruction. must_have: what is missing is said. */
int steps_guest_side(struct writer *w, int stage, size_t run_exit, bool must_have);
/* Does it carry the request's number, or was it done for this request among others? */
bool steps_names(const struct writer *w, const struct event_row *ev);
/* The steps, and row and budget of the request. */
int steps_request(struct writer *w);
/* stage of a kind of event; 0: none */
int steps_kind_stage(int64_t kind);

#endif
