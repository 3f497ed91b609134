/* SPDX-License-Identifier: MIT */
/*
 * The virtual file system's few types, and exitfs on the disk (see vmm/guest_abi.h).
 */
#ifndef GUEST_EXITFS_H
#define GUEST_EXITFS_H

#include "guest_abi.h"
#include "kernel.h"

struct file;

/* A transfer in progress: where in the file, where in the process. */
struct kiocb {
	struct file *file;
	int64_t pos;
};

struct iov_iter {
	uint64_t buf;
	uint64_t count;
};

struct file_operations {
	int64_t (*read_iter)(struct kiocb *iocb, struct iov_iter *to);
	int64_t (*write_iter)(struct kiocb *iocb, struct iov_iter *from);
	int (*fsync)(struct file *file);
};

struct file {
	const struct file_operations *f_op; /* NULL: not open */
	uint32_t f_flags;
	int64_t f_pos;
};

/* Sector 0. */
struct exitfs_super {
	char magic[8];
	uint32_t version;
	uint32_t data_sector;
	uint64_t sectors;
	uint8_t zero[SECTOR_SIZE - 24];
};

/* Sector 1: the directory, of one entry. A name of length 0 is a free entry. */
struct exitfs_dirent {
	char name[40];
	uint32_t first_sector;
	uint32_t reserved;
	uint64_t size; /* in bytes */
};

struct exitfs_dir {
	struct exitfs_dirent entry;
	uint8_t zero[SECTOR_SIZE - sizeof(struct exitfs_dirent)];
};

_Static_assert(sizeof(struct exitfs_super) == SECTOR_SIZE, "a sector");
_Static_assert(sizeof(struct exitfs_dir) == SECTOR_SIZE, "a sector");

/* exitfs_dir.c */
int exitfs_mount(void);
int exitfs_open(const char *path, uint32_t flags);
struct exitfs_dirent *exitfs_inode(void);
void exitfs_mark_dirty(void);
int exitfs_write_inode(void);

/* exitfs.c */
extern const struct file_operations exitfs_file_operations;

/* read_write.c */
struct file *fdget(unsigned long fd);
int do_sys_openat(const char *path, uint32_t flags);
int do_close(unsigned long fd);
int64_t ksys_read(unsigned long fd, uint64_t buf, uint64_t count);
int64_t ksys_write(unsigned long fd, uint64_t buf, uint64_t count);
int64_t ksys_pread64(unsigned long fd, uint64_t buf, uint64_t count, int64_t pos);
int64_t ksys_pwrite64(unsigned long fd, uint64_t buf, uint64_t count, int64_t pos);
int64_t ksys_lseek(unsigned long fd, int64_t offset, unsigned int whence);
int64_t vfs_read(struct file *file, uint64_t buf, uint64_t count, int64_t *pos);
int64_t vfs_write(struct file *file, uint64_t buf, uint64_t count, int64_t *pos);
int vfs_fsync(struct file *file);

#endif
