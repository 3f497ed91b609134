// SPDX-License-Identifier: MIT
/* Reads the binary statistics file of a VM or vCPU: header, descriptors, data. */
#include <errno.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "kvm_stats.h"

static int read_at(int fd, void *buf, size_t len, off_t offset)
{
	ssize_t n = pread(fd, buf, len, offset);

	if (n < 0)
		return -errno;
	return (size_t)n == len ? 0 : -EIO;
}

static int read_one(int fd, const struct kvm_stats_header *h, const struct kvm_stats_desc *d,
	void (*each)(void *ctx, const char *name, uint64_t value), void *ctx)
{
	uint64_t value;
	int rc;

	if (d->size != 1)
		return 0;
	rc = read_at(fd, &value, sizeof(value), (off_t)h->data_offset + d->offset);
	if (rc)
		return rc;
	each(ctx, d->name, value);
	return 1;
}

int kvm_stats_read_file(
	int fd, void (*each)(void *ctx, const char *name, uint64_t value), void *ctx)
{
	enum { SANE = 4096 }; /* names and counters: far more than any kernel has */
	struct kvm_stats_header h;
	struct kvm_stats_desc *d;
	size_t desc_size;
	int rc, count = 0;

	rc = read_at(fd, &h, sizeof(h), 0);
	if (rc)
		return rc;
	if (h.name_size == 0 || h.name_size > SANE || h.num_desc > SANE)
		return -EIO;
	desc_size = sizeof(*d) + h.name_size;
	d = calloc(1, desc_size + 1);
	if (!d)
		return -ENOMEM;
	for (uint32_t i = 0; i < h.num_desc && rc >= 0; i++) {
		rc = read_at(fd, d, desc_size, (off_t)(h.desc_offset + i * desc_size));
		if (rc == 0)
			rc = read_one(fd, &h, d, each, ctx);
		if (rc > 0)
			count += rc;
	}
	free(d);
	return rc < 0 ? rc : count;
}

int kvm_stats_read(int kvm_fd, void (*each)(void *ctx, const char *name, uint64_t value), void *ctx,
	struct err *e)
{
	int fd = ioctl(kvm_fd, KVM_GET_STATS_FD, NULL);
	int rc = -errno;

	if (fd >= 0) {
		rc = kvm_stats_read_file(fd, each, ctx);
		close(fd);
	}
	if (rc < 0)
		err_set(e, rc, "KVM's counters cannot be read: %s", strerror(-rc));
	return rc;
}
