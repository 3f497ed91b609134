// SPDX-License-Identifier: MIT
/* Fills in v_meta, devices, regions, symbols and KVM's counters of a recording. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "backend.h"
#include "describe.h"
#include "diag.h"
#include "kvm_stats.h"
#include "linux_boot.h"
#include "tracer/cmd.h"

/* Many small steps; the first that fails is what is reported. */
struct steps {
	struct recorder *r;
	int rc;
	int vcpu; /* of counters */
	bool after;
};

static void step(struct steps *s, int rc)
{
	if (rc < 0 && s->rc == 0)
		s->rc = rc;
}

#define META(s, ...) step(s, recorder_meta((s)->r, __VA_ARGS__))

static void meta_time(struct steps *s, const char *key)
{
	struct timespec now;
	char text[64];
	struct tm tm;

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
	META(s, key, "%s.%03ldZ", text, now.tv_nsec / 1000000);
}

/* Words that a shell would split or change are put into single quotes. */
static void meta_command_line(struct steps *s, const struct describe *d)
{
	char *line = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&line, &len);

	if (!f) {
		step(s, -ENOMEM);
		return;
	}
	for (int i = 0; i < d->argc; i++) {
		const char *a = d->argv[i];
		bool quote = i > 0 && (!*a || strpbrk(a, " \t\n'\"\\$`*?[]{}()<>|&;~#!"));

		fputs(i ? " " : "", f);
		fputs(quote ? "'" : "", f);
		for (; *a; a++)
			if (quote && *a == '\'')
				fputs("'\\''", f);
			else
				fputc(*a, f);
		fputs(quote ? "'" : "", f);
	}
	if (fclose(f) == 0)
		META(s, "command_line", "%s", line);
	else
		step(s, -ENOMEM);
	free(line);
}

static void meta_parameter(void *ctx, const char *module, const char *parameter, const char *value)
{
	char key[256];

	snprintf(key, sizeof(key), "module.%s.%s", module, parameter);
	META((struct steps *)ctx, key, "%s", value);
}

static void meta_host(struct steps *s, const struct kvm *k)
{
	struct utsname host;
	char text[256], key[64];

	if (uname(&host) == 0)
		META(s, "host_kernel", "%s %s %s %s", host.sysname, host.release, host.version,
			host.machine);
	backend_cpu_model(text, sizeof(text));
	META(s, "cpu_model", "%s", text);
	backend_name(text, sizeof(text));
	META(s, "kvm_backend", "%s", text);
	META(s, "kvm_api_version", "%d", k->api_version);
	for (int i = 0; i < KVM_CAPS; i++) {
		snprintf(key, sizeof(key), "cap.%s", kvm_cap_info[i].name);
		META(s, key, "%d", k->cap[i]);
	}
	backend_parameters(meta_parameter, s);
}

static void meta_linux(struct steps *s, const struct run_linux *l)
{
	META(s, "guest_kernel", "%s", l->kernel_path);
	if (l->version[0])
		META(s, "guest_kernel_version", "%s", l->version);
	META(s, "guest_kernel_bytes", "%zu", l->kernel_len);
	if (!l->initrd)
		return;
	META(s, "guest_initrd", "%s", l->made ? "made by mkinitramfs.sh" : l->initrd_path);
	META(s, "guest_initrd_bytes", "%zu", l->initrd_len);
}

/* The first disk's keys have no number: most recordings have one disk. */
static void meta_drives(struct steps *s, const struct drives *d, const struct machine_config *c)
{
	static const char *const mode[] = {[DISK_READ_WRITE] = "read-write",
		[DISK_READ_ONLY] = "read-only",
		[DISK_SYNC] = "read-write, O_DSYNC"};
	const struct drive_choice *choice = &d->choice;

	META(s, "disks", "%u", d->count);
	for (unsigned i = 0; i < d->count; i++) {
		char prefix[16] = "disk", key[32];

		if (i)
			snprintf(prefix, sizeof(prefix), "disk%u", i);
		snprintf(key, sizeof(key), "%s_path", prefix);
		META(s, key, "%s", c->disk[i].path);
		snprintf(key, sizeof(key), "%s_bytes", prefix);
		META(s, key, "%" PRIu64, d->drive[i].disk.sectors * 512);
		snprintf(key, sizeof(key), "%s_mode", prefix);
		META(s, key, "%s", mode[c->disk[i].mode]);
	}
	META(s, "virtio", "%s", drives_transport(choice));
	META(s, "virtio_event_idx", "%s", choice->event_idx ? "offered" : "not offered");
	META(s, "virtio_indirect_desc", "%s", choice->indirect ? "offered" : "not offered");
	META(s, "disk_io_thread", "%s", choice->io == DRIVE_IO_VCPU ? "vCPU" : "I/O thread");
	META(s, "io_engine", "%s", drives_engine(d));
	META(s, "kick", "%s", drives_kick(choice));
	META(s, "interrupt", "%s", drives_interrupt(choice));
}

