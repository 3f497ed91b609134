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
 *   mb                                        mb         (fence in virtq_wants_interrupt)
 *   if (used->idx != last) go on polling      if (!(avail->flags & NO_INTERRUPT)) interrupt
 *
 * Without the third, each side could read the other's old value: the driver sleeps and nobody wakes it.
 * Legacy rings have the guest's byte order (2.4.3), which on x86 is the host's.
 */
#include "vmm/virtq.h"

#include <errno.h>

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
		.size = size};
}

void virtq_reset(struct virtq *q)
{
	q->desc_gpa = 0;
	q->vring = (struct vring){0};
	q->broken = false;
	q->seen = q->used_idx = 0;
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

	virtq_reset(q);
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

/* Ends after at most q->size descriptors, each of which is read from guest memory exactly once. */
static void walk(struct virtq *q, struct virtq_chain *c)
{
	uint16_t i = c->head;

	for (;;) {
		const vring_desc_t *g = &q->vring.desc[i];
		vring_desc_t d = {.addr = LOAD(g->addr),
			.len = LOAD(g->len),
			.flags = LOAD(g->flags),
			.next = LOAD(g->next)};
		bool accepted;

		c->descriptors++;
		PROBE(*q->probe, EW_DESCRIPTOR, c->request, i, d.addr, d.len, d.flags, d.next);
		accepted = accept(q, c, i, &d);
		if (!(d.flags & VRING_DESC_F_NEXT)) {
			c->ends_writable = accepted && (d.flags & VRING_DESC_F_WRITE);
			break;
		}
		if (d.next >= q->size) {
			fault(q, c, EW_GERR_DESC_RANGE, d.next, q->size, 0);
			return;
		}
		if (c->descriptors == q->size) {
			fault(q, c, EW_GERR_DESC_LOOP, c->head, q->size, 0);
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

bool virtq_wants_interrupt(const struct virtq *q)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return !(LOAD(q->vring.avail->flags) & VRING_AVAIL_F_NO_INTERRUPT);
}
