/* SPDX-License-Identifier: MIT */
/*
 * Drawing: the only way text gets to the terminal, so the one place where it is made harmless, cut
 * to its width and turned into ASCII where need be. Styles say what something is; how that looks
 * depends on the terminal, and colour is never the only sign.
 */
#ifndef EXITWALK_TUI_SCREEN_H
#define EXITWALK_TUI_SCREEN_H

#include <curses.h>
#include <stdbool.h>
#include "tracer/err.h"

/* STYLE(ID, attributes, colour or -1) */
#define SCREEN_STYLES(STYLE)                                                                       \
	STYLE(NORMAL, A_NORMAL, -1)                                                                \
	STYLE(DIM, A_DIM, -1)                                                                      \
	STYLE(BOLD, A_BOLD, -1)                                                                    \
	STYLE(HEAD, A_BOLD, COLOR_CYAN)                                                            \
	STYLE(BAR, A_REVERSE, -1)                                                                  \
	STYLE(WARN, A_BOLD, COLOR_RED)                                                             \
	STYLE(CROSSING, A_BOLD, COLOR_YELLOW)                                                      \
	STYLE(LANE, A_DIM, -1)                                                                     \
	STYLE(GUEST_USER, A_BOLD, COLOR_GREEN)                                                     \
	STYLE(GUEST_KERNEL, A_NORMAL, COLOR_GREEN)                                                 \
	STYLE(KVM, A_BOLD, COLOR_MAGENTA)                                                          \
	STYLE(VMM, A_BOLD, COLOR_BLUE)                                                             \
	STYLE(HOST, A_NORMAL, COLOR_CYAN)                                                          \
	STYLE(OTHER, A_NORMAL, -1)

enum style {
#define STYLE(id, attr, fg) STYLE_##id,
	SCREEN_STYLES(STYLE)
#undef STYLE
		STYLE_MAX
};

/* Puts text of at most 48 bytes into the terminal's clipboard, where the terminal lets programs do that. */
void screen_clipboard(const char *text);

struct rect {
	int y, x, h, w;
};

struct screen {
	SCREEN *curses;
	bool ascii, colour;
	int rows, cols;
};

/* Starts curses. `ascii` as asked for; it is also taken if the locale is not UTF-8. */
int screen_open(struct screen *s, bool ascii, bool mono, struct err *e);
void screen_close(struct screen *s);
/* Takes the terminal's size over. */
void screen_resize(struct screen *s);

/*
 * Writes text at y, x in at most `width` columns (an ellipsis shows that it was cut); returns how
 * many it took. Whatever lies outside the screen is left out.
 */
int screen_put(struct screen *s, int y, int x, int width, enum style style, const char *text);
__attribute__((format(printf, 6, 7))) int screen_printf(
	struct screen *s, int y, int x, int width, enum style style, const char *fmt, ...);
/*
 * As screen_put, wrapped at words into r from line `skip` on; returns the lines that it takes in
 * all.
 */
int screen_wrap(struct screen *s, struct rect r, int skip, enum style style, const char *text);
/* `n` times the one-column string. */
void screen_fill(struct screen *s, int y, int x, int n, enum style style, const char *one);
/* Turns the attributes of a whole row to reverse: the selected one. */
void screen_select(struct screen *s, int y, int x, int width);

/* Writes what is on the screen as text; 0 or -errno. */
int screen_save(struct screen *s, const char *path, struct err *e);

#endif
