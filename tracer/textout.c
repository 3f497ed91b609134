/* SPDX-License-Identifier: MIT */
/* Text for a terminal or a pipe: UTF-8 or ASCII, colour or none, nothing a guest could inject. */
#include "textout.h"

#include <inttypes.h>
#include <langinfo.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "times.h"

static bool locale_is_utf8(void)
{
	locale_t l = newlocale(LC_CTYPE_MASK, "", (locale_t)0);
	bool utf8;

	if (!l)
		return false;
	utf8 = !strcmp(nl_langinfo_l(CODESET, l), "UTF-8");
	freelocale(l);
	return utf8;
}

static unsigned columns_of(FILE *f)
{
	struct winsize w;

	if (!isatty(fileno(f)) || ioctl(fileno(f), TIOCGWINSZ, &w) < 0 || !w.ws_col)
		return TEXT_COLUMNS;
	return w.ws_col < TEXT_COLUMNS_MIN   ? TEXT_COLUMNS_MIN
	       : w.ws_col > TEXT_COLUMNS_MAX ? TEXT_COLUMNS_MAX
					     : w.ws_col;
}

void textout_init(struct textout *o, FILE *f, bool ascii)
{
	const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");

	o->f = f;
	o->ascii = ascii || !locale_is_utf8();
	o->columns = columns_of(f);
	o->colour = isatty(fileno(f)) && !(no_color && *no_color) &&
		    !(term && !strcmp(term, "dumb"));
}

const char *textout_pick(const struct textout *o, const char *utf8, const char *ascii)
{
	return o->ascii ? ascii : utf8;
}

void textout_style(const struct textout *o, enum text_style style)
{
	/* ECMA-48, 8.3.117 SGR */
	static const char *const sgr[STYLES] = {
		[STYLE_PLAIN] = "\033[0m",
		[STYLE_BOLD] = "\033[1m",
		[STYLE_DIM] = "\033[2m",
		[STYLE_RED] = "\033[31m",
	};

	if (o->colour)
		fputs(sgr[style], o->f);
}

static bool is_continuation(char c)
{
	return ((unsigned char)c & 0xc0) == 0x80;
}

unsigned textout_width(const char *text)
{
	unsigned width = 0;

	for (; *text; text++)
		width += !is_continuation(*text);
	return width;
}

static void put_bytes(const struct textout *o, const char *text, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)text[i];

		/* U+0080..U+009F are control characters too: c2 80 .. c2 9f. */
		bool c1 = c == 0xc2 && i + 1 < n && (unsigned char)text[i + 1] < 0xa0;

		if (o->ascii && n - i >= 3 && !memcmp(text + i, "…", 3))
			fputs("...", o->f);
		else if ((c >= 0x20 && c < 0x7f) || (c >= 0x80 && !o->ascii && !c1))
			putc(c, o->f);
		else if (!is_continuation((char)c))
			putc('?', o->f);
		i += c1;
	}
}

void textout_put(const struct textout *o, const char *text, unsigned width)
{
	unsigned used = textout_width(text);

	put_bytes(o, text, strlen(text));
	if (used < width)
		fprintf(o->f, "%*s", (int)(width - used), "");
}

size_t textout_fit(const char *text, unsigned width)
{
	size_t i = 0, space = 0;
	unsigned used = 0;

	for (; text[i]; i++) {
		if (is_continuation(text[i]))
			continue;
		if (used == width)
			break;
		if (text[i] == ' ' && i)
			space = i;
		used++;
	}
	if (!text[i] || text[i] == ' ')
		return i;
	return space ? space : i;
}

void textout_heading(const struct textout *o, const char *text)
{
	unsigned used = textout_width(text) + 4;

	textout_style(o, STYLE_BOLD);
	fprintf(o->f, "%s ", textout_pick(o, "──", "--"));
	textout_put(o, text, 0);
	putc(' ', o->f);
	for (; used < o->columns; used++)
		fputs(textout_pick(o, "─", "-"), o->f);
	textout_style(o, STYLE_PLAIN);
	putc('\n', o->f);
}

void textout_bar(const struct textout *o, int64_t part, int64_t whole, unsigned width)
{
	double columns = whole > 0 && part > 0 ? (double)part / (double)whole * width : 0;

	for (unsigned i = 0; i < width && i + 0.5 <= columns; i++)
		fprintf(o->f, "%s%s", i ? "" : "  ", textout_pick(o, "█", "#"));
}

const char *textout_us(int64_t ns, char *buf, size_t size)
{
	uint64_t n = ns < 0 ? -(uint64_t)ns : (uint64_t)ns;

	snprintf(
		buf, size, "%s%" PRIu64 ".%03u", ns < 0 ? "-" : "", n / 1000, (unsigned)(n % 1000));
	return buf;
}

const char *textout_ns(const struct textout *o, int64_t ns, char *buf, size_t size)
{
	char *micro;

	text_ns(ns, buf, size);
	micro = o->ascii ? strstr(buf, "µ") : NULL;
	if (micro) {
		*micro = 'u';
		memmove(micro + 1, micro + 2, strlen(micro + 2) + 1);
	}
	return buf;
}
