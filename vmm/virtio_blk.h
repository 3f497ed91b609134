/* SPDX-License-Identifier: MIT */
/* The virtio block device (virtio 1.1, 5.2): features, configuration, requests. No transport in it. */
#ifndef EXITWALK_VMM_VIRTIO_BLK_H
#define EXITWALK_VMM_VIRTIO_BLK_H

#include <sys/uio.h>
#include <linux/virtio_blk.h>

#include "vmm/disk.h"
#include "vmm/virtio_device.h"

#define VIRTIO_BLK_QUEUE_SIZE 128

struct virtio_blk {
	struct virtio_device dev;
	struct virtq queue;
	struct virtio_blk_config config;
	struct disk *disk;
	/* The request at hand. Here, since it is too large for the stack and there is one at a time. */
	struct virtq_chain chain;
	struct iovec iov[VIRTQ_MAX_SIZE];
};

/* `disk` is borrowed, env copied (what it points to is borrowed). Nothing to free. */
void virtio_blk_init(
	struct virtio_blk *b, unsigned device_id, const struct virtio_env *env, struct disk *disk);

#endif
