/* SPDX-License-Identifier: MIT */
/* A raw disk image on the host: pread64, pwrite64, preadv, pwritev and fdatasync, each recorded. */
#include "vmm/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SECTOR 512u

/* Opens, and creates where that was asked for. *created tells which; the fd or -errno. */
static int image_open(
	const char *path, enum disk_mode mode, uint64_t create_bytes, bool *created, struct err *e)
{
	static const int access[] = {[DISK_READ_WRITE] = O_RDWR,
		[DISK_READ_ONLY] = O_RDONLY,
		[DISK_SYNC] = O_RDWR | O_DSYNC};
	/* NONBLOCK: a FIFO given by mistake must not hang us; it means nothing to files and disks. */
	int flags = access[mode] | O_CLOEXEC | O_NONBLOCK;
	int fd = open(path, flags);

	*created = false;
	if (fd < 0 && errno == ENOENT && create_bytes && mode != DISK_READ_ONLY) {
		fd = open(path, flags | O_CREAT | O_EXCL, 0644);
		*created = fd >= 0;
	}
	if (fd < 0)
		return err_set(
			e, -errno, "cannot open the disk image %s: %s", path, strerror(errno));
	return fd;
}

static int image_check(int fd, const char *path, bool created, uint64_t create_bytes,
	bool read_only, struct err *e)
{
	struct stat st;

	if (fstat(fd, &st))
		return err_set(
			e, -errno, "cannot look at the disk image %s: %s", path, strerror(errno));
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
		return err_set(e, -EINVAL,
			"%s is neither a file nor a block device: give a raw disk image", path);
	if (flock(fd, (read_only ? LOCK_SH : LOCK_EX) | LOCK_NB)) {
		if (errno == EWOULDBLOCK)
			return err_set(e, -EBUSY,
				"the disk image %s is in use by another machine, or given twice: stop "
				"that one, or give each its own image",
				path);
		return err_set(
			e, -errno, "cannot lock the disk image %s: %s", path, strerror(errno));
	}
	/* Now that it is a file or a disk: io_uring takes NONBLOCK for a wish not to wait (EAGAIN). */
	if (fcntl(fd, F_SETFL, read_only ? O_RDONLY : O_RDWR))
		return err_set(
			e, -errno, "cannot set up the disk image %s: %s", path, strerror(errno));
	if (created && ftruncate(fd, (off_t)create_bytes))
		return err_set(e, -errno, "cannot make the disk image %s %llu bytes long: %s", path,
			(unsigned long long)create_bytes, strerror(errno));
	return 0;
}

/* GET_ID: the image's file name, as far as it fits, is what tells disks of one machine apart. */
static void image_id(struct disk *d, const char *path)
{
	const char *slash = strrchr(path, '/');
	const char *name = slash ? slash + 1 : path;
	size_t n = strnlen(name, sizeof(d->id));

	memcpy(d->id, name, n);
}

int disk_open(
	struct disk *d, const char *path, enum disk_mode mode, uint64_t create_bytes, struct err *e)
{
	bool read_only = mode == DISK_READ_ONLY, created;
	off_t end;
	int fd, ret;

	*d = (struct disk){.fd = -1, .read_only = read_only};
	fd = image_open(path, mode, create_bytes, &created, e);
	if (fd < 0)
		return fd;
	ret = image_check(fd, path, created, create_bytes, read_only, e);
	if (ret)
		goto fail;
	end = lseek(fd, 0, SEEK_END); /* a block device's size as well */
	if (end < (off_t)SECTOR) {
		ret = err_set(e, -EINVAL,
			"the disk image %s is shorter than one sector (512 bytes)", path);
		goto fail;
	}
	d->fd = fd;
	d->sectors = (uint64_t)end / SECTOR;
	image_id(d, path);
	return 0;
fail:
	if (created)
		unlink(path);
	close(fd);
	return ret;
}

void disk_close(struct disk *d)
{
	if (d->fd >= 0)
		close(d->fd);
	d->fd = -1;
}

