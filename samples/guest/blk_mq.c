// SPDX-License-Identifier: MIT
/*
 * From bio to request to driver, and back. One queue, no plugging, no scheduler: every bio goes to
 * the driver in the context of the one who submits it.
 */
#include "blk.h"

struct gendisk *the_disk;

/* The one process waits for each bio, so one tag is enough. */
static struct request request_pool[1];

static struct request *blk_mq_get_request(struct bio *bio)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(request_pool); i++) {
		struct request *rq = &request_pool[i];

		if (!rq->busy) {
			rq->busy = true;
			rq->bio = bio;
			return rq;
		}
	}
	return NULL;
}

noinline void blk_mq_end_request(struct request *rq, int status)
{
	struct bio *bio = rq->bio;

	bio->status = status;
	rq->bio = NULL;
	rq->busy = false;
	bio_endio(bio);
}

noinline void blk_mq_try_issue_directly(struct request *rq)
{
	int ret = the_disk->queue_rq(rq);

	if (ret)
		blk_mq_end_request(rq, ret);
}

noinline void blk_mq_submit_bio(struct bio *bio)
{
	struct request *rq = blk_mq_get_request(bio);

	if (!rq) {
		bio->status = -EAGAIN;
		bio_endio(bio);
		return;
	}
	blk_mq_try_issue_directly(rq);
}

/* Linux's bio_check_eod(): a bio must end on the device. */
noinline void submit_bio(struct bio *bio)
{
	uint64_t bytes = 0;

	for (unsigned int i = 0; i < bio->vcnt; i++)
		bytes += bio->vecs[i].len;
	if (bio->sector + bytes / SECTOR_SIZE > the_disk->capacity) {
		bio->status = -EIO;
		bio_endio(bio);
		return;
	}
	blk_mq_submit_bio(bio);
}
