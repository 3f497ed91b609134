/* SPDX-License-Identifier: MIT */
#include "guest_page.h"

#include <string.h>

#define PAGE_HEADER 16               /* timestamp, commit */
#define COMMIT_MASK ((1u << 27) - 1) /* what kbuffer takes for it */
#define MISSED_STORED (1u << 30)     /* RB_MISSED_STORED: their number stands behind the entries */
#define TYPE_MASK 31u
#define DATA_MAX 28u /* RINGBUF_TYPE_DATA_TYPE_LEN_MAX */
#define PADDING 29u

static uint32_t u32_at(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

/* The bytes of the entry that begins at p, `left` bytes before the end; 0: it does not fit. */
static size_t entry(const uint8_t *p, size_t left)
{
	uint32_t type, length;
	size_t n = 8;

	if (left < 4)
		return 0;
	type = u32_at(p) & TYPE_MASK;
	if (type >= 1 && type <= DATA_MAX) {
		n = 4 + 4 * (size_t)type;
	} else if (left < 8) {
		return 0;
	} else if (type == 0 || type == PADDING) {
		length = u32_at(p + 4);
		if (length < 4 || length > left || length % 4)
			return 0;
		n = 4 + (size_t)length;
	}
	return n <= left ? n : 0;
}

bool guest_page_whole(const uint8_t *page, size_t len)
{
	size_t commit, at = 0;
	uint32_t flags;

	if (len < PAGE_HEADER)
		return false;
	flags = u32_at(page + 8);
	commit = flags & COMMIT_MASK;
	if (commit > len - PAGE_HEADER)
		return false;
	if (flags & MISSED_STORED && commit + 8 > len - PAGE_HEADER)
		return false;
	while (at < commit) {
		size_t n = entry(page + PAGE_HEADER + at, commit - at);

		if (!n)
			return false;
		at += n;
	}
	return true;
}
