/* SPDX-License-Identifier: MIT */
/* The reader of what a guest's agent has sent, on one end of a pipe. */
#include "guest_read.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "guest_decode.h"
#include "import_write.h"

#define READ_BYTES (1u << 16)
#define ALIVE_EVENTS 65536

struct reader {
	struct import_writer to;
	struct guest_decoder *decoder;
	uint64_t events;
};

/* --- what the decoder says ---------------------------------------------------------------------- */

static int on_event(void *ctx, const struct host_event *ev)
{
	struct reader *r = ctx;

	if (++r->events % ALIVE_EVENTS == 0)
		import_alive();
	import_write_event(&r->to, ev);
	return r->to.error;
}

static int on_loss(void *ctx, unsigned cpu, uint64_t ts0, uint64_t ts1, uint64_t n)
{
	const struct import_loss l = {.ts0 = ts0, .ts1 = ts1, .n = n, .task = cpu, .cpu = cpu};
	struct reader *r = ctx;

	import_write_after(&r->to, IMPORT_LOSS, &l, sizeof(l));
	return r->to.error;
}

static int on_name(void *ctx, enum guest_name what, uint64_t value, const char *name)
{
	struct import_name n = {.value = value, .what = what};
	struct reader *r = ctx;

	snprintf(n.name, sizeof(n.name), "%s", name);
	import_write_after(&r->to, IMPORT_NAME, &n, sizeof(n));
	return r->to.error;
}

static int on_mark(void *ctx, unsigned cpu, uint64_t tsc, uint64_t end)
{
	const struct import_mark m = {.tsc = tsc, .end = end, .cpu = cpu};
	struct reader *r = ctx;

	import_write_after(&r->to, IMPORT_MARK, &m, sizeof(m));
	return r->to.error;
}

static int on_meta(void *ctx, const char *key, const char *value)
{
	struct reader *r = ctx;

	import_write_meta(&r->to, key, value);
	return r->to.error;
}

/* --- the file ------------------------------------------------------------------------------------- */

/* 1, or 0 at the end. A file that we have written ourselves has no half pieces. */
static int read_all(int fd, void *data, size_t len)
{
	char *p = data;

	while (len) {
		ssize_t n = read(fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return 0;
		p += n;
		len -= (size_t)n;
	}
	return 1;
}

static int feed(struct guest_chunks *chunks, int in)
{
	struct guest_piece piece;
	static uint8_t buf[READ_BYTES];
	int ret = 0;

	while (!ret && read_all(in, &piece, sizeof(piece)) > 0) {
		for (uint64_t at = 0; !ret && at < piece.len;) {
			size_t n = piece.len - at < sizeof(buf) ? (size_t)(piece.len - at)
								: sizeof(buf);

			if (read_all(in, buf, n) <= 0)
				return 0;
			ret = guest_chunks_feed(chunks, piece.position + at, buf, n);
			at += n;
		}
		import_alive();
	}
	return ret;
}

int guest_read(const struct import_reader *reader, int out, struct import_ring *ring)
{
	struct reader *r = calloc(1, sizeof(*r));
	const struct guest_sink sink = {on_event, on_loss, on_name, on_mark, on_meta, r};
	struct guest_chunks chunks = {.chunk = guest_decoder_chunk, .gap = guest_decoder_gap};
	int ret;

	if (!r || guest_chunks_init(&chunks))
		return -ENOMEM;
	r->to = (struct import_writer){.out = out, .batch = ring->batch};
	import_alive();
	ret = guest_decoder_create(&r->decoder, &sink, NULL);
	chunks.ctx = r->decoder;
	if (!ret)
		ret = feed(&chunks, reader->in);
	if (!ret)
		ret = guest_chunks_end(&chunks);
	if (!ret)
		ret = guest_decoder_end(r->decoder, &chunks);
	if (ret == -ENOMEM)
		import_write_damage(&r->to, "it takes more memory to decode than it is given");
	import_write_after(&r->to, IMPORT_END, NULL, 0);
	guest_decoder_destroy(r->decoder);
	guest_chunks_free(&chunks);
	ret = r->to.error;
	free(r);
	return ret;
}
