/* SPDX-License-Identifier: MIT */
/* What a guest's agent sends, decoded: every kind of event, names, gaps, losses, and whatever else a guest may send. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "tests/lib/guest_stream_maker.h"
#include "tracer/guest_decode.h"

#define EVENTS 4096
#define LOSSES 64

struct world {
	struct gs gs;
	struct host_event ev[EVENTS];
	size_t events;
	struct {
		unsigned cpu;
		uint64_t ts0, ts1, n;
	} loss[LOSSES];
	size_t losses;
	char names[8192], metas[8192]; /* one per line */
	uint64_t mark, mark_end;
};

static int on_event(void *ctx, const struct host_event *ev)
{
	struct world *w = ctx;

	if (w->events < EVENTS)
		w->ev[w->events++] = *ev;
	return 0;
}

static int on_loss(void *ctx, unsigned cpu, uint64_t ts0, uint64_t ts1, uint64_t n)
{
	struct world *w = ctx;

	if (w->losses == LOSSES)
		return 0;
	w->loss[w->losses].cpu = cpu;
	w->loss[w->losses].ts0 = ts0;
	w->loss[w->losses].ts1 = ts1;
	w->loss[w->losses++].n = n;
	return 0;
}

static int on_name(void *ctx, enum guest_name what, uint64_t value, const char *name)
{
	struct world *w = ctx;
	size_t used = strlen(w->names);

	snprintf(w->names + used, sizeof(w->names) - used, "%d %llx %s\n", what,
		(unsigned long long)value, name);
	return 0;
}

static int on_mark(void *ctx, unsigned cpu, uint64_t tsc, uint64_t end)
{
	struct world *w = ctx;

	(void)cpu;
	w->mark = tsc;
	w->mark_end = end;
	return 0;
}

static int on_meta(void *ctx, const char *key, const char *value)
{
	struct world *w = ctx;
	size_t used = strlen(w->metas);

	snprintf(w->metas + used, sizeof(w->metas) - used, "%s = %s\n", key, value);
	return 0;
}

/* Decodes the stream, fed in pieces of `piece` bytes, without its bytes [hole, hole_end). */
static void decode(struct world *w, size_t piece, size_t hole, size_t hole_end)
{
	const struct guest_sink sink = {on_event, on_loss, on_name, on_mark, on_meta, w};
	struct guest_chunks c = {.chunk = guest_decoder_chunk, .gap = guest_decoder_gap};
	struct guest_decoder *d;
	size_t at = 0;

	assert_int_equal(guest_decoder_create(&d, &sink, NULL), 0);
	assert_int_equal(guest_chunks_init(&c), 0);
	c.ctx = d;
	while (at < w->gs.len) {
		size_t end = at < hole && hole < w->gs.len ? hole : w->gs.len,
		       n = end - at < piece ? end - at : piece;

		if (at >= hole && at < hole_end) {
			at = hole_end;
			continue;
		}
		assert_int_equal(guest_chunks_feed(&c, at, w->gs.bytes + at, n), 0);
		at += n;
	}
	assert_int_equal(guest_chunks_end(&c), 0);
	assert_int_equal(guest_decoder_end(d, &c), 0);
	guest_decoder_destroy(d);
	guest_chunks_free(&c);
}

static void decode_all(struct world *w)
{
	decode(w, SIZE_MAX, SIZE_MAX, SIZE_MAX);
}

static int open_world(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	*state = w;
	if (w)
		gs_begin(&w->gs);
	return w ? 0 : -1;
}

static int close_world(void **state)
{
	struct world *w = *state;

	gs_free(&w->gs);
	free(w);
	return 0;
}

static void expect_meta(const struct world *w, const char *line)
{
	if (!strstr(w->metas, line))
		fail_msg("no '%s' in:\n%s", line, w->metas);
}

/* --- what is right -------------------------------------------------------------------------------- */

