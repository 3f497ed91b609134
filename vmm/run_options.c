// SPDX-License-Identifier: MIT
/* Reads the command line of `exitwalk run`. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "acpi.h"
#include "kvm.h"
#include "layout.h"
#include "run_options.h"

#define DEFAULT_FILE "exitwalk.exw"
#define DEFAULT_TIMEOUT 60
#define DEFAULT_WATCHDOG 30

enum {
	KEY_APPEND = 0x100,
	KEY_TIMEOUT,
	KEY_WATCHDOG,
	KEY_REPEAT,
	KEY_NO_RECORD,
	KEY_RING_SLOTS,
	KEY_HOST_BUFFER,
	KEY_KVM,
	KEY_LINUX,
	KEY_SYMBOLS,
	KEY_CPUS,
	KEY_CPU,
	KEY_VIRTIO,
	KEY_KICK,
	KEY_IRQ,
	KEY_IO,
	KEY_EVENT_IDX,
	KEY_INDIRECT,
	KEY_CONSOLE,
	KEY_NO_CONSOLE,
	KEY_HOST_TRACE,
	KEY_HOST_FUNCTIONS,
	KEY_GUEST_EVENTS,
};

static const struct argp_option options[] = {
	{"output", 'o', "FILE", 0,
		"Write the recording to FILE (exitwalk.exw); an earlier recording is replaced", 1},
	{"no-record", KEY_NO_RECORD, NULL, 0, "Run without recording", 1},
	{"ring-slots", KEY_RING_SLOTS, "N", 0,
		"Room for N records of 64 bytes between the vCPU and the writer (262144)", 1},
	{"host-trace", KEY_HOST_TRACE, "WHEN", 0,
		"Record the host kernel's side too, by its tracepoints: off; auto, if tracefs may be "
		"used (root); on, or fail (off)",
		1},
	{"host-functions", KEY_HOST_FUNCTIONS, NULL, 0,
		"Record which functions of KVM ran, call by call and back, by the kernel's function "
		"tracer and return probes; implies "
		"--host-trace on",
		1},
	{"host-buffer", KEY_HOST_BUFFER, "KIB", 0,
		"Size of the kernel's trace buffer for each CPU, with --host-trace (8192, less on "
		"machines of many CPUs); larger if records are lost",
		1},
	{"guest-events", KEY_GUEST_EVENTS, NULL, 0,
		"Record what a Linux guest's kernel traces of itself, too: a virtio console port for an "
		"agent in the guest, which --linux has in its initramfs",
		1},
	{"linux", KEY_LINUX, NULL, 0,
		"Boot the distribution's Linux kernel (from /boot, else downloaded) with a small "
		"initramfs and disk made for it, whose process writes in several ways",
		2},
	{"kernel", 'k', "KERNEL", 0, "Boot this Linux kernel, a bzImage or a vmlinux", 2},
	{"symbols", KEY_SYMBOLS, "FILE", 0,
		"Take the names of the kernel's addresses from FILE: its vmlinux, System.map or a copy "
		"of its /proc/kallsyms (default: the tables in the guest's memory)",
		2},
	{"initrd", 'i', "INITRD", 0, "Give that kernel this initrd", 2},
	{"disk", 'd', "IMAGE[,ro|,sync]", 0,
		"Use IMAGE as the guest's disk (FILE's name with .img; made if it is not there); ,ro: "
		"read-only; ,sync: the host's write returns when its disk has the data, not its page "
		"cache; given again: the next disk, up to 8",
		2},
	{"memory", 'm', "MIB", 0, "Give the guest MIB MiB of memory (64; Linux: 256)", 2},
	{"cpus", KEY_CPUS, "N", 0,
		"Give the guest N processors (1); the built-in guest uses only the first", 2},
	{"cpu", KEY_CPU, "MODEL", 0,
		"host (the default): processors that have what KVM offers; conservative: without what "
		"old or emulating hosts trip over, listed below",
		2},
	{"append", KEY_APPEND, "WORDS", 0, "Put WORDS on the guest's command line", 2},
	{"repeat", KEY_REPEAT, "N", 0,
		"Let the built-in guest repeat its list of writes N times (1)", 2},
	{"virtio", KEY_VIRTIO, "TRANSPORT", 0,
		"How the guest reaches its disks: legacy PCI, modern PCI or mmio (legacy)", 4},
	{"kick", KEY_KICK, "WAY", 0,
		"How its notifies arrive: exit, by an exit to the VMM; ioeventfd, at the I/O thread "
		"without one (exit)",
		4},
	{"irq", KEY_IRQ, "WAY", 0,
		"How interrupts leave: line, by KVM_IRQ_LINE; msix, by KVM_SIGNAL_MSI; irqfd, by an "
		"eventfd, as MSI-X where the transport has it (line; modern PCI: msix)",
		4},
	{"io", KEY_IO, "THREAD", 0,
		"Who reads and writes the images: vcpu, the vCPU's thread inside the exit; thread, an "
		"I/O thread by io_uring; thread,pwrite: an I/O thread, one after the other (vcpu; with "
		"--kick ioeventfd: thread)",
		4},
	{"event-idx", KEY_EVENT_IDX, NULL, 0,
		"Offer VIRTIO_RING_F_EVENT_IDX: driver and disk say when they want to be told", 4},
	{"indirect", KEY_INDIRECT, NULL, 0,
		"Offer VIRTIO_RING_F_INDIRECT_DESC: one ring entry per request", 4},
	{"timeout", KEY_TIMEOUT, "SECONDS", 0,
		"End a guest that still runs so long after its start (60; Linux: 0, which is never)",
		3},
	{"watchdog", KEY_WATCHDOG, "SECONDS", 0,
		"Say where the guest is each time that it has made no exit and printed nothing for so "
		"long (0, which is never; Linux: 30, until it has printed something)",
		3},
	{"kvm", KEY_KVM, "DEVICE", 0, "Use this KVM device (" KVM_DEVICE ")", 3},
	{"quiet", 'q', NULL, 0, "Do not show the guest's serial output", 3},
	{"console", KEY_CONSOLE, NULL, 0,
		"Give the guest's serial port what comes from standard input, a pipe or a file too "
		"(default for Linux on a terminal)",
		3},
	{"no-console", KEY_NO_CONSOLE, NULL, 0,
		"Leave standard input alone, and show the serial output as lines (default otherwise, "
		"and with -q)",
		3},
	{0},
};

static unsigned long number(struct argp_state *state, const char *option, const char *text,
	unsigned long min, unsigned long max)
{
	unsigned long value;
	char *end;

	errno = 0;
	value = strtoul(text, &end, 10);
	if (errno || end == text || *end || text[0] < '0' || text[0] > '9' || value < min ||
		value > max)
		argp_error(state, "%s takes a number from %lu to %lu, not '%s'", option, min, max,
			text);
	return value;
}

static void disk(struct argp_state *state, struct run_options *o, const char *arg)
{
	static const char *const word[] = {[DISK_READ_ONLY] = ",ro", [DISK_SYNC] = ",sync"};
	const char *comma = strrchr(arg, ',');
	size_t len = strlen(arg);
	struct run_disk *d = &o->disk[o->disks];

	if (o->disks == DRIVES_MAX) {
		argp_error(state, "a guest can have %d disks, and there are more", DRIVES_MAX);
		return;
	}
	for (unsigned mode = DISK_READ_ONLY; comma && mode <= DISK_SYNC; mode++)
		if (strcmp(comma, word[mode]) == 0) {
			d->mode = (enum disk_mode)mode;
			len = (size_t)(comma - arg);
		}
	if (len == 0)
		argp_error(state, "-d needs the name of an image");
	d->path = strndup(arg, len);
	if (!d->path)
		argp_failure(state, 1, ENOMEM, "-d");
	o->disk_given = true;
	o->disks++;
}

static void host_trace(struct argp_state *state, struct run_options *o, const char *word)
{
	const char *words = run_host_option(&o->host_trace, word);

	if (words)
		argp_error(state, "--host-trace takes %s, not '%s'", words, word);
}

static void choice(struct argp_state *state, struct run_options *o, const char *option,
	const char *(*set)(struct drive_options *o, const char *word), const char *word)
{
	const char *words = set(&o->drives, word);

	if (words)
		argp_error(state, "%s takes %s, not '%s'", option, words, word);
}

static void append(struct argp_state *state, struct run_options *o, const char *words)
{
	char *line;

	/* Given several times, the words add up. */
	if (asprintf(&line, "%s%s%s", o->append, *o->append ? " " : "", words) < 0) {
		argp_failure(state, 1, ENOMEM, "--append");
		return;
	}
	free(o->append);
	o->append = line;
}

