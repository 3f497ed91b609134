/* SPDX-License-Identifier: MIT */
/*
 * A split virtqueue, device side (virtio 1.1, 2.6).
 *
 * Guest and VMM share the ring without locks. Three orderings make that work; x86 gives the first two
 * for free, the third costs an instruction on both sides:
 *
 *   guest (driver)                            VMM (device)
 *   --------------                            ------------
 *   desc[], avail->ring[i] = head             idx = avail->idx
 *   wmb                                       rmb        (acquire load in virtq_avail_idx)
 *   avail->idx = i + 1                        head = avail->ring[i], desc[head] …
 *
 *   idx = used->idx                           used->ring[i] = {head, len}, and the data before it
 *   rmb                                       wmb        (release store in virtq_push)
 *   elem = used->ring[i], data                used->idx = i + 1
 *
 *   avail->flags &= ~NO_INTERRUPT             used->idx = i + 1
 *   or used_event = last                      mb         (fence in virtq_wants_interrupt)
 *   mb                                        if (!(avail->flags & NO_INTERRUPT) or used_event
 *   if (used->idx != last) go on polling          is among what was used now) interrupt
 *
 * Without the third, each side could read the other's old value: the driver sleeps and nobody wakes it.
 * virtq_notifies_on() is the same with the roles exchanged: avail_event (or used->flags), mb, avail->idx
 * here, avail->idx, mb, avail_event in the driver.
 * Legacy rings have the guest's byte order (2.4.3), which on x86 is the host's.
 */
#include "vmm/virtq.h"

#include <errno.h>
#include <string.h>

#define LOAD(p) __atomic_load_n(&(p), __ATOMIC_RELAXED)
#define STORE(p, v) __atomic_store_n(&(p), v, __ATOMIC_RELAXED)

static void guest_error(
	const struct virtq *q, enum ew_guest_error error, uint64_t d0, uint64_t d1, uint64_t d2)
{
	PROBE(*q->probe, EW_GUEST_ERROR, error, q->device, d0, d1, d2);
}

void virtq_init(struct virtq *q, const struct guest_mem *mem, struct probe **probe,
	uint64_t *next_request, unsigned device, unsigned index, uint16_t size)
{
	*q = (struct virtq){.mem = mem,
		.probe = probe,
		.next_request = next_request,
		.device = device,
		.index = index,
		.max_size = size,
		.size = size};
}

static void clear(struct virtq *q)
{
	q->desc_gpa = 0;
	q->vring = (struct vring){0};
	q->broken = q->unfinished = false;
	q->seen = q->used_idx = q->signalled = q->announced = 0;
}

void virtq_reset(struct virtq *q)
{
	clear(q);
	q->size = q->max_size;
}

int virtq_set_size(struct virtq *q, uint32_t size)
{
	if (size && size <= q->max_size && !(size & (size - 1))) {
		q->size = (uint16_t)size;
		return 0;
	}
	guest_error(q, EW_GERR_QUEUE_SIZE, size, q->max_size, q->index);
	return -EINVAL;
}

static void *ring_part(
	struct virtq *q, uint64_t gpa, uint64_t len, uint64_t align, enum ew_guest_error error)
{
	void *p = mem_ptr(q->mem, gpa, len);

	if (p && gpa % align == 0)
		return p;
	guest_error(q, error, gpa, len, 0);
	q->broken = true;
	return NULL;
}

int virtq_setup(struct virtq *q, uint64_t desc, uint64_t avail, uint64_t used)
{
	/* Both rings with their event index at the end, which exists even if nobody uses it. */
	uint64_t avail_len = sizeof(struct vring_avail) + (q->size + 1ull) * sizeof(__virtio16);
	uint64_t used_len = sizeof(struct vring_used) + q->size * sizeof(struct vring_used_elem) +
			    sizeof(__virtio16);
	struct vring vr = {.num = q->size};

	clear(q);
	q->desc_gpa = desc;
	PROBE(*q->probe, EW_QUEUE_SETUP, q->device, q->index, q->size, desc, avail, used);
	vr.desc = ring_part(q, desc, q->size * sizeof(struct vring_desc), VRING_DESC_ALIGN_SIZE,
		EW_GERR_RING_OUT_OF_RAM);
	vr.avail = ring_part(q, avail, avail_len, VRING_AVAIL_ALIGN_SIZE, EW_GERR_RING_OUT_OF_RAM);
	vr.used = ring_part(q, used, used_len, VRING_USED_ALIGN_SIZE, EW_GERR_USED_OUT_OF_RAM);
	if (q->broken)
		return -EFAULT;
	q->vring = vr;
	return 0;
}

