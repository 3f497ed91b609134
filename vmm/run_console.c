// SPDX-License-Identifier: MIT
/* Connects standard input with the machine's serial port, and Ctrl-A x with the end of the run. */
#include <stdio.h>
#include <unistd.h>

#include "run_console.h"
#include "tracer/recorder.h"

void run_console_find(struct run_console *c, const struct run_options *o)
{
	bool in = isatty(STDIN_FILENO), out = isatty(STDOUT_FILENO) && !o->quiet;
	bool on = o->console == RUN_CONSOLE_ON ||
		  (o->console == RUN_CONSOLE_AUTO && run_options_linux(o) && in && out);

	c->config = (struct console_config){
		.in = on ? STDIN_FILENO : -1,
		.terminal = on && in,
		.out = on && in && out ? STDOUT_FILENO : -1,
	};
	if (c->config.terminal)
		console_block_signals();
}

void run_console_record(struct run_console *c, struct recorder *r)
{
	if (c->config.in >= 0)
		c->config.probe = recorder_track(r, "thread", -1, "console");
}

static void end_by_key(void *stop)
{
	stop_ask(stop, EW_STOP_SIGNAL, 0, STOP_NO_VCPU);
}

int run_console_open(
	struct run_console *c, struct machine *m, struct guest_output *output, struct err *e)
{
	if (c->config.in < 0)
		return 0;
	c->config.uart = m->uart;
	c->config.turn = &m->turn;
	c->config.end = end_by_key;
	c->config.ctx = &m->cpus.stop;
	if (c->config.terminal)
		fprintf(stderr, "exitwalk: all keys go to the guest; Ctrl-A x ends it, Ctrl-A h "
				"lists more\n");
	if (c->config.out >= 0)
		guest_output_terminal(output);
	return console_start(&c->console, &c->config, e);
}

void run_console_close(struct run_console *c)
{
	if (c->config.in >= 0)
		console_end(&c->console);
}
