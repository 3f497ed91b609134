// SPDX-License-Identifier: MIT
/* Records the host kernel's side of another process's virtual machine. */
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

#include "attach.h"
#include "backend.h"
#include "tracer/cmd.h"

#define TICK_MS 200

/* --- KVM's counters ------------------------------------------------------------------------- */

static void read_before(struct attach *a)
{
	kvm_counters_open(&a->counters, a->process.pid, a->pidfd);
	if (a->wait) /* they began at 0, when there was nothing to read: see begin_at_zero() */
		return;
	if (kvm_counters_read(&a->counters, &a->before) || !a->before.n)
		a->before.n = 0;
}

static void put_counts(struct attach *a, const struct kvm_counts *n, bool after)
{
	for (size_t i = 0; i < n->n; i++)
		recorder_kvm_stat(a->recorder, n->at[i].vcpu, n->at[i].name, after, n->at[i].value);
	recorder_meta(a->recorder, after ? "kvm_stat.after_ns" : "kvm_stat.before_ns",
		"%" PRIu64 " %" PRIu64, n->from, n->to);
}

/* The counters of a virtual machine that was not there yet when all was ready. */
static void begin_at_zero(struct attach *a)
{
	for (size_t i = 0; i < a->after.n; i++)
		recorder_kvm_stat(a->recorder, a->after.at[i].vcpu, a->after.at[i].name, false, 0);
	a->before.from = a->before.to = a->await.since;
}

/* Both or none: what cannot be compared is not kept. */
static void keep_counters(struct attach *a)
{
	const char *why = a->counters.why;

	if (a->await.made > 1)
		why = "not kept: the process made several virtual machines, and an exit does not"
		      " say of which one it is";
	else if (!*why && ((!a->wait && !a->before.n) || !a->after.n))
		why = "not read: they went away with the virtual machine";
	if (*why) {
		recorder_meta(a->recorder, "kvm_stats", "%s", why);
		return;
	}
	if (a->wait)
		begin_at_zero(a);
	put_counts(a, &a->before, false);
	put_counts(a, &a->after, true);
}

/* --- what the recording says of itself ------------------------------------------------------ */

static void describe(struct attach *a)
{
	struct recorder *r = a->recorder;
	struct utsname host;
	char text[256];

	recorder_meta(r, "exitwalk_version", "%s", EXITWALK_VERSION);
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
}

static void describe_process(struct attach *a)
{
	struct recorder *r = a->recorder;

	recorder_meta(r, "attach.pid", "%d", a->process.pid);
	recorder_meta(r, "attach.comm", "%s", a->process.comm);
	recorder_meta(r, "attach.command_line", "%s", a->process.command_line);
	recorder_meta(r, "attach.began", "%s",
		a->wait ? "with the virtual machine" : "while the virtual machine ran");
}

/* --- its beginning -------------------------------------------------------------------------- */

static int watch_signals(struct attach *a, struct err *e)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	a->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return a->signals < 0 ? err_set(e, -errno, "no signalfd: %s", strerror(errno)) : 0;
}

static int find_process(struct attach *a, struct err *e)
{
	if (!a->name)
		return kvm_process_of(&a->process, a->process.pid, e);
	if (!a->wait)
		return kvm_process_named(&a->process, a->name, e);
	/* Now, with the tracepoints on, it may begin. */
	fprintf(stderr,
		"exitwalk attach: waiting for a virtual machine called %s; Ctrl-C ends it\n",
		a->name);
	return kvm_await(&a->await, &a->process, a->name, a->signals, e);
}

/* Makes everything ready first, and traces everybody until it is known whom: between the process and its first
 * exit there may be less time than it takes to look. */
