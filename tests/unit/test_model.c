/* SPDX-License-Identifier: MIT */
/* The UI's model: moving, searching, rebuilding the state; and its text helpers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <locale.h>
#include <stdlib.h>
#include <unistd.h>
#include "tests/ui/fixture_build.h"
#include "tui/keys.h"
#include "tui/model.h"
#include "tui/text.h"

struct world {
	char path[512];
	struct recording rec;
	struct model *m;
};

static void open_world(struct world *w, const struct fixture *f)
{
	const char *tmp = getenv("TMP");
	struct err e = {0};

	memset(w, 0, sizeof(*w));
	snprintf(w->path, sizeof(w->path), "%s/model-%d.exw", tmp ? tmp : "/tmp", (int)getpid());
	unlink(w->path);
	if (fixture_write(w->path, f, &e) || recording_open(&w->rec, w->path, &e) ||
		model_open(&w->m, &w->rec, "x.exw", &e))
		fail_msg("%s", e.msg);
}

static void close_world(struct world *w)
{
	model_close(w->m);
	recording_close(&w->rec);
	unlink(w->path);
}

static const struct fixture normal = {.requests = 4, .snapshots = true, .idle_exits = 5};

static bool pane_has(struct model *m, enum model_pane pane, const char *text)
{
	static struct lines l;

	model_pane(m, pane, &l);
	assert_true(l.n > 0);
	for (unsigned i = 0; i < l.n; i++)
		if (strstr(l.line[i].value, text) || strstr(l.line[i].key, text))
			return true;
	return false;
}

static void forward_and_back(void **state)
{
	struct world w;
	int64_t steps = 1, last_stage = 1;

	(void)state;
	open_world(&w, &normal);
	assert_int_equal(model_row(w.m, 0)->id, 1);
	while (model_move(w.m, 1)) {
		assert_int_equal(model_row(w.m, 0)->id, ++steps);
		assert_true(model_row(w.m, 0)->stage >= last_stage);
		last_stage = model_row(w.m, 0)->stage;
		assert_int_equal(model_row(w.m, -1)->id, steps - 1);
	}
	assert_int_equal(last_stage, 9);
	assert_int_equal(model_request(w.m)->id, 1);
	assert_non_null(strstr(model_note(w.m), "]"));
	while (model_move(w.m, -1))
		steps--;
	assert_int_equal(steps, 1);
	assert_true(model_move(w.m, 1000)); /* as far as it can */
	assert_null(model_row(w.m, 1));
	assert_true(model_move(w.m, INT32_MIN));
	assert_null(model_row(w.m, -1));
	close_world(&w);
}

static void every_stage(void **state)
{
	struct world w;

	(void)state;
	open_world(&w, &normal);
	for (int s = 9; s >= 1; s--) {
		assert_true(model_stage(w.m, s) || s == 1);
		assert_int_equal(model_row(w.m, 0)->stage, s);
		assert_true(!model_row(w.m, -1) || model_row(w.m, -1)->stage != s);
	}
	close_world(&w);
}

/* Paging through the timeline gives the same rows as one query, whatever the window's size. */
static void timeline_is_complete(void **state)
{
	static const unsigned spans[] = {1, 17, 100, 5000};
	struct world w;

	(void)state;
	open_world(&w, &(struct fixture){.requests = 3, .idle_exits = 700});
	model_set_mode(w.m, MODEL_TIMELINE);
	for (size_t i = 0; i < sizeof(spans) / sizeof(spans[0]); i++) {
		int64_t n = 1;

		model_span(w.m, spans[i]);
		model_edge(w.m, false);
		assert_int_equal(model_row(w.m, 0)->id, 1);
		while (model_move(w.m, 1)) {
			assert_int_equal(model_row(w.m, 0)->id, n + 1);
			assert_true(model_row(w.m, 0)->ts >= model_row(w.m, -1)->ts);
			n++;
		}
		assert_true(n > 2000);
		assert_true(model_move(w.m, -1000));
		assert_int_equal(model_row(w.m, 0)->id, n - 1000);
		for (int rel = -16; rel <= 16; rel++)
			assert_int_equal(model_row(w.m, rel)->id, n - 1000 + rel);
	}
	close_world(&w);
}

