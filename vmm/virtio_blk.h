/* SPDX-License-Identifier: MIT */
/* The virtio block device (virtio 1.1, 5.2): features, configuration, requests. No transport in it. */
#ifndef EXITWALK_VMM_VIRTIO_BLK_H
#define EXITWALK_VMM_VIRTIO_BLK_H

#include <sys/uio.h>
#include <linux/virtio_blk.h>

#include "vmm/disk.h"
#include "vmm/virtio_device.h"

#define VIRTIO_BLK_QUEUE_SIZE 128

struct virtio_blk;

/* One chain between pop and push. */
struct virtio_blk_request {
	struct virtio_blk *blk;
	struct virtio_blk_request *next; /* of those that are free */
	struct virtq *queue;
	struct virtq_chain chain;
	struct virtio_blk_outhdr hdr;
	uint64_t data_out, data_in; /* bytes behind the header; bytes before the status */
	uint32_t written;           /* of data_in, once it is done */
	struct disk_io io;
	struct iovec iov[VIRTQ_MAX_SIZE];
};

struct virtio_blk {
	struct virtio_device dev;
	struct virtq queue;
	struct virtio_blk_config config;
	struct disk *disk;
	struct disk_engine *engine; /* NULL: each request is done before the next is taken */
	struct virtio_blk_request *free;
	struct virtio_blk_request *many; /* with an engine: as many as the queue is long; owned */
	struct virtio_blk_request one;   /* without */
};

/* `disk` is borrowed, env copied (what it points to is borrowed). Nothing to free. */
void virtio_blk_init(
	struct virtio_blk *b, unsigned device_id, const struct virtio_env *env, struct disk *disk);

/*
 * From now on `engine` does the transfers, and as many requests are in flight as the queue is long;
 * env.io must be set. Before the guest runs. -ENOMEM. Then virtio_blk_destroy is due, when nothing is
 * in flight any more.
 */
int virtio_blk_use_engine(struct virtio_blk *b, struct disk_engine *engine, struct err *e);
void virtio_blk_destroy(struct virtio_blk *b);

#endif
