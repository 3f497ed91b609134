/* SPDX-License-Identifier: MIT */
/*
 * What the user types goes to the guest's serial port. One thread reads; what the guest does not take at
 * once waits in a buffer, which the guest's own accesses empty. So nobody waits for the guest, and the
 * guest waits for nobody.
 */
#ifndef EXITWALK_VMM_CONSOLE_H
#define EXITWALK_VMM_CONSOLE_H

#include <pthread.h>
#include <stdbool.h>
#include <termios.h>
#include "turn.h"
#include "uart.h"

#define CONSOLE_PENDING 4096

struct console_config {
	int in;        /* read, and not closed */
	bool terminal; /* `in` is one: raw mode, Ctrl-A, stop and continue. It must be stdin */
	int out;       /* the terminal that answers Ctrl-A h; -1: none */
	struct uart *uart;
	struct turn *turn;
	struct probe *probe; /* of this thread: it raises the port's interrupt. NULL: unrecorded */
	void (*end)(void *ctx); /* Ctrl-A x; any thread, with the turn */
	void *ctx;
};

struct console {
	struct console_config config;
	pthread_t thread;
	int wake, signals, idle; /* eventfd, signalfd or -1, EXITWALK_IDLE_FD or -1 */
	struct termios before;
	bool is_raw, eof, escaped;
	/* By who has the turn. */
	bool stop, full;
	unsigned head, count;
	uint8_t pending[CONSOLE_PENDING];
};

/* SIGTSTP and SIGCONT, in the calling thread and those that it makes later: for a terminal. */
void console_block_signals(void);

/*
 * From here on `in` is read. A terminal is in raw mode until console_end, except while the process is
 * stopped or in the background; a process that dies meanwhile gives it back first (tracer/terminal.h).
 * At the end of file nothing more is read. -errno: nothing has begun.
 */
int console_start(struct console *c, const struct console_config *config, struct err *e);
/* Ends the thread, gives the terminal back, unblocks the signals; what was not taken is dropped. */
void console_end(struct console *c);

#endif