bool virtq_is_set_up(const struct virtq *q)
{
	return q->vring.desc;
}

uint16_t virtq_avail_idx(const struct virtq *q)
{
	return __atomic_load_n(&q->vring.avail->idx, __ATOMIC_ACQUIRE);
}

static void fault(struct virtq *q, struct virtq_chain *c, enum ew_guest_error error, uint64_t d0,
	uint64_t d1, uint64_t d2)
{
	guest_error(q, error, d0, d1, d2);
	if (!c->fault)
		c->fault = error;
}

/* One descriptor, already copied from guest memory, joins the chain, or is its fault. */
static bool accept(struct virtq *q, struct virtq_chain *c, uint16_t index, const vring_desc_t *d)
{
	bool write = d->flags & VRING_DESC_F_WRITE;
	struct virtq_buf *b = &c->buf[c->readable + c->writable];
	void *host = mem_ptr(q->mem, d->addr, d->len);

	if (d->flags & VRING_DESC_F_INDIRECT)
		fault(q, c, EW_GERR_DESC_INDIRECT, index, 0, 0);
	else if (!d->len)
		fault(q, c, EW_GERR_DESC_ZERO_LEN, d->addr, index, 0);
	else if (!host)
		fault(q, c, EW_GERR_DESC_OUT_OF_RAM, d->addr, d->len, index);
	else if (!write && c->writable)
		fault(q, c, EW_GERR_DESC_ORDER, index, 0, 0);
	else {
		*b = (struct virtq_buf){
			.host = host, .gpa = d->addr, .len = d->len, .index = index};
		if (write) {
			c->writable++;
			c->writable_bytes += d->len;
		} else {
			c->readable++;
			c->readable_bytes += d->len;
		}
		return true;
	}
	return false;
}

/* The table that a chain runs through: the ring's, then perhaps an indirect one. */
struct table {
	const uint8_t *host;
	unsigned entries;
	unsigned left; /* entries that a chain without a loop can still have in it */
	bool indirect;
};

/* One entry, exactly once: the barrier keeps the compiler from reading it again later. */
static vring_desc_t read_desc(const struct table *t, unsigned i)
{
	vring_desc_t d;

	memcpy(&d, t->host + i * sizeof(d), sizeof(d));
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	return d;
}

/*
 * 2.6.5.3: the last descriptor of a chain may be an indirect one. WRITE means nothing there, NEXT is
 * forbidden, and so is a table inside a table. Drivers may fill a table further than the ring is long
 * (Linux does, with small rings); the limit is what a chain has room for.
 */
static bool enter_table(struct virtq *q, struct virtq_chain *c, struct table *t, uint16_t index,
	const vring_desc_t *d)
{
	unsigned room = VIRTQ_MAX_SIZE - c->readable - c->writable;
	unsigned entries = d->len / sizeof(*d);
	const uint8_t *host = mem_ptr(q->mem, d->addr, d->len);

	if (t->indirect || (d->flags & VRING_DESC_F_NEXT)) {
		fault(q, c, EW_GERR_INDIRECT_CHAIN, index, d->flags, 0);
		return false;
	}
	if (!host || !entries || entries > room || d->len % sizeof(*d)) {
		fault(q, c, EW_GERR_INDIRECT_TABLE, d->addr, d->len, index);
		return false;
	}
	*t = (struct table){.host = host, .entries = entries, .left = entries, .indirect = true};
	return true;
}

