/* SPDX-License-Identifier: MIT */
/* What a terminal can do, without touching it. In a file of its own: term.h has macros for common words. */
#ifndef EXITWALK_TUI_TERMINFO_H
#define EXITWALK_TUI_TERMINFO_H

#include <stdbool.h>

/* Is the type known, and can its cursor be moved (terminfo(5), cursor_address)? TERM=dumb's cannot. NULL: no type. */
bool terminfo_moves_cursor(const char *term);

#endif