static void one_of_each(struct gs *g)
{
	gs_syscall(g, 0, 1000, 94, true, 18, 3);
	gs_func(g, 0, 1010, 94, GS_QUEUE_RQ, GS_DISPATCH + 0x20e);
	gs_block(g, 0, 1020, 94, GS_BIO, 2048, 1, 0);
	gs_block(g, 0, 1030, 94, GS_INSERT, 2048, 1, 512);
	gs_work(g, 0, 1040, 94, GS_QUEUE, 0xffff8b5401947640, GS_DISPATCH);
	gs_switch(g, 0, 1050, 94, "writer", 2, 34, "kworker/0:1H");
	gs_work(g, 0, 1060, 34, GS_START, 0xffff8b5401947640, GS_DISPATCH);
	gs_block(g, 0, 1070, 34, GS_ISSUE, 2048, 1, 512);
	gs_irq(g, 0, 1080, 34, 0x09, GS_IRQ, 25, 0);
	gs_block(g, 0, 1090, 34, GS_COMPLETE, 2048, 1, (uint32_t)-5);
	gs_waking(g, 0, 1100, 34, 0x11, 94, "writer");
	gs_irq(g, 0, 1110, 34, 0x09, GS_IRQ_RET, 25, 1);
	gs_irq(g, 0, 1120, 34, 0, GS_SOFTIRQ, 4, 0);
	gs_irq(g, 0, 1130, 34, 0, GS_SOFTIRQ_RET, 4, 0);
	gs_work(g, 0, 1140, 34, GS_END, 0xffff8b5401947640, GS_DISPATCH);
	gs_syscall(g, 0, 1150, 94, false, 18, (uint64_t)-5);
	gs_irq(g, 0, 1160, 0, 0, GS_OTHER, 7, 0);
	gs_end(g);
}

static void expect_each(const struct world *w)
{
	static const struct {
		unsigned kind, present;
		uint64_t a[6];
	} want[] = {
		{EW_GUEST_SYS_ENTER, 0x3f, {18, 3, 1, 2, 3, 4}},
		{EW_GUEST_FUNC, 0x03, {GS_QUEUE_RQ, GS_DISPATCH + 0x20e}},
		{EW_GUEST_BIO_QUEUE, 0x0f, {0xfe00000, 2048, 1, 'W' | 'S' << 8}},
		{EW_GUEST_RQ_INSERT, 0x1f, {0xfe00000, 2048, 1, 'W' | 'S' << 8, 512}},
		{EW_GUEST_WORK_QUEUE, 0x07, {0xffff8b5401947640, GS_DISPATCH, 0}},
		{EW_GUEST_SWITCH, 0x07, {94, 2, 34}},
		{EW_GUEST_WORK_START, 0x03, {0xffff8b5401947640, GS_DISPATCH}},
		{EW_GUEST_RQ_ISSUE, 0x1f, {0xfe00000, 2048, 1, 'W' | 'S' << 8, 512}},
		{EW_GUEST_IRQ, 0x01, {25}},
		{EW_GUEST_RQ_COMPLETE, 0x1f, {0xfe00000, 2048, 1, 'W' | 'S' << 8, (uint64_t)-5}},
		{EW_GUEST_WAKING, 0x03, {94, 0}},
		{EW_GUEST_IRQ_RET, 0x03, {25, 1}},
		{EW_GUEST_SOFTIRQ, 0x01, {4}},
		{EW_GUEST_SOFTIRQ_RET, 0x01, {4}},
		{EW_GUEST_WORK_END, 0x03, {0xffff8b5401947640, GS_DISPATCH}},
		{EW_GUEST_SYS_EXIT, 0x03, {18, (uint64_t)-5}},
	};

	assert_int_equal(w->events, sizeof(want) / sizeof(want[0]));
	for (size_t i = 0; i < w->events; i++) {
		const struct host_event *ev = &w->ev[i];

		assert_int_equal(ev->rec.kind, want[i].kind);
		assert_int_equal(ev->present, want[i].present);
		assert_memory_equal(ev->rec.a, want[i].a, sizeof(want[i].a));
		assert_int_equal(ev->rec.ts, 1000 + 10 * i);
		assert_int_equal(ev->cpu, 0);
	}
	assert_int_equal(w->ev[0].task, 94);
	assert_int_equal(w->ev[8].task, 34);
	assert_int_equal(w->ev[8].flags, 0x09);
}

