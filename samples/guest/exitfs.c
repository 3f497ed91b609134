// SPDX-License-Identifier: MIT
/*
 * exitfs, the data: direct I/O only. The pages of the process are what the disk reads and writes.
 */
#include "blk.h"
#include "exitfs.h"

/* O_DIRECT's conditions: position, length and memory in whole sectors. */
static int dio_check(const struct kiocb *iocb, const struct iov_iter *iter, bool to_memory)
{
	if ((iocb->pos | iter->count | iter->buf) % SECTOR_SIZE)
		return -EINVAL;
	return user_range_ok(iter->buf, iter->count, to_memory) ? 0 : -EFAULT;
}

/*
 * As many bios as it takes, one after the other; one, unless the disk takes fewer segments than
 * the buffer has. Inlined, so that the caller's frame is the one below submit_bio().
 */
static inline __attribute__((always_inline)) int64_t dio_transfer(
	enum req_op op, struct kiocb *iocb, struct iov_iter *iter)
{
	static struct bio bio;
	int64_t total = 0;

	while (iter->count) {
		uint32_t n;

		bio_init(&bio, op, exitfs_inode()->first_sector + iocb->pos / SECTOR_SIZE);
		n = bio_iov_iter_get_pages(&bio, iter->buf, iter->count);
		submit_bio(&bio);
		bio_await(&bio);
		if (bio.status)
			return total ? total : bio.status;
		iter->buf += n;
		iter->count -= n;
		iocb->pos += n;
		total += n;
	}
	return total;
}

noinline int64_t exitfs_dio_write(struct kiocb *iocb, struct iov_iter *from)
{
	int ret = dio_check(iocb, from, false);

	return ret ? ret : dio_transfer(REQ_OP_WRITE, iocb, from);
}

noinline int64_t exitfs_dio_read(struct kiocb *iocb, struct iov_iter *to)
{
	int ret = dio_check(iocb, to, true);

	return ret ? ret : dio_transfer(REQ_OP_READ, iocb, to);
}

noinline int64_t exitfs_file_write_iter(struct kiocb *iocb, struct iov_iter *from)
{
	uint64_t room = (the_disk->capacity - exitfs_inode()->first_sector) * SECTOR_SIZE;
	int64_t ret;

	if ((uint64_t)iocb->pos >= room)
		return -ENOSPC;
	if (from->count > room - iocb->pos)
		from->count = room - iocb->pos;
	ret = exitfs_dio_write(iocb, from);
	if (ret > 0 && (uint64_t)iocb->pos > exitfs_inode()->size) {
		exitfs_inode()->size = iocb->pos;
		exitfs_mark_dirty();
	}
	return ret;
}

noinline int64_t exitfs_file_read_iter(struct kiocb *iocb, struct iov_iter *to)
{
	uint64_t size = exitfs_inode()->size;

	if ((uint64_t)iocb->pos >= size)
		return 0;
	if (to->count > size - iocb->pos)
		to->count = size - iocb->pos;
	return exitfs_dio_read(iocb, to);
}

noinline int exitfs_fsync(struct file *file)
{
	int ret = exitfs_write_inode();

	(void)file;
	return ret ? ret : blkdev_issue_flush();
}

const struct file_operations exitfs_file_operations = {
	.read_iter = exitfs_file_read_iter,
	.write_iter = exitfs_file_write_iter,
	.fsync = exitfs_fsync,
};
