/* SPDX-License-Identifier: MIT */
/* Nanoseconds in words, for people. */
#ifndef EXITWALK_TRACER_TIMES_H
#define EXITWALK_TRACER_TIMES_H

#include <stddef.h>
#include <stdint.h>

/*
 * A duration: "123 ns", "4.56 µs", "12.3 ms", "1.23 s"; four significant digits at most. Returns
 * buf.
 */
const char *text_ns(int64_t ns, char *buf, size_t size);

/* The same with every digit: "28.104661 ms". Returns buf. */
const char *text_ns_exact(int64_t ns, char *buf, size_t size);

/*
 * Times that stand under each other need one unit, or nobody sees what lies between two of them. The unit for
 * times up to `span` ns: µs, ms or s (ns / unit), with as many decimals as seven digits have room for.
 */
struct time_unit {
	int64_t ns;
	const char *name;
	int decimals;
};
struct time_unit time_unit_of(int64_t span);
/* `ns` in this unit, without its name: "28.10466". Returns buf. */
const char *text_in_unit(const struct time_unit *u, int64_t ns, char *buf, size_t size);

#endif
