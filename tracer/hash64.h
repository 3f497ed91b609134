/* SPDX-License-Identifier: MIT */
/*
 * Where a key belongs in a hash table. Keys are often chosen by others: by the guest, or by who made a recording. With
 * a multiplier that everybody knows, keys can be made that all belong in one place, and a table of n of them takes
 * n * n steps.
 */
#ifndef EXITWALK_TRACER_HASH64_H
#define EXITWALK_TRACER_HASH64_H

#include <stddef.h>
#include <stdint.h>

/* An odd number that is another one in each process that is started. */
uint64_t hash64_secret(void);

/* All bits of the key in all bits of the result; no two keys have the same one. */
static inline uint64_t hash64_mix(uint64_t key)
{
	key *= hash64_secret();
	return (key ^ key >> 32) * 0x9e3779b97f4a7c15u;
}

/* 0 … slots - 1; slots is a power of two, at least 2. */
static inline size_t hash64(uint64_t key, size_t slots)
{
	return hash64_mix(key) >> (64 - __builtin_ctzll(slots));
}

#endif