bool run_options_linux(const struct run_options *o)
{
	return o->kernel || o->linux_demo;
}

/* All options are known: those that exclude each other, and what depends on others. */
static void finish(struct argp_state *state, struct run_options *o)
{
	bool is_linux = run_options_linux(o);
	const char *contradiction = drive_options_finish(&o->drives, is_linux);

	if (contradiction)
		argp_error(state, "%s", contradiction);
	if (o->linux_demo && (o->kernel || o->initrd))
		argp_error(state,
			"--linux finds its own kernel and makes its own initrd: leave out "
			"-k and -i, or leave out --linux");
	if (o->symbols && !is_linux)
		argp_error(state, "--symbols is for a Linux kernel: give one by -k, or --linux");
	if (o->guest_events && !is_linux)
		argp_error(
			state, "--guest-events is for a Linux kernel: give one by -k, or --linux");
	if (o->initrd && !o->kernel)
		argp_error(state, "-i is for a Linux kernel: give one by -k");
	if (o->repeat && is_linux)
		argp_error(state, "--repeat is for the built-in guest, not for Linux");
	if (!o->repeat)
		o->repeat = 1;
	if (!o->mem_mib)
		o->mem_mib = is_linux ? LAYOUT_RAM_LINUX_MIB : LAYOUT_RAM_DEFAULT_MIB;
	if (!o->timeout_given)
		o->timeout = is_linux ? 0 : DEFAULT_TIMEOUT;
	if (!o->watchdog_given)
		o->watchdog = is_linux ? DEFAULT_WATCHDOG : 0;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct run_options *o = state->input;

	switch (key) {
	case 'o':
		if (!*arg)
			argp_error(state, "-o needs the name of a file");
		o->file = arg;
		break;
	case 'k':
		if (!*arg)
			argp_error(state, "-k needs the name of a kernel");
		o->kernel = arg;
		break;
	case 'i':
		if (!*arg)
			argp_error(state, "-i needs the name of an initrd");
		o->initrd = arg;
		break;
	case KEY_SYMBOLS:
		if (!*arg)
			argp_error(state, "--symbols needs the name of a file");
		o->symbols = arg;
		break;
	case KEY_LINUX:
		o->linux_demo = true;
		break;
	case 'd':
		disk(state, o, arg);
		break;
	case 'm':
		o->mem_mib = (unsigned)number(
			state, "-m", arg, LAYOUT_RAM_MIN_MIB, LAYOUT_RAM_MAX_MIB);
		break;
	case KEY_CPUS:
		o->cpus = (unsigned)number(state, "--cpus", arg, 1, ACPI_MAX_CPUS);
		break;
	case KEY_CPU:
		if (!cpu_model_parse(arg, &o->cpu))
			argp_error(state, "--cpu takes host or conservative, not '%s'", arg);
		break;
	case KEY_APPEND:
		append(state, o, arg);
		break;
	case KEY_TIMEOUT:
		o->timeout = (unsigned)number(state, "--timeout", arg, 0, 1000000);
		o->timeout_given = true;
		break;
	case KEY_WATCHDOG:
		o->watchdog = (unsigned)number(state, "--watchdog", arg, 0, 1000000);
		o->watchdog_given = true;
		break;
	case KEY_REPEAT:
		o->repeat = (unsigned)number(state, "--repeat", arg, 1, 1000000);
		break;
	case KEY_RING_SLOTS:
		o->ring_slots = number(state, "--ring-slots", arg, 256, 1u << 26);
		if (o->ring_slots & (o->ring_slots - 1))
			argp_error(state, "--ring-slots takes a power of two, not '%s'", arg);
		break;
	case KEY_KVM:
		o->kvm_device = arg;
		break;
	case KEY_VIRTIO:
		choice(state, o, "--virtio", drive_option_virtio, arg);
		break;
	case KEY_KICK:
		choice(state, o, "--kick", drive_option_kick, arg);
		break;
	case KEY_IRQ:
		choice(state, o, "--irq", drive_option_irq, arg);
		break;
	case KEY_IO:
		choice(state, o, "--io", drive_option_io, arg);
		break;
	case KEY_EVENT_IDX:
		o->drives.choice.event_idx = true;
		break;
	case KEY_INDIRECT:
		o->drives.choice.indirect = true;
		break;
	case KEY_HOST_FUNCTIONS:
		o->host_functions = true;
		break;
	case KEY_HOST_BUFFER:
		o->host_buffer = (unsigned)number(
			state, "--host-buffer", arg, 8, HOST_BUFFER_KIB_MAX);
		break;
	case KEY_GUEST_EVENTS:
		o->guest_events = true;
		break;
	case KEY_HOST_TRACE:
		host_trace(state, o, arg);
		break;
	case KEY_NO_RECORD:
		o->record = false;
		break;
	case KEY_CONSOLE:
		o->console = RUN_CONSOLE_ON;
		break;
	case KEY_NO_CONSOLE:
		o->console = RUN_CONSOLE_OFF;
		break;
	case 'q':
		o->quiet = true;
		break;
	case ARGP_KEY_ARG:
		argp_error(state, "there is nothing to do with '%s': a kernel is given by -k", arg);
		break;
	case ARGP_KEY_END:
		finish(state, o);
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

/* Paragraphs of the help about what the models leave out; the table is in cpu_features.def. */
#define CPU_LINE(names, reason) "\n\n" names ": " reason "."
#define CPU_NO_LINE(names, reason)

static const char doc[] =
	"Boot the built-in sample guest, or Linux, on KVM and record every exit, every disk request "
	"and every host system call behind it.\v"
	"On a terminal Linux gets all keys, Ctrl-C too; Ctrl-A x ends it, Ctrl-A h lists more. Elsewhere "
	"Ctrl-C ends the guest and closes the recording. The exit status is 0 only if the guest "
	"ended by itself with status 0.\n\n"
	"What KVM offers and the guest's processors never have:"
#define HOST CPU_LINE
#define CONSERVATIVE CPU_NO_LINE
#define CPU_WITHOUT(id, model, names, reason) model(names, reason)
#include "cpu_features.def"
	"\n\nWhat --cpu conservative leaves out besides:"
#undef HOST
#undef CONSERVATIVE
#define HOST CPU_NO_LINE
#define CONSERVATIVE CPU_LINE
#define CPU_WITHOUT(id, model, names, reason) model(names, reason)
#include "cpu_features.def"
	;

const struct argp run_argp = {
	.options = options,
	.parser = parse,
	.doc = doc,
};

/* "dir/w.exw" → "dir/w.img" */
static char *default_disk(const char *file)
{
	const char *slash = strrchr(file, '/');
	const char *dot = strrchr(slash ? slash + 1 : file, '.');
	size_t len = dot && dot != file && dot[-1] != '/' ? (size_t)(dot - file) : strlen(file);
	char *disk_name;

	if (asprintf(&disk_name, "%.*s.img", (int)len, file) < 0)
		return NULL;
	if (strcmp(disk_name, file) == 0) { /* -o x.img */
		free(disk_name);
		if (asprintf(&disk_name, "%s.img", file) < 0)
			return NULL;
	}
	return disk_name;
}

int run_options_parse(struct run_options *o, int argc, char **argv, struct err *e)
{
	*o = (struct run_options){
		.file = DEFAULT_FILE,
		.record = true,
		.cpus = 1,
		.kvm_device = KVM_DEVICE,
		.append = strdup(""),
	};
	if (!o->append || argp_parse(&run_argp, argc, argv, 0, NULL, o))
		return err_set(e, -ENOMEM, "out of memory: free some");
	if (!o->disks)
		o->disk[o->disks++].path = default_disk(o->file);
	if (!o->disk[0].path)
		return err_set(e, -ENOMEM, "out of memory: free some");
	for (unsigned i = 0; i < o->disks; i++)
		if (strcmp(o->disk[i].path, o->file) == 0)
			return err_set(e, -EINVAL,
				"the recording and the disk are the same file, %s: give another "
				"one by -d or -o",
				o->file);
	return 0;
}

void run_options_free(struct run_options *o)
{
	while (o->disks)
		free(o->disk[--o->disks].path);
	free(o->append);
	o->append = NULL;
}
