/* SPDX-License-Identifier: MIT */
/* What every command that changes the terminal's state needs, so that the terminal is given back. */
#ifndef EXITWALK_TRACER_TERMINAL_H
#define EXITWALK_TRACER_TERMINAL_H

#include <stddef.h>
#include <termios.h>
#include "err.h"

/*
 * From here to terminal_unguard, a signal by which the process dies (SIGSEGV, SIGABRT, SIGQUIT …) first
 * writes `sequence` (copied, at most 256 bytes) to standard output and gives standard input the state
 * `before` (NULL: it has none), then does what it did before. One guard at a time.
 */
void terminal_guard(const struct termios *before, const char *sequence, size_t len);
void terminal_unguard(void);

/* Stops the process as SIGTSTP does; returns after SIGCONT. SIGTSTP is blocked in all threads. */
void terminal_stop(void);

/* The file descriptor that EXITWALK_IDLE_FD names, or -1; *fd is set in either case. */
int terminal_idle_fd(int *fd, struct err *e);
/* There is nothing to do: says so by one byte to *fd, if it is one. */
void terminal_idle(int *fd);

#endif
