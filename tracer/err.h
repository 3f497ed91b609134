/* SPDX-License-Identifier: MIT */
/*
 * The one error idiom: a function that can fail returns 0 or -errno, and the place that knows what
 * went wrong puts one sentence (what happened, and what to do about it) into the caller's struct err.
 * Nobody but a subcommand prints it, and nobody but main() exits.
 */
#ifndef EXITWALK_TRACER_ERR_H
#define EXITWALK_TRACER_ERR_H

#include <stdarg.h>
#include <stdio.h>

struct err {
	char msg[512];
};

/*
 * A sentence goes to a terminal, and what it quotes (a file's name, SQLite's words about a damaged
 * recording) may be anybody's: control characters, U+0080..U+009F included, become '?'.
 */
static inline void err_clean(char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			*s = '?';
		else if ((unsigned char)s[0] == 0xc2 && ((unsigned char)s[1] & 0xe0) == 0x80)
			s[0] = s[1] = '?';
}

/* Stores the sentence (the first one stays: the deepest place knows best) and returns `code`, a
 * negative errno. `e` may be NULL. */
__attribute__((format(printf, 3, 4))) static inline int err_set(
	struct err *e, int code, const char *fmt, ...)
{
	if (e && !e->msg[0]) {
		va_list ap;

		va_start(ap, fmt);
		vsnprintf(e->msg, sizeof(e->msg), fmt, ap);
		va_end(ap);
		err_clean(e->msg);
	}
	return code;
}

#endif
