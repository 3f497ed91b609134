/* SPDX-License-Identifier: MIT */
/* What all targets share: the invariants of what a device says, and the reading of the input. */
#ifndef EXITWALK_TESTS_FUZZ_FUZZ_H
#define EXITWALK_TESTS_FUZZ_FUZZ_H

#include <stdbool.h>
#include <stdlib.h>

#include "tracer/probe.h"
#include "vmm/irq.h"

#define RAM 0x10000u
#define SECTORS 8u
#define MAX_OPS 256
#define MAX_RECORDS (1u << 20)
#define OPEN_MAX 256

struct fuzz_probe {
	struct probe probe;
	unsigned pops, useds, depth, records;
	bool late; /* requests come back later, in any order */
	uint64_t open[OPEN_MAX];
	unsigned n_open;
};

struct input {
	const uint8_t *p, *end;
};

static inline void check(int ok)
{
	if (!ok)
		abort();
}

/* Numbered without gaps, one at a time unless they come back late. */
static inline void popped(struct fuzz_probe *f, uint64_t request)
{
	check(request == f->pops + 1 && f->n_open < (f->late ? OPEN_MAX : 1));
	f->pops++;
	f->open[f->n_open++] = request;
}

/* Each comes back once. */
static inline void used(struct fuzz_probe *f, uint64_t request)
{
	unsigned i = 0;

	while (i < f->n_open && f->open[i] != request)
		i++;
	check(i < f->n_open);
	f->open[i] = f->open[--f->n_open];
	f->useds++;
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
	case EW_QUEUE_POP:
		popped(f, rec->a[0]);
		break;
	case EW_QUEUE_USED:
		used(f, rec->a[0]);
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
