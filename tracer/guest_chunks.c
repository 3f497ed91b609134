/* SPDX-License-Identifier: MIT */
/* The chunks of what a guest's agent sends. */
#include "guest_chunks.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define HEADER sizeof(struct guest_stream_header)

int guest_chunks_init(struct guest_chunks *c)
{
	c->buf = malloc(HEADER + GUEST_STREAM_MAX + GUEST_CHUNK_SLACK);
	c->next = 0;
	return c->buf ? 0 : -ENOMEM;
}

void guest_chunks_free(struct guest_chunks *c)
{
	free(c->buf);
	c->buf = NULL;
}

static int missing(struct guest_chunks *c)
{
	c->gaps++;
	c->next = UINT64_MAX;
	return c->gap ? c->gap(c->ctx) : 0;
}

/* How many of buf's bytes cannot be the beginning of a chunk. */
static size_t wrong(const struct guest_chunks *c)
{
	static const uint32_t magic = GUEST_STREAM_MAGIC;
	struct guest_stream_header h;

	for (size_t at = 0; at < c->used; at++) {
		size_t left = c->used - at;

		if (memcmp(c->buf + at, &magic, left < sizeof(magic) ? left : sizeof(magic)) != 0)
			continue;
		if (left < HEADER)
			return at;
		memcpy(&h, c->buf + at, HEADER);
		if (h.len <= GUEST_STREAM_MAX)
			return at;
	}
	return c->used;
}

static void drop(struct guest_chunks *c, size_t n)
{
	memmove(c->buf, c->buf + n, c->used - n);
	c->used -= n;
	c->begin += n;
}

/* Bytes that are no chunk's: what they were is lost. */
static int skip(struct guest_chunks *c)
{
	size_t n = wrong(c);
	int ret = 0;

	if (n && c->next != UINT64_MAX)
		ret = missing(c);
	c->skipped += n;
	if (n)
		drop(c, n);
	return ret;
}

/* The bytes that the chunk in buf has, header included; as long as that is not whole, the header. */
static size_t wanted(const struct guest_chunks *c)
{
	struct guest_stream_header h;

	if (c->used < HEADER)
		return HEADER;
	memcpy(&h, c->buf, HEADER);
	return HEADER + h.len;
}

static int take(struct guest_chunks *c)
{
	struct guest_chunk chunk = {
		.data = c->buf + HEADER, .position = c->begin, .end = c->begin + c->used};
	int ret = 0;

	memcpy(&chunk.header, c->buf, HEADER);
	memset(c->buf + c->used, 0, GUEST_CHUNK_SLACK);
	if (c->next != UINT64_MAX && chunk.header.number != (uint32_t)c->next)
		ret = missing(c);
	c->next = (uint64_t)chunk.header.number + 1;
	c->chunks++;
	c->used = 0;
	return ret ? ret : c->chunk(c->ctx, &chunk);
}

int guest_chunks_feed(struct guest_chunks *c, uint64_t position, const void *data, size_t len)
{
	const uint8_t *p = data;
	int ret = 0;

	if (position != c->position) {
		c->skipped += c->used;
		c->used = 0;
		ret = missing(c);
	}
	c->position = position + len;
	while (!ret && len) {
		size_t n = wanted(c) - c->used;

		if (!c->used)
			c->begin = c->position - len;
		if (n > len)
			n = len;
		memcpy(c->buf + c->used, p, n);
		c->used += n;
		p += n;
		len -= n;
		if (c->used <= HEADER)
			ret = skip(c);
		if (!ret && c->used >= HEADER && c->used == wanted(c))
			ret = take(c);
	}
	return ret;
}

int guest_chunks_end(struct guest_chunks *c)
{
	c->skipped += c->used;
	if (!c->used)
		return 0;
	c->used = 0;
	return missing(c);
}
