// SPDX-License-Identifier: MIT
/*
 * The virtio block driver (virtio 1.1, 5.2).
 */
#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>

#include "virtio.h"

struct virtblk_req {
	struct virtio_blk_outhdr hdr;
	uint8_t status;
	struct request *rq;
};

static struct vp_device vblk_pci;
static struct virtqueue vblk_vq;
static struct virtblk_req vblk_req; /* as many as blk_mq.c has requests */

static const uint32_t request_type[] = {
	[REQ_OP_READ] = VIRTIO_BLK_T_IN,
	[REQ_OP_WRITE] = VIRTIO_BLK_T_OUT,
	[REQ_OP_FLUSH] = VIRTIO_BLK_T_FLUSH,
};

/* Header, data, status: three lists; the device reads the first, and writes the last. */
noinline int virtblk_add_req(struct virtqueue *vq, struct virtblk_req *vbr)
{
	struct bio *bio = vbr->rq->bio;
	struct bio_vec hdr = {__pa(&vbr->hdr), sizeof(vbr->hdr)};
	struct bio_vec status = {__pa(&vbr->status), sizeof(vbr->status)};
	struct sg_list sgs[3] = {{&hdr, 1}, {bio->vecs, bio->vcnt}, {&status, 1}};
	unsigned int out = bio->op == REQ_OP_READ ? 1 : 2;

	return virtqueue_add_sgs(vq, sgs, out, 3 - out, vbr);
}

/* Interrupts are off for the ring only (Linux: vq->lock), so the notify is interruptible. */
noinline int virtio_queue_rq(struct request *rq)
{
	struct virtblk_req *vbr = &vblk_req;
	unsigned long flags;
	int ret;

	vbr->rq = rq;
	vbr->hdr.type = request_type[rq->bio->op];
	vbr->hdr.ioprio = 0;
	vbr->hdr.sector = rq->bio->sector;
	vbr->status = 0xff;
	flags = local_irq_save();
	ret = virtblk_add_req(&vblk_vq, vbr);
	local_irq_restore(flags);
	if (ret)
		return ret;
	virtqueue_kick(&vblk_vq);
	return 0;
}

static int virtblk_result(const struct virtblk_req *vbr)
{
	switch (READ_ONCE(vbr->status)) {
	case VIRTIO_BLK_S_OK:
		return 0;
	case VIRTIO_BLK_S_UNSUPP:
		return -EOPNOTSUPP;
	default:
		return -EIO;
	}
}

noinline void virtblk_done(struct virtqueue *vq)
{
	struct virtblk_req *vbr;
	uint32_t len;

	do {
		virtqueue_disable_cb(vq);
		while ((vbr = virtqueue_get_buf(vq, &len)))
			blk_mq_end_request(vbr->rq, virtblk_result(vbr));
	} while (!virtqueue_enable_cb(vq));
}

static unsigned int max_segments(uint32_t features)
{
	unsigned int n = vblk_vq.vring.num - 2;

	if (features & 1u << VIRTIO_BLK_F_SEG_MAX) {
		uint32_t seg_max = vp_config32(
			&vblk_pci, offsetof(struct virtio_blk_config, seg_max));

		if (seg_max && seg_max < n)
			n = seg_max;
	}
	return n < BIO_MAX_VECS ? n : BIO_MAX_VECS;
}

/* Device initialization, virtio 1.1, 3.1.1 (legacy: no FEATURES_OK). */
int virtblk_probe(void)
{
	static struct gendisk vda = {.name = "vda", .queue_rq = virtio_queue_rq};
	uint32_t features;
	uint8_t status = VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER;

	if (vp_find(&vblk_pci))
		return -ENODEV;
	vp_set_status(&vblk_pci, VIRTIO_CONFIG_S_ACKNOWLEDGE);
	vp_set_status(&vblk_pci, status);
	features = vp_negotiate(&vblk_pci, 1u << VIRTIO_BLK_F_FLUSH | 1u << VIRTIO_BLK_F_SEG_MAX);
	if (vp_setup_vq(&vblk_pci, &vblk_vq)) {
		vp_set_status(&vblk_pci, status | VIRTIO_CONFIG_S_FAILED);
		return -ENODEV;
	}
	vblk_vq.callback = virtblk_done;
	vda.capacity = vp_config32(&vblk_pci, 0) | (uint64_t)vp_config32(&vblk_pci, 4) << 32;
	vda.max_segments = max_segments(features);
	vda.has_flush = features & 1u << VIRTIO_BLK_F_FLUSH;
	the_disk = &vda;
	vp_set_status(&vblk_pci, status | VIRTIO_CONFIG_S_DRIVER_OK);
	return 0;
}
