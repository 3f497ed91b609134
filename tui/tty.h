/* SPDX-License-Identifier: MIT */
/* The terminal's state: saved, and given back on every way out, a crash included. */
#ifndef EXITWALK_TUI_TTY_H
#define EXITWALK_TUI_TTY_H

#include <signal.h>
#include <stdbool.h>
#include "tracer/terminal.h"

enum tty_event {
	TTY_INPUT,  /* there is something to read */
	TTY_RESIZE, /* the window has another size now */
	TTY_STOP,   /* stop here (SIGTSTP): call terminal_stop() */
	TTY_END,    /* end: *sig says by which signal */
};

struct tty {
	int sigfd;   /* signals arrive here as data, so no handler runs between two instructions */
	int idle_fd; /* EXITWALK_IDLE_FD, or -1 */
	sigset_t old_mask;
	struct termios before;
	bool have_before, guarded;
};

/* Before curses starts. */
int tty_init(struct tty *t, struct err *e);
/* After curses has started: crash signals from here on restore the terminal first. */
void tty_guard(struct tty *t);
/* After curses has ended. */
void tty_done(struct tty *t);

/*
 * Waits for input or a signal. With EXITWALK_IDLE_FD=n in the environment, one byte is written to
 * file descriptor n each time that everything is drawn and there is nothing to do: scripts and
 * tests wait for that byte instead of sleeping.
 */
enum tty_event tty_wait(struct tty *t, int *sig);
/* Is there a key or a signal to look at now? */
bool tty_pending(const struct tty *t);
/* Is the terminal at its end (closed, or a file that has been read)? */
bool tty_gone(const struct tty *t);

#endif
