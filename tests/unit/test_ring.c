/* SPDX-License-Identifier: MIT */
/* The ring: wrap, payloads, overflow accounting, and two threads under load. */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "tracer/ring.h"

#define LOAD_RECORDS 400000u

static bool push(struct ring *r, uint64_t ts, const void *payload, uint32_t len)
{
	struct ew_rec rec = {.ts = ts, .kind = EW_MARKER, .payload = len, .a = {ts, ~ts}};

	return ring_push(r, &rec, payload);
}

static void sizes(void **state)
{
	struct ring r;

	(void)state;
	assert_int_equal(ring_init(&r, 0), -EINVAL);
	assert_int_equal(ring_init(&r, 8), -EINVAL);
	assert_int_equal(ring_init(&r, 48), -EINVAL);
	assert_int_equal(ring_init(&r, (size_t)RING_SLOTS_MAX * 2), -EINVAL);
	assert_int_equal(ring_init(&r, 16), 0);
	ring_destroy(&r);
}

static void order_and_arguments(void **state)
{
	const struct ew_rec *rec;
	const void *payload;
	struct ring r;

	(void)state;
	assert_int_equal(ring_init(&r, 16), 0);
	assert_null(ring_next(&r, &payload));
	for (uint64_t lap = 0; lap < 100; lap++) {
		for (uint64_t i = 1; i <= 13; i++)
			assert_true(push(&r, lap * 100 + i, NULL, 0));
		assert_int_equal(ring_used(&r), 13);
		for (uint64_t i = 1; i <= 13; i++) {
			rec = ring_next(&r, &payload);
			assert_non_null(rec);
			assert_null(payload);
			assert_int_equal(rec->ts, lap * 100 + i);
			assert_true(rec->a[1] == ~rec->a[0]);
		}
		assert_null(ring_next(&r, &payload));
		ring_release(&r);
		assert_int_equal(ring_used(&r), 0);
		assert_int_equal(r.high_water, 13);
	}
	ring_destroy(&r);
}

/* Every length at every position, so that payloads also wrap in every possible way. */
static void payload_wraps(void **state)
{
	unsigned char in[700];
	const struct ew_rec *rec;
	const void *payload;
	struct ring r;

	(void)state;
	for (size_t i = 0; i < sizeof(in); i++)
		in[i] = (unsigned char)(i * 7 + 1);
	assert_int_equal(ring_init(&r, 16), 0);
	for (uint32_t len = 1; len < sizeof(in); len++) {
		assert_true(push(&r, len, in, len));
		assert_int_equal(ring_used(&r), 1 + (len + 63) / 64);
		rec = ring_next(&r, &payload);
		assert_non_null(rec);
		assert_int_equal(rec->payload, len);
		assert_memory_equal(payload, in, len);
		ring_release(&r);
	}
	ring_destroy(&r);
}

static void overflow_is_reported_in_band(void **state)
{
	const struct ew_rec *rec;
	struct ew_rec lost;
	const void *payload;
	struct ring r;

	(void)state;
	assert_int_equal(ring_init(&r, 16), 0);
	for (uint64_t i = 1; i <= 16; i++)
		assert_true(push(&r, i, NULL, 0));
	for (uint64_t i = 17; i <= 21; i++)
		assert_false(push(&r, i, NULL, 0));
	assert_non_null(ring_next(&r, &payload));
	ring_release(&r);
	/* One slot is free; the record needs two, because the loss goes in front of it. */
	assert_false(push(&r, 22, NULL, 0));
	for (uint64_t i = 2; i <= 16; i++)
		assert_int_equal(ring_next(&r, &payload)->ts, i);
	ring_release(&r);
	assert_true(push(&r, 30, NULL, 0));
	rec = ring_next(&r, &payload);
	assert_int_equal(rec->kind, EW_LOST);
	assert_int_equal(rec->a[0], 6);
	assert_int_equal(rec->a[1], 17);
	assert_int_equal(rec->ts, 22);
	assert_int_equal(ring_next(&r, &payload)->ts, 30);
	assert_null(ring_next(&r, &payload));
	assert_false(ring_take_lost(&r, &lost));
	ring_destroy(&r);
}

