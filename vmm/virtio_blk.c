/* SPDX-License-Identifier: MIT */
/*
 * The virtio block device. Without an engine one request at a time, done when the notify returns; with
 * one, many in flight, which come back in any order.
 *
 * A request is a stream of bytes that the device reads (header, then data to write) and one that it
 * writes (data read, then the status byte). How the driver cuts the streams into descriptors is its own
 * business (2.6.4.2), so neither is assumed to begin or end at a descriptor.
 *
 * Requests in flight are not ordered among each other, FLUSH included. That is enough: FLUSH is about
 * writes which were completed before it was sent (5.2.6.2), so the host has them already when its
 * fdatasync begins. A driver that wants a write covered waits for it first.
 */
#include "vmm/virtio_blk.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <linux/virtio_ids.h>

#define SECTOR 512u
#define FEATURE(n) (1ull << (n))

/* In place of a status: the engine has it. */
#define IN_FLIGHT (-1)

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
static bool parse(struct virtio_blk_request *r)
{
	const struct virtio_blk *b = r->blk;
	const struct virtq_chain *c = &r->chain;
	uint8_t *to = (uint8_t *)&r->hdr;
	uint64_t bytes;
	unsigned n;

	if (c->readable_bytes < sizeof(r->hdr)) {
		guest_error(b, EW_GERR_REQ_NO_HEADER, c->readable_bytes, 0, 0);
		return false;
	}
	n = slice(r->iov, c->buf, c->readable, 0, sizeof(r->hdr));
	for (unsigned i = 0; i < n; i++) {
		memcpy(to, r->iov[i].iov_base, r->iov[i].iov_len);
		to += r->iov[i].iov_len;
	}
	r->data_out = c->readable_bytes - sizeof(r->hdr);
	r->data_in = c->writable_bytes ? c->writable_bytes - 1 : 0;
	bytes = r->hdr.type == VIRTIO_BLK_T_OUT ? r->data_out : r->data_in;
	PROBE(*b->dev.env.probe, EW_REQUEST, c->request, r->hdr.type, r->hdr.sector, bytes,
		c->descriptors, c->buf[0].gpa);
	return true;
}

/* Whole sectors, inside the disk? In an order that cannot overflow. */
static bool range_ok(const struct virtio_blk *b, uint64_t sector, uint64_t bytes)
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

/*
 * Whatever is wrong with a chain, it goes back to the driver with exactly one used entry. If its last
 * byte is certain to be the status, that says how it went.
 */
static void give_back(struct virtio_blk_request *r, uint8_t status)
{
	struct virtio_blk *b = r->blk;
	const struct virtq_chain *c = &r->chain;
	const struct virtq_buf *last;

	if (c->ends_writable) {
		last = writable(c) + c->writable - 1;
		__atomic_store_n(last->host + last->len - 1, status, __ATOMIC_RELAXED);
		PROBE(*b->dev.env.probe, EW_REQ_STATUS, c->request, status,
			last->gpa + last->len - 1);
	}
	virtq_push(r->queue, c, c->ends_writable ? r->written + 1 : 0);
	r->next = b->free;
	b->free = r;
}

static uint8_t io_status(struct virtio_blk_request *r, int result)
{
	if (result)
		r->written = 0;
	return result ? VIRTIO_BLK_S_IOERR : VIRTIO_BLK_S_OK;
}

/* By the engine, with the turn. */
static void io_done(struct disk_io *io, int result)
{
	struct virtio_blk_request *r =
		(struct virtio_blk_request *)((char *)io - offsetof(struct virtio_blk_request, io));

	r->blk->dev.in_flight--;
	give_back(r, io_status(r, result));
}

/* n pieces in r->iov: now, or handed to the engine. */
static int begin_io(struct virtio_blk_request *r, enum disk_op op, unsigned n)
{
	struct virtio_blk *b = r->blk;

	disk_io_init(&r->io, b->disk, op, r->chain.request, r->iov, n,
		op == DISK_FLUSH ? 0 : r->hdr.sector * SECTOR);
	/* Nothing to move is no work for a host. */
	if (!b->engine || (op != DISK_FLUSH && !r->io.left))
		return io_status(r, disk_io_run(&r->io, *b->dev.env.probe));
	r->io.done = io_done;
	b->dev.in_flight++;
	b->engine->submit(b->engine, &r->io);
	return IN_FLIGHT;
}

static int blk_in(struct virtio_blk_request *r)
{
	const struct virtq_chain *c = &r->chain;

	if (r->data_out) {
		guest_error(r->blk, EW_GERR_REQ_DIRECTION, r->hdr.type,
			c->buf[c->readable - 1].index, 0);
		return VIRTIO_BLK_S_IOERR;
	}
	if (!range_ok(r->blk, r->hdr.sector, r->data_in))
		return VIRTIO_BLK_S_IOERR;
	r->written = (uint32_t)r->data_in;
	return begin_io(r, DISK_READ, slice(r->iov, writable(c), c->writable, 0, r->data_in));
}