static int begin(struct attach *a, struct err *e)
{
	struct host_live_opts o = {.syscalls = true, .buffer_kib = a->buffer_kib};
	struct kvm_process now;
	struct err none = {""};
	int rc;

	if (a->name && kvm_process_named(&a->process, a->name, &none) != -ESRCH)
		a->wait = false; /* it runs */
	if (!a->wait && (rc = find_process(a, e)))
		return rc;
	kvm_await_open(&a->await);
	rc = recorder_open(&a->recorder, a->file, NULL, e);
	if (rc)
		return rc;
	describe(a);
	o.emulated = a->silent;
	rc = host_live_create(&a->live, a->recorder, &o, e);
	if (rc == 0 && a->wait)
		rc = host_live_all(a->live, e);
	if (rc == 0 && a->wait)
		rc = find_process(a, e);
	a->wait &= a->await.since != 0; /* else it was quicker than we */
	if (rc == 0 && !a->wait)
		a->await.made = 1;
	if (rc == 0)
		rc = host_live_process(a->live, a->process.pid, a->await.since, e);
	if (rc == 0) {
		a->pidfd = (int)syscall(SYS_pidfd_open, a->process.pid, 0);
		if (a->pidfd < 0)
			rc = errno == ESRCH
				     ? err_set(e, -ESRCH, "process %d has ended", a->process.pid)
				     : err_set(e, -errno, "process %d cannot be watched: %s",
					       a->process.pid, strerror(errno));
	}
	/* The number may have become another process's since it was looked at: then a->pidfd is that one's. */
	if (rc == 0 && !a->wait)
		rc = kvm_process_of(&now, a->process.pid, e);
	if (rc == 0) {
		read_before(a);
		describe_process(a);
		rc = recorder_start(a->recorder, e);
	}
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

/* The VM of a process that was waited for is there only now. */
static void look_again(struct attach *a)
{
	kvm_await_count(&a->await, a->process.pid);
	kvm_process_count(&a->process);
	if (a->counters.vm < 0 && a->await.made <= 1 && a->process.vcpus)
		kvm_counters_hold(&a->counters, a->pidfd);
}

static const char *wait_for_end(struct attach *a)
{
	uint64_t begin = probe_now(), end = begin + (uint64_t)a->duration * 1000000000;
	struct pollfd p[] = {{a->signals, POLLIN, 0}, {a->pidfd, POLLIN, 0}};

	for (;;) {
		if (a->duration && probe_now() >= end)
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
		look_again(a);
	}
}

/* --- its end -------------------------------------------------------------------------------- */

static int end(struct attach *a, const char *why, struct err *e)
{
	int rc;

	look_again(a);
	if (kvm_counters_read(&a->counters, &a->after))
		a->after.n = 0;
	kvm_counters_close(&a->counters);
	host_live_stop(a->live);
	rc = recorder_stop(a->recorder, e);
	recorder_meta(a->recorder, "stop_reason", "%s", why);
	recorder_meta(a->recorder, "attach.vcpus", "%u", a->process.vcpus);
	keep_counters(a);
	if (rc == 0)
		rc = host_live_describe(a->live);
	return rc ? rc : recorder_finish(a->recorder, e);
}

int attach_record(struct attach *a, struct err *e)
{
	const char *why;
	int rc;

	a->signals = a->pidfd = a->await.uevents = a->counters.vm = -1;
	rc = watch_signals(a, e);
	if (rc == 0)
		rc = begin(a, e);
	if (rc) {
		/* The file would only say that it was cut off. */
		host_live_free(a->live);
		recorder_discard(a->recorder);
		a->live = NULL;
		a->recorder = NULL;
		return rc;
	}
	why = wait_for_end(a);
	show(a, true);
	return end(a, why, e);
}

void attach_free(struct attach *a)
{
	host_live_free(a->live);
	recorder_free(a->recorder);
	kvm_await_close(&a->await);
	kvm_counters_close(&a->counters);
	free(a->before.at);
	free(a->after.at);
	if (a->signals >= 0)
		close(a->signals);
	if (a->pidfd >= 0)
		close(a->pidfd);
}