void disk_io_init(struct disk_io *io, struct disk *d, enum disk_op op, uint64_t request,
	struct iovec *iov, unsigned n, uint64_t offset)
{
	*io = (struct disk_io){
		.disk = d, .op = op, .request = request, .iov = iov, .n = n, .offset = offset};
	for (unsigned i = 0; i < n; i++)
		io->left += iov[i].iov_len;
}

/* One host system call between its two records. The result, or -errno. */
static int64_t host_call(struct disk_io *io, struct probe *p)
{
	static const long nr[][2] = {[DISK_READ] = {SYS_pread64, SYS_preadv},
		[DISK_WRITE] = {SYS_pwrite64, SYS_pwritev},
		[DISK_FLUSH] = {SYS_fdatasync, SYS_fdatasync}};
	const struct iovec *iov = io->iov;
	long call = nr[io->op][io->n > 1];
	off_t offset = (off_t)io->offset;
	int64_t result;
	int fd = io->disk->fd;

	PROBE(p, EW_HOST_CALL, io->request, (uint64_t)call, (uint64_t)fd, io->left, io->offset,
		io->n);
	switch (call) {
	case SYS_pread64:
		result = pread(fd, iov->iov_base, iov->iov_len, offset);
		break;
	case SYS_pwrite64:
		result = pwrite(fd, iov->iov_base, iov->iov_len, offset);
		break;
	case SYS_preadv:
		result = preadv(fd, iov, (int)io->n, offset);
		break;
	case SYS_pwritev:
		result = pwritev(fd, iov, (int)io->n, offset);
		break;
	default:
		result = fdatasync(fd);
		break;
	}
	if (result < 0)
		result = -errno;
	PROBE(p, EW_HOST_RET, io->request, (uint64_t)call, (uint64_t)result);
	return result;
}

/* EAGAIN is for those who ask without waiting. It must not keep anybody busy for ever. */
#define ATTEMPTS 100

bool disk_io_continue(struct disk_io *io, int64_t result)
{
	io->result = 0;
	if (result == -EINTR || (result == -EAGAIN && ++io->attempts < ATTEMPTS))
		return false;
	if (result < 0)
		io->result = (int)result;
	if (result < 0 || io->op == DISK_FLUSH)
		return true;
	if (!result && io->left)
		io->result = -EIO; /* the image has become shorter than it was at open */
	if (!result)
		return true;
	io->attempts = 0;
	io->offset += (uint64_t)result;
	io->left -= (uint64_t)result;
	while (io->n && (uint64_t)result >= io->iov->iov_len) {
		result -= (int64_t)io->iov->iov_len;
		io->iov++;
		io->n--;
	}
	if (io->n) {
		io->iov->iov_base = (uint8_t *)io->iov->iov_base + result;
		io->iov->iov_len -= (size_t)result;
	}
	return !io->left;
}

int disk_io_run(struct disk_io *io, struct probe *p)
{
	io->result = 0;
	if (io->op != DISK_FLUSH && !io->left)
		return 0;
	while (!disk_io_continue(io, host_call(io, p)))
		;
	return io->result;
}

int disk_read(struct disk *d, struct probe *p, uint64_t request, struct iovec *iov, unsigned n,
	uint64_t offset)
{
	struct disk_io io;

	disk_io_init(&io, d, DISK_READ, request, iov, n, offset);
	return disk_io_run(&io, p);
}

int disk_write(struct disk *d, struct probe *p, uint64_t request, struct iovec *iov, unsigned n,
	uint64_t offset)
{
	struct disk_io io;

	disk_io_init(&io, d, DISK_WRITE, request, iov, n, offset);
	return disk_io_run(&io, p);
}

int disk_flush(struct disk *d, struct probe *p, uint64_t request)
{
	struct disk_io io;

	disk_io_init(&io, d, DISK_FLUSH, request, NULL, 0, 0);
	return disk_io_run(&io, p);
}