static void what_never_fits_is_lost(void **state)
{
	unsigned char big[16 * 64] = {0};
	struct ew_rec lost;
	struct ring r;

	(void)state;
	assert_int_equal(ring_init(&r, 16), 0);
	assert_false(push(&r, 5, big, sizeof(big)));
	assert_false(push(&r, 9, big, sizeof(big)));
	assert_true(ring_take_lost(&r, &lost));
	assert_int_equal(lost.kind, EW_LOST);
	assert_int_equal(lost.a[0], 2);
	assert_int_equal(lost.a[1], 5);
	assert_int_equal(lost.ts, 9);
	assert_false(ring_take_lost(&r, &lost));
	ring_destroy(&r);
}

struct load {
	struct ring ring;
	uint64_t pushed, refused;
};

static uint32_t payload_of(uint64_t n)
{
	return n % 3 ? 0 : (uint32_t)(n * 2654435761u >> 7) % 400;
}

static void *produce(void *arg)
{
	struct load *l = arg;
	unsigned char data[400];

	for (uint64_t n = 1; n <= LOAD_RECORDS; n++) {
		uint32_t len = payload_of(n);

		memset(data, (int)(n & 0xff), len);
		if (push(&l->ring, n, data, len))
			l->pushed++;
		else
			l->refused++;
		if (n % 512 == 0)
			sched_yield(); /* on one CPU the other side must run too */
	}
	/* The end, which must arrive: it also carries the last loss. */
	while (!push(&l->ring, LOAD_RECORDS + 1, NULL, 0)) {
		l->refused++;
		sched_yield();
	}
	l->pushed++;
	return NULL;
}

static void check_payload(const struct ew_rec *rec, const unsigned char *payload)
{
	assert_int_equal(rec->payload, payload_of(rec->ts));
	for (uint32_t i = 0; i < rec->payload; i++)
		if (payload[i] != (rec->ts & 0xff))
			fail_msg("record %llu: byte %u is wrong", (unsigned long long)rec->ts, i);
}

static void two_threads(void **state)
{
	struct load *l = aligned_alloc(64, sizeof(*l));
	uint64_t last = 0, taken = 0, lost = 0;
	const struct ew_rec *rec;
	const void *payload;
	pthread_t thread;

	(void)state;
	assert_non_null(l);
	memset(l, 0, sizeof(*l));
	assert_int_equal(ring_init(&l->ring, 256), 0);
	assert_int_equal(pthread_create(&thread, NULL, produce, l), 0);
	for (;;) {
		rec = ring_next(&l->ring, &payload);
		if (!rec) {
			ring_release(&l->ring);
			sched_yield();
			continue;
		}
		/* Nothing is doubled, reordered, torn or missing without being counted. */
		if (rec->kind == EW_LOST) {
			assert_int_equal(rec->a[1], last + 1);
			lost += rec->a[0];
			last = rec->ts;
		} else {
			assert_true(rec->ts == last + 1 || rec->ts == LOAD_RECORDS + 1);
			assert_true(rec->a[1] == ~rec->a[0]);
			if (rec->ts <= LOAD_RECORDS)
				check_payload(rec, payload);
			last = rec->ts;
			taken++;
			if (rec->ts == LOAD_RECORDS + 1)
				break;
		}
		if ((taken & 31) == 0)
			ring_release(&l->ring);
	}
	pthread_join(thread, NULL);
	assert_int_equal(taken, l->pushed);
	assert_int_equal(lost, l->refused);
	assert_true(taken > 1);
	assert_true(l->ring.high_water <= 256);
	ring_destroy(&l->ring);
	free(l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sizes),
		cmocka_unit_test(order_and_arguments),
		cmocka_unit_test(payload_wraps),
		cmocka_unit_test(overflow_is_reported_in_band),
		cmocka_unit_test(what_never_fits_is_lost),
		cmocka_unit_test(two_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