static void every_kind(void **state)
{
	struct world *w = *state;

	one_of_each(&w->gs);
	decode_all(w);
	expect_each(w);
	assert_int_equal(w->losses, 0);
	expect_meta(w, "guest_trace.trace_clock = x86-tsc\n");
	expect_meta(w, "guest_trace.kernel = 6.1.0-test\n");
	expect_meta(w, "guest_trace.agent_pid = 90\n");
	expect_meta(w, "guest_trace.records = 17\n");
	expect_meta(w, "guest_trace.not_recorded = power:cpu_idle 1\n");
	expect_meta(w, "guest_trace.end = the agent said so\n");
	assert_null(strstr(w->metas, "guest_trace.gaps"));
}

/* In whatever pieces it comes. */
static void pieces(void **state)
{
	struct world *w = *state;
	static const size_t piece[] = {1, 15, 16, 17, 4096, 65536};

	one_of_each(&w->gs);
	for (size_t i = 0; i < sizeof(piece) / sizeof(piece[0]); i++) {
		w->events = w->losses = 0;
		decode(w, piece[i], SIZE_MAX, SIZE_MAX);
		expect_each(w);
		assert_int_equal(w->losses, 0);
	}
}

static void names(void **state)
{
	struct world *w = *state;

	gs_text(&w->gs, GUEST_STREAM_SYMBOLS, GUEST_STREAM_NO_CPU, gs_kallsyms);
	gs_func(&w->gs, 0, 1000, 34, GS_VP_NOTIFY + 4, GS_QUEUE_RQ + 0xf2);
	gs_func(&w->gs, 0, 1010, 34, GS_VP_NOTIFY + 4, GS_QUEUE_RQ + 0xf2);
	gs_func(&w->gs, 0, 1015, 34, UINT64_MAX,
		UINT64_MAX); /* no names, and no end of the decoding */
	gs_func(&w->gs, 0, 1016, 34, INT64_MAX, INT64_MAX);
	gs_func(&w->gs, 0, 1020, 34, 0x1234, GS_VP_NOTIFY);
	gs_switch(&w->gs, 0, 1030, 94, "init", 0, 34, "kworker/0:1H");
	gs_waking(&w->gs, 0, 1040, 34, 0, 94, "writ\x1b[31m");
	gs_pages(&w->gs);
	gs_text(&w->gs, GUEST_STREAM_CMDLINES, GUEST_STREAM_NO_CPU,
		"94 old\n17 ksoftirqd/0\n\nx y\n18\n-3 minus\n19 two words\n");
	gs_end(&w->gs);
	decode_all(w);
	assert_string_equal(w->names, "1 ffffffffc0301004 vp_notify\n"
				      "2 ffffffff817000f2 virtio_queue_rq+0xf2\n"
				      "2 ffffffffc0301000 vp_notify\n"
				      "0 5e init\n"
				      "0 22 kworker/0:1H\n"
				      "0 5e writ?[31m\n"
				      "0 11 ksoftirqd/0\n"
				      "0 13 two words\n");
}

static void marks(void **state)
{
	struct world *w = *state;
	uint64_t end;

	gs_mark(&w->gs, 0, 5555);
	end = w->gs.len;
	gs_end(&w->gs);
	decode(w, 100, SIZE_MAX, SIZE_MAX);
	assert_int_equal(w->mark, 5555);
	assert_int_equal(w->mark_end, end);
}

static void texts(void **state)
{
	struct world *w = *state;

	gs_text(&w->gs, GUEST_STREAM_FUNCTIONS, GUEST_STREAM_NO_CPU,
		"vp_notify\nvirtio_queue_rq\n");
	gs_text(&w->gs, GUEST_STREAM_MISSING, GUEST_STREAM_NO_CPU, "a: not there\nb: refused\n");
	gs_end(&w->gs);
	decode_all(w);
	expect_meta(w, "guest_trace.functions = vp_notify virtio_queue_rq\n");
	expect_meta(w, "guest_trace.missing = a: not there; b: refused\n");
}

