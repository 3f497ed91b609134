/* SPDX-License-Identifier: MIT */
/* What notifies a queue, and which interrupt and acknowledgement a completed request has. */
#ifndef EXITWALK_TRACER_DERIVE_QUEUES_H
#define EXITWALK_TRACER_DERIVE_QUEUES_H

#include "derive.h"

/* Indexes of requests; no more than a queue is long, the oldest are left out. */
#define INDEX_LIST_MAX 1024
struct index_list {
	size_t *at, n, cap;
};

/* What is going on on one track (one thread). */
struct track_state {
	int64_t id;
	bool vcpu;                   /* it has called KVM_RUN */
	struct mark run_enter;       /* the last one */
	struct mark before;          /* the run_enter in front of the current exit */
	struct mark run_exit;        /* of the current exit */
	int64_t exit_id;             /* 0: in KVM_RUN, or no vCPU */
	size_t entering;             /* the call whose ENTER marker's exit has not ended yet */
	size_t active;               /* the last request with events in the current exit */
	struct index_list acked;     /* requests that the current exit acknowledges */
	struct index_list filled;    /* in the submission queue, and not yet submitted */
	struct index_list submitted; /* by the io_uring_enter that goes on or was last */
	struct index_list served;    /* by the interrupt that is being raised or was last */
};

struct queues {
	struct derive *d;
	struct queue_state *queue;
	size_t queues, queues_cap;
	struct device_state *device;
	size_t devices, devices_cap;
};

int index_list_add(struct index_list *l, size_t index, struct err *e);
void queues_end(struct queues *q);

/* Each: 0, or -ENOMEM with a sentence. What other kinds of events say is not asked. */
int queues_notify(struct queues *q, struct track_state *t, const struct event_row *ev);
int queues_signal(struct queues *q, const struct track_state *t, const struct event_row *ev);
int queues_wake(struct queues *q, const struct event_row *ev);
/* The queue or the whole device (queue -1) begins anew: indexes count from 0. */
int queues_reset(struct queues *q, int64_t device, int64_t queue);
/* Gives a request that was just taken its notify and wake; `seen`: its position, 16 bits. */
int queues_pop(struct queues *q, const struct track_state *t, const struct event_row *ev,
	struct request *r);
/* A request was put on the used ring. */
int queues_used(struct queues *q, int64_t device, size_t request);
/* ISR_SET, MSIX_PENDING, IRQ_LINE, MSI, IRQFD, IRQ_SUPPRESSED and the *_RET of the interrupts. */
int queues_interrupt(struct queues *q, struct track_state *t, const struct event_row *ev);
/* ISR_READ, IRQ_ACK. */
int queues_acknowledge(struct queues *q, struct track_state *t, int64_t device);
/* NOTIFY_SUPPRESSED */
void queues_suppressed(struct queues *q, const struct event_row *ev);

#endif
