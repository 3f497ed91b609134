/* SPDX-License-Identifier: MIT */
/* Text for a terminal: safe decoding of recorded bytes, ASCII stand-ins. */
#include "text.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <wchar.h>

#define REPLACEMENT 0xfffdu

/* Code points that a terminal may act on, or that reorder or hide what stands beside them. */
static bool unsafe(uint32_t cp)
{
	return cp < 0x20 || (cp >= 0x7f && cp < 0xa0) || cp == 0xad || cp == 0x61c ||
	       (cp >= 0x200b && cp <= 0x200f) || (cp >= 0x2028 && cp <= 0x202e) ||
	       (cp >= 0x2060 && cp <= 0x206f) || (cp >= 0xd800 && cp <= 0xf8ff) || cp == 0xfeff ||
	       (cp >= 0xfff0 && cp <= 0xffff) || cp >= 0xe0000;
}

/* Length of the sequence that `lead` begins and its payload bits; 0 if it begins none. */
static unsigned sequence(unsigned char lead, uint32_t *bits)
{
	if (lead < 0x80) {
		*bits = lead;
		return 1;
	}
	if (lead >= 0xc2 && lead < 0xe0) {
		*bits = lead & 0x1f;
		return 2;
	}
	if (lead >= 0xe0 && lead < 0xf0) {
		*bits = lead & 0x0f;
		return 3;
	}
	if (lead >= 0xf0 && lead < 0xf5) {
		*bits = lead & 0x07;
		return 4;
	}
	return 0;
}

uint32_t text_next(const char **s)
{
	static const uint32_t shortest[] = {0, 0, 0x80, 0x800, 0x10000};
	const unsigned char *p = (const unsigned char *)*s;
	uint32_t cp = 0;
	unsigned len;

	if (!*p)
		return 0;
	len = sequence(*p, &cp);
	for (unsigned i = 1; i < len; i++) {
		if ((p[i] & 0xc0) != 0x80) {
			len = 0;
			break;
		}
		cp = cp << 6 | (p[i] & 0x3f);
	}
	if (!len) {
		(*s)++;
		return REPLACEMENT;
	}
	*s += len;
	if (cp < shortest[len] || unsafe(cp))
		return REPLACEMENT;
	return cp;
}

const char *text_ascii(uint32_t cp)
{
	static const struct {
		uint32_t cp;
		const char *ascii;
	} map[] = {
		{0xb7, "."},     /* middle dot */
		{0xb5, "u"},     /* micro */
		{0xb1, "+-"},    /* plus-minus */
		{0x394, "d"},    /* Delta */
		{0x2013, "-"},   /* en dash */
		{0x2026, "..."}, /* ellipsis */
		{0x2190, "<-"},  /* arrows */
		{0x2191, "^"},
		{0x2192, "->"},
		{0x2193, "v"},
		{0x2500, "-"},
		{0x2502, "|"},
		{0x2506, ":"},
		{0x250c, "+"},
		{0x2510, "+"},
		{0x2514, "+"},
		{0x2518, "+"},
		{0x251c, "+"},
		{0x253c, "+"},
		{0x2550, "="},
		{0x2551, "#"},
		{0x256a, "#"},
		{0x256b, "#"},
		{0x256c, "#"},
		{0x256d, "."},
		{0x256e, "."},
		{0x256f, "'"},
		{0x2570, "'"},
		{0x2588, "#"},
		{0x2592, "%"},
		{0x2591, "="},
		{0x2593, "="},
		{0x25b2, "^"},
		{0x25b6, ">"},
		{0x25b8, ">"},
		{0x25c0, "<"},
		{0x25cb, "o"},
		{0x25cf, "*"},
		{0x25bc, "v"},
		{0x26a0, "!"},
	};

	for (size_t i = 0; i < sizeof(map) / sizeof(map[0]); i++)
		if (map[i].cp == cp)
			return map[i].ascii;
	return "?";
}

unsigned text_width(const char *s, bool ascii)
{
	unsigned width = 0;
	uint32_t cp;

	while ((cp = text_next(&s)) != 0) {
		int w;

		if (ascii && cp >= 0x80) {
			width += (unsigned)strlen(text_ascii(cp));
			continue;
		}
		w = wcwidth((wchar_t)cp);
		width += w > 0 ? (unsigned)w : 0;
	}
	return width;
}

bool text_matches(const char *haystack, const char *needle)
{
	if (!*needle)
		return false;
	for (const char *p = needle; *p; p++)
		if (isupper((unsigned char)*p))
			return strstr(haystack, needle) != NULL;
	return strcasestr(haystack, needle) != NULL;
}
