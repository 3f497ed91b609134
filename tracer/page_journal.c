/* SPDX-License-Identifier: MIT */
/* Pages of a database that are replaced together, or not at all. */
#include "page_journal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SECTOR 512              /* the header's length */
#define RECORD (BTREE_PAGE + 8) /* page number, page, checksum */
#define CHECKSUM_STEP 200

static void put32(uint8_t *p, uint32_t v)
{
	v = __builtin_bswap32(v);
	memcpy(p, &v, sizeof(v));
}

/* With a nonce of 0. */
static uint32_t checksum(const uint8_t *page)
{
	uint32_t sum = 0;

	for (int i = BTREE_PAGE - CHECKSUM_STEP; i > 0; i -= CHECKSUM_STEP)
		sum += page[i];
	return sum;
}

static off_t place(uint32_t number)
{
	return (off_t)(number - 1) * BTREE_PAGE;
}

static int failed(struct err *e, const char *what)
{
	int ret = errno ? -errno : -EIO;

	return err_set(e, ret, "%s: %s", what, strerror(-ret));
}

static void journal_name(char *name, size_t size, const char *path)
{
	snprintf(name, size, "%s-journal", path);
}

static int fill(uint8_t *journal, int fd, uint32_t pages, const struct page_image *image,
	unsigned n, struct err *e)
{
	static const uint8_t magic[8] = {0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7};

	memcpy(journal, magic, sizeof(magic));
	put32(journal + 8, n);
	put32(journal + 16, pages);
	put32(journal + 20, SECTOR);
	put32(journal + 24, BTREE_PAGE);
	for (unsigned i = 0; i < n; i++) {
		uint8_t *record = journal + SECTOR + (size_t)i * RECORD;

		errno = 0;
		put32(record, image[i].number);
		if (pread(fd, record + 4, BTREE_PAGE, place(image[i].number)) != BTREE_PAGE)
			return failed(e, "a page of the recording cannot be read");
		put32(record + 4 + BTREE_PAGE, checksum(record + 4));
	}
	return 0;
}

int page_journal_write(int fd, const char *path, uint32_t pages, const struct page_image *image,
	unsigned n, struct err *e)
{
	size_t len = SECTOR + (size_t)n * RECORD;
	uint8_t *journal = calloc(1, len);
	char name[PATH_MAX + 16];
	int ret, out = -1;

	if (!journal)
		return err_set(e, -ENOMEM, "out of memory");
	journal_name(name, sizeof(name), path);
	ret = fill(journal, fd, pages, image, n, e);
	if (!ret)
		out = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (!ret && out < 0)
		ret = failed(e, "a journal cannot be made beside it");
	errno = 0;
	if (!ret && write(out, journal, len) != (ssize_t)len) {
		ret = failed(e, "its journal cannot be written");
		unlink(name);
	}
	if (out >= 0)
		close(out);
	free(journal);
	return ret;
}

int page_journal_replace(int fd, const char *path, uint32_t pages, const struct page_image *image,
	unsigned n, struct err *e)
{
	char name[PATH_MAX + 16];
	int ret = page_journal_write(fd, path, pages, image, n, e);

	if (ret)
		return ret;
	for (unsigned i = 0; i < n; i++) {
		errno = 0;
		/* What is left of it then is SQLite's to undo: the journal stays. */
		if (pwrite(fd, image[i].bytes, BTREE_PAGE, place(image[i].number)) != BTREE_PAGE)
			return failed(e, "a page of the recording cannot be written");
	}
	journal_name(name, sizeof(name), path);
	return unlink(name) ? failed(e, "its journal cannot be removed") : 0;
}
