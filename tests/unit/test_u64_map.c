/* SPDX-License-Identifier: MIT */
/* The hash table, and keys that somebody chose to be in each other's way. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "tracer/u64_map.h"

#define KEYS 4096u

/* 1 / 0x9e3779b97f4a7c15 modulo 2^64: times that multiplier, which everybody knows, a multiple of it is a small number. */
#define INVERSE 0xf1de83e19937733du

static void keeps(void **state)
{
	struct u64_map m = {0};

	(void)state;
	assert_null(u64_map_find(&m, 7));
	assert_null(u64_map_put(&m, UINT64_MAX));
	for (uint64_t i = 0; i < KEYS; i++)
		*u64_map_put(&m, i * i) = i + 1;
	for (uint64_t i = 0; i < KEYS; i++)
		assert_int_equal(*u64_map_find(&m, i * i), i + 1);
	assert_null(u64_map_find(&m, 2));
	assert_int_equal(m.n, KEYS);
	u64_map_free(&m);
}

/* So many slots one behind the other are taken: so many steps a search takes at most. */
static size_t longest_run(const struct u64_map *m)
{
	size_t longest = 0, run = 0;

	for (size_t i = 0; i < 2 * m->slots && run < m->slots; i++) {
		run = m->slot[i % m->slots].key ? run + 1 : 0;
		longest = run > longest ? run : longest;
	}
	return longest;
}

static void keys_of_one_slot(void **state)
{
	/* The next one in steps that leave a product's high, its middle and its low bits as they are. */
	static const uint64_t step[] = {1, INVERSE, INVERSE << 32, (uint64_t)1 << 32};

	(void)state;
	for (size_t s = 0; s < sizeof(step) / sizeof(step[0]); s++) {
		struct u64_map m = {0};

		for (uint64_t i = 1; i <= KEYS; i++)
			assert_non_null(u64_map_put(&m, i * step[s]));
		assert_int_equal(m.n, KEYS);
		assert_true(longest_run(&m) < KEYS / 8);
		u64_map_free(&m);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keeps),
		cmocka_unit_test(keys_of_one_slot),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
