// SPDX-License-Identifier: MIT
/* Control sequences of ECMA-48 and the VT100 family, byte by byte: whole ones pass, or nothing. */
#include <string.h>

#include "term_filter.h"

#define ESC 0x1b
#define CAN 0x18
#define SUB 0x1a
#define BEL 0x07

/* A string that is never ended would swallow all that comes; a terminal has its limits too. */
#define STRING_MAX 4096

enum { GROUND, ESCAPE, ESCAPE_IGNORE, CHARSET, CSI, CSI_IGNORE, STRING, STRING_ESCAPE, UTF8 };

static void hold(struct term_filter *f, uint8_t byte)
{
	if (f->len < sizeof(f->held))
		f->held[f->len++] = (char)byte;
}

static size_t nothing(struct term_filter *f, uint8_t state)
{
	f->state = state;
	return 0;
}

static size_t begin(struct term_filter *f, uint8_t byte, uint8_t state)
{
	f->len = 0;
	hold(f, byte);
	return nothing(f, state);
}

static size_t pass(struct term_filter *f)
{
	f->state = GROUND;
	return f->len;
}

static size_t pass_one(struct term_filter *f, char c)
{
	f->held[0] = c;
	f->len = 1;
	return pass(f);
}

static size_t pass_sequence(struct term_filter *f)
{
	f->used = f->midline = true;
	return pass(f);
}

/* Lead bytes of well-formed UTF-8: how many bytes follow (Unicode 15, table 3-7). */
static unsigned utf8_more(uint8_t lead)
{
	if (lead >= 0xc2 && lead <= 0xdf)
		return 1;
	if (lead >= 0xe0 && lead <= 0xef)
		return 2;
	return lead >= 0xf0 && lead <= 0xf4 ? 3 : 0;
}

/* The second byte excludes longer forms of shorter characters, surrogates, and C1 (c2 80..9f). */
static bool utf8_second_ok(uint8_t lead, uint8_t second)
{
	switch (lead) {
	case 0xc2:
	case 0xe0:
		return second >= 0xa0;
	case 0xed:
		return second < 0xa0;
	case 0xf0:
		return second >= 0x90;
	case 0xf4:
		return second < 0x90;
	default:
		return true;
	}
}

static size_t in_utf8(struct term_filter *f, uint8_t byte)
{
	uint8_t lead = (uint8_t)f->held[0];

	if ((byte & 0xc0) != 0x80) { /* interrupted: it shows nothing */
		f->state = GROUND;
		return term_filter(f, byte);
	}
	if (f->len == 1 && !utf8_second_ok(lead, byte)) {
		f->midline = true;
		return pass_one(f, '?');
	}
	hold(f, byte);
	if (f->len <= utf8_more(lead))
		return 0;
	f->midline = true;
	return pass(f);
}

static size_t in_ground(struct term_filter *f, uint8_t byte)
{
	switch (byte) {
	case '\n':
		f->midline = false;
		return pass_one(f, (char)byte);
	case 0x0e: /* SO, SI: the other character set, line drawing */
	case 0x0f:
		f->used = true;
		return pass_one(f, (char)byte);
	case BEL:
	case '\b':
	case '\t':
	case '\r':
		return pass_one(f, (char)byte);
	default:
		break;
	}
	if (byte < 0x20 || byte == 0x7f) /* ENQ makes a terminal answer; the others show nothing */
		return nothing(f, GROUND);
	if (byte >= 0x80 && utf8_more(byte))
		return begin(f, byte, UTF8);
	f->midline = true;
	return pass_one(f, byte >= 0x80 ? '?' : (char)byte);
}

