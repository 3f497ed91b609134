/* SPDX-License-Identifier: MIT */
/* exitwalk: looks up the subcommand and calls it. Everything else is in the folders. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "tracer/cmd.h"

const char *argp_program_version = "exitwalk " EXITWALK_VERSION;

const struct cmd *const commands[] = {&cmd_run, &cmd_attach, &cmd_import, &cmd_view, &cmd_path,
	&cmd_report, &cmd_check, &cmd_doctor, NULL};

static const struct cmd *find(const char *name)
{
	for (const struct cmd *const *c = commands; *c; c++)
		if (strcmp((*c)->name, name) == 0)
			return *c;
	return NULL;
}

static int run(const struct cmd *c, int argc, char **argv)
{
	char name[64];

	/* argp's messages begin with argv[0]: let it be what the user typed. */
	snprintf(name, sizeof(name), "exitwalk %s", c->name);
	argv[0] = name;
	return c->run(argc, argv);
}

/*
 * Standard input, output and error may be closed. The next files that are opened would have their numbers: what is
 * printed would go into a disk image. In their places are descriptors that fail as a closed one does (EBADF).
 */
static void fill_standard_files(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 && errno == EBADF)
			open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
}

int main(int argc, char **argv)
{
	const struct cmd *c;
	int ret;

	fill_standard_files();
	if (argc < 2) {
		help_overview(stderr);
		return 64;
	}
	if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0) {
		puts(argp_program_version);
		return 0;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
		strcmp(argv[1], "-?") == 0) {
		help_overview(stdout);
		return 0;
	}
	if (strcmp(argv[1], "help") == 0)
		return help_main(argc - 1, argv + 1);

	c = find(argv[1]);
	if (!c) {
		fprintf(stderr, "exitwalk: there is no command '%s'; exitwalk --help lists them\n",
			argv[1]);
		return 64;
	}
	ret = run(c, argc - 1, argv + 1);
	/* A full disk or a closed pipe behind stdout must not look like success. */
	if (fflush(stdout) != 0 && ret == 0 && errno != EPIPE) {
		fprintf(stderr, "exitwalk %s: cannot write the output: %s\n", c->name,
			strerror(errno));
		ret = 1;
	}
	return ret;
}
