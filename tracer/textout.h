/* SPDX-License-Identifier: MIT */
/* Text for a terminal or a pipe: UTF-8 or ASCII, colour or none, nothing a guest could inject. */
#ifndef EXITWALK_TRACER_TEXTOUT_H
#define EXITWALK_TRACER_TEXTOUT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* How wide text is: as the terminal between these two; a pipe has the last line's. */
#define TEXT_COLUMNS_MIN 80
#define TEXT_COLUMNS_MAX 160
#define TEXT_COLUMNS 100

struct textout {
	FILE *f;
	bool ascii;
	bool colour;
	unsigned columns; /* of a line */
};

enum text_style { STYLE_PLAIN, STYLE_BOLD, STYLE_DIM, STYLE_RED, STYLES };

/* ASCII if asked for or if the locale (LC_ALL, LC_CTYPE, LANG) is not UTF-8. Colour only on a
 * terminal and without NO_COLOR (no-color.org). */
void textout_init(struct textout *o, FILE *f, bool ascii);

/* The unit "µs" and so on, for where ASCII has a word of its own. */
const char *textout_pick(const struct textout *o, const char *utf8, const char *ascii);

void textout_style(const struct textout *o, enum text_style style);

/* Columns that text takes. */
unsigned textout_width(const char *text);

/* Text, with control characters (and with ASCII output, everything else) replaced by '?'; then
 * spaces up to `width` columns (0: none). */
void textout_put(const struct textout *o, const char *text, unsigned width);

/* How many bytes of text fit `width` columns, ending at a space if there is one; at least one
 * character. Leading spaces are the caller's. */
size_t textout_fit(const char *text, unsigned width);

/* A heading with a rule to the end of the line. */
void textout_heading(const struct textout *o, const char *text);

/* Two spaces and a bar of at most `width` columns for part/whole; nothing for a share too small. */
void textout_bar(const struct textout *o, int64_t part, int64_t whole, unsigned width);

/* "12.345" for 12345 ns: microseconds with three digits, in `size` bytes. Returns buf. */
const char *textout_us(int64_t ns, char *buf, size_t size);

/* A duration with its unit, as text_ns() says it, in ASCII where need be. Returns buf. */
const char *textout_ns(const struct textout *o, int64_t ns, char *buf, size_t size);

#endif