/* --- what is missing ------------------------------------------------------------------------------- */

/* Bytes in the middle: the page that they are in is lost, what comes behind is there. */
static void hole(void **state)
{
	struct world *w = *state;
	size_t second, third;

	gs_func(&w->gs, 0, 1000, 1, GS_VP_NOTIFY, 0);
	gs_pages(&w->gs);
	second = w->gs.len;
	gs_func(&w->gs, 0, 2000, 1, GS_VP_NOTIFY, 0);
	gs_func(&w->gs, 1, 2000, 1, GS_VP_NOTIFY, 0);
	gs_pages(&w->gs);
	third = w->gs.len;
	gs_func(&w->gs, 0, 3000, 1, GS_VP_NOTIFY, 0);
	gs_end(&w->gs);
	decode(w, SIZE_MAX, second + 700, second + 900);
	assert_true(third > second + 2 * TD_PAGE);
	assert_int_equal(w->events, 3); /* 1000, CPU 1's 2000, 3000 */
	assert_int_equal(w->losses, 2);
	assert_int_equal(w->loss[0].cpu, 1); /* its first ones may be missing */
	assert_int_equal(w->loss[0].ts0, 2000);
	assert_int_equal(w->loss[1].cpu, 0);
	assert_int_equal(w->loss[1].ts0, 1000);
	assert_int_equal(w->loss[1].ts1, 3000);
	assert_int_equal(w->loss[1].n, 0);
	expect_meta(w, "guest_trace.gaps = 1\n");
	expect_meta(w, "guest_trace.bytes_not_understood = ");
}

/* A chunk that the agent did not get through: its number is missing. */
static void missing_number(void **state)
{
	struct world *w = *state;

	gs_func(&w->gs, 0, 1000, 1, GS_VP_NOTIFY, 0);
	gs_pages(&w->gs);
	w->gs.number++;
	gs_func(&w->gs, 0, 3000, 1, GS_VP_NOTIFY, 0);
	gs_end(&w->gs);
	decode_all(w);
	assert_int_equal(w->events, 2);
	assert_int_equal(w->losses, 1);
	assert_int_equal(w->loss[0].ts0, 1000);
	assert_int_equal(w->loss[0].ts1, 3000);
}

static void missed_by_the_buffer(void **state)
{
	struct world *w = *state;

	gs_func(&w->gs, 0, 1000, 1, GS_VP_NOTIFY, 0);
	w->gs.cpu[0].missing = 77;
	gs_func(&w->gs, 0, 2000, 1, GS_VP_NOTIFY, 0);
	w->gs.cpu[0].missing = -1;
	gs_func(&w->gs, 0, 3000, 1, GS_VP_NOTIFY, 0);
	gs_pages(&w->gs);
	gs_text(&w->gs, GUEST_STREAM_STATS, 0, "entries: 0\noverrun: 99\ndropped events: 0\n");
	gs_end(&w->gs);
	decode_all(w);
	assert_int_equal(w->events, 3);
	assert_int_equal(
		w->losses, 2); /* the 99 have their places, though not all have their number */
	assert_int_equal(w->loss[0].n, 77);
	assert_int_equal(w->loss[0].ts0, 1000);
	assert_int_equal(w->loss[0].ts1, 2000);
	assert_int_equal(w->loss[1].n, 0);
	expect_meta(w, "guest_trace.overrun = 99\n");
}

