// SPDX-License-Identifier: MIT
/* exitwalk run: boots the guest, records it, and says what to do with the recording. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backend.h"
#include "describe.h"
#include "diag.h"
#include "guest_abi.h"
#include "kick.h"
#include "layout.h"
#include "machine.h"
#include "run_console.h"
#include "run_linux.h"
#include "run_options.h"
#include "tracer/cmd.h"
#include "tracer/recorder_clock.h"
#include "watch.h"
#include "watchdog.h"

#define DISK_BYTES (1u << 20)
#define LINUX_DISK_BYTES (64u << 20)

extern const char sample_elf[], sample_elf_end[];

struct run {
	const struct run_options *o;
	struct machine machine;
	struct machine_config config;
	struct guest_output output;
	struct describe describe;
	struct run_linux linux_guest;
	struct recorder *recorder;
	struct run_console console;
	struct host_live *live; /* the host kernel's side; or NULL */
	char *cmdline;          /* of the guest */
	char entry_why[256];
	enum ew_stop why;
};

/* Does `line` have a word that begins with `word`? */
static bool has_word(const char *line, const char *word)
{
	size_t len = strlen(word);

	for (const char *p = line; (p = strstr(p, word)); p += len)
		if (p == line || p[-1] == ' ')
			return true;
	return false;
}

/*
 * The guest must be told how ring 3 can enter its kernel: find out by trying. What the user gives by
 * --append comes first, and the first of two equal words counts.
 */
static int sample_cmdline(struct run *r, struct err *e)
{
	const struct run_options *o = r->o;
	enum backend_answer syscall = BACKEND_YES;

	if (has_word(o->append, "outloop="))
		snprintf(r->entry_why, sizeof(r->entry_why), "not probed: no process runs");
	else if (has_word(o->append, "entry="))
		snprintf(r->entry_why, sizeof(r->entry_why), "not probed: given by --append");
	else
		syscall = backend_syscall(o->kvm_device, r->entry_why, sizeof(r->entry_why));
	r->describe.kernel_entry = syscall == BACKEND_NO ? "int80" : "syscall";
	if (has_word(o->append, "entry=int80"))
		r->describe.kernel_entry = "int80";
	r->describe.kernel_entry_why = r->entry_why;
	if (asprintf(&r->cmdline, "%s%sentry=%s repeat=%u", o->append, *o->append ? " " : "",
		    r->describe.kernel_entry, o->repeat) < 0) {
		r->cmdline = NULL;
		return err_set(e, -ENOMEM, "out of memory: free some");
	}
	return 0;
}

/*
 * Linux takes the last of two equal words. A kernel of -k gets what the user says, and with --guest-events
 * the word for its init that asks for the agent.
 */
static int linux_cmdline(struct run *r, struct err *e)
{
	const struct run_options *o = r->o;
	const char *ours = o->linux_demo ? RUN_LINUX_WORDS : "";
	const char *agent = o->guest_events ? GUEST_PORT_WORD : "";

	if (asprintf(&r->cmdline, "%s%s%s%s%s", ours, *ours && *agent ? " " : "", agent,
		    (*ours || *agent) && *o->append ? " " : "", o->append) >= 0)
		return 0;
	r->cmdline = NULL;
	return err_set(e, -ENOMEM, "out of memory: free some");
}

/*
 * The guest formats a disk that it does not know. A file that merely stands where the default name
 * points, and is not one of ours, must not be lost that way.
 */
