/* SPDX-License-Identifier: MIT */
/*
 * virtio-blk over a split ring over legacy PCI: the interface between the three, and to the rest.
 * Structures and constants of the device come from <linux/virtio_*.h>.
 */
#ifndef GUEST_VIRTIO_H
#define GUEST_VIRTIO_H

#include "blk.h"

#include <linux/virtio_ring.h>

#define VIRTQUEUE_MAX 256

struct virtqueue {
	struct vring vring;
	uint16_t io_base;
	uint16_t index;
	uint16_t free_head;
	uint16_t num_free;
	uint16_t num_added;
	uint16_t last_used_idx;
	void (*callback)(struct virtqueue *vq);
	void *data[VIRTQUEUE_MAX]; /* by head descriptor */
};

/* Some segments, all read by the device or all written by it. */
struct sg_list {
	const struct bio_vec *vecs;
	unsigned int n;
};

/* virtio_ring.c */
void vring_new_virtqueue(struct virtqueue *vq, unsigned int num, void *pages);
int virtqueue_add_sgs(struct virtqueue *vq, const struct sg_list *sgs, unsigned int out_sgs,
	unsigned int in_sgs, void *data);
bool virtqueue_kick_prepare(struct virtqueue *vq);
bool virtqueue_notify(struct virtqueue *vq);
bool virtqueue_kick(struct virtqueue *vq);
void *virtqueue_get_buf(struct virtqueue *vq, uint32_t *len);
void virtqueue_disable_cb(struct virtqueue *vq);
bool virtqueue_enable_cb(struct virtqueue *vq);
bool vring_interrupt(struct virtqueue *vq);

/* virtio_pci.c */
struct vp_device {
	uint16_t io_base;
	uint8_t irq;
	struct virtqueue *vq;
};
int vp_find(struct vp_device *vp);
void vp_set_status(struct vp_device *vp, uint8_t status);
uint32_t vp_negotiate(struct vp_device *vp, uint32_t wanted);
uint32_t vp_config32(struct vp_device *vp, unsigned int offset);
int vp_setup_vq(struct vp_device *vp, struct virtqueue *vq);
bool vp_notify(struct virtqueue *vq);

/* virtio_blk.c */
int virtblk_probe(void);

#endif
