/* SPDX-License-Identifier: MIT */
/* Arrays that grow by doubling. */
#ifndef EXITWALK_TRACER_ARRAY_H
#define EXITWALK_TRACER_ARRAY_H

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>

/* Makes room for one more element of `size` bytes behind the n that *array has. -ENOMEM: it is as it was. */
static inline int array_grow(void **array, size_t *cap, size_t n, size_t size)
{
	size_t more = *cap ? 2 * *cap : 64;
	void *bigger;

	if (n < *cap)
		return 0;
	bigger = reallocarray(*array, more, size);
	if (!bigger)
		return -ENOMEM;
	*array = bigger;
	*cap = more;
	return 0;
}

#endif
