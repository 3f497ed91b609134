// SPDX-License-Identifier: MIT
/* exitwalk attach: records the host kernel's side of a VM that runs, whoever's it is. */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "backend.h"
#include "kvm_process.h"
#include "tracer/cmd.h"
#include "tracer/host_live.h"
#include "watch.h"

#define DEFAULT_FILE "attach.exw"
#define TICK_MS 200

struct attach {
	const char *file, *name;
	long pid, duration; /* s; 0: none */
	struct kvm_process process;
	struct recorder *recorder;
	struct host_live *live;
	bool silent; /* the backend has no kvm_exit */
	bool after;  /* counters of after the recording */
};

/* --- options -------------------------------------------------------------------------------- */

enum { KEY_NAME = 0x100, KEY_DURATION };

static const struct argp_option options[] = {
	{"name", KEY_NAME, "VM", 0,
		"Attach to the process with that name, or with VM as the name, guest or id on its "
		"command line",
		0},
	{"output", 'o', "FILE", 0,
		"Write the recording to FILE (" DEFAULT_FILE "); an earlier recording is replaced",
		0},
	{"duration", KEY_DURATION, "SECONDS", 0, "End after so long (when the VM ends, or Ctrl-C)",
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
	case 'o':
		if (!*arg)
			argp_error(state, "-o needs the name of a file");
		a->file = arg;
		return 0;
	case KEY_DURATION:
		a->duration = number(state, "--duration", arg, 1000000);
		return 0;
	case ARGP_KEY_ARG:
		if (a->pid)
			argp_error(state, "one process, please");
		a->pid = number(state, "PID", arg, 1 << 22);
		return 0;
	case ARGP_KEY_END:
		if (!a->pid == !a->name)
			argp_error(state, "which process? PID, or --name VM");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp argp = {options, parse, "PID",
	"Records a virtual machine that runs, of any VMM on KVM (QEMU, Firecracker, cloud-hypervisor, kvmtool,"
	" exitwalk): what the host's kernel says of its exits with the hardware's reasons, what KVM did, the VMM's"
	" system calls, block events and interrupts, and its disk requests as far as that evidence goes.\v"
	"It needs root. The VM goes on as before, only slower while it is recorded; its memory is not looked at,"
	" so what happens inside the guest is not recorded. Ctrl-C ends the recording, not the VM.",
	NULL, NULL, NULL};

/* --- what the recording says of itself ------------------------------------------------------ */

static void counter(void *ctx, const char *name, uint64_t value)
{
	struct attach *a = ctx;

	recorder_kvm_stat(a->recorder, -1, name, a->after, value);
}

static void describe(struct attach *a)
{
	struct recorder *r = a->recorder;
	struct utsname host;
	char text[256];

	recorder_meta(r, "exitwalk_version", "%s", EXITWALK_VERSION);
	recorder_meta(r, "attach.pid", "%d", a->process.pid);
	recorder_meta(r, "attach.comm", "%s", a->process.comm);
	recorder_meta(r, "attach.command_line", "%s", a->process.command_line);
	recorder_meta(r, "attach.vcpus", "%u", a->process.vcpus);
	if (uname(&host) == 0)
		recorder_meta(r, "host_kernel", "%s %s %s %s", host.sysname, host.release,
			host.version, host.machine);
	backend_cpu_model(text, sizeof(text));
	recorder_meta(r, "cpu_model", "%s", text);
	backend_name(text, sizeof(text));
	recorder_meta(r, "kvm_backend", "%s", text);
	a->silent = strstr(text, "kvm_pvm") != NULL;
	if (a->silent)
		recorder_meta(r, "host_trace.silent",
			"kvm_exit and kvm_entry never fire on kvm_pvm: no exit of the hardware is "
			"recorded");
	kvm_process_counters(&a->process, counter, a);
}

static int open_recording(struct attach *a, struct err *e)
{
	struct host_live_opts o = {.pid = a->process.pid, .syscalls = true};
	int rc = recorder_open(&a->recorder, a->file, NULL, e);

	if (rc)
		return rc;
	describe(a);
	o.emulated = a->silent;
	rc = host_live_create(&a->live, a->recorder, &o, e);
	if (rc == 0)
		rc = recorder_start(a->recorder, e);
	return rc ? rc : host_live_start(a->live, e);
}

/* --- while it runs -------------------------------------------------------------------------- */

static void show(const struct attach *a, bool last)
{
	struct host_live_counts n;

	if (!isatty(STDERR_FILENO))
		return;
	host_live_counts(a->live, &n);
	if (last)
		fputs("\r\033[K", stderr);
	else
		fprintf(stderr,
			"\r\033[K%s[%d]: %" PRIu64 " exits, %" PRIu64 " events, %" PRIu64
			" lost; Ctrl-C ends the recording",
			a->process.comm, a->process.pid, n.exits, n.events, n.lost);
	fflush(stderr);
}

static const char *wait_for_end(struct attach *a, int signals, int process)
{
	uint64_t begin = probe_now(), end = begin + (uint64_t)a->duration * 1000000000;
	struct pollfd p[] = {{signals, POLLIN, 0}, {process, POLLIN, 0}};

	for (;;) {
		uint64_t now = probe_now();

		if (a->duration && now >= end)
			return "the duration was over";
		if (recorder_status(a->recorder))
			return "the recorder gave up";
		show(a, false);
		if (poll(p, 2, TICK_MS) < 0 && errno != EINTR)
			return strerror(errno);
		if (p[0].revents)
			return "a signal";
		if (p[1].revents)
			return "the process ended";
	}
}

static int record(struct attach *a, struct err *e)
{
	sigset_t set;
	int signals, process, rc;
	const char *why;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	process = (int)syscall(SYS_pidfd_open, a->process.pid, 0);
	if (signals < 0 || process < 0) {
		rc = err_set(e, -errno, "process %d cannot be watched: %s", a->process.pid,
			strerror(errno));
		goto out;
	}
	rc = open_recording(a, e);
	if (rc)
		goto out;
	why = wait_for_end(a, signals, process);
	show(a, true);
	host_live_stop(a->live);
	rc = recorder_stop(a->recorder, e);
	a->after = true;
	recorder_meta(a->recorder, "stop_reason", "%s", why);
	kvm_process_counters(&a->process, counter, a);
	if (rc == 0)
		rc = host_live_describe(a->live);
	if (rc == 0)
		rc = recorder_finish(a->recorder, e);
out:
	if (signals >= 0)
		close(signals);
	if (process >= 0)
		close(process);
	return rc;
}

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
}

static int cmd_attach_main(int argc, char **argv)
{
	struct attach a = {.file = DEFAULT_FILE};
	struct err e = {""};
	int rc;

	if (argp_parse(&argp, argc, argv, 0, NULL, &a))
		return 1;
	watch_block_signals();
	rc = a.name ? kvm_process_named(&a.process, a.name, &e)
		    : kvm_process_of(&a.process, (pid_t)a.pid, &e);
	if (rc == 0)
		rc = record(&a, &e);
	if (rc == 0)
		summary(&a);
	host_live_free(a.live);
	recorder_free(a.recorder);
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
