/* SPDX-License-Identifier: MIT */
/* Guest TSC to the host's clock: drift, offsets that change, scaling, and that the bound of the error holds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "tracer/guest_clock.h"

#define MS 1000000
#define PERIOD (100 * MS)
#define START_TSC 5000000000000u
#define START_TS 70000000000

/* A machine whose clock runs at `slope` ns per tick, which may change in the middle. */
struct machine {
	struct guest_clock c;
	double slope, later; /* before and after `turn` */
	int64_t turn;
};

/* The host's TSC at a time: the truth. */
static uint64_t tsc_at(const struct machine *m, int64_t ts)
{
	double ticks = (double)(ts - START_TS) / m->slope;

	if (m->later && ts > m->turn)
		ticks = (double)(m->turn - START_TS) / m->slope + (double)(ts - m->turn) / m->later;
	return START_TSC + (uint64_t)(ticks + 0.5);
}

static void pairs(struct machine *m, unsigned n, uint64_t width)
{
	for (unsigned i = 0; i < n; i++) {
		int64_t ts = START_TS + (int64_t)i * PERIOD;
		/* The clock was read somewhere in the width: as wrong as it may be. */
		int64_t off = i & 1 ? (int64_t)width / 2 : -(int64_t)(width / 2);

		assert_int_equal(guest_clock_add_pair(&m->c, ts + off, tsc_at(m, ts), width), 0);
	}
}

static int64_t away(struct machine *m, unsigned vcpu, uint64_t tsc, int64_t truth, int64_t *error)
{
	int64_t ts = 0;

	assert_true(guest_clock_convert(&m->c, vcpu, tsc, &ts, error));
	return ts > truth ? ts - truth : truth - ts;
}

/* At many times of the run the conversion is within its own bound. */
static int64_t check_run(struct machine *m, unsigned vcpu, uint64_t offset, int64_t to)
{
	int64_t worst = 0, error = 0;

	for (int64_t at = -20 * MS; at < to; at += 3 * MS + 7919) {
		int64_t off = away(
			m, vcpu, tsc_at(m, START_TS + at) + offset, START_TS + at, &error);

		if (off > error)
			fail_msg("at %lld: %lld ns off, bound %lld", (long long)at, (long long)off,
				(long long)error);
		if (error > worst && at > 0)
			worst = error;
	}
	return worst;
}

static void straight(void **state)
{
	struct machine m = {.slope = 0.4};

	(void)state;
	pairs(&m, 11, 60);
	guest_clock_add_offset(&m.c, 0, START_TS, (uint64_t)-START_TSC, 2500000, 2500000);
	assert_null(guest_clock_ready(&m.c));
	/* Half of the width, and what the noise of the slopes makes of it. */
	assert_in_range(check_run(&m, 0, (uint64_t)-START_TSC, 1000 * MS), 30, 300);
	assert_int_equal(guest_clock_changes(&m.c), 0);
	guest_clock_free(&m.c);
}

/* NTP slews the clock by 200 ppm in the middle: the line has a bend between two pairs. */
static void drift(void **state)
{
	struct machine m = {.slope = 0.4, .later = 0.4 * 1.0002, .turn = START_TS + 450 * MS};
	int64_t error = 0, bent;

	(void)state;
	pairs(&m, 11, 20);
	guest_clock_add_offset(&m.c, 0, START_TS, 0, 0, 0);
	assert_null(guest_clock_ready(&m.c));
	check_run(&m, 0, 0, 1000 * MS);
	away(&m, 0, tsc_at(&m, START_TS + 440 * MS), START_TS + 440 * MS, &error);
	bent = error;
	assert_true(bent > 4000); /* 100 ms of up to 200 ppm */
	away(&m, 0, tsc_at(&m, START_TS + 840 * MS), START_TS + 840 * MS, &error);
	assert_in_range(error, 1, 200);
	guest_clock_free(&m.c);
}

