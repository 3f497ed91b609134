/* SPDX-License-Identifier: MIT */
/*
 * The virtio block device: one request at a time, done when the notify returns.
 *
 * A request is a stream of bytes that the device reads (header, then data to write) and one that it
 * writes (data read, then the status byte). How the driver cuts the streams into descriptors is its own
 * business (2.6.4.2), so neither is assumed to begin or end at a descriptor.
 */
#include "vmm/virtio_blk.h"

#include <errno.h>
#include <string.h>
#include <linux/virtio_ids.h>

#define SECTOR 512u
#define FEATURE(n) (1ull << (n))

struct blk_request {
	struct virtio_blk_outhdr hdr;
	uint64_t data_out, data_in; /* bytes behind the header; bytes before the status */
};

static void guest_error(const struct virtio_blk *b, enum ew_guest_error error, uint64_t d0,
	uint64_t d1, uint64_t d2)
{
	PROBE(*b->dev.env.probe, EW_GUEST_ERROR, error, b->dev.id, d0, d1, d2);
}

static const struct virtq_buf *writable(const struct virtq_chain *c)
{
	return c->buf + c->readable;
}

/* Bytes [skip, skip + len) of a stream of n buffers as host memory; returns the number of pieces. */
static unsigned slice(
	struct iovec *iov, const struct virtq_buf *buf, unsigned n, uint64_t skip, uint64_t len)
{
	unsigned pieces = 0;

	for (unsigned i = 0; i < n && len; i++) {
		uint64_t take = buf[i].len - skip;

		if (skip >= buf[i].len) {
			skip -= buf[i].len;
			continue;
		}
		if (take > len)
			take = len;
		iov[pieces++] = (struct iovec){.iov_base = buf[i].host + skip, .iov_len = take};
		len -= take;
		skip = 0;
	}
	return pieces;
}

/* Copies the header once: what the guest does to it afterwards changes nothing. */
static bool parse(struct virtio_blk *b, struct blk_request *r)
{
	const struct virtq_chain *c = &b->chain;
	uint8_t *to = (uint8_t *)&r->hdr;
	uint64_t bytes;
	unsigned n;

	if (c->readable_bytes < sizeof(r->hdr)) {
		guest_error(b, EW_GERR_REQ_NO_HEADER, c->readable_bytes, 0, 0);
		return false;
	}
	n = slice(b->iov, c->buf, c->readable, 0, sizeof(r->hdr));
	for (unsigned i = 0; i < n; i++) {
		memcpy(to, b->iov[i].iov_base, b->iov[i].iov_len);
		to += b->iov[i].iov_len;
	}
	r->data_out = c->readable_bytes - sizeof(r->hdr);
	r->data_in = c->writable_bytes ? c->writable_bytes - 1 : 0;
	bytes = r->hdr.type == VIRTIO_BLK_T_OUT ? r->data_out : r->data_in;
	PROBE(*b->dev.env.probe, EW_REQUEST, c->request, r->hdr.type, r->hdr.sector, bytes,
		c->descriptors, c->buf[0].gpa);
	return true;
}

/* Whole sectors, inside the disk? In an order that cannot overflow. */
static bool range_ok(struct virtio_blk *b, uint64_t sector, uint64_t bytes)
{
	uint64_t capacity = b->config.capacity;

	if (bytes % SECTOR) {
		guest_error(b, EW_GERR_REQ_LENGTH, bytes, 0, 0);
		return false;
	}
	if (sector > capacity || bytes / SECTOR > capacity - sector) {
		guest_error(b, EW_GERR_REQ_RANGE, sector, bytes, capacity);
		return false;
	}
	return true;
}

static uint8_t blk_in(struct virtio_blk *b, const struct blk_request *r, uint32_t *written)
{
	const struct virtq_chain *c = &b->chain;
	unsigned n;

	if (r->data_out) {
		guest_error(
			b, EW_GERR_REQ_DIRECTION, r->hdr.type, c->buf[c->readable - 1].index, 0);
		return VIRTIO_BLK_S_IOERR;
	}
	if (!range_ok(b, r->hdr.sector, r->data_in))
		return VIRTIO_BLK_S_IOERR;
	n = slice(b->iov, writable(c), c->writable, 0, r->data_in);
	if (disk_read(b->disk, *b->dev.env.probe, c->request, b->iov, n, r->hdr.sector * SECTOR))
		return VIRTIO_BLK_S_IOERR;
	*written = (uint32_t)r->data_in;
	return VIRTIO_BLK_S_OK;
}

static uint8_t blk_out(struct virtio_blk *b, const struct blk_request *r)
{
	const struct virtq_chain *c = &b->chain;
	unsigned n;

	if (r->data_in) {
		guest_error(b, EW_GERR_REQ_DIRECTION, r->hdr.type, writable(c)->index, 0);
		return VIRTIO_BLK_S_IOERR;
	}
	if (b->disk->read_only) {
		guest_error(b, EW_GERR_REQ_READ_ONLY, r->hdr.sector, r->data_out, 0);
		return VIRTIO_BLK_S_IOERR;
	}
	if (!range_ok(b, r->hdr.sector, r->data_out))
		return VIRTIO_BLK_S_IOERR;
	n = slice(b->iov, c->buf, c->readable, sizeof(r->hdr), r->data_out);
	if (disk_write(b->disk, *b->dev.env.probe, c->request, b->iov, n, r->hdr.sector * SECTOR))
		return VIRTIO_BLK_S_IOERR;
	return VIRTIO_BLK_S_OK;
}

