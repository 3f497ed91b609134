/* SPDX-License-Identifier: MIT */
/* Begins and returns of the host's functions: from the kernel's records to their nesting. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/lib/trace_dat.h"
#include "tracer/host_decode.h"
#include "tracer/host_nesting.h"

#define IOCTL 0x1000u
#define RUN 0x2000u
#define HANDLER 0x3000u
#define PIO 0x4000u
#define BUS 0x5000u
#define CALLER 0x9abcu
#define TRAMPOLINE 0xf000u

enum { VCPU0 = 100, VCPU1 };

static struct host_nesting nesting(void)
{
	return (struct host_nesting){.on = true, .trampoline = TRAMPOLINE};
}

static struct host_event begin(
	struct host_nesting *s, uint64_t ts, uint32_t task, uint64_t func, uint64_t parent)
{
	struct host_event ev = {.rec = {.ts = ts, .kind = EW_HOST_FUNC, .a = {func, parent}},
		.task = task,
		.present = 3};

	assert_int_equal(host_nesting_see(s, &ev), 0);
	return ev;
}

static struct host_event end(struct host_nesting *s, uint64_t ts, uint32_t task, uint64_t func)
{
	struct host_event ev = {.rec = {.ts = ts, .kind = EW_HOST_FUNC_EXIT, .a = {func}},
		.task = task,
		.present = 1};

	assert_int_equal(host_nesting_see(s, &ev), 0);
	return ev;
}

#define UNKNOWN -1

static int64_t value(const struct host_event *ev, int i)
{
	return ev->present >> i & 1 ? (int64_t)ev->rec.a[i] : UNKNOWN;
}

static void expect_depth(struct host_event ev, int64_t depth)
{
	assert_int_equal(value(&ev, 2), depth);
}

static void expect_return(struct host_event ev, int64_t depth, int64_t since)
{
	assert_int_equal(value(&ev, 1), depth);
	assert_int_equal(value(&ev, 2), since);
	assert_int_equal(value(&ev, 3), since == UNKNOWN ? UNKNOWN : (int64_t)ev.rec.ts);
}

static void call_by_call(void **state)
{
	struct host_nesting s = nesting();

	(void)state;
	expect_depth(begin(&s, 10, VCPU0, IOCTL, CALLER), 0);
	expect_depth(begin(&s, 20, VCPU0, RUN, IOCTL + 90), 1);
	expect_depth(begin(&s, 30, VCPU0, HANDLER, RUN + 90), 2);
	expect_return(end(&s, 35, VCPU0, HANDLER), 2, 30);
	expect_depth(begin(&s, 40, VCPU0, HANDLER, RUN + 90), 2);
	expect_depth(begin(&s, 41, VCPU0, HANDLER, RUN + 90), 3); /* calls itself */
	expect_return(end(&s, 45, VCPU0, HANDLER), 3, 41);
	expect_return(
		end(&s, 46, VCPU0, HANDLER + 4), 2, 40); /* the probe stands behind an endbr */
	expect_return(end(&s, 50, VCPU0, RUN), 1, 20);
	expect_return(end(&s, 60, VCPU0, IOCTL), 0, 10);
	expect_depth(begin(&s, 70, VCPU0, IOCTL, CALLER), 0);
	assert_int_equal(s.missing, 0);
	host_nesting_free(&s);
}

/* A function that jumps to another one returns when that has returned, and is where it came from. */
static void jumps(void **state)
{
	struct host_nesting s = nesting();
	struct host_event ev;

	(void)state;
	begin(&s, 10, VCPU0, HANDLER, CALLER);
	ev = begin(&s, 20, VCPU0, PIO, TRAMPOLINE);
	assert_int_equal(ev.rec.a[1], HANDLER);
	expect_depth(ev, 1);
	ev = begin(&s, 30, VCPU0, BUS, PIO + 8);
	assert_int_equal(ev.rec.a[1], PIO + 8);
	end(&s, 40, VCPU0, BUS);
	expect_return(end(&s, 50, VCPU0, PIO), 1, 20);
	expect_return(end(&s, 51, VCPU0, HANDLER), 0, 10);
	ev = begin(&s, 60, VCPU0, PIO, TRAMPOLINE); /* from one whose begin nobody saw */
	assert_int_equal(ev.rec.a[1], 0);
	host_nesting_free(&s);
}

static void missing_returns(void **state)
{
	struct host_nesting s = nesting();

	(void)state;
	s.unpaired[s.unpaireds++] = BUS; /* cannot be probed */
	begin(&s, 10, VCPU0, IOCTL, CALLER);
	begin(&s, 20, VCPU0, RUN, IOCTL + 9);
	begin(&s, 30, VCPU0, HANDLER, RUN + 9);
	expect_depth(begin(&s, 35, VCPU0, BUS, HANDLER + 9), UNKNOWN);
	expect_depth(begin(&s, 36, VCPU0, PIO, HANDLER + 9), 3); /* not in BUS */
	expect_return(end(&s, 50, VCPU0, RUN), 1, 20);           /* two did not come */
	assert_int_equal(s.missing, 2);
	expect_return(end(&s, 60, VCPU0, IOCTL), 0, 10);
	assert_int_equal(s.missing, 2);
	host_nesting_free(&s);
}