static void exits(void **state)
{
	struct world w;
	int64_t n = 0, at[64];

	(void)state;
	open_world(&w, &normal);
	model_set_mode(w.m, MODEL_TIMELINE);
	model_edge(w.m, false);
	while (n < 64 && model_exit(w.m, 1)) {
		assert_int_equal(model_row(w.m, 0)->kind, EW_RUN_EXIT);
		at[n++] = model_row(w.m, 0)->id;
	}
	assert_int_equal(n, 1 + 5 + 4 * 4 + 1);
	while (--n > 0) {
		assert_true(model_exit(w.m, -1));
		assert_int_equal(model_row(w.m, 0)->id, at[n - 1]);
	}
	assert_false(model_exit(w.m, -1));
	close_world(&w);
}

static void lists_keep_the_place(void **state)
{
	struct world w;

	(void)state;
	open_world(&w, &normal);
	assert_true(model_goto_request(w.m, 2));
	for (;;) {
		int64_t step = model_row(w.m, 0)->id;
		bool event = model_row(w.m, 0)->what == WHAT_EVENT;
		int64_t id = model_row(w.m, 0)->event;

		model_set_mode(w.m, MODEL_TIMELINE);
		if (event)
			assert_int_equal(model_row(w.m, 0)->id, id);
		model_set_mode(w.m, MODEL_PATH);
		assert_int_equal(model_request(w.m)->id, 2);
		if (event)
			assert_int_equal(model_row(w.m, 0)->id, step);
		if (!model_goto_request(w.m, 2) || !model_seek(w.m, step) || !model_move(w.m, 1))
			break;
	}
	model_set_mode(w.m, MODEL_REQUESTS);
	assert_int_equal(model_request_row(w.m, 0)->id, 2);
	assert_int_equal(model_request_row(w.m, 1)->bytes, 65536);
	close_world(&w);
}

static enum find_result find(struct model *m, const char *text, int dir, unsigned slice)
{
	int64_t resume = 0;
	enum find_result r;
	int calls = 0;

	while ((r = model_find(m, text, dir, false, slice, &resume)) == FIND_MORE)
		assert_true(++calls < 100000);
	return r;
}

static void searching(void **state)
{
	static const unsigned slices[] = {1, 3, 10000};
	struct world w;

	(void)state;
	open_world(&w, &normal);
	for (size_t i = 0; i < 3; i++) {
		model_edge(w.m, false);
		assert_int_equal(find(w.m, "PWRITE", 1, slices[i]), FIND_MISS);
		assert_int_equal(model_row(w.m, 0)->id, 1); /* a miss moves nothing */
		assert_int_equal(find(w.m, "pwrite64", 1, slices[i]), FIND_HIT);
		assert_non_null(strstr(model_row(w.m, 0)->text, "pwrite64(fd 7"));
		assert_int_equal(find(w.m, "pwrite64", 1, slices[i]), FIND_HIT);
		assert_int_equal(find(w.m, "pwrite64", 1, slices[i]), FIND_MISS);
		assert_int_equal(find(w.m, "pwrite64(", -1, slices[i]), FIND_HIT);
		assert_int_equal(find(w.m, "pwrite64(", -1, slices[i]), FIND_MISS);
	}
	close_world(&w);
}

/* Request 1 of `aside` has two asides of three exits, 12 steps each. */
static const struct fixture aside = {.requests = 2, .snapshots = true, .asides = 3};

static int64_t rows(struct model *m)
{
	int64_t n = 1;

	model_edge(m, false);
	while (model_move(m, 1))
		n++;
	return n;
}

/* The cursor goes to the next folded aside. */
static const struct row *next_aside(struct model *m)
{
	while (model_row(m, 0)->what != WHAT_ASIDE)
		assert_true(model_move(m, 1));
	return model_row(m, 0);
}

