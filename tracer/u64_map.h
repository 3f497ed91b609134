/* SPDX-License-Identifier: MIT */
/* A hash table from 64-bit keys to 64-bit values, which grows. */
#ifndef EXITWALK_TRACER_U64_MAP_H
#define EXITWALK_TRACER_U64_MAP_H

#include <stddef.h>
#include <stdint.h>

struct u64_slot {
	uint64_t key; /* plus one; 0: free */
	uint64_t value;
};

/* All zero is empty. */
struct u64_map {
	struct u64_slot *slot;
	size_t slots, n;
};

void u64_map_free(struct u64_map *m);

/* The value's place, or NULL. Key UINT64_MAX is never there. */
uint64_t *u64_map_find(const struct u64_map *m, uint64_t key);

/* The value's place, 0 if the key was not there; NULL: out of memory. Stays until the next call. */
uint64_t *u64_map_put(struct u64_map *m, uint64_t key);

#endif
