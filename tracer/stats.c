/* SPDX-License-Identifier: MIT */
/* Order statistics of a set of durations. */
#include "stats.h"

#include <stdlib.h>

static int by_value(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return x < y ? -1 : x > y;
}

int64_t stats_percentile(const int64_t *v, size_t n, unsigned p)
{
	size_t rank = (n / 100) * p + ((n % 100) * p + 99) / 100;

	return v[rank ? rank - 1 : 0];
}

void stats_of(struct stats *s, int64_t *v, size_t n)
{
	*s = (struct stats){.n = n};
	if (!n)
		return;
	qsort(v, n, sizeof(*v), by_value);
	for (size_t i = 0; i < n; i++)
		s->sum += v[i];
	s->min = v[0];
	s->median = stats_percentile(v, n, 50);
	s->p99 = stats_percentile(v, n, 99);
	s->max = v[n - 1];
}