static void asides_are_folded(void **state)
{
	static const unsigned spans[] = {1, 100};
	const struct row *r;
	struct world w;
	int64_t all;
	char text[64];

	(void)state;
	open_world(&w, &aside);
	for (size_t i = 0; i < sizeof(spans) / sizeof(spans[0]); i++) {
		model_span(w.m, spans[i]);
		all = rows(w.m) + 2 * 11; /* the last row's number is that of all steps */
		assert_int_equal(model_row(w.m, 0)->id, all);
		model_edge(w.m, false);
		r = next_aside(w.m);
		assert_int_equal(r->last, r->id + 11);
		assert_non_null(strstr(
			r->text, "aside: 3 exits: 3 KVM_EXIT_IO (POST code port); 12 steps, "));
		assert_int_equal(r->end - r->ts, r->dur);
		assert_non_null(strstr(model_position(w.m, text, sizeof(text)), "steps "));
		assert_true(pane_has(w.m, PANE_STEP, "Nothing of this request happens here"));
		/* Back and forth it is one step, and the row behind it counts from its end. */
		assert_int_equal(model_row(w.m, 1)->id, r->last + 1);
		assert_int_equal(model_row(w.m, -1)->id, r->id - 1);
		for (int k = 1; model_row(w.m, k); k++)
			if (model_row(w.m, k)->ts != MODEL_NONE) {
				assert_int_equal(
					model_delta(w.m, k), model_row(w.m, k)->ts - r->end);
				break;
			}
	}
	close_world(&w);
}

static void an_aside_is_opened(void **state)
{
	struct world w;
	int64_t first, folded;

	(void)state;
	open_world(&w, &aside);
	folded = rows(w.m);
	model_edge(w.m, false);
	first = next_aside(w.m)->id;
	assert_true(model_fold(w.m));
	assert_int_equal(model_row(w.m, 0)->id, first);
	assert_int_equal(model_row(w.m, 0)->what, WHAT_EVENT);
	assert_true(model_row(w.m, 11)->aside);
	assert_false(model_row(w.m, 12)->aside);
	assert_int_equal(rows(w.m), folded + 11);
	model_seek(w.m, first + 5);
	assert_int_equal(model_row(w.m, 0)->id, first + 5);
	assert_true(model_fold(w.m)); /* from inside */
	assert_int_equal(model_row(w.m, 0)->id, first);
	assert_int_equal(model_row(w.m, 0)->what, WHAT_ASIDE);
	model_seek(w.m, first + 5); /* to a step that is folded: to its aside */
	assert_int_equal(model_row(w.m, 0)->id, first);
	/* All, and those of the next request too. */
	assert_true(model_fold_all(w.m));
	assert_int_equal(rows(w.m), folded + 22);
	model_goto_request(w.m, 2);
	assert_int_equal(rows(w.m), folded + 22);
	assert_true(model_fold_all(w.m));
	assert_int_equal(rows(w.m), folded);
	model_edge(w.m, false);
	assert_false(model_fold(w.m));
	assert_non_null(strstr(model_note(w.m), "no aside"));
	/* Of the timeline nothing is folded. */
	model_set_mode(w.m, MODEL_TIMELINE);
	assert_false(model_fold_all(w.m));
	close_world(&w);
}

