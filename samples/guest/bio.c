// SPDX-License-Identifier: MIT
/*
 * bios: built from memory of the process or of the kernel, ended, waited for.
 */
#include "blk.h"

#define PTE_PRESENT 1
#define PTE_WRITABLE 2
#define PTE_ADDR 0x000ffffffffff000

extern const uint64_t user_pte[USER_SIZE / PAGE_SIZE]; /* head.S */

bool user_range_ok(uint64_t addr, uint64_t len, bool write)
{
	uint64_t want = PTE_PRESENT | (write ? PTE_WRITABLE : 0);

	if (addr < USER_BASE || len > USER_SIZE || addr + len > USER_BASE + USER_SIZE)
		return false;
	for (uint64_t page = addr / PAGE_SIZE; page * PAGE_SIZE < addr + len; page++)
		if ((user_pte[page - USER_BASE / PAGE_SIZE] & want) != want)
			return false;
	return true;
}

static void bio_wake(struct bio *bio)
{
	(void)bio;
	wake_up_process();
}

void bio_init(struct bio *bio, enum req_op op, uint64_t sector)
{
	bio->op = op;
	bio->sector = sector;
	bio->status = 0;
	bio->done = false;
	bio->vcnt = 0;
	bio->end_io = bio_wake;
}

/* Extends the last segment where memory is contiguous, as Linux's __bio_try_merge_page(). */
static bool bio_add(struct bio *bio, uint64_t addr, uint32_t len)
{
	struct bio_vec *last = &bio->vecs[bio->vcnt];

	if (bio->vcnt && last[-1].addr + last[-1].len == addr) {
		last[-1].len += len;
		return true;
	}
	if (bio->vcnt == the_disk->max_segments)
		return false;
	last->addr = addr;
	last->len = len;
	bio->vcnt++;
	return true;
}

void bio_add_kernel(struct bio *bio, const void *p, uint32_t len)
{
	bio_add(bio, __pa(p), len);
}

/*
 * The pages behind a buffer of the process become segments: nothing is copied. Returns how many
 * bytes fitted. The caller has checked the range.
 */
noinline uint32_t bio_iov_iter_get_pages(struct bio *bio, uint64_t buf, uint32_t len)
{
	uint32_t done = 0;

	while (done < len) {
		uint64_t addr = buf + done;
		uint32_t offset = addr % PAGE_SIZE;
		uint32_t n = PAGE_SIZE - offset;

		if (n > len - done)
			n = len - done;
		if (!bio_add(
			    bio, (user_pte[(addr - USER_BASE) / PAGE_SIZE] & PTE_ADDR) + offset, n))
			break;
		done += n;
	}
	return done;
}

/* Runs in the interrupt handler. */
noinline void bio_endio(struct bio *bio)
{
	WRITE_ONCE(bio->done, true);
	bio->end_io(bio);
}

/* The state is set before the check, so an interrupt in between makes io_schedule() return. */
void bio_await(struct bio *bio)
{
	for (;;) {
		set_current_state(TASK_UNINTERRUPTIBLE);
		if (READ_ONCE(bio->done))
			break;
		io_schedule();
	}
	set_current_state(TASK_RUNNING);
	barrier();
}

noinline int submit_bio_wait(struct bio *bio)
{
	submit_bio(bio);
	bio_await(bio);
	return bio->status;
}

noinline int blkdev_issue_flush(void)
{
	static struct bio bio;

	if (!the_disk->has_flush)
		return 0;
	bio_init(&bio, REQ_OP_FLUSH, 0);
	return submit_bio_wait(&bio);
}
