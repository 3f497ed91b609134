/* SPDX-License-Identifier: MIT */
/* exitwalk import: a recording of a trace-cmd trace, of anyone's VM. */
#include <argp.h>
#include <inttypes.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "cmd.h"
#include "import.h"

struct args {
	const char *in, *out;
	char name[PATH_MAX]; /* out, if none was given */
};

static const struct argp_option options[] = {
	{"output", 'o', "OUT", 0,
		"write the recording to OUT (FILE's name with .exw, in the current directory); an earlier recording is replaced",
		0},
	{0},
};

/* "dir/vm.trace.dat" → "vm.exw" */
static void default_name(struct args *a)
{
	static const char *const suffix[] = {".dat", ".trace"};
	const char *slash = strrchr(a->in, '/'), *base = slash ? slash + 1 : a->in;
	size_t n;

	snprintf(a->name, sizeof(a->name) - 4, "%s", base);
	for (size_t i = 0; i < sizeof(suffix) / sizeof(suffix[0]); i++) {
		n = strlen(a->name);
		if (n > strlen(suffix[i]) && !strcmp(a->name + n - strlen(suffix[i]), suffix[i]))
			a->name[n - strlen(suffix[i])] = '\0';
	}
	strcat(a->name, ".exw");
	a->out = a->name;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct args *a = state->input;

	switch (key) {
	case 'o':
		a->out = arg;
		return 0;
	case ARGP_KEY_ARG:
		if (a->in)
			argp_error(state, "one trace, please");
		a->in = arg;
		return 0;
	case ARGP_KEY_END:
		if (!a->in)
			argp_error(state, "which trace.dat?");
		if (!a->out)
			default_name(a);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp argp = {options, parse, "FILE",
	"Makes a recording of FILE, a trace.dat (version 6 or 7) that trace-cmd recorded on a host with KVM"
	" guests of any VMM: exits with the hardware's reasons, what KVM did, the host's system calls and"
	" block events, the interrupts, and the guest's disk requests as far as that evidence goes.\v"
	"The more the trace has the more the recording shows: trace-cmd record -C mono -e kvm -e block"
	" -e sched_switch -e sched_waking and the syscalls events ioctl, futex, read, write, ppoll, pread64,"
	" pwrite64, preadv, pwritev, fdatasync, io_submit, io_uring_enter (enter and exit). Tracepoints that"
	" exitwalk does not know are counted and named in meta, import.not_imported.\n\n"
	"A damaged or truncated FILE: what could be read makes a complete recording, one sentence says"
	" what is wrong, and the exit status is 1.",
	NULL, NULL, NULL};

static int run(int argc, char **argv)
{
	struct args a = {0};
	struct import_result r;
	struct import_opts o;
	struct err e = {0};
	int ret;

	argp_parse(&argp, argc, argv, 0, NULL, &a);
	o = (struct import_opts){.in = a.in, .out = a.out, .progress = isatty(STDERR_FILENO)};
	ret = import_file(&o, &r, &e);
	if (ret) {
		fprintf(stderr, "exitwalk import: %s\n", e.msg);
		return 1;
	}
	printf("%s: %" PRIu64 " events, %" PRIu64 " exits", a.out, r.events, r.exits);
	if (r.gaps)
		printf(", at least %" PRIu64 " records lost in %" PRIu64 " gaps", r.lost, r.gaps);
	printf("\nnext        exitwalk report %s       exits by reason\n", a.out);
	printf("            exitwalk path --list %s  its disk requests\n", a.out);
	printf("            exitwalk view %s         walk them\n", a.out);
	if (!r.damage[0])
		return 0;
	fprintf(stderr,
		"exitwalk import: %s is damaged: %s; what could be read before that is in %s\n",
		a.in, r.damage, a.out);
	return 1;
}

const struct cmd cmd_import = {
	"import", "a recording of a trace-cmd trace, of anyone's VM", &argp, run};