/* From the timeline to a folded aside and back; exits pass over it. */
static void asides_keep_the_place(void **state)
{
	struct world w;
	int64_t first, event;

	(void)state;
	open_world(&w, &aside);
	first = next_aside(w.m)->id;
	event = model_row(w.m, 0)->event;
	model_set_mode(w.m, MODEL_TIMELINE);
	assert_int_equal(model_row(w.m, 0)->id, event);
	model_move(w.m, 3);
	model_set_mode(w.m, MODEL_PATH);
	assert_int_equal(model_row(w.m, 0)->id, first);
	assert_true(model_exit(w.m, 1));
	assert_int_equal(model_row(w.m, 0)->kind, EW_RUN_EXIT);
	assert_false(model_row(w.m, 0)->aside);
	assert_true(model_exit(w.m, 1)); /* the handler's, behind the second one */
	assert_false(model_row(w.m, 0)->aside);
	assert_true(model_exit(w.m, -1));
	assert_false(model_row(w.m, 0)->aside);
	model_seek(w.m, first);
	model_fold(w.m);
	assert_true(model_exit(w.m, 1)); /* now it has exits to go to */
	assert_int_equal(model_row(w.m, 0)->id, first + 4);
	for (int s = 9; s >= 1; s--) {
		assert_true(model_stage(w.m, s) || s == 1);
		assert_false(model_row(w.m, 0)->aside);
	}
	close_world(&w);
}

static void searching_opens_asides(void **state)
{
	struct world w;
	int64_t folded;

	(void)state;
	open_world(&w, &aside);
	folded = rows(w.m);
	model_edge(w.m, false);
	assert_int_equal(find(w.m, "POST code port done", 1, 5), FIND_HIT);
	assert_true(model_row(w.m, 0)->aside);
	assert_int_equal(model_row(w.m, 0)->what, WHAT_EVENT);
	for (int i = 0; i < 3; i++) /* the last one is in the second aside */
		assert_int_equal(find(w.m, "POST code port done", 1, 5), FIND_HIT);
	assert_int_equal(rows(w.m), folded + 11); /* the first one is folded again */
	model_fold_found(w.m);
	assert_int_equal(rows(w.m), folded);
	/* From a folded one on it is searched too. */
	model_edge(w.m, false);
	next_aside(w.m);
	assert_int_equal(find(w.m, "KVM_RUN returns: KVM_EXIT_IO, 1-byte write", 1, 5), FIND_HIT);
	assert_true(model_row(w.m, 0)->aside);
	close_world(&w);
}

static void rings_are_rebuilt(void **state)
{
	struct world w;

	(void)state;
	open_world(&w, &normal);
	assert_true(model_goto_request(w.m, 3));
	model_stage(w.m, 5);
	/* request 3 is notified: three entries published, two taken and returned */
	assert_true(pane_has(w.m, PANE_RINGS, "░0 ░1 █2 ·3"));
	model_move(w.m, 1);
	assert_true(pane_has(w.m, PANE_RINGS, "░0 ░1 ▒2 ·3"));
	model_stage(w.m, 7);
	model_move(w.m, 1);
	assert_true(pane_has(w.m, PANE_RINGS, "░0 ░1 ░2 ·3"));
	assert_true(pane_has(w.m, PANE_RINGS, "128 entries"));
	assert_true(pane_has(w.m, PANE_RINGS, "65536"));
	close_world(&w);
}

static void registers_and_stack(void **state)
{
	struct world w;

	(void)state;
	open_world(&w, &normal);
	model_stage(w.m, 1);
	assert_true(pane_has(w.m, PANE_REGS, "No registers up to this step"));
	assert_true(model_exit(w.m, 1));
	assert_true(pane_has(w.m, PANE_REGS, "rdx    000000000000c010"));
	assert_true(pane_has(w.m, PANE_STACK, "ksys_write+0x47  (fp)"));
	assert_true(pane_has(w.m, PANE_CODE, "out dx, ax"));
	assert_true(pane_has(w.m, PANE_STEP, "KVM_EXIT_IO"));
	close_world(&w);
}

static void the_budget_sums_up(void **state)
{
	struct world w;

	(void)state;
	open_world(&w, &normal);
	for (int64_t id = 1; id <= 4; id++) {
		int64_t ns[MODEL_LAYERS], sum;

		assert_true(model_goto_request(w.m, id));
		sum = model_budget(w.m, ns);
		assert_int_equal(sum, model_request(w.m)->t_last - model_request(w.m)->t_first);
		assert_true(ns[EW_LAYER_HOST_KERNEL] > 0);
		assert_true(pane_has(w.m, PANE_BUDGET, "= wall time"));
	}
	close_world(&w);
}

