/* SPDX-License-Identifier: MIT */
/* insn_locate() with a memory: a direct-mapped table over everything the answer depends on. */
#include "insn_memo.h"

#include <stdlib.h>
#include <string.h>

#include "insn.h"

#define MEMO_SLOTS 1024

struct memo_slot {
	bool used;
	struct ew_exit_payload key; /* with value = 0 */
	uint64_t hw_rip, insn_rip;
	unsigned len;
	uint8_t insn[16];
};

struct insn_memo {
	struct memo_slot slot[MEMO_SLOTS];
};

struct insn_memo *insn_memo_create(void)
{
	return calloc(1, sizeof(struct insn_memo));
}

void insn_memo_destroy(struct insn_memo *m)
{
	free(m);
}

unsigned insn_memo_locate(struct insn_memo *m, const struct ew_exit_payload *p, uint64_t hw_rip,
	uint64_t *insn_rip, const uint8_t **insn)
{
	struct ew_exit_payload key = *p;
	uint64_t hash = (p->rip ^ p->addr << 20) * 0x9e3779b97f4a7c15u; /* 2^64 / golden ratio */
	struct memo_slot *s = &m->slot[hash >> 54];

	_Static_assert(MEMO_SLOTS == 1 << 10, "the hash's upper ten bits");
	key.value = 0;
	if (!s->used || s->hw_rip != hw_rip || memcmp(&s->key, &key, sizeof(key)) != 0) {
		memset(s, 0, sizeof(*s));
		s->used = true;
		s->key = key;
		s->hw_rip = hw_rip;
		s->len = insn_locate(p, hw_rip, &s->insn_rip, s->insn);
	}
	*insn_rip = s->insn_rip;
	*insn = s->insn;
	return s->len;
}
