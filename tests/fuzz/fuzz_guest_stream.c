/* SPDX-License-Identifier: MIT */
/*
 * libFuzzer target: what a guest's agent sends. The first half is bytes of any kind, in pieces and with holes; then,
 * behind good formats, sub-buffers with any entries. Whatever it says: events are of a guest's kinds and CPUs, losses do
 * not end before they begin, names are printable.
 *
 * sources: tracer/guest_decode.c tracer/guest_chunks.c tracer/guest_page.c tracer/guest_texts.c tracer/host_decode.c tracer/symbol_file.c tracer/ksyms.c @BUILD@/libexitwalk.a
 * libs: -isystem /usr/include/traceevent -lsqlite3 -ltraceevent -lelf
 */
#include "fuzz.h"

#include <string.h>

#include "tests/lib/guest_stream_maker.h"
#include "tracer/guest_decode.h"

static int on_event(void *ctx, const struct host_event *ev)
{
	(void)ctx;
	check(ev->rec.kind >= EW_GUEST_FUNC && ev->rec.kind <= EW_GUEST_SOFTIRQ_RET);
	check(ev->cpu < GUEST_CPUS && ev->present < 64);
	return 0;
}

static int on_loss(void *ctx, unsigned cpu, uint64_t ts0, uint64_t ts1, uint64_t n)
{
	(void)ctx;
	(void)ts0;
	(void)ts1;
	(void)n;
	check(cpu < GUEST_CPUS);
	return 0;
}

static void printable(const char *text)
{
	for (; *text; text++)
		check(*text >= 0x20 && *text < 0x7f);
}

static int on_name(void *ctx, enum guest_name what, uint64_t value, const char *name)
{
	(void)ctx;
	(void)value;
	check(what <= GUEST_NAME_PLACE);
	printable(name);
	return 0;
}

static int on_mark(void *ctx, unsigned cpu, uint64_t tsc, uint64_t end)
{
	(void)ctx;
	(void)tsc;
	check(cpu < GUEST_CPUS && end >= sizeof(struct guest_stream_header));
	return 0;
}

static int on_meta(void *ctx, const char *key, const char *value)
{
	(void)ctx;
	check(strncmp(key, "guest_trace.", 12) == 0);
	printable(value);
	return 0;
}

/* A sub-buffer of entries that fit, mostly, with the input's bytes in them. */
static void page(struct gs *g, struct input *in)
{
	static const uint16_t id[] = {1, 342, 343, 344, 345, 346, 347, 348, 349, 350, 351, 352, 353,
		354, 355, 356, 357, 999};
	unsigned cpu = take(in, 1) % 5, flags = take(in, 1);
	uint8_t data[1024] = {0};
	uint64_t ts = take(in, 4);
	uint32_t commit = 0;

	while (commit < 700 && in->p < in->end && take(in, 1) > 20) {
		unsigned words = 1 + take(in, 1) % 28, type = take(in, 1);
		uint32_t head = (type < 240 ? words : type & 31) | take(in, 2) << 5;
		uint32_t first = id[take(in, 1) % (sizeof(id) / sizeof(id[0]))] | take(in, 1) << 16;

		memcpy(data + 16 + commit, &head, 4);
		for (unsigned i = 0; i < words; i++) {
			uint32_t word = i ? take(in, 4) : first;

			memcpy(data + 20 + commit + 4 * i, &word, 4);
		}
		commit += 4 + 4 * words;
	}
	memcpy(data, &ts, 8);
	commit |= flags < 40 ? 1u << 31 : flags < 80 ? 3u << 30 : flags == 255 ? 0x3f0 : 0;
	memcpy(data + 8, &commit, 4);
	gs_chunk(g, GUEST_STREAM_PAGE, cpu == 4 ? 4000 : cpu, data,
		flags == 254 ? take(in, 1) : sizeof(data));
}

/* Chunks with the input's bytes, and some bytes that are in none. */
static void chunk(struct gs *g, struct input *in)
{
	unsigned what = take(in, 1), len = take(in, 1);
	uint8_t bytes[256];

	for (unsigned i = 0; i < len; i++)
		bytes[i] = (uint8_t)take(in, 1);
	if (what < 150)
		page(g, in);
	else if (what < 170)
		gs_bytes(g, bytes, len);
	else if (what < 180)
		g->number++;
	else if (what % 16 != GUEST_STREAM_FORMAT) /* libtraceevent's parser is not ours to test */
		gs_chunk(g, what % 16, bytes[0] % 4, bytes, len);
}

static void feed(struct guest_chunks *c, const struct gs *g, struct input *in)
{
	size_t at = 0;

	while (at < g->len) {
		size_t n = 1 + take(in, 2) % 3000;

		if (in->p == in->end || n > g->len - at)
			n = g->len - at;
		if (n % 64) /* else a hole */
			check(guest_chunks_feed(c, at, g->bytes + at, n) == 0);
		at += n;
	}
}

static const struct guest_sink sink = {on_event, on_loss, on_name, on_mark, on_meta, NULL};
static struct guest_chunks chunks = {.chunk = guest_decoder_chunk, .gap = guest_decoder_gap};
static struct guest_decoder *decoder;

/* Formats and symbols take a hundred times as long as an input, so the inputs have one decoder: each begins behind a
 * gap. */
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	struct gs g = {0};

	(void)argc;
	(void)argv;
	gs_begin(&g);
	gs_text(&g, GUEST_STREAM_SYMBOLS, GUEST_STREAM_NO_CPU, gs_kallsyms);
	check(guest_decoder_create(&decoder, &sink, NULL) == 0 && guest_chunks_init(&chunks) == 0);
	chunks.ctx = decoder;
	check(guest_chunks_feed(&chunks, 0, g.bytes, g.len) == 0);
	gs_free(&g);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, data + size};
	struct gs g = {0};

	for (int n = 0; n < MAX_OPS && in.p < in.end; n++)
		chunk(&g, &in);
	in.p = data;
	chunks.position = UINT64_MAX; /* the stream begins anew */
	feed(&chunks, &g, &in);
	check(guest_chunks_end(&chunks) == 0 && guest_decoder_end(decoder, &chunks) == 0);
	gs_free(&g);
	return 0;
}
