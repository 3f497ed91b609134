/* SPDX-License-Identifier: MIT */
/* A raw disk image. Every host system call is recorded before and after. */
#ifndef EXITWALK_VMM_DISK_H
#define EXITWALK_VMM_DISK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>
#include "tracer/err.h"
#include "tracer/probe.h"

struct disk {
	int fd;
	bool read_only;
	uint64_t
		sectors; /* capacity in 512-byte sectors (a trailing part of a sector is not offered) */
	char id[20];     /* VIRTIO_BLK_T_GET_ID, not necessarily NUL-terminated */
};

/* create_bytes > 0: a file that does not exist is created sparse with that size; an existing one keeps
 * its own. The image is locked (flock): two machines on one image give -EBUSY. */
int disk_open(
	struct disk *d, const char *path, bool read_only, uint64_t create_bytes, struct err *e);
void disk_close(struct disk *d);

/* All bytes or an error: short transfers are continued (each host call is recorded with `request`).
 * One segment: pread64/pwrite64; several: preadv/pwritev. iov is modified. 0 or -errno. */
int disk_read(struct disk *d, struct probe *p, uint64_t request, struct iovec *iov, unsigned n,
	uint64_t offset);
int disk_write(struct disk *d, struct probe *p, uint64_t request, struct iovec *iov, unsigned n,
	uint64_t offset);
int disk_flush(struct disk *d, struct probe *p, uint64_t request); /* fdatasync */

#endif
