// SPDX-License-Identifier: MIT
/*
 * The virtual file system: open files, and the functions of Linux's fs/read_write.c.
 */
#include <linux/fcntl.h>

#include "blk.h"
#include "exitfs.h"

#define FD_FIRST 3

static int64_t console_write_iter(struct kiocb *iocb, struct iov_iter *from)
{
	(void)iocb;
	if (!user_range_ok(from->buf, from->count, false))
		return -EFAULT;
	console_write((const char *)from->buf, from->count);
	return from->count;
}

static const struct file_operations console_operations = {.write_iter = console_write_iter};

static struct file files[8] = {
	[1] = {.f_op = &console_operations, .f_flags = O_WRONLY},
	[2] = {.f_op = &console_operations, .f_flags = O_WRONLY},
};

struct file *fdget(unsigned long fd)
{
	return fd < ARRAY_SIZE(files) && files[fd].f_op ? &files[fd] : NULL;
}

noinline int do_sys_openat(const char *path, uint32_t flags)
{
	int ret;

	for (int fd = FD_FIRST; fd < (int)ARRAY_SIZE(files); fd++) {
		if (files[fd].f_op)
			continue;
		ret = exitfs_open(path, flags);
		if (ret)
			return ret;
		files[fd].f_op = &exitfs_file_operations;
		files[fd].f_flags = flags;
		files[fd].f_pos = 0;
		return fd;
	}
	return -EMFILE;
}

int do_close(unsigned long fd)
{
	struct file *file = fdget(fd);

	if (!file)
		return -EBADF;
	file->f_op = NULL;
	return 0;
}

noinline int64_t vfs_read(struct file *file, uint64_t buf, uint64_t count, int64_t *pos)
{
	struct kiocb iocb = {file, *pos};
	struct iov_iter to = {buf, count};
	int64_t ret;

	if ((file->f_flags & O_ACCMODE) == O_WRONLY || !file->f_op->read_iter)
		return -EBADF;
	ret = file->f_op->read_iter(&iocb, &to);
	if (ret > 0)
		*pos = iocb.pos;
	return ret;
}

noinline int64_t vfs_write(struct file *file, uint64_t buf, uint64_t count, int64_t *pos)
{
	struct kiocb iocb = {file, *pos};
	struct iov_iter from = {buf, count};
	int64_t ret;

	if ((file->f_flags & O_ACCMODE) == O_RDONLY || !file->f_op->write_iter)
		return -EBADF;
	ret = file->f_op->write_iter(&iocb, &from);
	if (ret > 0)
		*pos = iocb.pos;
	return ret;
}

noinline int vfs_fsync(struct file *file)
{
	return file->f_op->fsync ? file->f_op->fsync(file) : -EINVAL;
}

noinline int64_t ksys_read(unsigned long fd, uint64_t buf, uint64_t count)
{
	struct file *file = fdget(fd);

	return file ? vfs_read(file, buf, count, &file->f_pos) : -EBADF;
}

noinline int64_t ksys_write(unsigned long fd, uint64_t buf, uint64_t count)
{
	struct file *file = fdget(fd);

	return file ? vfs_write(file, buf, count, &file->f_pos) : -EBADF;
}

noinline int64_t ksys_pread64(unsigned long fd, uint64_t buf, uint64_t count, int64_t pos)
{
	struct file *file = fdget(fd);

	if (pos < 0)
		return -EINVAL;
	return file ? vfs_read(file, buf, count, &pos) : -EBADF;
}

noinline int64_t ksys_pwrite64(unsigned long fd, uint64_t buf, uint64_t count, int64_t pos)
{
	struct file *file = fdget(fd);

	if (pos < 0)
		return -EINVAL;
	return file ? vfs_write(file, buf, count, &pos) : -EBADF;
}

/* SEEK_SET only. */
noinline int64_t ksys_lseek(unsigned long fd, int64_t offset, unsigned int whence)
{
	struct file *file = fdget(fd);

	if (!file)
		return -EBADF;
	if (whence || offset < 0)
		return -EINVAL;
	file->f_pos = offset;
	return offset;
}
