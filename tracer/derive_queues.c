/* SPDX-License-Identifier: MIT */
/*
 * Queues and devices, as their events tell. A request's notification is the first one after whose
 * avail idx the driver had made it available; indexes are 16 bits and wrap around (virtio 1.2, 2.7.6).
 */
#include "derive_queues.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct queue_state {
	int64_t device, queue;
	size_t front, back; /* notifies that may still have requests to come, linked by `next` */
	struct mark wake;   /* the last io_wake for it */
};

struct device_state {
	int64_t id;
	struct index_list unsignalled; /* used, and no interrupt yet */
	struct index_list unacked;     /* used, and not yet acknowledged */
};

int index_list_add(struct index_list *l, size_t index, struct err *e)
{
	int ret;

	if (l->n == INDEX_LIST_MAX)
		memmove(l->at, l->at + 1, --l->n * sizeof(*l->at));
	ret = derive_grow((void **)&l->at, &l->cap, l->n, sizeof(*l->at), e);
	if (!ret)
		l->at[l->n++] = index;
	return ret;
}

void queues_end(struct queues *q)
{
	for (size_t i = 0; i < q->devices; i++) {
		free(q->device[i].unsignalled.at);
		free(q->device[i].unacked.at);
	}
	free(q->device);
	free(q->queue);
}

static struct queue_state *find_queue(struct queues *q, int64_t device, int64_t queue)
{
	for (size_t i = 0; i < q->queues; i++)
		if (q->queue[i].device == device && q->queue[i].queue == queue)
			return &q->queue[i];
	if (derive_grow((void **)&q->queue, &q->queues_cap, q->queues, sizeof(*q->queue), q->d->e))
		return NULL;
	q->queue[q->queues] = (struct queue_state){
		.device = device, .queue = queue, .front = NO_INDEX, .back = NO_INDEX};
	return &q->queue[q->queues++];
}

static struct device_state *find_device(struct queues *q, int64_t id)
{
	for (size_t i = 0; i < q->devices; i++)
		if (q->device[i].id == id)
			return &q->device[i];
	if (derive_grow(
		    (void **)&q->device, &q->devices_cap, q->devices, sizeof(*q->device), q->d->e))
		return NULL;
	q->device[q->devices] = (struct device_state){.id = id};
	return &q->device[q->devices++];
}

/* --- from the driver's notification to the pop ----------------------------------------------- */

int queues_notify(struct queues *q, struct track_state *t, const struct event_row *ev)
{
	struct queue_state *s = find_queue(q, ev->a[0], ev->a[1]);
	struct derive *d = q->d;
	int ret;

	if (!s)
		return -ENOMEM;
	ret = derive_grow(
		(void **)&d->notify, &d->notifies_cap, d->notifies, sizeof(*d->notify), d->e);
	if (ret)
		return ret;
	d->notify[d->notifies] = (struct notify){.track = t->id,
		.threaded = !t->vcpu,
		.at = {ev->id, ev->ts},
		.avail_idx = (uint16_t)ev->a[2],
		.next = NO_INDEX};
	if (ev->exit_id && ev->exit_id == t->exit_id) {
		d->notify[d->notifies].exit_id = ev->exit_id;
		d->notify[d->notifies].exit = t->run_exit;
		d->notify[d->notifies].before = t->before;
	}
	if (s->front == NO_INDEX)
		s->front = d->notifies;
	else
		d->notify[s->back].next = d->notifies;
	s->back = d->notifies++;
	return 0;
}

/* It follows the notify in its exit. */
int queues_signal(struct queues *q, const struct track_state *t, const struct event_row *ev)
{
	struct queue_state *s = find_queue(q, ev->a[0], ev->a[1]);
	struct notify *n;

	if (!s)
		return -ENOMEM;
	n = s->back == NO_INDEX ? NULL : &q->d->notify[s->back];
	if (n && n->track == t->id && n->exit_id == t->exit_id && !n->signal.event)
		n->signal = (struct mark){ev->id, ev->ts};
	return 0;
}

int queues_wake(struct queues *q, const struct event_row *ev)
{
	struct queue_state *s = find_queue(q, ev->a[0], ev->a[1]);

	if (!s)
		return -ENOMEM;
	s->wake = (struct mark){ev->id, ev->ts};
	return 0;
}

int queues_reset(struct queues *q, int64_t device, int64_t queue)
{
	struct device_state *dev = find_device(q, device);

	if (!dev)
		return -ENOMEM;
	for (size_t i = 0; i < q->queues; i++)
		if (q->queue[i].device == device && (queue < 0 || q->queue[i].queue == queue))
			q->queue[i].front = q->queue[i].back = NO_INDEX;
	dev->unsignalled.n = dev->unacked.n = 0;
	return 0;
}

static bool covers(const struct notify *n, uint16_t seen)
{
	return (uint16_t)(n->avail_idx - seen) < 0x8000;
}

int queues_pop(struct queues *q, const struct track_state *t, const struct event_row *ev,
	struct request *r)
{
	struct queue_state *s = find_queue(q, ev->a[1], ev->a[2]);
	const struct notify *n;

	if (!s)
		return -ENOMEM;
	/* A vCPU serves the queue before its exit ends: what an earlier exit left is not its. */
	while (s->front != NO_INDEX) {
		n = &q->d->notify[s->front];
		if (covers(n, (uint16_t)ev->a[5]) && (!t->vcpu || n->exit_id == ev->exit_id))
			break;
		s->front = n->next;
	}
	r->notify = s->front;
	r->threaded = !t->vcpu;
	if (s->front == NO_INDEX || t->vcpu || !s->wake.event)
		return 0;
	n = &q->d->notify[s->front];
	if (n->threaded || s->wake.event > n->at.event)
		r->wake = s->wake;
	return 0;
}

