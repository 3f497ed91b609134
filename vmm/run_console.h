/* SPDX-License-Identifier: MIT */
/* `exitwalk run` and its standard input: is it the guest's console, and how? */
#ifndef EXITWALK_VMM_RUN_CONSOLE_H
#define EXITWALK_VMM_RUN_CONSOLE_H

#include "console.h"
#include "machine.h"
#include "run_options.h"

struct recorder;

struct run_console {
	struct console_config config; /* in: -1 if standard input is left alone */
	struct console console;
};

/* Decides, and blocks the signals that are then taken. Before there are threads. */
void run_console_find(struct run_console *c, const struct run_options *o);
/* Before recorder_start. */
void run_console_record(struct run_console *c, struct recorder *r);
/* Right before the guest runs. `output` goes to the terminal as it comes, if that is where it goes. */
int run_console_open(
	struct run_console *c, struct machine *m, struct guest_output *output, struct err *e);
void run_console_close(struct run_console *c);

#endif