static void meta_machine(struct steps *s, const struct machine *m, const struct describe *d)
{
	const struct machine_config *c = d->config;
	char without[512];

	META(s, "guest", "%s", d->guest);
	META(s, "guest_command_line", "%s", c->cmdline);
	META(s, "guest_memory_bytes", "%" PRIu64, c->ram);
	if (d->linux_guest) {
		meta_linux(s, d->linux_guest);
	} else {
		META(s, "guest_kernel_entry", "%s", d->kernel_entry);
		META(s, "guest_kernel_entry_why", "%s", d->kernel_entry_why);
	}
	META(s, "vcpus", "%u", m->cpus.count);
	cpu_model_without(c->cpu, without, sizeof(without));
	META(s, "guest_cpu", "%s, without %s", cpu_model_name(c->cpu), without);
	meta_drives(s, &m->drives, c);
	META(s, "guest_debug", "not used (no single-step, no breakpoints)");
	META(s, "registers", "%s",
		m->cpus.vcpu[0].sync_regs & KVM_SYNC_X86_REGS ? "KVM_CAP_SYNC_REGS"
							      : "KVM_GET_REGS");
	META(s, "guest_events", "%s", c->guest_events ? "on" : "off");
	META(s, "timeout_s", "%u", d->timeout);
	if (d->ring_slots)
		META(s, "ring_slots", "%zu", d->ring_slots);
}

static void counter(void *ctx, const char *name, uint64_t value)
{
	struct steps *s = ctx;

	step(s, recorder_kvm_stat(s->r, s->vcpu, name, s->after, value));
}

static void counters(struct steps *s, struct machine *m)
{
	struct err e = {""};

	if (!m->kvm.cap[KVM_HAS_BINARY_STATS_FD])
		return;
	s->vcpu = -1;
	if (kvm_stats_read(m->kvm.vm_fd, counter, s, &e) >= 0)
		for (unsigned i = 0; i < m->cpus.count && !e.msg[0]; i++) {
			s->vcpu = (int)i;
			kvm_stats_read(m->cpus.vcpu[i].fd, counter, s, &e);
		}
	/* Without them the recording is whole, only less can be checked. */
	if (e.msg[0])
		META(s, "kvm_stats", "%s", e.msg);
}

static int finish(const struct steps *s, const char *what, struct err *e)
{
	if (s->rc)
		err_set(e, s->rc,
			"%s cannot be stored in the recording (%s): is there space, may it be "
			"written?",
			what, strerror(-s->rc));
	return s->rc;
}

static void devices(struct steps *s, const struct machine *m, bool is_linux)
{
#define DEVICE(id, number, name, model)                                                            \
	if (number != MACHINE_DEV_ACPI || is_linux)                                                \
		step(s, recorder_device(s->r, number, name, model));
	MACHINE_DEVICES(DEVICE)
#undef DEVICE
	for (unsigned i = 0; i < m->drives.count; i++) {
		const struct drive *d = &m->drives.drive[i];
		char text[64];

		snprintf(text, sizeof(text), "virtio-blk, %s", drives_transport(&m->drives.choice));
		step(s, recorder_device(s->r, d->device, d->name, text));
	}
	if (m->port.device)
		step(s, recorder_device(s->r, m->port.device, GUEST_PORT_NAME,
				"virtio-console, the port of the guest's agent"));
	for (unsigned i = 0; i < m->bus.count; i++) {
		const struct bus_region *g = &m->bus.region[i];

		step(s, recorder_region(
				s->r, g->id, g->space, g->base, g->len, g->device, g->name));
	}
}

/* A bzImage has no symbols in reach; a vmlinux may have been stripped of them. */
static void symbols(struct steps *s, const struct describe *d, struct err *e)
{
	const struct machine_config *c = d->config;

	if (!c->is_linux || !linux_is_bzimage(c->kernel, c->kernel_len))
		step(s, recorder_symbols_elf(s->r, c->kernel, c->kernel_len, d->guest, e));
}

int describe_before(struct recorder *r, struct machine *m, const struct describe *d, struct err *e)
{
	struct steps s = {.r = r};

	META(&s, "exitwalk_version", "%s", EXITWALK_VERSION);
	meta_command_line(&s, d);
	meta_time(&s, "started_at");
	meta_host(&s, &m->kvm);
	meta_machine(&s, m, d);
	devices(&s, m, d->config->is_linux);
	symbols(&s, d, e);
	counters(&s, m);
	return finish(&s, "the description of the machine", e);
}

int describe_after(struct recorder *r, struct machine *m, enum ew_stop why, struct err *e)
{
	static const char *const end[] = {
		[MACHINE_END_STATUS] = "status written to the exit port",
		[MACHINE_END_POWER_OFF] = "power-off (ACPI S5)",
		[MACHINE_END_RESET] = "reset (ACPI reset register)",
	};
	struct steps s = {.r = r, .after = true};

	meta_time(&s, "stopped_at");
	META(&s, "stop_reason", "%s", stop_text(why));
	if (why == EW_STOP_GUEST_EXIT)
		META(&s, "guest_exit_status", "%d", m->cpus.stop.status);
	if (why == EW_STOP_GUEST_EXIT && m->guest_end)
		META(&s, "guest_end", "%s", end[m->guest_end]);
	META(&s, "exits", "%" PRIu64, m->cpus.exits);
	counters(&s, m);
	return finish(&s, "the end of the run", e);
}