static int check_default_disk(const struct run_options *o, struct err *e)
{
	char magic[8] = {0};
	ssize_t n;
	int fd;

	if (o->disk_given)
		return 0;
	fd = open(o->disk[0].path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return 0; /* disk_open makes it, or says why not */
	n = read(fd, magic, sizeof(magic));
	close(fd);
	if (n <= 0 || memcmp(magic, (char[8]){0}, 8) == 0 || memcmp(magic, EW_FS_MAGIC, 8) == 0)
		return 0;
	return err_set(e, -EEXIST,
		"%s exists and is not a disk that exitwalk made; the guest would overwrite it: name "
		"a disk by -d",
		o->disk[0].path);
}

/* What four vCPUs would have by default is shared by more of them: a ring is touched as a whole. */
static size_t ring_slots(const struct run_options *o)
{
	size_t slots = RECORDER_RING_SLOTS;

	if (o->ring_slots)
		return o->ring_slots;
	for (unsigned cpus = o->cpus; cpus > 4; cpus = (cpus + 1) / 2)
		slots /= 2;
	return slots;
}

/* A describing call failed: recorder_start says which. */
static int no_track(struct run *r, struct err *e)
{
	int rc = recorder_start(r->recorder, e);

	return rc ? rc
		  : err_set(e, -ENOMEM, "out of memory for the recorder's rings: try --ring-slots");
}

static int open_recording(struct run *r, struct err *e)
{
	const struct recorder_opts opts = {.ring_slots = ring_slots(r->o)};
	const struct host_live_opts host = {
		.functions = r->o->host_functions, .buffer_kib = r->o->host_buffer};
	struct probe *io = NULL;
	int rc;

	if (!r->o->record)
		return machine_start_io(&r->machine, NULL, e);
	rc = recorder_open(&r->recorder, r->o->file, &opts, e);
	if (rc)
		return rc;
	rc = describe_before(r->recorder, &r->machine, &r->describe, e);
	if (rc)
		return rc;
	for (unsigned i = 0; i < r->machine.cpus.count; i++) {
		char name[32];
		struct probe *p;

		snprintf(name, sizeof(name), "vCPU %u", i);
		p = recorder_track(r->recorder, "vcpu", (int)i, name);
		if (!p)
			return no_track(r, e);
		machine_record(&r->machine, i, p, r->recorder);
	}
	if (drives_need_thread(&r->config.drives)) {
		io = recorder_track(r->recorder, "thread", -1, "I/O thread");
		if (!io)
			return no_track(r, e);
	}
	run_console_record(&r->console, r->recorder);
	if (r->o->guest_events) {
		machine_record_tsc(&r->machine);
		if (recorder_clock(r->recorder))
			return no_track(r, e);
	}
	rc = run_host_create(&r->live, r->recorder, r->o->host_trace, &host, e);
	if (rc == 0)
		rc = recorder_start(r->recorder, e);
	/* Before the I/O thread is made: what this thread makes from then on is traced. */
	if (rc == 0 && r->live)
		rc = host_live_start(r->live, e);
	return rc ? rc : machine_start_io(&r->machine, io, e);
}

/* Also after a failure: what has been recorded stays, and says how it ended. */
static int close_recording(struct run *r, struct err *e)
{
	int rc, failed;

	if (!r->recorder)
		return 0;
	host_live_stop(r->live);
	failed = recorder_stop(r->recorder, e);
	rc = describe_after(r->recorder, &r->machine, r->why, e);
	if (rc == 0)
		rc = run_host_describe(r->live);
	if (rc == 0 && failed == 0 && r->config.is_linux)
		rc = guest_kernel_describe(&r->machine.linux_kernel,
			r->machine.cpus.vcpu[0].last_tables, r->recorder, e);
	if (rc == 0 && failed == 0)
		rc = recorder_finish(r->recorder, e);
	return failed ? failed : rc;
}

static void summary(const struct run *r)
{
	const struct cpus *c = &r->machine.cpus;
	uint64_t ns = c->end - c->start, requests = r->machine.next_request - 1;

	printf("%" PRIu64 " exits in %" PRIu64 ".%06" PRIu64 " s, %" PRIu64 " disk request%s\n",
		c->exits, ns / 1000000000, ns / 1000 % 1000000, requests, requests == 1 ? "" : "s");
	printf("processor   %" PRIu64 ".%06" PRIu64
	       " s of it by vCPU 0's thread, guest and KVM included\n",
		c->cpu_ns / 1000000000, c->cpu_ns / 1000 % 1000000);
	for (unsigned i = 0; c->count > 1 && i < c->count; i++)
		if (i == 0 || c->vcpu[i].exits > 1) /* one: it never ran */
			printf("vCPU %-6u %" PRIu64 " exits\n", i, c->vcpu[i].exits);
	for (unsigned i = 0; i < r->o->disks; i++)
		printf("disk image  %s\n", r->o->disk[i].path);
	if (!r->recorder)
		return;
	if (r->machine.linux_kernel.refused)
		printf("symbols     %s is of another kernel; names are those in the guest's memory\n",
			r->o->symbols);
	if (r->o->guest_events && !r->machine.port.console.position)
		printf("agent       nothing came: none was started in the guest (docs/guest.md), or it said why "
		       "not\n");
	if (*recorder_guest_trace(r->recorder) && r->machine.port.console.position)
		printf("guest       %s\n", recorder_guest_trace(r->recorder));
	printf("recording   %s\n", r->o->file);
	printf("next        exitwalk view %s    walk it\n", r->o->file);
	printf("            exitwalk path %s    one write as text\n", r->o->file);
}

/* The guest's own verdict, or why there is none. */
static int verdict(struct run *r, struct err *e)
{
	int status = r->machine.cpus.stop.status;

	/* Linux that is told to (panic=-1 in RUN_LINUX_WORDS) resets the machine when it panics. */
	if (r->o->linux_demo && r->machine.guest_end == MACHINE_END_RESET)
		return err_set(e, -ECANCELED,
			"the guest's kernel reset the machine, as after a panic%s",
			r->o->quiet ? ": run without -q to see what it says" : "");
	if (r->why == EW_STOP_GUEST_EXIT && status == 0)
		return 0;
	if (r->why == EW_STOP_GUEST_EXIT)
		return err_set(e, -ECANCELED, "the guest ended with status %d%s", status,
			r->o->quiet ? ": run without -q to see what it says" : "");
	if (r->why == EW_STOP_TIMEOUT)
		return err_set(e, -ETIME,
			"the guest did not end within %u s: it hangs, or needs a larger --timeout",
			r->o->timeout);
	if (r->why == EW_STOP_NO_THREAD)
		return err_set(e, -status,
			"vCPU %d got no thread (%s): allow more processes (ulimit -u), or give fewer "
			"processors by --cpus",
			r->machine.cpus.stop.vcpu, strerror(status));
	if (r->why == EW_STOP_RECORDER)
		return err_set(e, recorder_status(r->recorder),
			"the recorder could not go on (%s): free space on the file's disk; what was "
			"recorded until then is in %s",
			strerror(-recorder_status(r->recorder)), r->o->file);
	return err_set(e, -ECANCELED, "%s", stop_text(r->why));
}

static int run_recorded(struct run *r, struct watch *watch, struct err *e)
{
	int rc = open_recording(r, e);

	if (rc == 0)
		rc = run_console_open(&r->console, &r->machine, &r->output, e);
	if (rc)
		return rc;
	/* The time is the guest's: what the recording needs to begin is not in it. */
	watch_limit(watch, r->o->timeout);
	r->why = machine_run(&r->machine);
	run_console_close(&r->console);
	guest_output_flush(&r->output);
	if (diag_wanted(r->why))
		diag_print(stderr, &r->machine.cpus);
	rc = close_recording(r, e);
	if (rc == 0) {
		summary(r);
		rc = verdict(r, e);
	} else if (r->why == EW_STOP_RECORDER) {
		rc = verdict(r, e);
	}
	return rc;
}

/* A kernel without a console is the commonest reason for silence. */
static void find_watchdog(struct run *r, struct watchdog *w)
{
	*w = (struct watchdog){
		.cpus = &r->machine.cpus,
		.output = &r->output,
		.to = stderr,
		.seconds = r->o->watchdog,
		.until_output = !r->o->watchdog_given,
		.hint = run_options_linux(r->o) && !has_word(r->cmdline, "console=ttyS0")
				? "  its command line has no console=ttyS0, which --append gives"
				: NULL,
		.end = r->console.config.terminal ? "\r\n" : "\n",
		.kernel = r->config.kernel,
		.kernel_len = r->config.kernel_len,
	};
	watchdog_init(w);
}

static int run_guest(struct run *r, struct err *e)
{
	struct watchdog watchdog;
	struct watch watch = {.tick = r->o->watchdog ? watchdog_tick : NULL, .ctx = &watchdog};
	int rc = kick_init(e);

	find_watchdog(r, &watchdog);
	if (rc == 0)
		rc = watch_start(&watch, &r->machine.cpus.stop, e);
	if (rc)
		return rc;
	rc = run_recorded(r, &watch, e);
	watch_end(&watch);
	return rc;
}

static int run_all(struct run *r, struct err *e)
{
	const struct run_options *o = r->o;
	bool is_linux = run_options_linux(o);
	int rc = check_default_disk(o, e);

	if (rc == 0)
		rc = is_linux ? linux_cmdline(r, e) : sample_cmdline(r, e);
	if (rc)
		return rc;
	guest_output_init(&r->output, o->quiet ? -1 : STDOUT_FILENO);
	r->config = (struct machine_config){
		.kvm_device = o->kvm_device,
		.kernel = sample_elf,
		.kernel_len = (size_t)(sample_elf_end - sample_elf),
		.cmdline = r->cmdline,
		.ram = (uint64_t)o->mem_mib << 20,
		.cpus = o->cpus,
		.cpu = o->cpu,
		.drives = o->drives.choice,
		.disks = o->disks,
		.guest_events = o->guest_events,
		.output = &r->output,
	};
	for (unsigned i = 0; i < o->disks; i++)
		r->config.disk[i] = (struct drive_image){
			.path = o->disk[i].path,
			.mode = o->disk[i].mode,
			.create = o->disk[i].mode == DISK_READ_ONLY ? 0
				  : is_linux                        ? LINUX_DISK_BYTES
								    : DISK_BYTES,
		};
	if (is_linux)
		run_linux_config(&r->linux_guest, &r->config);
	rc = machine_create(&r->machine, &r->config, e);
	if (rc)
		return rc;
	if (is_linux && o->symbols)
		guest_kernel_symbols(&r->machine.linux_kernel, &r->linux_guest.symbols, o->symbols);
	rc = run_guest(r, e);
	host_live_free(r->live);
	/* If the guest never ran, the file would only say that it was cut off. */
	if (r->machine.cpus.start)
		recorder_free(r->recorder);
	else
		recorder_discard(r->recorder);
	machine_destroy(&r->machine);
	return rc;
}

static int cmd_run_main(int argc, char **argv)
{
	struct run_options options;
	struct run r = {.o = &options};
	struct err e = {""};
	int rc;

	rc = run_options_parse(&options, argc, argv, &e);
	if (rc == 0 && run_options_linux(&options)) {
		rc = run_linux_prepare(&r.linux_guest, &options, &e);
		r.describe.linux_guest = &r.linux_guest;
	}
	if (rc == 0) {
		r.describe = (struct describe){
			.argc = argc,
			.argv = argv,
			.config = &r.config,
			.guest = r.describe.linux_guest ? "Linux" : "sample guest",
			.linux_guest = r.describe.linux_guest,
			.timeout = options.timeout,
			.ring_slots = options.ring_slots,
		};
		watch_block_signals();
		run_console_find(&r.console, &options);
		rc = run_all(&r, &e);
	}
	free(r.cmdline);
	run_linux_free(&r.linux_guest);
	run_options_free(&options);
	if (rc == 0)
		return 0;
	fprintf(stderr, "exitwalk run: %s\n", e.msg[0] ? e.msg : strerror(-rc));
	return 1;
}

const struct cmd cmd_run = {
	.name = "run",
	.summary = "boot a guest and record every exit to a file",
	.argp = &run_argp,
	.run = cmd_run_main,
};
