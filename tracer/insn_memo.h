/* SPDX-License-Identifier: MIT */
/* insn_locate() with a memory: the same instruction exits again and again. */
#ifndef EXITWALK_TRACER_INSN_MEMO_H
#define EXITWALK_TRACER_INSN_MEMO_H

#include <stdbool.h>
#include "probe.h"

struct insn_memo;

struct insn_memo *insn_memo_create(void); /* NULL: out of memory */
void insn_memo_destroy(struct insn_memo *m);

/* As insn_locate(). The bytes stay valid until the next call. */
unsigned insn_memo_locate(struct insn_memo *m, const struct ew_exit_payload *p, uint64_t hw_rip,
	uint64_t *insn_rip, const uint8_t **insn);

#endif