static size_t in_escape(struct term_filter *f, uint8_t byte)
{
	hold(f, byte);
	switch (byte) {
	case '[':
		return nothing(f, CSI);
	case '(':
	case ')':
		return nothing(f, CHARSET);
	case ']': /* OSC: title, colours, clipboard */
	case 'P': /* DCS */
	case 'X': /* SOS */
	case '^': /* PM */
	case '_': /* APC */
	case 'k': /* the title, of screen(1) */
		f->swallowed = 0;
		return nothing(f, STRING);
	case '7': /* save and restore the cursor */
	case '8':
	case 'D': /* index, next line, reverse index */
	case 'E':
	case 'M':
	case '=': /* keypad */
	case '>':
		return pass_sequence(f);
	default: /* also: c, which resets all, and Z, which is answered; '#' and the like have a final */
		return nothing(f, byte >= 0x20 && byte <= 0x2f ? ESCAPE_IGNORE : GROUND);
	}
}

static size_t in_charset(struct term_filter *f, uint8_t byte)
{
	hold(f, byte);
	return byte == '0' || byte == 'A' || byte == 'B' ? pass_sequence(f) : nothing(f, GROUND);
}

static bool parameters_are(const struct term_filter *f, const char *one)
{
	size_t len = strlen(one);

	return f->len == len + 3 && memcmp(f->held + 2, one, len) == 0;
}

/* held is ESC [ parameters final. */
static bool csi_passes(const struct term_filter *f)
{
	char final = f->held[f->len - 1], first = f->held[2];

	if (final == 'h' || final == 'l') /* insert; cursor keys, wrapping, cursor */
		return parameters_are(f, "4") || parameters_are(f, "?1") ||
		       parameters_are(f, "?7") || parameters_are(f, "?25");
	/* Private forms of the others are questions and settings of one terminal or another. */
	if (first >= '<' && first <= '?')
		return false;
	/* J with 3 would erase what was scrolled out; T with several is a mouse mode. */
	if (final == 'J' || final == 'T')
		return f->len == 3 || (f->len == 4 && first >= '0' && first <= '2');
	return strchr("@ABCDEFGHIKLMPSXZ`adefmrsu", final) != NULL;
}

static size_t in_csi(struct term_filter *f, uint8_t byte)
{
	if (byte >= 0x30 && byte <= 0x3f && f->len < sizeof(f->held) - 1) {
		hold(f, byte);
		return 0;
	}
	if (byte >= 0x40 && byte <= 0x7e) {
		hold(f, byte);
		return csi_passes(f) ? pass_sequence(f) : nothing(f, GROUND);
	}
	/* Intermediate bytes, which no sequence that passes has; or too long. */
	return nothing(f, byte >= 0x20 && byte <= 0x3f ? CSI_IGNORE : GROUND);
}

static size_t in_string(struct term_filter *f, uint8_t byte)
{
	if (byte == BEL || ++f->swallowed >= STRING_MAX)
		return nothing(f, GROUND);
	return nothing(f, byte == ESC ? STRING_ESCAPE : STRING);
}

size_t term_filter(struct term_filter *f, uint8_t byte)
{
	/* These end whatever goes on. ESC also begins anew, but a string ends with ESC '\'. */
	if (byte == CAN || byte == SUB)
		return nothing(f, GROUND);
	if (byte == ESC && f->state != STRING)
		return begin(f, byte, ESCAPE);
	switch (f->state) {
	case ESCAPE:
		return in_escape(f, byte);
	case CHARSET:
		return in_charset(f, byte);
	case CSI:
		return in_csi(f, byte);
	case ESCAPE_IGNORE:
		return nothing(f, byte >= 0x20 && byte <= 0x2f ? ESCAPE_IGNORE : GROUND);
	case CSI_IGNORE:
		return nothing(f, byte >= 0x20 && byte <= 0x3f ? CSI_IGNORE : GROUND);
	case STRING:
		return in_string(f, byte);
	case STRING_ESCAPE:
		if (byte == '\\')
			return nothing(f, GROUND);
		begin(f, ESC, ESCAPE); /* not ended by ST: a terminal takes the new sequence */
		return in_escape(f, byte);
	case UTF8:
		return in_utf8(f, byte);
	default:
		return in_ground(f, byte);
	}
}
