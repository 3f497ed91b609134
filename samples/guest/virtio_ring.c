// SPDX-License-Identifier: MIT
/*
 * The split virtqueue, driver side. Section numbers are those of virtio 1.1. On x86 a compiler
 * barrier is a store or load barrier; only "my store before my load" needs an instruction.
 */
#include "virtio.h"

/* 2.6.2, legacy layout: descriptors and available ring, then the used ring on its own page. */
void vring_new_virtqueue(struct virtqueue *vq, unsigned int num, void *pages)
{
	vring_init(&vq->vring, num, pages, PAGE_SIZE);
	for (unsigned int i = 0; i < num - 1; i++)
		vq->vring.desc[i].next = i + 1;
	vq->num_free = num;
}

/* 2.6.13: fill the descriptors, put the head into the available ring, then show the new index. */
noinline int virtqueue_add_split(struct virtqueue *vq, const struct sg_list *sgs,
	unsigned int out_sgs, unsigned int in_sgs, unsigned int total, void *data)
{
	struct vring_desc *desc = vq->vring.desc;
	uint16_t head = vq->free_head, i = head, prev = head;

	if (vq->num_free < total)
		return -ENOSPC;
	for (unsigned int s = 0; s < out_sgs + in_sgs; s++) {
		for (unsigned int k = 0; k < sgs[s].n; k++) {
			desc[i].addr = sgs[s].vecs[k].addr;
			desc[i].len = sgs[s].vecs[k].len;
			desc[i].flags = VRING_DESC_F_NEXT;
			if (s >= out_sgs)
				desc[i].flags |= VRING_DESC_F_WRITE;
			prev = i;
			i = desc[i].next;
		}
	}
	desc[prev].flags &= ~VRING_DESC_F_NEXT;
	vq->free_head = i;
	vq->num_free -= total;
	vq->data[head] = data;

	vq->vring.avail->ring[vq->vring.avail->idx & (vq->vring.num - 1)] = head;
	barrier(); /* virt_wmb: the device must not see the index before the entry */
	WRITE_ONCE(vq->vring.avail->idx, vq->vring.avail->idx + 1);
	vq->num_added++;
	return 0;
}

noinline int virtqueue_add_sgs(struct virtqueue *vq, const struct sg_list *sgs,
	unsigned int out_sgs, unsigned int in_sgs, void *data)
{
	unsigned int total = 0;

	for (unsigned int s = 0; s < out_sgs + in_sgs; s++)
		total += sgs[s].n;
	return virtqueue_add_split(vq, sgs, out_sgs, in_sgs, total, data);
}

/* 2.6.13.4 and 2.6.10: the index must be visible before the device's wish is read. */
noinline bool virtqueue_kick_prepare(struct virtqueue *vq)
{
	virt_mb();
	vq->num_added = 0;
	return !(READ_ONCE(vq->vring.used->flags) & VRING_USED_F_NO_NOTIFY);
}

noinline bool virtqueue_notify(struct virtqueue *vq)
{
	return vp_notify(vq);
}

noinline bool virtqueue_kick(struct virtqueue *vq)
{
	if (virtqueue_kick_prepare(vq))
		return virtqueue_notify(vq);
	return true;
}

static void detach_buf_split(struct virtqueue *vq, uint16_t head)
{
	struct vring_desc *desc = vq->vring.desc;
	uint16_t i = head;

	while (desc[i].flags & VRING_DESC_F_NEXT) {
		i = desc[i].next;
		vq->num_free++;
	}
	desc[i].next = vq->free_head;
	vq->free_head = head;
	vq->num_free++;
	vq->data[head] = NULL;
}

/* A device that returns what it was not given: nothing that follows could be trusted. */
static _Noreturn void ring_broken(void)
{
	printk("the used ring names a descriptor that is not in use\n");
	machine_exit(0xff);
}

/* 2.6.14 */
noinline void *virtqueue_get_buf(struct virtqueue *vq, uint32_t *len)
{
	const struct vring_used_elem *used;
	uint16_t head;
	void *data;

	if (vq->last_used_idx == READ_ONCE(vq->vring.used->idx))
		return NULL;
	barrier(); /* virt_rmb: the entry is read after the index */
	used = &vq->vring.used->ring[vq->last_used_idx & (vq->vring.num - 1)];
	head = used->id;
	*len = used->len;
	if (used->id >= vq->vring.num || !vq->data[head])
		ring_broken();
	data = vq->data[head];
	detach_buf_split(vq, head);
	vq->last_used_idx++;
	return data;
}

/* 2.6.7: a hint only. */
noinline void virtqueue_disable_cb(struct virtqueue *vq)
{
	vq->vring.avail->flags |= VRING_AVAIL_F_NO_INTERRUPT;
}

/* False if the device has used something since the last virtqueue_get_buf(). */
noinline bool virtqueue_enable_cb(struct virtqueue *vq)
{
	vq->vring.avail->flags &= ~VRING_AVAIL_F_NO_INTERRUPT;
	virt_mb();
	return vq->last_used_idx == READ_ONCE(vq->vring.used->idx);
}

noinline bool vring_interrupt(struct virtqueue *vq)
{
	if (vq->last_used_idx == READ_ONCE(vq->vring.used->idx))
		return false;
	vq->callback(vq);
	return true;
}