static void nothing_to_show(void **state)
{
	struct world w;

	(void)state;
	open_world(&w, &(struct fixture){0});
	assert_null(model_row(w.m, 0));
	assert_null(model_request(w.m));
	assert_false(model_move(w.m, 1));
	assert_false(model_exit(w.m, 1));
	assert_false(model_next_request(w.m, 1));
	assert_false(model_stage(w.m, 3));
	assert_false(model_goto_request(w.m, 1));
	for (int p = 0; p < PANE_MAX; p++)
		assert_true(pane_has(w.m, (enum model_pane)p, "No virtio request"));
	model_set_mode(w.m, MODEL_REQUESTS);
	assert_null(model_row(w.m, 0));
	model_set_mode(w.m, MODEL_TIMELINE);
	assert_non_null(model_row(w.m, 0));
	close_world(&w);
}

/* A query that fails leaves a sentence and no rows, and nothing crashes. */
static void a_table_is_missing(void **state)
{
	struct err e = {0};
	struct world w;
	sqlite3 *db;

	(void)state;
	open_world(&w, &normal);
	model_close(w.m);
	assert_int_equal(sqlite3_open(w.path, &db), SQLITE_OK);
	sqlite3_exec(db, "DROP TABLE budget; DROP TABLE payload", NULL, NULL, NULL);
	sqlite3_close(db);
	assert_int_equal(model_open(&w.m, &w.rec, "x", &e), 0);
	model_exit(w.m, 1);
	for (int p = 0; p < PANE_MAX; p++)
		pane_has(w.m, (enum model_pane)p, "");
	assert_non_null(strstr(model_note(w.m), "exitwalk check"));
	close_world(&w);
}

static void safe_text(void **state)
{
	static const struct {
		const char *in;
		uint32_t out[8];
	} cases[] = {
		{"a", {'a'}},
		{"\033[m", {0xfffd, '[', 'm'}},
		{"\x7f\x01\n", {0xfffd, 0xfffd, 0xfffd}},
		{"\xc2\x9b", {0xfffd}},         /* C1: CSI */
		{"\xe2\x80\xae", {0xfffd}},     /* right-to-left override */
		{"\xc0\xaf", {0xfffd, 0xfffd}}, /* overlong */
		{"\xed\xa0\x80", {0xfffd}},     /* surrogate */
		{"\xe2\x80", {0xfffd, 0xfffd}}, /* cut off */
		{"\xf4\x90\x80\x80", {0xfffd}}, /* beyond U+10FFFF */
		{"\xe2\x96\xb6x", {0x25b6, 'x'}},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *p = cases[i].in;
		int n = 0;
		uint32_t cp;

		while ((cp = text_next(&p)) != 0)
			assert_int_equal(cp, cases[i].out[n++]);
		assert_int_equal(cases[i].out[n], 0);
	}
	assert_int_equal(text_width("▶ 12 µs", false), 7);
	assert_int_equal(text_width("a→b", true), 4);
	assert_string_equal(text_ascii(0x4e00), "?");
}

static void times_for_people(void **state)
{
	static const struct {
		int64_t ns;
		const char *text;
	} cases[] = {{0, "0 ns"}, {999, "999 ns"}, {1000, "1.00 µs"}, {12345, "12.3 µs"},
		{999960, "1000 µs"}, {1000000, "1.00 ms"}, {-650, "-650 ns"},
		{61000000000, "61.0 s"}, {INT64_MIN, "-9223372037 s"}};
	char buf[32];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_string_equal(text_ns(cases[i].ns, buf, sizeof(buf)), cases[i].text);
}

static void times_in_full(void **state)
{
	static const struct {
		int64_t ns;
		const char *text;
	} cases[] = {{0, "0 ns"}, {-650, "-650 ns"}, {1000, "1.000 µs"},
		{-28104661, "-28.104661 ms"}, {61000000007, "61.000000007 s"},
		{INT64_MIN, "-9223372036.854775808 s"}};
	char buf[40];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_string_equal(text_ns_exact(cases[i].ns, buf, sizeof(buf)), cases[i].text);
}

