/* SPDX-License-Identifier: MIT */
/* What all targets share: the invariants of what a device says, and the reading of the input. */
#ifndef EXITWALK_TESTS_FUZZ_FUZZ_H
#define EXITWALK_TESTS_FUZZ_FUZZ_H

#include <stdlib.h>

#include "tracer/probe.h"
#include "vmm/irq.h"

#define RAM 0x10000u
#define SECTORS 8u
#define MAX_OPS 256
#define MAX_RECORDS (1u << 20)

struct fuzz_probe {
	struct probe probe;
	unsigned pops, useds, depth, records;
};

struct input {
	const uint8_t *p, *end;
};

static inline void check(int ok)
{
	if (!ok)
		abort();
}

static inline void fuzz_emit(struct probe *p, const struct ew_rec *rec, const void *payload)
{
	struct fuzz_probe *f = (struct fuzz_probe *)p;

	(void)payload;
	f->records++;
	switch (rec->kind) {
	case EW_DISPATCH:
		f->depth++;
		break;
	case EW_DISPATCH_END:
		check(f->depth-- > 0);
		break;
	case EW_QUEUE_POP: /* one at a time, numbered without gaps */
		check(f->pops == f->useds && rec->a[0] == f->pops + 1);
		f->pops++;
		break;
	case EW_QUEUE_USED:
		check(f->useds + 1 == f->pops && rec->a[0] == f->pops);
		f->useds++;
		break;
	case EW_GUEST_ERROR:
		check(rec->a[0] && rec->a[0] < EW_GERR_MAX);
		break;
	default:
		break;
	}
}

static inline void irq_set(struct irq_line *line, int level)
{
	(void)line;
	check(level == 0 || level == 1);
}

/* Little-endian, 0 where the input has ended. */
static inline uint32_t take(struct input *in, unsigned bytes)
{
	uint32_t v = 0;

	for (unsigned i = 0; i < bytes && in->p < in->end; i++)
		v |= (uint32_t)*in->p++ << 8 * i;
	return v;
}

#endif
