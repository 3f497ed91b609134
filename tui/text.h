/* SPDX-License-Identifier: MIT */
/* Text for a terminal: safe decoding of recorded bytes, ASCII stand-ins. */
#ifndef EXITWALK_TUI_TEXT_H
#define EXITWALK_TUI_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "tracer/times.h"

/*
 * Decodes one character of *s (NUL-terminated) and moves *s behind it; 0 at the end. Recorded text
 * is untrusted: whatever could act on a terminal instead of being shown (C0, DEL, C1, bidirectional
 * and other format controls, private use, malformed UTF-8) comes back as U+FFFD, one for each such
 * character or byte.
 */
uint32_t text_next(const char **s);

/* What to print instead of cp where only ASCII can be shown: a short string, never NULL. */
const char *text_ascii(uint32_t cp);

/* Terminal columns of the string after text_next (and text_ascii if `ascii`). */
unsigned text_width(const char *s, bool ascii);

/*
 * Smart case: `needle` matches regardless of case unless it has a capital letter (as in less -i).
 * An empty needle matches nothing.
 */
bool text_matches(const char *haystack, const char *needle);

#endif
