// SPDX-License-Identifier: MIT
/* exitwalk attach: records the host kernel's side of a VM that runs, whoever's it is. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "attach.h"
#include "tracer/cmd.h"
#include "watch.h"

#define DEFAULT_FILE "attach.exw"

/* --- options -------------------------------------------------------------------------------- */

enum { KEY_NAME = 0x100, KEY_DURATION, KEY_WAIT, KEY_HOST_BUFFER };

static const struct argp_option options[] = {
	{"name", KEY_NAME, "VM", 0,
		"Attach to the process with that name, or with VM as the name, guest or id on its "
		"command line",
		0},
	{"output", 'o', "FILE", 0,
		"Write the recording to FILE (" DEFAULT_FILE "); an earlier recording is replaced",
		0},
	{"wait", KEY_WAIT, NULL, 0,
		"With --name: if no VM is called so yet, wait until one begins, and record it from its "
		"first exit on",
		0},
	{"duration", KEY_DURATION, "SECONDS", 0, "End after so long (when the VM ends, or Ctrl-C)",
		0},
	{"host-buffer", KEY_HOST_BUFFER, "KIB", 0,
		"Size of the kernel's trace buffer for each CPU (8192, less on machines of many CPUs); "
		"larger if records are lost",
		0},
	{0},
};

static long number(struct argp_state *state, const char *what, const char *text, long max)
{
	char *end;
	long value;

	errno = 0;
	value = strtol(text, &end, 10);
	if (errno || end == text || *end || value < 1 || value > max)
		argp_error(state, "%s is a number from 1 to %ld, not '%s'", what, max, text);
	return value;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct attach *a = state->input;

	switch (key) {
	case KEY_NAME:
		a->name = arg;
		return 0;
	case KEY_WAIT:
		a->wait = true;
		return 0;
	case 'o':
		if (!*arg)
			argp_error(state, "-o needs the name of a file");
		a->file = arg;
		return 0;
	case KEY_DURATION:
		a->duration = number(state, "--duration", arg, 1000000);
		return 0;
	case KEY_HOST_BUFFER:
		a->buffer_kib = (unsigned)number(state, "--host-buffer", arg, HOST_BUFFER_KIB_MAX);
		return 0;
	case ARGP_KEY_ARG:
		if (a->process.pid)
			argp_error(state, "one process, please");
		a->process.pid = (pid_t)number(state, "PID", arg, 1 << 22);
		return 0;
	case ARGP_KEY_END:
		if (!a->process.pid == !a->name)
			argp_error(state, "which process? PID, or --name VM");
		if (a->wait && !a->name)
			argp_error(state, "--wait needs the --name of the VM");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp argp = {options, parse, "PID",
	"Records a virtual machine that runs, of any VMM on KVM (QEMU, Firecracker, cloud-hypervisor, kvmtool,"
	" exitwalk): what the host's kernel says of its exits with the hardware's reasons, what KVM did, the VMM's"
	" system calls, block events and interrupts, and its disk requests as far as that evidence goes.\v"
	"It needs root. The VM may run already, or begin later (--wait). It goes on as before, only slower while it is recorded; its memory is not looked at,"
	" so what happens inside the guest is not recorded. Ctrl-C ends the recording, not the VM.",
	NULL, NULL, NULL};

static void summary(const struct attach *a)
{
	struct host_live_counts n;

	host_live_counts(a->live, &n);
	printf("%" PRIu64 " exits, %" PRIu64 " events of %s[%d]%s\n", n.exits, n.events,
		a->process.comm, a->process.pid, n.lost ? "; records were lost" : "");
	if (a->silent)
		printf("this KVM (kvm_pvm) never fires kvm_exit: exits show by kvm_userspace_exit "
		       "only\n");
	printf("recording   %s\n", a->file);
	printf("next        exitwalk view %s    walk it\n", a->file);
	printf("            exitwalk report %s  exits by reason\n", a->file);
	printf("            exitwalk path --list %s  its disk requests\n", a->file);
}

static int cmd_attach_main(int argc, char **argv)
{
	struct attach a = {.file = DEFAULT_FILE};
	struct err e = {""};
	int rc;

	if (argp_parse(&argp, argc, argv, 0, NULL, &a))
		return 1;
	watch_block_signals();
	rc = attach_record(&a, &e);
	if (rc == 0)
		summary(&a);
	attach_free(&a);
	if (rc == 0)
		return 0;
	fprintf(stderr, "exitwalk attach: %s\n", e.msg[0] ? e.msg : strerror(-rc));
	return 1;
}

const struct cmd cmd_attach = {
	.name = "attach",
	.summary = "record the host kernel's side of a VM that runs, of any VMM",
	.argp = &argp,
	.run = cmd_attach_main,
};