/* Behind the last pair the bound grows. */
static void outside(void **state)
{
	struct machine m = {.slope = 1};
	int64_t near = 0, far = 0;

	(void)state;
	pairs(&m, 3, 10);
	guest_clock_add_offset(&m.c, 0, START_TS, 0, 0, 0);
	assert_null(guest_clock_ready(&m.c));
	away(&m, 0, tsc_at(&m, START_TS + 2 * PERIOD + 1 * MS), START_TS, &near);
	away(&m, 0, tsc_at(&m, START_TS + 2 * PERIOD + 90 * MS), START_TS, &far);
	assert_in_range(near, 1000, 2000);
	assert_in_range(far, 90000, 91000);
	guest_clock_free(&m.c);
}

/* The guest writes its TSC: what lies between the readings of the two offsets is open by the difference. */
static void offset_changes(void **state)
{
	struct machine m = {.slope = 1};
	const uint64_t before = 1000000, after = 1000000 + 40000;
	int64_t error = 0;

	(void)state;
	pairs(&m, 11, 10);
	guest_clock_add_offset(&m.c, 1, START_TS, before, 0, 0);
	guest_clock_add_offset(&m.c, 1, START_TS + 300 * MS, before, 0, 0);
	guest_clock_add_offset(&m.c, 1, START_TS + 400 * MS, after, 0, 0);
	guest_clock_add_offset(&m.c, 1, START_TS + 1000 * MS, after, 0, 0);
	assert_null(guest_clock_ready(&m.c));
	assert_int_equal(guest_clock_changes(&m.c), 1);
	assert_true(away(&m, 1, tsc_at(&m, START_TS + 200 * MS) + before, START_TS + 200 * MS,
			    &error) <= error);
	assert_in_range(error, 1, 100);
	assert_true(away(&m, 1, tsc_at(&m, START_TS + 500 * MS) + after, START_TS + 500 * MS,
			    &error) <= error);
	assert_in_range(error, 1, 100);
	/* It changed at 350 ms, which nobody saw. */
	assert_true(away(&m, 1, tsc_at(&m, START_TS + 340 * MS) + before, START_TS + 340 * MS,
			    &error) <= error);
	assert_in_range(error, 40000, 40200);
	assert_true(away(&m, 1, tsc_at(&m, START_TS + 360 * MS) + after, START_TS + 360 * MS,
			    &error) <= error);
	assert_in_range(error, 40000, 40200);
	guest_clock_free(&m.c);
}

/* The guest's TSC runs at 2 GHz on a host of 3 GHz, as the hardware makes it: (host * ratio >> bits) + offset. */
static void scaled(void **state)
{
	static const unsigned bits[] = {48, 32};

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct machine m = {.slope = 1.0 / 3, .c.fraction_bits = bits[i]};
		uint64_t ratio = (uint64_t)(((unsigned __int128)2000000 << bits[i]) / 3000000);
		int64_t error = 0;

		pairs(&m, 11, 10);
		guest_clock_add_offset(&m.c, 0, START_TS, 777, 2000000, 3000000);
		assert_null(guest_clock_ready(&m.c));
		for (int64_t at = 0; at < 1000 * MS; at += 7 * MS) {
			uint64_t host = tsc_at(&m, START_TS + at);
			uint64_t guest = (uint64_t)((unsigned __int128)host * ratio >> bits[i]) +
					 777;

			assert_true(away(&m, 0, guest, START_TS + at, &error) <= error);
		}
		assert_in_range(error, 1, 100);
		guest_clock_free(&m.c);
	}
}

/* Up to 250 ppm KVM does not scale: its frequencies may say so. */
static void nearly_the_same(void **state)
{
	struct machine m = {.slope = 0.5};

	(void)state;
	pairs(&m, 5, 10);
	guest_clock_add_offset(&m.c, 0, START_TS, 0, 2000100, 2000000);
	assert_null(guest_clock_ready(&m.c));
	check_run(&m, 0, 0, 400 * MS);
	guest_clock_free(&m.c);
}

