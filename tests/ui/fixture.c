/* SPDX-License-Identifier: MIT */
/*
 * Writes a recording for the UI tests: fixture VARIANT FILE. Variants: normal, hostile, cut-off,
 * no-requests, no-snapshots, threads, asides, long.
 */
#include "fixture_build.h"

static const struct {
	const char *name;
	struct fixture f;
} variants[] = {
	{"normal", {.requests = 4, .snapshots = true, .idle_exits = 5}},
	{"hostile", {.requests = 1, .snapshots = true, .hostile = true}},
	{"cut-off", {.requests = 2, .snapshots = true, .unfinished = true}},
	{"no-requests", {.idle_exits = 3}},
	{"no-snapshots", {.requests = 1}},
	{"threads", {.requests = 2, .snapshots = true, .threads = true}},
	{"asides", {.requests = 2, .snapshots = true, .asides = 3}},
	{"long", {.requests = 200, .idle_exits = 2000}},
};

int main(int argc, char **argv)
{
	struct err e = {0};

	for (size_t i = 0; argc == 3 && i < sizeof(variants) / sizeof(variants[0]); i++) {
		if (strcmp(variants[i].name, argv[1]) != 0)
			continue;
		if (fixture_write(argv[2], &variants[i].f, &e) == 0)
			return 0;
		fprintf(stderr, "fixture: %s\n", e.msg);
		return 1;
	}
	fprintf(stderr, "usage: fixture VARIANT FILE\n");
	return 64;
}
