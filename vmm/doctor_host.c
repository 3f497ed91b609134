// SPDX-License-Identifier: MIT
/* Doctor: the host's tracing, limits, disk space and terminal. */
#include <errno.h>
#include <inttypes.h>
#include <langinfo.h>
#include <locale.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "backend.h"
#include "doctor.h"
#include "tracer/host_tracefs.h"
#include "io_uring_host.h"

#define HOST "host"
#define TRACING "kernel tracing"
#define TERMINAL "terminal"

static void tracing(struct doctor *d)
{
	static const char cost[] =
		"hardware exit reasons and what KVM does are not recorded; KVM_RUN's reasons are";
	struct err why = {""};
	const char *found = host_tracefs(&why);
	char path[128], backend[128];

	if (!found) {
		doctor_add(d, TRACING, "tracefs", DOCTOR_MISSING,
			"no --host-trace, no attach: hardware exit reasons and what KVM does are "
			"not recorded; KVM_RUN's reasons are",
			"run as root, on a kernel with tracefs", "%s", why.msg);
		return;
	}
	doctor_add(d, TRACING, "tracefs", DOCTOR_OK, NULL, NULL,
		"usable%s: exitwalk run --host-trace on, exitwalk attach",
		strncmp(found, "/proc/", 6) ? ""
					    : " (not mounted; mounted for this process alone)");
	snprintf(path, sizeof(path), "%s/events/kvm/kvm_exit/id", found);
	backend_name(backend, sizeof(backend));
	if (access(path, R_OK) != 0)
		doctor_add(d, TRACING, "kvm_exit tracepoint", DOCTOR_MISSING, cost,
			"use a kernel with KVM's tracepoints", "%s", strerror(errno));
	else if (strstr(backend, "kvm_pvm"))
		doctor_add(d, TRACING, "kvm_exit tracepoint", DOCTOR_MISSING, cost,
			"use kvm_intel or kvm_amd for those",
			"defined, but kvm_pvm never fires it");
	else
		doctor_add(d, TRACING, "kvm_exit tracepoint", DOCTOR_OK, NULL, NULL, "present");
}

static void limits(struct doctor *d)
{
	enum { MIB_NEEDED = 256 };
	struct rlimit l;

	if (getrlimit(RLIMIT_AS, &l) == 0 && l.rlim_cur != RLIM_INFINITY)
		doctor_add(d, HOST, "RLIMIT_AS",
			l.rlim_cur >> 20 < MIB_NEEDED ? DOCTOR_FATAL : DOCTOR_INFO,
			"guest memory and the recorder's ring do not fit", "raise it: ulimit -v",
			"%" PRIu64 " MiB of address space", (uint64_t)l.rlim_cur >> 20);
	if (getrlimit(RLIMIT_FSIZE, &l) == 0 && l.rlim_cur != RLIM_INFINITY)
		doctor_add(d, HOST, "RLIMIT_FSIZE", DOCTOR_MISSING,
			"a recording that grows to the limit is cut off", "raise it: ulimit -f",
			"files may have %" PRIu64 " MiB", (uint64_t)l.rlim_cur >> 20);
}

static void processors(struct doctor *d)
{
	cpu_set_t set;
	int n = sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 0;

	if (n > 0)
		doctor_add(d, HOST, "processors", n > 1 ? DOCTOR_OK : DOCTOR_MISSING,
			"the recorder's writer takes time from the guest, records may be lost",
			"give the process a second CPU, or use --ring-slots 1048576",
			"%d for this process", n);
}

/* By setting one up, as `run --io thread` does. */
static void io_uring(struct doctor *d)
{
	struct io_uring_host *u;
	int rc = io_uring_host_create(&u);

	doctor_add(d, HOST, "io_uring", rc ? DOCTOR_MISSING : DOCTOR_OK,
		"--io thread does one request after the other, by pread64 and pwrite64",
		"sysctl kernel.io_uring_disabled=0, or a kernel with it (5.6)", "%s",
		rc ? strerror(-rc) : "works");
	if (rc == 0)
		io_uring_host_destroy(u);
}

static void disk_space(struct doctor *d, const char *dir)
{
	enum { MIB_NEEDED = 64 };
	struct statvfs s;
	uint64_t mib;

	if (access(dir, W_OK)) {
		doctor_add(d, HOST, "directory", DOCTOR_MISSING,
			"no recording can be written there", "go to another, or give one by -o",
			"%s: %s", dir, strerror(errno));
		return;
	}
	if (statvfs(dir, &s))
		return;
	mib = (uint64_t)s.f_bavail * s.f_frsize >> 20;
	doctor_add(d, HOST, "disk space", mib < MIB_NEEDED ? DOCTOR_MISSING : DOCTOR_OK,
		"a recording of more than some 100,000 exits is cut off",
		"free some, or write elsewhere by -o", "%" PRIu64 " MiB free in %s", mib, dir);
}

static void terminal(struct doctor *d)
{
	const char *term = getenv("TERM"), *no_color = getenv("NO_COLOR");
	bool utf8;
	struct winsize w;

	setlocale(LC_CTYPE, "");
	utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
	doctor_add(d, TERMINAL, "UTF-8", utf8 ? DOCTOR_OK : DOCTOR_MISSING,
		"lines and arrows are drawn in ASCII", "set LC_ALL=C.UTF-8",
		"the locale's encoding is %s", nl_langinfo(CODESET));
	doctor_add(d, TERMINAL, "TERM", term && *term ? DOCTOR_OK : DOCTOR_MISSING,
		"`exitwalk view` cannot start", "set TERM to your terminal's name", "%s",
		term && *term ? term : "not set");
	if (no_color && *no_color)
		doctor_add(d, TERMINAL, "NO_COLOR", DOCTOR_INFO, NULL, NULL, "set: no colours");
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col && w.ws_row)
		doctor_add(d, TERMINAL, "size",
			w.ws_col >= 80 && w.ws_row >= 24 ? DOCTOR_OK : DOCTOR_MISSING,
			"`exitwalk view` does not fit", "make it 80 by 24 or larger", "%u x %u",
			w.ws_col, w.ws_row);
}

void doctor_host(struct doctor *d, const char *dir)
{
	struct utsname host;
	char cpu[256];

	if (uname(&host) == 0)
		doctor_add(d, HOST, "kernel", DOCTOR_INFO, NULL, NULL, "%s %s", host.sysname,
			host.release);
	backend_cpu_model(cpu, sizeof(cpu));
	doctor_add(d, HOST, "CPU", DOCTOR_INFO, NULL, NULL, "%s", cpu);
	processors(d);
	limits(d);
	io_uring(d);
	disk_space(d, dir);
	tracing(d);
	terminal(d);
}
