/* SPDX-License-Identifier: MIT */
/*
 * What of a guest's output may reach the user's terminal when the guest's console is used on it. A shell
 * and an editor need colours and the cursor; a hostile guest must not be able to make the terminal
 * answer (the answer is typed: after the run, into the user's shell), to leave it in a state that
 * TERM_FILTER_RESET does not end, or to reach anything but the screen: title, clipboard, printer,
 * the lines scrolled out.
 */
#ifndef EXITWALK_VMM_TERM_FILTER_H
#define EXITWALK_VMM_TERM_FILTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TERM_FILTER_MAX 24

struct term_filter {
	uint8_t state;
	uint8_t len; /* of held: a sequence or character that is not complete */
	char held[TERM_FILTER_MAX];
	uint16_t swallowed; /* of a string that is not passed on */
	bool used;          /* something was passed on that RESET ends */
	bool midline;       /* something may stand in the cursor's line */
};

/* Takes one byte of the guest's; returns how many bytes, in f->held, are to be written now. */
size_t term_filter(struct term_filter *f, uint8_t byte);

/*
 * Attributes, character sets, insert mode, wrapping, cursor keys, keypad and the cursor's visibility;
 * the scrolling region between saving and restoring the cursor, which it would move.
 */
#define TERM_FILTER_RESET                                                                          \
	"\0337\033[r\0338\033[0m\033(B\033)B\017\033[4l\033[?7h\033[?1l\033>\033[?25h"

#endif
