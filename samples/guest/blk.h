/* SPDX-License-Identifier: MIT */
/*
 * The block layer: bio (what a file system asks for) and request (what a driver carries out).
 */
#ifndef GUEST_BLK_H
#define GUEST_BLK_H

#include "kernel.h"

#define BIO_MAX_VECS 32

enum req_op { REQ_OP_READ, REQ_OP_WRITE, REQ_OP_FLUSH };

/* A piece of physically contiguous memory. */
struct bio_vec {
	uint64_t addr;
	uint32_t len;
};

struct bio {
	enum req_op op;
	uint64_t sector;
	int status; /* 0 or -errno, valid once done */
	bool done;
	unsigned int vcnt;
	void (*end_io)(struct bio *bio);
	struct bio_vec vecs[BIO_MAX_VECS];
};

struct request {
	bool busy;
	struct bio *bio;
	void *driver_data;
};

struct gendisk {
	const char *name;
	uint64_t capacity; /* in sectors */
	unsigned int max_segments;
	bool has_flush;
	int (*queue_rq)(struct request *rq);
};

extern struct gendisk *the_disk;

/* bio.c */
void bio_init(struct bio *bio, enum req_op op, uint64_t sector);
uint32_t bio_iov_iter_get_pages(struct bio *bio, uint64_t buf, uint32_t len);
void bio_add_kernel(struct bio *bio, const void *p, uint32_t len);
void bio_endio(struct bio *bio);
void bio_await(struct bio *bio);
int submit_bio_wait(struct bio *bio);
int blkdev_issue_flush(void);
bool user_range_ok(uint64_t addr, uint64_t len, bool write);

/* blk_mq.c */
void submit_bio(struct bio *bio);
void blk_mq_submit_bio(struct bio *bio);
void blk_mq_end_request(struct request *rq, int status);

#endif
