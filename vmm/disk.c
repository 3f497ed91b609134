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
	const char *path, bool read_only, uint64_t create_bytes, bool *created, struct err *e)
{
	/* NONBLOCK: a FIFO given by mistake must not hang us; it means nothing to files and disks. */
	int flags = (read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NONBLOCK;
	int fd = open(path, flags);

	*created = false;
	if (fd < 0 && errno == ENOENT && create_bytes && !read_only) {
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
				"the disk image %s is in use by another machine: stop that one, or "
				"give each its own image",
				path);
		return err_set(
			e, -errno, "cannot lock the disk image %s: %s", path, strerror(errno));
	}
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
	struct disk *d, const char *path, bool read_only, uint64_t create_bytes, struct err *e)
{
	bool created;
	off_t end;
	int fd, ret;

	*d = (struct disk){.fd = -1, .read_only = read_only};
	fd = image_open(path, read_only, create_bytes, &created, e);
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

/* One host system call between its two records. The result, or -errno. */
static int64_t host_call(struct disk *d, struct probe *p, uint64_t request, long nr,
	const struct iovec *iov, unsigned n, uint64_t count, uint64_t offset)
{
	int64_t result;

	PROBE(p, EW_HOST_CALL, request, (uint64_t)nr, (uint64_t)d->fd, count, offset, n);
	switch (nr) {
	case SYS_pread64:
		result = pread(d->fd, iov->iov_base, iov->iov_len, (off_t)offset);
		break;
	case SYS_pwrite64:
		result = pwrite(d->fd, iov->iov_base, iov->iov_len, (off_t)offset);
		break;
	case SYS_preadv:
		result = preadv(d->fd, iov, (int)n, (off_t)offset);
		break;
	case SYS_pwritev:
		result = pwritev(d->fd, iov, (int)n, (off_t)offset);
		break;
	default:
		result = fdatasync(d->fd);
		break;
	}
	if (result < 0)
		result = -errno;
	PROBE(p, EW_HOST_RET, request, (uint64_t)nr, (uint64_t)result);
	return result;
}

static int transfer(struct disk *d, struct probe *p, uint64_t request, bool is_write,
	struct iovec *iov, unsigned n, uint64_t offset)
{
	uint64_t left = 0;

	for (unsigned i = 0; i < n; i++)
		left += iov[i].iov_len;
	while (left) {
		long one = is_write ? SYS_pwrite64 : SYS_pread64;
		long several = is_write ? SYS_pwritev : SYS_preadv;
		int64_t done = host_call(
			d, p, request, n == 1 ? one : several, iov, n, left, offset);

		if (done == -EINTR)
			continue;
		if (done < 0)
			return (int)done;
		if (!done)
			return -EIO; /* the image has become shorter than it was at open */
		offset += (uint64_t)done;
		left -= (uint64_t)done;
		while (n && (uint64_t)done >= iov->iov_len) {
			done -= (int64_t)iov->iov_len;
			iov++;
			n--;
		}
		if (n) {
			iov->iov_base = (uint8_t *)iov->iov_base + done;
			iov->iov_len -= (size_t)done;
		}
	}
	return 0;
}

int disk_read(struct disk *d, struct probe *p, uint64_t request, struct iovec *iov, unsigned n,
	uint64_t offset)
{
	return transfer(d, p, request, false, iov, n, offset);
}

int disk_write(struct disk *d, struct probe *p, uint64_t request, struct iovec *iov, unsigned n,
	uint64_t offset)
{
	return transfer(d, p, request, true, iov, n, offset);
}

int disk_flush(struct disk *d, struct probe *p, uint64_t request)
{
	int64_t ret;

	do
		ret = host_call(d, p, request, SYS_fdatasync, NULL, 0, 0, 0);
	while (ret == -EINTR);
	return (int)ret;
}
