/* SPDX-License-Identifier: MIT */
/*
 * A subcommand. main() only looks one up and calls run(); --help, the man page and the shell
 * completion are all made from the argp tables, so an option is declared in one place.
 */
#ifndef EXITWALK_TRACER_CMD_H
#define EXITWALK_TRACER_CMD_H

#include <argp.h>

struct cmd {
	const char *name;
	const char *summary; /* one line, no full stop */
	const struct argp *argp;
	/* argv[0] is "exitwalk NAME". Returns the process's exit status: 0 success, 1 failure (after one
	 * sentence on stderr, "exitwalk NAME: …"), 2 for check: the recording is not whole, 64 usage (argp's
	 * own). */
	int (*run)(int argc, char **argv);
};

extern const struct cmd cmd_run, cmd_attach, cmd_doctor;             /* vmm/ */
extern const struct cmd cmd_import, cmd_path, cmd_report, cmd_check; /* tracer/ */
extern const struct cmd cmd_view;                                    /* tui/ */

/* All of them, in the order of the story; ends with NULL. Defined in main.c. */
extern const struct cmd *const commands[];

/* `exitwalk help [COMMAND]`, `help --man TEMPLATE`, `help --bash`, `help --markdown` (cmd_help.c). */
int help_main(int argc, char **argv);
/* The list of commands, as `exitwalk --help` prints it. */
void help_overview(FILE *out);

#define EXITWALK_VERSION "0.1.0"

#endif