/* Overwritten, and no page says where. */
static void overrun(void **state)
{
	struct world *w = *state;

	gs_func(&w->gs, 2, 1000, 1, GS_VP_NOTIFY, 0);
	gs_func(&w->gs, 2, 9000, 1, GS_VP_NOTIFY, 0);
	gs_pages(&w->gs);
	gs_text(&w->gs, GUEST_STREAM_STATS, 2,
		"entries: 0\noverrun: 40\ncommit overrun: 0\ndropped events: 2\nread events: 2\n");
	gs_end(&w->gs);
	decode_all(w);
	assert_int_equal(w->losses, 1);
	assert_int_equal(w->loss[0].cpu, 2);
	assert_int_equal(w->loss[0].n, 42);
	assert_int_equal(w->loss[0].ts0, 1000);
	assert_int_equal(w->loss[0].ts1, 9000);
}

/* The run ended before the agent did. */
static void no_end(void **state)
{
	struct world *w = *state;

	gs_func(&w->gs, 0, 1000, 1, GS_VP_NOTIFY, 0);
	gs_pages(&w->gs);
	decode_all(w);
	assert_int_equal(w->events, 1);
	assert_int_equal(w->losses, 1);
	assert_int_equal(w->loss[0].ts0, 1000);
	assert_true(w->loss[0].ts1 == UINT64_MAX);
	expect_meta(w, "guest_trace.end = missing: the agent was ended, or the run was\n");
}

/* --- what is wrong ---------------------------------------------------------------------------------- */

/* A page that lies about its entries is left out, as a whole, and counted. */
static void damaged_pages(void **state)
{
	static const struct {
		size_t at;
		uint32_t value;
	} damage[] = {
		{8, 0xffffff}, /* commit beyond the page */
		{8, TD_PAGE - TD_PAGE_HEADER + 4},
		{8, 1u << 30 | (TD_PAGE -
				       TD_PAGE_HEADER)}, /* the number of missed ones lies behind it */
		{TD_PAGE_HEADER, 0},                     /* an entry whose length follows: 0 */
		{TD_PAGE_HEADER, 29},                    /* padding of no length */
		{TD_PAGE_HEADER, 28},                    /* longer than the data */
		{8, 6},                                  /* half an entry */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(damage) / sizeof(damage[0]); i++) {
		struct world *w;

		open_world((void **)&w);
		gs_irq(&w->gs, 0, 500, 1, 0, GS_SOFTIRQ, 4, 0);
		gs_pages(&w->gs);
		gs_irq(&w->gs, 0, 1000, 1, 0, GS_SOFTIRQ, 4, 0);
		memcpy(w->gs.cpu[0].page + damage[i].at, &damage[i].value, 4);
		if (damage[i].at == TD_PAGE_HEADER && damage[i].value != 28)
			memset(w->gs.cpu[0].page + TD_PAGE_HEADER + 4, 0, 4);
		gs_pages(&w->gs);
		gs_irq(&w->gs, 0, 2000, 1, 0, GS_SOFTIRQ, 4, 0);
		gs_end(&w->gs);
		decode_all(w);
		assert_int_equal(w->events, 2);
		assert_int_equal(w->losses, 1);
		assert_int_equal(w->loss[0].ts0, 500);
		assert_int_equal(w->loss[0].ts1, 2000);
		expect_meta(w, "guest_trace.pages_damaged = 1\n");
		close_world((void **)&w);
	}
}

/* Chunks that are too short for what they are, of CPUs that there are not, or of types that nobody knows. */
static void odd_chunks(void **state)
{
	struct world *w = *state;

	for (unsigned type = 0; type < 20; type++) {
		if (type == GUEST_STREAM_END || type == GUEST_STREAM_FUNCTIONS ||
			type == GUEST_STREAM_MISSING)
			continue;
		gs_chunk(&w->gs, type, 0, "", 0);
		gs_chunk(&w->gs, type, 5000, "\1\2\3\4\5\6\7", 7);
		gs_chunk(&w->gs, type, 0, "/\n", 2);
	}
	gs_func(&w->gs, 0, 1000, 1, GS_VP_NOTIFY, 0);
	gs_end(&w->gs);
	decode_all(w);
	assert_int_equal(w->events, 1);
	expect_meta(w, "guest_trace.end = the agent said so\n");
	assert_null(strstr(w->metas, "guest_trace.gaps"));
}

