/* SPDX-License-Identifier: MIT */
#include "clock_pair.h"

#include <x86intrin.h>

#include "probe.h"

#define READINGS 16

/* LFENCE: RDTSC is not executed before the clock has been read, nor the clock read before it (SDM vol. 2B, RDTSC). */
static uint64_t ordered_tsc(void)
{
	uint64_t tsc;

	_mm_lfence();
	tsc = __rdtsc();
	_mm_lfence();
	return tsc;
}

struct clock_pair clock_pair_read(void)
{
	struct clock_pair best = {.width = UINT64_MAX};

	for (int i = 0; i < READINGS; i++) {
		uint64_t before = probe_now(), tsc = ordered_tsc(), after = probe_now();

		if (after - before < best.width)
			best = (struct clock_pair){
				before + (after - before) / 2, tsc, after - before};
	}
	return best;
}
