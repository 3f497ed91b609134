/* SPDX-License-Identifier: MIT */
#include "hash64.h"

#include <stdatomic.h>
#include <string.h>
#include <sys/auxv.h>

/* AT_RANDOM: 16 bytes that the kernel gives to each program (getauxval(3)). */
uint64_t hash64_secret(void)
{
	static _Atomic uint64_t secret; /* whoever is first stores it: all read the same bytes */
	uint64_t s = atomic_load_explicit(&secret, memory_order_relaxed), bytes[2];
	const void *random = s ? NULL : (const void *)getauxval(AT_RANDOM);

	if (s)
		return s;
	s = 0x9e3779b97f4a7c15u;
	if (random) {
		memcpy(bytes, random, sizeof(bytes));
		s ^= bytes[0] ^ bytes[1] << 1;
	}
	s |= 1;
	atomic_store_explicit(&secret, s, memory_order_relaxed);
	return s;
}
