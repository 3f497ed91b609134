/* SPDX-License-Identifier: MIT */
/*
 * Pages of a database that are replaced together, or not at all, by a program other than SQLite: the old ones
 * go into a rollback journal of SQLite's format first. If this process dies in between, whoever opens the
 * file next with SQLite has the old pages. Source: https://www.sqlite.org/fileformat2.html, "The Rollback
 * Journal".
 */
#ifndef EXITWALK_TRACER_PAGE_JOURNAL_H
#define EXITWALK_TRACER_PAGE_JOURNAL_H

#include "btree.h"
#include "err.h"

struct page_image {
	uint32_t number; /* from 1 */
	uint8_t bytes[BTREE_PAGE];
};

/*
 * Replaces n pages of the file behind fd, which had `pages` pages before anything was written behind its end.
 * path: of the database. The caller holds SQLite's exclusive lock. Nothing is synced: this is against the
 * death of a process, not against that of the machine. On an error the journal is left, if any page may have
 * been replaced, and SQLite undoes that. -errno.
 */
int page_journal_replace(int fd, const char *path, uint32_t pages, const struct page_image *image,
	unsigned n, struct err *e);

/* The first half of it: the journal is written, and nothing is replaced. */
int page_journal_write(int fd, const char *path, uint32_t pages, const struct page_image *image,
	unsigned n, struct err *e);

#endif