/* Times that jump come out as those that do not, and a guest that sets its TSC without end is refused. */
static void jumps(void **state)
{
	struct machine m = {.slope = 0.4}, fresh;
	uint64_t at = 1;
	int64_t ts, error, ts2, error2;

	(void)state;
	pairs(&m, 50, 100);
	guest_clock_add_offset(&m.c, 0, START_TS, 0, 0, 0);
	assert_null(guest_clock_ready(&m.c));
	for (int i = 0; i < 1000; i++) {
		at = at * 6364136223846793005u + 1442695040888963407u;
		fresh = m;
		fresh.c.seek = 0;
		assert_true(guest_clock_convert(&m.c, 0,
			tsc_at(&m, START_TS) + at % 20000000000u - 3000000000u, &ts, &error));
		assert_true(guest_clock_convert(&fresh.c, 0,
			tsc_at(&m, START_TS) + at % 20000000000u - 3000000000u, &ts2, &error2));
		assert_int_equal(ts, ts2);
		assert_int_equal(error, error2);
	}
	for (uint64_t i = 1; i < 10000; i++)
		guest_clock_add_offset(&m.c, 0, START_TS + (int64_t)i, i, 0, 0);
	assert_non_null(strstr(guest_clock_ready(&m.c), "too often"));
	guest_clock_free(&m.c);
}

static void not_enough(void **state)
{
	struct machine m = {.slope = 1};
	int64_t ts, error;

	(void)state;
	pairs(&m, 3, 10);
	assert_non_null(guest_clock_ready(&m.c)); /* no offset */
	guest_clock_add_offset(&m.c, 0, START_TS, 0, 1000000, 3000000);
	assert_non_null(guest_clock_ready(&m.c)); /* scaled, nobody knows how */
	m.c.fraction_bits = 48;
	assert_null(guest_clock_ready(&m.c));
	assert_false(guest_clock_convert(&m.c, 1, 5, &ts, &error)); /* no such vCPU */
	assert_int_equal(guest_clock_add_pair(&m.c, START_TS + 9 * PERIOD, 1, 10), 0);
	assert_non_null(guest_clock_ready(&m.c)); /* backwards */
	guest_clock_free(&m.c);
	guest_clock_add_offset(&m.c, 0, START_TS, 0, 0, 0);
	pairs(&m, 1, 10);
	assert_non_null(guest_clock_ready(&m.c)); /* one pair is no line */
	guest_clock_free(&m.c);
}

/* Whatever a damaged recording says, there is an answer. */
static void nonsense(void **state)
{
	struct guest_clock c = {.fraction_bits = 32};
	int64_t ts, error;

	(void)state;
	guest_clock_add_pair(&c, INT64_MIN / 2, 1, UINT64_MAX);
	guest_clock_add_pair(&c, INT64_MAX / 2, 2, UINT64_MAX);
	guest_clock_add_pair(&c, INT64_MAX, UINT64_MAX, 0);
	guest_clock_add_offset(&c, 3, INT64_MAX, UINT64_MAX, 1, UINT64_MAX);
	guest_clock_add_offset(&c, 3, INT64_MIN, 1, UINT64_MAX, 1);
	assert_null(guest_clock_ready(&c));
	for (unsigned shift = 0; shift < 64; shift++)
		assert_true(guest_clock_convert(&c, 3, UINT64_MAX >> shift, &ts, &error));
	guest_clock_free(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(straight),
		cmocka_unit_test(drift),
		cmocka_unit_test(outside),
		cmocka_unit_test(offset_changes),
		cmocka_unit_test(scaled),
		cmocka_unit_test(nearly_the_same),
		cmocka_unit_test(jumps),
		cmocka_unit_test(not_enough),
		cmocka_unit_test(nonsense),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
