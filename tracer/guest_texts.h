/* SPDX-License-Identifier: MIT */
/* The texts in what a guest's agent sends: lists, counters, names. They may hold anything. */
#ifndef EXITWALK_TRACER_GUEST_TEXTS_H
#define EXITWALK_TRACER_GUEST_TEXTS_H

#include <stddef.h>
#include <stdint.h>

#include "ksyms.h"

#define GUEST_TEXT_MAX 4096

/* Lines, made one. */
struct guest_text {
	char text[GUEST_TEXT_MAX];
	size_t used;
};

struct guest_texts {
	struct guest_text functions, missing, skipped;
};

/* Adds each line of text, `between` them; what does not fit is left out, and "…" says so. */
void guest_texts_add(struct guest_text *t, const char *text, size_t len, const char *between);

/* Up to `len` bytes, ended by a NUL if there is one, what is not printable ASCII replaced by '?'. */
void guest_text_clean(char *to, size_t size, const char *from, size_t len);

/* The number behind "key: " at the beginning of a line of a NUL-terminated text, or 0. */
uint64_t guest_text_number(const char *text, const char *key);

/* Calls back for each line "pid comm" (saved_cmdlines). */
void guest_text_tasks(const char *text, size_t len,
	void (*each)(void *ctx, int pid, const char *comm, size_t len), void *ctx);

/* "vp_notify+0x1c": what lies at addr, which symbol y has; without "+0x0". */
void guest_text_symbol(
	char *to, size_t size, const struct ksyms *s, const struct ksym *y, uint64_t addr);

#endif