static uint8_t blk_flush(struct virtio_blk *b)
{
	return disk_flush(b->disk, *b->dev.env.probe, b->chain.request) ? VIRTIO_BLK_S_IOERR
									: VIRTIO_BLK_S_OK;
}

/* 20 bytes, or as many as there is room for; of a larger buffer the rest is zeroed, so that the bytes
 * written are one piece and used.len can say so. */
static uint8_t blk_get_id(struct virtio_blk *b, const struct blk_request *r, uint32_t *written)
{
	const struct virtq_chain *c = &b->chain;
	unsigned n = slice(b->iov, writable(c), c->writable, 0, r->data_in);
	unsigned at = 0;

	_Static_assert(sizeof(b->disk->id) == VIRTIO_BLK_ID_BYTES, "the device's ID");
	for (unsigned i = 0; i < n; i++) {
		uint8_t *to = b->iov[i].iov_base;
		size_t len = b->iov[i].iov_len, take = sizeof(b->disk->id) - at;

		if (take > len)
			take = len;
		memcpy(to, b->disk->id + at, take);
		memset(to + take, 0, len - take);
		at += (unsigned)take;
	}
	*written = (uint32_t)r->data_in;
	return VIRTIO_BLK_S_OK;
}

static uint8_t execute(struct virtio_blk *b, const struct blk_request *r, uint32_t *written)
{
	switch (r->hdr.type) {
	case VIRTIO_BLK_T_IN:
		return blk_in(b, r, written);
	case VIRTIO_BLK_T_OUT:
		return blk_out(b, r);
	case VIRTIO_BLK_T_FLUSH:
		return blk_flush(b);
	case VIRTIO_BLK_T_GET_ID:
		return blk_get_id(b, r, written);
	default:
		guest_error(b, EW_GERR_REQ_TYPE, r->hdr.type, 0, 0);
		return VIRTIO_BLK_S_UNSUPP;
	}
}

/*
 * Whatever is wrong with a chain, it goes back to the driver with exactly one used entry. A chain with
 * a fault is not executed; if its last byte is certain to be the status, that says IOERR.
 */
static void handle_chain(struct virtio_blk *b, struct virtq *q)
{
	const struct virtq_chain *c = &b->chain;
	const struct virtq_buf *last;
	struct blk_request r;
	uint8_t status = VIRTIO_BLK_S_IOERR;
	uint32_t written = 0;
	bool ok = !c->fault && parse(b, &r);

	if (!c->ends_writable) {
		if (!c->fault)
			guest_error(b, EW_GERR_REQ_NO_STATUS, c->head, 0, 0);
		virtq_push(q, c, 0);
		return;
	}
	if (ok)
		status = execute(b, &r, &written);
	last = writable(c) + c->writable - 1;
	__atomic_store_n(last->host + last->len - 1, status, __ATOMIC_RELAXED);
	PROBE(*b->dev.env.probe, EW_REQ_STATUS, c->request, status, last->gpa + last->len - 1);
	virtq_push(q, c, written + 1);
}

static void process(struct virtio_device *dev, struct virtq *q)
{
	struct virtio_blk *b = (struct virtio_blk *)((char *)dev -
						     offsetof(struct virtio_blk, dev));

	while (!__atomic_load_n(dev->env.stop, __ATOMIC_RELAXED) && virtq_pop(q, &b->chain) > 0)
		handle_chain(b, q);
}

void virtio_blk_init(
	struct virtio_blk *b, unsigned device_id, const struct virtio_env *env, struct disk *disk)
{
	*b = (struct virtio_blk){.disk = disk};
	b->config.capacity = disk->sectors;
	b->config.seg_max = VIRTIO_BLK_QUEUE_SIZE - 2; /* a header and a status need one each */
	b->config.blk_size = SECTOR;
	b->dev = (struct virtio_device){.env = *env,
		.id = device_id,
		.type = VIRTIO_ID_BLOCK,
		/* FLUSH: without it guests take the disk to have no volatile cache, and their
		 * fsync never reaches the host. */
		.offered = FEATURE(VIRTIO_BLK_F_SEG_MAX) | FEATURE(VIRTIO_BLK_F_BLK_SIZE) |
			   FEATURE(VIRTIO_BLK_F_FLUSH) |
			   (disk->read_only ? FEATURE(VIRTIO_BLK_F_RO) : 0),
		.config = &b->config,
		.config_len = sizeof(b->config),
		.queue = &b->queue,
		.queues = 1,
		.process = process};
	virtq_init(&b->queue, env->mem, env->probe, env->next_request, device_id, 0,
		VIRTIO_BLK_QUEUE_SIZE);
}
