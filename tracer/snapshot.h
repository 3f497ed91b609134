/* SPDX-License-Identifier: MIT */
/*
 * The payload of a snapshot event: struct ew_regs, then `bytes` of stack from rsp on, then what is left:
 * bytes of code, the first of them at address `code`.
 */
#ifndef EXITWALK_TRACER_SNAPSHOT_H
#define EXITWALK_TRACER_SNAPSHOT_H

#include <stdbool.h>

#include "probe.h"

struct snapshot_parts {
	struct ew_regs regs;
	const uint8_t *stack, *code; /* into the payload */
	size_t stack_len, code_len;
	uint64_t code_start; /* the guest's address of code[0] */
};

/* Takes a payload apart; bytes and code_start are the event's arguments a3 and a5. False if the payload
 * is too short for what they say. */
static inline bool snapshot_split(const void *payload, size_t len, uint64_t bytes,
	uint64_t code_start, struct snapshot_parts *s)
{
	const uint8_t *p = payload;

	if (!p || len < sizeof(s->regs) || bytes > len - sizeof(s->regs))
		return false;
	__builtin_memcpy(&s->regs, p, sizeof(s->regs));
	s->stack = p + sizeof(s->regs);
	s->stack_len = bytes;
	s->code = s->stack + bytes;
	s->code_len = len - sizeof(s->regs) - bytes;
	s->code_start = code_start;
	return true;
}

#endif