/* A task was in functions before anybody looked; it is known again where it begins as it began. */
static void returns_without_begins(void **state)
{
	struct host_nesting s = nesting();

	(void)state;
	expect_return(end(&s, 5, VCPU0, HANDLER), UNKNOWN, UNKNOWN);
	expect_depth(begin(&s, 6, VCPU0, PIO, RUN + 9), UNKNOWN);
	expect_return(
		end(&s, 7, VCPU0, PIO), UNKNOWN, 6); /* how long it took is known all the same */
	host_nesting_free(&s);

	s = nesting();
	begin(&s, 10, VCPU0, IOCTL, CALLER);
	begin(&s, 20, VCPU0, RUN, IOCTL + 9);
	host_nesting_forget(&s); /* records were lost */
	expect_depth(begin(&s, 30, VCPU0, HANDLER, RUN + 9), UNKNOWN);
	expect_return(end(&s, 40, VCPU0, HANDLER), UNKNOWN, 30);
	expect_return(end(&s, 50, VCPU0, RUN), UNKNOWN, UNKNOWN);
	expect_return(end(&s, 60, VCPU0, IOCTL), UNKNOWN, UNKNOWN);
	expect_depth(begin(&s, 70, VCPU0, IOCTL, CALLER), 0);
	expect_depth(begin(&s, 80, VCPU0, RUN, IOCTL + 9), 1);
	assert_int_equal(s.missing, 0);
	host_nesting_free(&s);
}

static void two_vcpus(void **state)
{
	struct host_nesting s = nesting();

	(void)state;
	begin(&s, 10, VCPU0, IOCTL, CALLER);
	expect_depth(begin(&s, 11, VCPU1, IOCTL, CALLER), 0);
	expect_depth(begin(&s, 12, VCPU0, RUN, IOCTL + 9), 1);
	expect_depth(begin(&s, 13, VCPU1, RUN, IOCTL + 9), 1);
	expect_return(end(&s, 20, VCPU0, RUN), 1, 12);
	expect_return(end(&s, 21, VCPU0, IOCTL), 0, 10);
	expect_return(end(&s, 22, VCPU1, RUN), 1, 13);
	expect_return(end(&s, 23, VCPU1, IOCTL), 0, 11);
	for (uint32_t task = 1000; task < 1300; task++) /* and many more */
		begin(&s, task, task, IOCTL, CALLER);
	for (uint32_t task = 1000; task < 1300; task++)
		expect_return(end(&s, 5000 + task, task, IOCTL), 0, task);
	host_nesting_free(&s);
}

/* Deeper than is kept: nothing is written where it does not belong, and the outer ones are right. */
static void too_deep(void **state)
{
	struct host_nesting s = nesting();

	(void)state;
	begin(&s, 1, VCPU0, IOCTL, CALLER);
	for (unsigned i = 0; i < 1000; i++)
		begin(&s, 2 + i, VCPU0, 0x100000 + 0x100 * i, CALLER);
	expect_return(end(&s, 5000, VCPU0, IOCTL), 0, 1);
	host_nesting_free(&s);
}

/* function_graph says it all itself. */
static void off(void **state)
{
	struct host_nesting s = {0};

	(void)state;
	expect_depth(begin(&s, 10, VCPU0, IOCTL, CALLER), UNKNOWN);
	expect_return(end(&s, 20, VCPU0, IOCTL), UNKNOWN, UNKNOWN);
	assert_int_equal(s.n, 0);
	host_nesting_free(&s);
}

static bool decode(struct host_decoder *d, enum td_id id, const uint64_t *v, struct host_event *ev)
{
	uint8_t data[112];
	struct tep_record record = {
		.data = data, .size = (int)td_record(data, VCPU0, id, v), .ts = 5, .cpu = 1};

	return host_decode(d, &record, ev);
}

/* By the fields' names, wherever they stand, and of a probe by its group. */
static void decoded(void **state)
{
	struct tep_handle *tep = tep_alloc();
	struct host_decoder *d;
	struct host_event ev;

	(void)state;
	for (size_t i = 0; i < TD_FORMATS; i++) {
		char *text = td_format_text(&td_formats[i]);

		assert_int_equal(tep_parse_event(tep, text, strlen(text), td_formats[i].system), 0);
		free(text);
	}
	assert_int_equal(host_decoder_create(&d, tep, NULL), 0);
	assert_false(decode(d, TD_RETURN, (uint64_t[9]){CALLER, IOCTL}, &ev));
	host_decoder_destroy(d);
	assert_int_equal(host_decoder_create(&d, tep, NULL), 0);
	host_decoder_functions(d);
	assert_true(decode(d, TD_RETURN, (uint64_t[9]){CALLER, IOCTL}, &ev));
	assert_int_equal(ev.rec.kind, EW_HOST_FUNC_EXIT);
	assert_int_equal(ev.rec.a[0], IOCTL);
	assert_int_equal(ev.present, 1);
	assert_int_equal(ev.task, VCPU0);
	assert_true(decode(d, TD_FUNCTION, (uint64_t[9]){CALLER, IOCTL}, &ev));
	assert_int_equal(ev.rec.kind, EW_HOST_FUNC);
	assert_int_equal(ev.rec.a[1], CALLER);
	host_decoder_destroy(d);
	tep_free(tep);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(call_by_call),
		cmocka_unit_test(jumps),
		cmocka_unit_test(missing_returns),
		cmocka_unit_test(returns_without_begins),
		cmocka_unit_test(two_vcpus),
		cmocka_unit_test(too_deep),
		cmocka_unit_test(off),
		cmocka_unit_test(decoded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
