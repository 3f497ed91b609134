/* SPDX-License-Identifier: MIT */
/* The memory of a guest's kernel, by the kernel's own (virtual) addresses. What is read may be anything. */
#ifndef EXITWALK_TRACER_KMEM_H
#define EXITWALK_TRACER_KMEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct kmem {
	/* Copies n bytes; false if one of them cannot be read. */
	bool (*read)(const struct kmem *m, uint64_t addr, void *to, size_t n);
	void *ctx;
};

static inline bool kmem_read(const struct kmem *m, uint64_t addr, void *to, size_t n)
{
	return m->read(m, addr, to, n);
}

/* Addresses of the kernel's half, with 4-level paging: bits 63 to 47 are set. */
static inline bool kmem_is_kernel(uint64_t addr)
{
	return (int64_t)addr >> 47 == -1;
}

#endif
