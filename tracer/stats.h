/* SPDX-License-Identifier: MIT */
/* Order statistics of a set of durations. */
#ifndef EXITWALK_TRACER_STATS_H
#define EXITWALK_TRACER_STATS_H

#include <stddef.h>
#include <stdint.h>

struct stats {
	size_t n;
	int64_t min, median, p99, max, sum;
};

/* Sorts v in place. Percentiles are nearest-rank: values that were measured. n = 0: all 0. */
void stats_of(struct stats *s, int64_t *v, size_t n);

/* The nearest-rank percentile of sorted v: the smallest value that at least p percent do not
 * exceed. n > 0, 0 < p <= 100. */
int64_t stats_percentile(const int64_t *v, size_t n, unsigned p);

#endif