void queues_suppressed(struct queues *q, const struct event_row *ev)
{
	struct derive *d = q->d;
	int64_t chains = ev->a[2];

	for (size_t k = 0; k < INDEX_LIST_MAX && k < d->requests && chains > 0; k++) {
		struct request *r = &d->request[d->requests - 1 - k];

		if (r->device != ev->a[0] || r->queue != ev->a[1])
			continue;
		if (r->notify != NO_INDEX || r->unnotified)
			break;
		r->unnotified = ev->id;
		chains--;
	}
}

/* --- from the used entry to the acknowledgement ------------------------------------------------ */

int queues_used(struct queues *q, int64_t device, size_t request)
{
	struct device_state *dev = find_device(q, device);

	if (!dev)
		return -ENOMEM;
	return index_list_add(&dev->unsignalled, request, q->d->e)
		       ?: index_list_add(&dev->unacked, request, q->d->e);
}

static void reaches(struct request *r, const struct event_row *ev)
{
	if (r->reach.event < ev->id)
		r->reach = (struct mark){ev->id, ev->ts};
}

/* These will not be acknowledged. */
static void not_acked(struct queues *q, struct device_state *dev, const struct event_row *ev)
{
	struct index_list *l = &dev->unacked;
	size_t n = 0;

	for (size_t i = 0; i < l->n; i++) {
		const struct request *r = &q->d->request[l->at[i]];

		if (r->suppressed != ev->id && (r->irq.event != ev->id || r->isr))
			l->at[n++] = l->at[i];
	}
	l->n = n;
}

/* The interrupt is for all that was put on the used ring since the one before. */
static int raise_for(struct queues *q, struct track_state *t, struct device_state *dev,
	const struct event_row *ev)
{
	int ret = 0;

	t->served.n = 0;
	for (size_t i = 0; !ret && i < dev->unsignalled.n; i++) {
		struct request *r = &q->d->request[dev->unsignalled.at[i]];

		r->irq = (struct mark){ev->id, ev->ts};
		r->irq_track = t->id;
		r->irq_requests = (int64_t)dev->unsignalled.n;
		reaches(r, ev);
		ret = index_list_add(&t->served, dev->unsignalled.at[i], q->d->e);
	}
	if (ev->kind != EW_IRQ_LINE)
		not_acked(q, dev, ev); /* a message does not set the ISR */
	dev->unsignalled.n = 0;
	return ret;
}

static void raised(struct queues *q, struct track_state *t, const struct event_row *ev)
{
	for (size_t i = 0; i < t->served.n; i++) {
		struct request *r = &q->d->request[t->served.at[i]];

		r->irq_ret = (struct mark){ev->id, ev->ts};
		reaches(r, ev);
	}
	t->served.n = 0;
}

static void note_all(struct queues *q, const struct index_list *l, const struct event_row *ev)
{
	for (size_t i = 0; i < l->n; i++) {
		struct request *r = &q->d->request[l->at[i]];

		reaches(r, ev);
		if (ev->kind == EW_IRQ_SUPPRESSED)
			r->suppressed = ev->id;
		else if (ev->kind == EW_MSIX_PENDING)
			r->pending = ev->id;
		else if (!r->isr)
			r->isr = ev->id;
	}
}

int queues_interrupt(struct queues *q, struct track_state *t, const struct event_row *ev)
{
	struct device_state *dev;
	int64_t device = ev->a[0];

	switch (ev->kind) {
	case EW_IRQ_LINE_RET:
	case EW_MSI_RET:
	case EW_IRQFD_RET:
		raised(q, t, ev);
		return 0;
	case EW_IRQ_LINE:
		if (ev->a[1] != 1) {
			t->served.n = 0;
			return 0;
		}
		device = ev->a[2];
		break;
	case EW_MSI:
		device = ev->a[2];
		break;
	case EW_IRQFD:
		device = ev->a[1];
		break;
	default:
		break;
	}
	dev = find_device(q, device);
	if (!dev)
		return -ENOMEM;
	switch (ev->kind) {
	case EW_ISR_SET:
	case EW_MSIX_PENDING:
		if (ev->kind == EW_MSIX_PENDING ||
			ev->a[1] & 1) /* not: the configuration changed */
			note_all(q, &dev->unsignalled, ev);
		return 0;
	case EW_IRQ_SUPPRESSED:
		note_all(q, &dev->unsignalled, ev);
		not_acked(q, dev, ev);
		dev->unsignalled.n = 0;
		return 0;
	default:
		return raise_for(q, t, dev, ev);
	}
}

int queues_acknowledge(struct queues *q, struct track_state *t, int64_t device)
{
	struct device_state *dev = find_device(q, device);
	int ret = 0;

	if (!dev)
		return -ENOMEM;
	for (size_t i = 0; !ret && i < dev->unacked.n; i++) {
		struct request *r = &q->d->request[dev->unacked.at[i]];

		r->ack = t->run_exit;
		r->ack_track = t->id;
		r->ack_exit = t->exit_id;
		ret = index_list_add(&t->acked, dev->unacked.at[i], q->d->e);
	}
	dev->unacked.n = 0;
	return ret;
}
