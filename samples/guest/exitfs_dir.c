// SPDX-License-Identifier: MIT
/*
 * exitfs, the metadata: one superblock, one directory block, one file.
 */
#include <linux/fcntl.h>

#include "blk.h"
#include "exitfs.h"

/* Adjacent on the disk and here, so that mounting is one request. */
static struct {
	struct exitfs_super super;
	struct exitfs_dir dir;
} __attribute__((aligned(2 * SECTOR_SIZE))) meta;

static bool dirty;

struct exitfs_dirent *exitfs_inode(void)
{
	return &meta.dir.entry;
}

void exitfs_mark_dirty(void)
{
	dirty = true;
}

static int exitfs_transfer(enum req_op op, uint64_t sector, void *p, uint32_t len)
{
	static struct bio bio;

	bio_init(&bio, op, sector);
	bio_add_kernel(&bio, p, len);
	return submit_bio_wait(&bio);
}

/* Write the directory block if it has changed. */
noinline int exitfs_write_inode(void)
{
	if (!dirty)
		return 0;
	dirty = false;
	return exitfs_transfer(REQ_OP_WRITE, 1, &meta.dir, SECTOR_SIZE);
}

static int exitfs_format(void)
{
	static const char magic[8] = EW_FS_MAGIC;

	for (size_t i = 0; i < sizeof(magic); i++)
		meta.super.magic[i] = magic[i];
	meta.super.version = 1;
	meta.super.data_sector = EW_FS_DATA_SECTOR;
	meta.super.sectors = the_disk->capacity;
	meta.dir.entry.name[0] = 0;
	return exitfs_transfer(REQ_OP_WRITE, 0, &meta, sizeof(meta));
}

noinline int exitfs_mount(void)
{
	static const char magic[8] = EW_FS_MAGIC;
	int ret;

	if (the_disk->capacity <= EW_FS_DATA_SECTOR)
		return -ENOSPC;
	ret = exitfs_transfer(REQ_OP_READ, 0, &meta, sizeof(meta));
	if (ret)
		return ret;
	for (size_t i = 0; i < sizeof(magic); i++)
		if (meta.super.magic[i] != magic[i])
			return exitfs_format();
	if (meta.dir.entry.name[0] && meta.dir.entry.first_sector >= the_disk->capacity)
		return -EINVAL;
	return 0;
}

/* Find the file, or make it. Nothing is written yet: fsync does that. */
noinline int exitfs_open(const char *path, uint32_t flags)
{
	struct exitfs_dirent *de = exitfs_inode();
	const char *name = *path == '/' ? path + 1 : path;
	size_t i = 0;

	if (!*name)
		return -EISDIR;
	if (de->name[0]) {
		while (name[i] && name[i] == de->name[i])
			i++;
		if (name[i] == de->name[i])
			return 0;
		return flags & O_CREAT ? -ENOSPC : -ENOENT;
	}
	if (!(flags & O_CREAT))
		return -ENOENT;
	for (i = 0; name[i]; i++) {
		if (i == sizeof(de->name) - 1)
			return -ENAMETOOLONG;
		de->name[i] = name[i];
	}
	de->name[i] = 0;
	de->first_sector = EW_FS_DATA_SECTOR;
	de->size = 0;
	exitfs_mark_dirty();
	return 0;
}
