// SPDX-License-Identifier: MIT
/* The list of writes. */
#include <string.h>

#include "plan.h"

#define KIB 1024u
#define MIB (1024u * KIB)

const struct plan_mode_info plan_mode_info[PLAN_COUNT] = {
#define MODE(id, text, file, count, what) {text, file, count, what},
	PLAN_MODES
#undef MODE
};

/*
 * Neighbours in time must not be neighbours on the disk: the guest's block layer would merge them
 * into one request. 17 and 1024 have no common divisor, so each slot is used once.
 */
static struct plan_step step_many(unsigned i)
{
	enum { FIRST_N = 100, SLOTS = 1024, STRIDE = 17 };

	return (struct plan_step){FIRST_N + i, 12 * MIB + (uint64_t)(i * STRIDE % SLOTS) * 4 * KIB,
		i % 3 ? 4 * KIB : 512};
}

struct plan_step plan_step(enum plan_mode mode, unsigned i)
{
	switch (mode) {
	case PLAN_DIRECT:
		return i == 0 ? (struct plan_step){1, 1 * MIB, 512}
			      : (struct plan_step){2, 2 * MIB, 64 * KIB};
	case PLAN_BIG:
		return (struct plan_step){3, 4 * MIB, PLAN_MAX_LEN};
	case PLAN_BATCH:
		return (struct plan_step){4 + i, 8 * MIB + (uint64_t)i * 64 * KIB, 4 * KIB};
	case PLAN_FILE_DIRECT:
		return (struct plan_step){20, 0, 64 * KIB};
	/* The second one finds its block: nothing is allocated, and nothing but its bytes is written. */
	case PLAN_FILE_SMALL:
		return (struct plan_step){22 + i, i * 512u, 512};
	case PLAN_FILE_BUFFERED:
		return (struct plan_step){21, 0, 64 * KIB};
	case PLAN_MERGE:
		return (struct plan_step){2000 + i, 6 * MIB + (uint64_t)i * 4 * KIB, 4 * KIB};
	case PLAN_TWO: /* each process in a region of its own */
		return (struct plan_step){2100 + i,
			(9 + i % 2) * MIB + (uint64_t)(i / 2 * 16) * KIB, i % 3 ? 4 * KIB : 512};
	case PLAN_SHARED:
		return (struct plan_step){2200 + i, 7 * MIB + (uint64_t)i * 4 * KIB, 4 * KIB};
	case PLAN_WRITEBACK:
		return (struct plan_step){2300 + i, 3 * MIB + (uint64_t)i * 8 * KIB, 8 * KIB};
	case PLAN_MANY:
	default:
		return step_many(i);
	}
}

static uint64_t word(const struct plan_step *s, size_t at)
{
	return (uint64_t)s->n << 48 | (s->offset + at);
}

void plan_fill(const struct plan_step *s, void *buf)
{
	for (size_t at = 0; at < s->len; at += sizeof(uint64_t)) {
		uint64_t w = word(s, at);

		memcpy((uint8_t *)buf + at, &w, sizeof(w));
	}
}

uint64_t plan_compare(const struct plan_step *s, const void *buf)
{
	for (size_t at = 0; at < s->len; at += sizeof(uint64_t)) {
		uint64_t w;

		memcpy(&w, (const uint8_t *)buf + at, sizeof(w));
		if (w != word(s, at))
			return s->offset + at;
	}
	return UINT64_MAX;
}
