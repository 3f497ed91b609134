/* SPDX-License-Identifier: MIT */
/* A raw disk image. Every host system call is recorded before and after. */
#ifndef EXITWALK_VMM_DISK_H
#define EXITWALK_VMM_DISK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>
#include "tracer/err.h"
#include "tracer/probe.h"

/* SYNC: what is written is on the medium before the write returns (O_DSYNC). */
enum disk_mode { DISK_READ_WRITE, DISK_READ_ONLY, DISK_SYNC };

struct disk {
	int fd;
	bool read_only;
	uint64_t
		sectors; /* capacity in 512-byte sectors (a trailing part of a sector is not offered) */
	char id[20];     /* VIRTIO_BLK_T_GET_ID, not necessarily NUL-terminated */
};

/* create_bytes > 0: a file that does not exist is created sparse with that size; an existing one keeps
 * its own. The image is locked (flock): two machines on one image give -EBUSY. */
int disk_open(struct disk *d, const char *path, enum disk_mode mode, uint64_t create_bytes,
	struct err *e);
void disk_close(struct disk *d);

enum disk_op { DISK_READ, DISK_WRITE, DISK_FLUSH };

/* One transfer, or a flush, as a device asks for it. */
struct disk_io {
	struct disk *disk;
	enum disk_op op;
	uint64_t request;  /* its number in the recording */
	struct iovec *iov; /* what is left to do: modified */
	unsigned n;
	uint64_t offset, left; /* bytes; offset and iov move on, left sinks to 0 */

	/* For those who do it elsewhere (struct disk_engine). */
	void (*done)(struct disk_io *io, int result); /* result: 0 or -errno */
	struct disk_io *next;
	int result;
	unsigned attempts; /* that moved nothing */
};

/* Whoever does transfers without the caller waiting for them. */
struct disk_engine {
	/* Takes io, which stays where it is, and calls io->done() later, when the caller has the turn. */
	void (*submit)(struct disk_engine *engine, struct disk_io *io);
};

/* n segments at `offset`; n 0 for a flush. */
void disk_io_init(struct disk_io *io, struct disk *d, enum disk_op op, uint64_t request,
	struct iovec *iov, unsigned n, uint64_t offset);

/*
 * Here and now: all bytes or an error; short transfers are continued (each host call is recorded with
 * the request). One segment: pread64/pwrite64; several: preadv/pwritev; flush: fdatasync. 0 or -errno.
 */
int disk_io_run(struct disk_io *io, struct probe *p);

/* `result` is what the host said of the rest of io. True: that was it, with io->result; false: what is
 * left has to be tried again. */
bool disk_io_continue(struct disk_io *io, int64_t result);

/* The same in one call; iov is modified. */
int disk_read(struct disk *d, struct probe *p, uint64_t request, struct iovec *iov, unsigned n,
	uint64_t offset);
int disk_write(struct disk *d, struct probe *p, uint64_t request, struct iovec *iov, unsigned n,
	uint64_t offset);
int disk_flush(struct disk *d, struct probe *p, uint64_t request);

#endif