static int blk_out(struct virtio_blk_request *r)
{
	const struct virtq_chain *c = &r->chain;

	if (r->data_in) {
		guest_error(r->blk, EW_GERR_REQ_DIRECTION, r->hdr.type, writable(c)->index, 0);
		return VIRTIO_BLK_S_IOERR;
	}
	if (r->blk->disk->read_only) {
		guest_error(r->blk, EW_GERR_REQ_READ_ONLY, r->hdr.sector, r->data_out, 0);
		return VIRTIO_BLK_S_IOERR;
	}
	if (!range_ok(r->blk, r->hdr.sector, r->data_out))
		return VIRTIO_BLK_S_IOERR;
	return begin_io(
		r, DISK_WRITE, slice(r->iov, c->buf, c->readable, sizeof(r->hdr), r->data_out));
}

/* 20 bytes, or as many as there is room for; of a larger buffer the rest is zeroed, so that the bytes
 * written are one piece and used.len can say so. */
static int blk_get_id(struct virtio_blk_request *r)
{
	const struct virtq_chain *c = &r->chain;
	const struct disk *disk = r->blk->disk;
	unsigned n = slice(r->iov, writable(c), c->writable, 0, r->data_in);
	unsigned at = 0;

	_Static_assert(sizeof(disk->id) == VIRTIO_BLK_ID_BYTES, "the device's ID");
	for (unsigned i = 0; i < n; i++) {
		uint8_t *to = r->iov[i].iov_base;
		size_t len = r->iov[i].iov_len, take = sizeof(disk->id) - at;

		if (take > len)
			take = len;
		memcpy(to, disk->id + at, take);
		memset(to + take, 0, len - take);
		at += (unsigned)take;
	}
	r->written = (uint32_t)r->data_in;
	return VIRTIO_BLK_S_OK;
}

static int execute(struct virtio_blk_request *r)
{
	switch (r->hdr.type) {
	case VIRTIO_BLK_T_IN:
		return blk_in(r);
	case VIRTIO_BLK_T_OUT:
		return blk_out(r);
	case VIRTIO_BLK_T_FLUSH:
		return begin_io(r, DISK_FLUSH, 0);
	case VIRTIO_BLK_T_GET_ID:
		return blk_get_id(r);
	default:
		guest_error(r->blk, EW_GERR_REQ_TYPE, r->hdr.type, 0, 0);
		return VIRTIO_BLK_S_UNSUPP;
	}
}

/* A chain with a fault or without a status byte is not executed. */
static void handle_chain(struct virtio_blk_request *r)
{
	const struct virtq_chain *c = &r->chain;
	int status = VIRTIO_BLK_S_IOERR;
	bool ok = !c->fault && parse(r);

	r->written = 0;
	if (!c->ends_writable && !c->fault)
		guest_error(r->blk, EW_GERR_REQ_NO_STATUS, c->head, 0, 0);
	else if (ok)
		status = execute(r);
	if (status != IN_FLIGHT)
		give_back(r, (uint8_t)status);
}

static bool process(struct virtio_device *dev, struct virtq *q)
{
	struct virtio_blk *b = (struct virtio_blk *)((char *)dev -
						     offsetof(struct virtio_blk, dev));

	while (!__atomic_load_n(dev->env.stop, __ATOMIC_RELAXED) && b->free) {
		struct virtio_blk_request *r = b->free;

		if (virtq_pop(q, &r->chain) <= 0)
			return true;
		b->free = r->next;
		r->queue = q;
		handle_chain(r);
	}
	return false;
}

static void add_request(struct virtio_blk *b, struct virtio_blk_request *r)
{
	r->blk = b;
	r->next = b->free;
	b->free = r;
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
	add_request(b, &b->one);
}

int virtio_blk_use_engine(struct virtio_blk *b, struct disk_engine *engine, struct err *e)
{
	b->many = calloc(VIRTIO_BLK_QUEUE_SIZE, sizeof(*b->many));
	if (!b->many)
		return err_set(e, -ENOMEM, "no memory for a disk's requests: free some");
	b->engine = engine;
	b->free = NULL;
	for (unsigned i = VIRTIO_BLK_QUEUE_SIZE; i-- > 0;)
		add_request(b, &b->many[i]);
	return 0;
}

void virtio_blk_destroy(struct virtio_blk *b)
{
	free(b->many);
	b->many = b->free = NULL;
}
