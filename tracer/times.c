/* SPDX-License-Identifier: MIT */
/* Nanoseconds in words, for people. */
#include "times.h"

#include <stdio.h>

static const struct {
	int64_t ns;
	const char *name;
	int decimals; /* down to the ns */
} units[] = {{1000000000, "s", 9}, {1000000, "ms", 6}, {1000, "µs", 3}};
#define UNITS (sizeof(units) / sizeof(units[0]))

static uint64_t magnitude(int64_t ns)
{
	return ns < 0 ? -(uint64_t)ns : (uint64_t)ns;
}

const char *text_ns(int64_t ns, char *buf, size_t size)
{
	const char *sign = ns < 0 ? "-" : "";
	uint64_t n = magnitude(ns);

	for (size_t i = 0; i < UNITS; i++) {
		double v = (double)n / (double)units[i].ns;

		if (n < (uint64_t)units[i].ns)
			continue;
		snprintf(buf, size, "%s%.*f %s", sign,
			v < 9.995    ? 2
			: v < 999.95 ? 1
				     : 0,
			v, units[i].name);
		return buf;
	}
	snprintf(buf, size, "%s%llu ns", sign, (unsigned long long)n);
	return buf;
}

const char *text_ns_exact(int64_t ns, char *buf, size_t size)
{
	const char *sign = ns < 0 ? "-" : "";
	uint64_t n = magnitude(ns);

	for (size_t i = 0; i < UNITS; i++) {
		uint64_t unit = (uint64_t)units[i].ns;

		if (n < unit)
			continue;
		snprintf(buf, size, "%s%llu.%0*llu %s", sign, (unsigned long long)(n / unit),
			units[i].decimals, (unsigned long long)(n % unit), units[i].name);
		return buf;
	}
	snprintf(buf, size, "%s%llu ns", sign, (unsigned long long)n);
	return buf;
}

#define DIGITS 7

struct time_unit time_unit_of(int64_t span)
{
	struct time_unit u = {0};
	size_t i = 0;

	while (i + 1 < UNITS && magnitude(span) < magnitude(units[i].ns))
		i++;
	u.ns = units[i].ns;
	u.name = units[i].name;
	u.decimals = DIGITS - 1;
	for (uint64_t v = magnitude(span) / (uint64_t)u.ns; v >= 10 && u.decimals > 0; v /= 10)
		u.decimals--;
	if (u.decimals > units[i].decimals)
		u.decimals = units[i].decimals;
	return u;
}

const char *text_in_unit(const struct time_unit *u, int64_t ns, char *buf, size_t size)
{
	snprintf(buf, size, "%.*f", u->decimals, (double)ns / (double)u->ns);
	return buf;
}