/* Nine columns are enough for any time of a list, with a sign as long as it is as long as the list. */
static void times_under_each_other(void **state)
{
	static const struct {
		int64_t span, ns;
		const char *unit, *text;
	} cases[] = {{0, 0, "µs", "0.000"}, {56432, -650, "µs", "-0.650"},
		{999999, 999999, "µs", "999.999"}, {1000000, 1, "ms", "0.000001"},
		{42717152, 28104661, "ms", "28.10466"}, {42717152, -1457554, "ms", "-1.45755"},
		{999999999, -999999999, "ms", "-1000.0000"},
		{29258778721, 25135936000, "s", "25.13594"},
		{86400000000000, 1500000000, "s", "1.50"}};
	char buf[40];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct time_unit u = time_unit_of(cases[i].span);

		assert_string_equal(u.name, cases[i].unit);
		assert_string_equal(text_in_unit(&u, cases[i].ns, buf, sizeof(buf)), cases[i].text);
	}
}

/* Columns give way where there is no room, the most important last; the last one takes what is left. */
static void request_columns(void **state)
{
	int width[REQUEST_COLS], shown = REQUEST_COLS + 1;

	(void)state;
	for (int room = 300; room >= 5; room--) {
		int n = 0, sum = -2;

		request_columns_fit(room, width);
		for (int c = 0; c < REQUEST_COLS; c++) {
			n += width[c] > 0;
			sum += width[c] ? width[c] + 2 : 0;
		}
		assert_in_range(sum, 1, room);
		assert_true(n <= shown);
		assert_true(width[REQUEST_COL_ID] > 0);
		assert_true(!width[REQUEST_COLS - 1] || sum == room);
		shown = n;
	}
	request_columns_fit(80, width);
	assert_true(
		width[REQUEST_COL_TASK] && width[REQUEST_COL_SECTOR] && width[REQUEST_COL_FILE]);
	request_columns_fit(200, width);
	for (int c = 0; c < REQUEST_COLS; c++)
		assert_true(width[c] > 0);
}

static void smart_case(void **state)
{
	(void)state;
	assert_true(text_matches("KVM_EXIT_IO", "kvm_exit"));
	assert_true(text_matches("KVM_EXIT_IO", "EXIT"));
	assert_false(text_matches("kvm_exit_io", "EXIT"));
	assert_false(text_matches("anything", ""));
}

static void keys_mean_one_thing(void **state)
{
	(void)state;
	for (const struct tui_key *k = tui_keys; k->command != CMD_NONE; k++) {
		assert_true(k->names[0] && k->text[0] && k->codes[0]);
		for (const int *c = k->codes; *c; c++)
			assert_int_equal(tui_command_of(*c), k->command);
	}
	assert_int_equal(tui_command_of('Q'), CMD_NONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(forward_and_back),
		cmocka_unit_test(every_stage),
		cmocka_unit_test(timeline_is_complete),
		cmocka_unit_test(exits),
		cmocka_unit_test(lists_keep_the_place),
		cmocka_unit_test(searching),
		cmocka_unit_test(asides_are_folded),
		cmocka_unit_test(an_aside_is_opened),
		cmocka_unit_test(asides_keep_the_place),
		cmocka_unit_test(searching_opens_asides),
		cmocka_unit_test(rings_are_rebuilt),
		cmocka_unit_test(registers_and_stack),
		cmocka_unit_test(the_budget_sums_up),
		cmocka_unit_test(nothing_to_show),
		cmocka_unit_test(a_table_is_missing),
		cmocka_unit_test(safe_text),
		cmocka_unit_test(times_for_people),
		cmocka_unit_test(times_in_full),
		cmocka_unit_test(times_under_each_other),
		cmocka_unit_test(request_columns),
		cmocka_unit_test(smart_case),
		cmocka_unit_test(keys_mean_one_thing),
	};

	setlocale(LC_CTYPE, "C.UTF-8");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