/* The agent sends some twenty; libtraceevent gets slower with each one, however many a guest thinks of. */
static void formats_without_end(void **state)
{
	struct world *w = *state;
	char text[256];

	for (unsigned id = 2000; id < 2000 + 5000; id++) {
		snprintf(text, sizeof(text),
			"made/up_%u\nname: up_%u\nID: %u\nformat:\n"
			"\tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;\n\n"
			"print fmt: \"%%d\", REC->common_type\n",
			id, id, id);
		gs_text(&w->gs, GUEST_STREAM_FORMAT, GUEST_STREAM_NO_CPU, text);
	}
	for (unsigned id = 2000; id < 2000 + 5000; id += 4999) {
		struct gs_record r = gs_record((enum gs_id)id, 1, 0);

		gs_add(&w->gs, 0, 1000 + id, &r);
	}
	gs_end(&w->gs);
	decode_all(w);
	assert_null(strstr(w->metas, "up_6999"));
	expect_meta(w, "guest_trace.records = 2\n");
	expect_meta(w, "guest_trace.not_recorded = ?:? 1, made:up_2000 1\n");
}

/* Between chunks there is something else, even what looks like the beginning of one. */
static void garbage_between(void **state)
{
	static const char magic[] = "EWGEWGSEWGSS and \0 so on";
	struct world *w = *state;

	gs_func(&w->gs, 0, 1000, 1, GS_VP_NOTIFY, 0);
	gs_pages(&w->gs);
	gs_bytes(&w->gs, magic, sizeof(magic));
	gs_func(&w->gs, 0, 2000, 1, GS_VP_NOTIFY, 0);
	gs_end(&w->gs);
	decode(w, 7, SIZE_MAX, SIZE_MAX);
	assert_int_equal(w->events, 2);
	assert_int_equal(w->losses, 1);
	expect_meta(w, "guest_trace.gaps = 1\n");
}

/* One byte after the other is changed: there is an end, and no event has a kind of somebody else's. */
static void any_byte(void **state)
{
	struct world *w = *state;
	uint64_t seed = 88172645463325252u;

	gs_text(&w->gs, GUEST_STREAM_SYMBOLS, GUEST_STREAM_NO_CPU, gs_kallsyms);
	one_of_each(&w->gs);
	for (int i = 0; i < 1000; i++) {
		size_t begin = w->gs.len - TD_PAGE - 200;
		uint8_t *at, was;

		seed ^= seed << 13;
		seed ^= seed >> 7;
		seed ^= seed << 17;
		at = w->gs.bytes + begin + seed % (w->gs.len - begin);
		was = *at;
		*at = (uint8_t)(seed >> 40);
		w->events = w->losses = 0;
		w->names[0] = w->metas[0] = '\0';
		decode_all(w);
		*at = was;
		for (size_t k = 0; k < w->events; k++)
			assert_in_range(w->ev[k].rec.kind, EW_GUEST_FUNC, EW_GUEST_SOFTIRQ_RET);
	}
}

/* Cut anywhere. */
static void truncated(void **state)
{
	struct world *w = *state;
	size_t len;

	one_of_each(&w->gs);
	len = w->gs.len;
	for (size_t n = 0; n < len; n += 61) {
		w->gs.len = n;
		w->events = w->losses = 0;
		w->names[0] = w->metas[0] = '\0';
		decode_all(w);
		expect_meta(w, "guest_trace.end = missing");
	}
	w->gs.len = len;
}

#define T(f) cmocka_unit_test_setup_teardown(f, open_world, close_world)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(every_kind),
		T(pieces),
		T(names),
		T(marks),
		T(texts),
		T(hole),
		T(missing_number),
		T(missed_by_the_buffer),
		T(overrun),
		T(no_end),
		cmocka_unit_test(damaged_pages),
		T(odd_chunks),
		T(formats_without_end),
		T(garbage_between),
		T(any_byte),
		T(truncated),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