/* Ends: each table is left after at most as many descriptors as it has entries, and there are two. */
static void walk(struct virtq *q, struct virtq_chain *c)
{
	struct table t = {
		.host = (const uint8_t *)q->vring.desc, .entries = q->size, .left = q->size};
	uint16_t i = c->head;

	for (;;) {
		vring_desc_t d = read_desc(&t, i);
		bool accepted;

		c->descriptors++;
		t.left--;
		PROBE(*q->probe, EW_DESCRIPTOR, c->request, i, d.addr, d.len, d.flags, d.next);
		if (q->indirect && (d.flags & VRING_DESC_F_INDIRECT)) {
			if (!enter_table(q, c, &t, i, &d))
				return;
			i = 0;
			continue;
		}
		accepted = accept(q, c, i, &d);
		if (!(d.flags & VRING_DESC_F_NEXT)) {
			c->ends_writable = accepted && (d.flags & VRING_DESC_F_WRITE);
			break;
		}
		if (d.next >= t.entries) {
			fault(q, c, EW_GERR_DESC_RANGE, d.next, t.entries, 0);
			return;
		}
		if (!t.left) {
			fault(q, c, EW_GERR_DESC_LOOP, c->head, t.entries, 0);
			return;
		}
		i = d.next;
	}
	/* 2.6.5: not longer than 2^32 bytes in total; used.len could not tell either. */
	if (c->readable_bytes + c->writable_bytes > UINT32_MAX)
		fault(q, c, EW_GERR_CHAIN_TOO_LONG, c->readable_bytes + c->writable_bytes, c->head,
			0);
}

static int break_ring(
	struct virtq *q, enum ew_guest_error error, uint64_t d0, uint64_t d1, uint64_t d2)
{
	guest_error(q, error, d0, d1, d2);
	q->broken = true;
	return -EPROTO;
}

int virtq_pop(struct virtq *q, struct virtq_chain *c)
{
	uint16_t avail_idx, head;

	if (!virtq_is_set_up(q) || q->broken)
		return 0;
	avail_idx = virtq_avail_idx(q);
	if (avail_idx == q->seen)
		return 0;
	if ((uint16_t)(avail_idx - q->seen) > q->size)
		return break_ring(q, EW_GERR_AVAIL_IDX_JUMP, avail_idx, q->seen, q->size);
	head = LOAD(q->vring.avail->ring[q->seen % q->size]);
	/* No chain, so there is nothing to give back: driver and device no longer agree on the ring. */
	if (head >= q->size)
		return break_ring(q, EW_GERR_HEAD_RANGE, head, q->size, 0);
	q->seen++;
	c->request = (*q->next_request)++;
	c->head = head;
	c->fault = 0;
	c->descriptors = c->readable = c->writable = 0;
	c->readable_bytes = c->writable_bytes = 0;
	c->ends_writable = false;
	PROBE(*q->probe, EW_QUEUE_POP, c->request, q->device, q->index, head, avail_idx, q->seen);
	walk(q, c);
	return 1;
}

void virtq_push(struct virtq *q, const struct virtq_chain *c, uint32_t written)
{
	vring_used_elem_t *elem = &q->vring.used->ring[q->used_idx % q->size];

	STORE(elem->id, c->head);
	STORE(elem->len, written);
	q->used_idx++;
	__atomic_store_n(&q->vring.used->idx, q->used_idx, __ATOMIC_RELEASE);
	PROBE(*q->probe, EW_QUEUE_USED, c->request, q->device, q->index, c->head, written,
		q->used_idx);
}

/* 2.6.7: with EVENT_IDX the driver's flags mean nothing, without it there is no used_event. */
bool virtq_wants_interrupt(struct virtq *q)
{
	uint16_t old = q->signalled, event = 0, flags = 0;
	bool wants;

	q->signalled = q->used_idx;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (q->event_idx) {
		event = LOAD(vring_used_event(&q->vring));
		wants = vring_need_event(event, q->used_idx, old);
	} else {
		flags = LOAD(q->vring.avail->flags);
		wants = !(flags & VRING_AVAIL_F_NO_INTERRUPT);
	}
	if (!wants)
		PROBE(*q->probe, EW_IRQ_SUPPRESSED, q->device, q->index, q->used_idx, q->event_idx,
			event, flags);
	return wants;
}

void virtq_notifies_off(struct virtq *q)
{
	if (!q->event_idx && virtq_is_set_up(q))
		STORE(q->vring.used->flags, VRING_USED_F_NO_NOTIFY);
}

bool virtq_notifies_on(struct virtq *q)
{
	if (!virtq_is_set_up(q) || q->broken)
		return false;
	if (q->event_idx)
		STORE(vring_avail_event(&q->vring), q->seen);
	else
		STORE(q->vring.used->flags, 0);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return virtq_avail_idx(q) != q->seen;
}
