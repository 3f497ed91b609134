/* SPDX-License-Identifier: MIT */
/* Drawing: the only way text gets to the terminal. */
#include "screen.h"
#include "terminfo.h"

#include <errno.h>
#include <fcntl.h>
#include <langinfo.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <wchar.h>
#include "text.h"

static attr_t attributes(const struct screen *s, enum style style)
{
	static const struct {
		attr_t attr;
		short fg;
	} table[STYLE_MAX] = {
#define STYLE(id, a, f) [STYLE_##id] = {a, f},
		SCREEN_STYLES(STYLE)
#undef STYLE
	};
	attr_t a = table[style].attr;

	if (s->colour && table[style].fg >= 0)
		a |= COLOR_PAIR(table[style].fg + 1);
	return a;
}

int screen_open(struct screen *s, bool ascii, bool mono, struct err *e)
{
	const char *term = getenv("TERM");

	s->curses = terminfo_moves_cursor(term) ? newterm(NULL, stdout, stdin) : NULL;
	if (!s->curses)
		return err_set(e, -ENOTTY,
			"the terminal type '%s' can show no screen: set TERM, for example to xterm",
			term ? term : "");
	set_term(s->curses);
	cbreak();
	noecho();
	nonl();
	intrflush(stdscr, FALSE);
	keypad(stdscr, TRUE);
	nodelay(stdscr, TRUE);
	set_escdelay(25);
	s->ascii = ascii || strcmp(nl_langinfo(CODESET), "UTF-8") != 0;
	s->colour = !mono && has_colors();
	if (s->colour) {
		start_color();
		use_default_colors();
		for (short c = 0; c < 8; c++)
			init_pair((short)(c + 1), c, -1);
		if (COLORS >= 256) /* #0087ff: the blue of the eight is hard to read on black */
			init_pair(COLOR_BLUE + 1, 33, -1);
	}
	getmaxyx(stdscr, s->rows, s->cols);
	return 0;
}

void screen_close(struct screen *s)
{
	if (!s->curses)
		return;
	endwin();
	delscreen(s->curses);
	s->curses = NULL;
}

void screen_resize(struct screen *s)
{
	struct winsize w;

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_row > 0 && w.ws_col > 0)
		resizeterm(w.ws_row, w.ws_col);
	getmaxyx(stdscr, s->rows, s->cols);
}

/* One character as it will be printed, in `out`, and its columns. */
static int glyph(const struct screen *s, uint32_t cp, char out[8])
{
	wchar_t wide[2] = {(wchar_t)cp, 0};
	int width;

	if (cp < 0x80) {
		out[0] = (char)cp;
		out[1] = 0;
		return 1;
	}
	if (s->ascii) {
		strcpy(out, text_ascii(cp));
		return (int)strlen(out);
	}
	width = wcwidth(wide[0]);
	if (width < 0 || wcstombs(out, wide, 8) >= 8) {
		strcpy(out, "?");
		return 1;
	}
	return width;
}

int screen_put(struct screen *s, int y, int x, int width, enum style style, const char *text)
{
	const char *more = s->ascii ? "~" : "…";
	bool cut;
	int used = 0;
	uint32_t cp;

	if (x < 0 || x >= s->cols)
		return 0;
	if (width > s->cols - x)
		width = s->cols - x;
	if (y < 0 || y >= s->rows || width <= 0)
		return 0;
	cut = (int)text_width(text, s->ascii) > width;
	attrset(attributes(s, style));
	move(y, x);
	while ((cp = text_next(&text)) != 0) {
		char out[8];
		int w = glyph(s, cp, out);

		if (used + w > width - cut)
			break;
		addstr(out);
		used += w;
	}
	if (cut) {
		addstr(more);
		used++;
	}
	attrset(A_NORMAL);
	return used;
}

int screen_printf(struct screen *s, int y, int x, int width, enum style style, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return screen_put(s, y, x, width, style, text);
}

/* Bytes of text that fit into `width` columns, broken at a space where there is one. */
static size_t fitting(const struct screen *s, const char *text, int width)
{
	const char *p = text;
	size_t fits = 0, space = 0;
	int used = 0;

	for (;;) {
		const char *before = p;
		uint32_t cp = text_next(&p);
		char out[8];

		if (!cp)
			return (size_t)(before - text);
		if (cp == ' ')
			space = (size_t)(before - text);
		used += glyph(s, cp, out);
		if (used > width)
			break;
		fits = (size_t)(p - text);
	}
	if (space)
		return space;
	return fits ? fits : (size_t)(p - text);
}

int screen_wrap(struct screen *s, struct rect r, int skip, enum style style, const char *text)
{
	char part[1024];
	int n = 0;

	if (r.w <= 0)
		return 0;
	do {
		size_t len = fitting(s, text, r.w);

		if (n >= skip && n - skip < r.h) {
			snprintf(part, sizeof(part), "%.*s", (int)len, text);
			screen_put(s, r.y + n - skip, r.x, r.w, style, part);
		}
		text += len;
		while (*text == ' ')
			text++;
		n++;
	} while (*text);
	return n;
}

void screen_fill(struct screen *s, int y, int x, int n, enum style style, const char *one)
{
	for (int i = 0; i < n; i++)
		screen_put(s, y, x + i, 1, style, one);
}

void screen_select(struct screen *s, int y, int x, int width)
{
	if (y < 0 || y >= s->rows || x >= s->cols)
		return;
	for (int i = x; i < x + width && i < s->cols; i++) {
		chtype c = mvinch(y, i);

		mvchgat(y, i, 1, (c & (A_BOLD | A_DIM)) | A_REVERSE, PAIR_NUMBER(c), NULL);
	}
}

int screen_save(struct screen *s, const char *path, struct err *e)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	FILE *f;
	int bad;

	if (fd < 0)
		return err_set(e, -errno, "%s cannot be written: %s", path, strerror(errno));
	f = fdopen(fd, "w");
	if (!f) {
		close(fd);
		return err_set(e, -ENOMEM, "out of memory");
	}
	for (int y = 0; y < s->rows; y++) {
		wchar_t line[1024];
		int n = mvinnwstr(y, 0, line, s->cols < 1023 ? s->cols : 1023);

		while (n > 0 && line[n - 1] == L' ')
			n--;
		line[n > 0 ? n : 0] = 0;
		fprintf(f, "%ls\n", line);
	}
	bad = ferror(f);
	if (fclose(f) != 0 || bad)
		return err_set(e, -EIO, "%s cannot be written completely", path);
	return 0;
}

void screen_clipboard(const char *text)
{
	static const char digit[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const unsigned char *p = (const unsigned char *)text;
	size_t len = strlen(text);
	char base64[68];
	size_t n = 0;

	for (size_t i = 0; i < len && n + 4 < sizeof(base64); i += 3) { /* RFC 4648, 4 */
		uint32_t v = (uint32_t)p[i] << 16 | (i + 1 < len ? (uint32_t)p[i + 1] << 8 : 0) |
			     (i + 2 < len ? p[i + 2] : 0);

		base64[n++] = digit[v >> 18];
		base64[n++] = digit[v >> 12 & 63];
		base64[n++] = i + 1 < len ? digit[v >> 6 & 63] : '=';
		base64[n++] = i + 2 < len ? digit[v & 63] : '=';
	}
	base64[n] = 0;
	/* xterm's control sequences, "Manipulate Selection Data"; unknown to a terminal, it is ignored. */
	printf("\033]52;c;%s\033\\", base64);
	fflush(stdout);
}
