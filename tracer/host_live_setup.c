/* SPDX-License-Identifier: MIT */
/* Makes the instances of tracefs from which the host's tracepoints come, live. */
#include "host_cost.h"
#include "host_live_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <unistd.h>
#include <tracefs.h>

#define MEMORY_KIB (256u << 10)

#define EMULATED 1 /* not where ring 0 is emulated */
#define SYSCALLS 2 /* only where system calls are wanted */

static const struct {
	const char *system, *name;
	int instance, when;
} points[] = {
	{"kvm", "kvm_entry", OURS, 0},
	{"kvm", "kvm_exit", OURS, 0},
	{"kvm", "kvm_pio", OURS, 0},
	{"kvm", "kvm_mmio", OURS, 0},
	{"kvm", "kvm_fast_mmio", OURS, 0},
	{"kvm", "kvm_userspace_exit", OURS, 0},
	{"kvm", "kvm_emulate_insn", OURS, EMULATED},
	{"kvm", "kvm_inj_virq", OURS, 0},
	{"kvm", "kvm_eoi", OURS, 0},
	{"kvm", "kvm_ack_irq", OURS, 0},
	{"kvm", "kvm_msr", OURS, 0},
	{"kvm", "kvm_cpuid", OURS, 0},
	{"kvm", "kvm_page_fault", OURS, 0},
	{"kvm", "kvm_halt_poll_ns", OURS, 0},
	{"kvm", "kvm_vcpu_wakeup", OURS, 0},
	{"kvm", "kvm_set_irq", ANY, 0},
	{"kvm", "kvm_msi_set_irq", ANY, 0},
	{"kvm", "kvm_apic_accept_irq", ANY, 0},
	{"block", "block_bio_queue", ANY, 0},
	{"block", "block_rq_insert", ANY, 0},
	{"block", "block_rq_issue", ANY, 0},
	{"block", "block_rq_complete", ANY, 0},
	{"sched", "sched_switch", OURS, 0},
	{"sched", "sched_waking", OURS, 0},
	{"raw_syscalls", "sys_enter", OURS, SYSCALLS},
	{"raw_syscalls", "sys_exit", OURS, SYSCALLS},
};
#define POINTS (sizeof(points) / sizeof(points[0]))

static bool wanted(const struct host_live_opts *o, size_t i)
{
	return !(points[i].when == EMULATED && o->emulated) &&
	       !(points[i].when == SYSCALLS && !o->syscalls);
}

static void word(char *list, size_t size, const char *name)
{
	size_t used = strlen(list);

	snprintf(list + used, size - used, "%s%s", used ? " " : "", name);
}

/* The system calls that a request's way leads through: others only cost. */
static void filter_calls(struct host_live *h)
{
	static const int calls[] = {SYS_read, SYS_write, SYS_poll, SYS_ioctl, SYS_pread64,
		SYS_pwrite64, SYS_readv, SYS_writev, SYS_fsync, SYS_fdatasync, SYS_futex,
		SYS_io_getevents, SYS_io_submit, SYS_ppoll, SYS_preadv, SYS_pwritev, SYS_preadv2,
		SYS_pwritev2, SYS_epoll_wait, SYS_epoll_pwait, SYS_nanosleep, SYS_clock_nanosleep,
		SYS_io_uring_enter};
	static const char *const points_of[] = {"sys_enter", "sys_exit"};
	char filter[512] = "", file[64];

	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
		snprintf(filter + strlen(filter), sizeof(filter) - strlen(filter), "%sid == %d",
			i ? " || " : "", calls[i]);
	for (size_t i = 0; h->o.syscalls && i < 2; i++) {
		snprintf(file, sizeof(file), "events/raw_syscalls/%s/filter", points_of[i]);
		host_instance_write(&h->instance[OURS], file, filter); /* else there are more */
	}
}

static int enable(struct host_live *h)
{
	char on[1024] = "", missing[1024] = "";
	int ret;

	filter_calls(h);
	for (size_t i = 0; i < POINTS; i++)
		if (wanted(&h->o, i))
			word(host_instance_enable(&h->instance[points[i].instance],
				     points[i].system, points[i].name)
					? on
					: missing,
				sizeof(on), points[i].name);
	ret = recorder_meta(h->recorder, "host_trace.events", "%s", on);
	if (!ret && *missing)
		ret = recorder_meta(h->recorder, "host_trace.missing", "%s", missing);
	if (!ret && h->o.emulated)
		ret = recorder_meta(h->recorder, "host_trace.left_out",
			"kvm_emulate_insn: this backend emulates ring 0, and it would be every instruction of it");
	return ret;
}

/* Not all memory. */
static unsigned buffer_kib(unsigned cpus)
{
	unsigned kib = MEMORY_KIB / (cpus ? cpus : 1);

	return kib > HOST_BUFFER_KIB ? HOST_BUFFER_KIB : kib < 256 ? 256 : kib;
}

static int open_streams(struct host_live *h, struct err *e)
{
	unsigned cpus = (unsigned)get_nprocs_conf();

	h->stream = calloc((size_t)cpus * INSTANCES, sizeof(*h->stream));
	if (!h->stream)
		return err_set(e, -ENOMEM, "out of memory");
	for (unsigned i = 0; i < INSTANCES; i++)
		for (unsigned cpu = 0; cpu < cpus; cpu++) {
			int fd = host_instance_open_cpu(&h->instance[i], cpu);

			if (fd == -ENOENT || fd == -ENODEV)
				continue; /* a CPU that is not there yet */
			if (fd < 0)
				return err_set(e, fd, "the buffers of tracefs cannot be read: %s",
					strerror(-fd));
			h->stream[h->streams++] = (struct host_stream){
				.fd = fd, .cpu = cpu, .task = HOST_TASK_CPU | i << 16 | cpu};
		}
	return 0;
}

/* Only the formats that are needed: the kernel takes its time over each. */
static int read_formats(struct host_live *h)
{
	static const char *const ftrace[] = {"function", "funcgraph_entry", "funcgraph_exit"};
	char *text = tracefs_instance_file_read(NULL, "events/header_page", NULL);
	int size, ret = text ? tep_parse_header_page(h->pages.tep, text, strlen(text), sizeof(long))
			     : -1;

	free(text);
	for (size_t i = 0; !ret && h->o.functions && i < sizeof(ftrace) / sizeof(ftrace[0]); i++) {
		text = tracefs_event_file_read(NULL, "ftrace", ftrace[i], "format", &size);
		if (text && size > 0)
			tep_parse_event(h->pages.tep, text, (unsigned long)size, "ftrace");
		free(text);
	}
	for (size_t i = 0; !ret && i < POINTS; i++) {
		text = tracefs_event_file_read(
			NULL, points[i].system, points[i].name, "format", &size);
		if (text && size > 0)
			tep_parse_event(h->pages.tep, text, (unsigned long)size, points[i].system);
		free(text);
	}
	return ret;
}

static int open_decoder(struct host_live *h, struct err *e)
{
	struct host_pages *p = &h->pages;
	int ret;

	tep_set_loglevel(TEP_LOG_NONE);
	p->tep = tep_alloc();
	if (!p->tep)
		return err_set(e, -ENOMEM, "out of memory");
	if (read_formats(h))
		return err_set(e, -EIO, "the formats of the kernel's tracepoints cannot be read");
	ret = host_decoder_create(&p->decoder, p->tep, e);
	if (ret)
		return ret;
	if (h->o.functions)
		host_decoder_functions(p->decoder);
	p->page_size = (size_t)tep_get_sub_buffer_size(p->tep);
	p->kbuf = kbuffer_alloc(KBUFFER_LSIZE_8, KBUFFER_ENDIAN_LITTLE);
	p->page = p->page_size ? malloc(p->page_size) : NULL;
	h->named = calloc(1, HOST_TASK_SLOTS / 8);
	if (!p->kbuf || !p->page || !h->named || host_tasks_init(&h->tasks, h->o.pid))
		return err_set(e, -ENOMEM, "out of memory");
	return 0;
}

/* The probes' events, which are as new as the probes. */
static void read_probe_formats(struct host_live *h)
{
	const char *at = h->returns.probed;

	while (*at) {
		char name[96], *text;
		int size;

		snprintf(name, sizeof(name), "%.*s", (int)strcspn(at, " "), at);
		at += strlen(name) + (at[strlen(name)] == ' ');
		text = tracefs_event_file_read(NULL, h->returns.group, name, "format", &size);
		if (text && size > 0)
			tep_parse_event(h->pages.tep, text, (unsigned long)size, h->returns.group);
		free(text);
	}
}

static int set_up_returns(struct host_live *h, const struct host_functions *f)
{
	int ret = 0;

	h->return_ps = host_cost_of_return(&h->instance[ANY]);
	host_returns_enable(&h->instance[OURS], f->qualified, &h->returns, &h->nesting);
	if (h->nesting.on)
		host_returns_addresses(&h->returns, &h->nesting);
	read_probe_formats(h);
	if (*h->returns.probed)
		ret = recorder_meta(h->recorder, "host_trace.returns", "%s", h->returns.probed);
	if (!ret && *h->returns.skipped)
		ret = recorder_meta(
			h->recorder, "host_trace.returns_not_probed", "%s", h->returns.skipped);
	return ret;
}

static int set_up_functions(struct host_live *h, struct err *e)
{
	struct host_functions f;
	int ret = host_functions_enable(&h->instance[OURS], &f, e);

	if (!ret)
		ret = recorder_meta(h->recorder, "host_trace.functions", "%s", f.names);
	if (!ret)
		ret = recorder_meta(h->recorder, "host_trace.tracer", "%s", f.tracer);
	return ret || f.returns ? ret : set_up_returns(h, &f);
}

int host_live_filter(struct host_live *h)
{
	h->tasks.pid = h->o.pid;
	return recorder_meta(h->recorder, "host_trace.filter",
		"by the kernel: threads of process %d; kvm_set_irq, kvm_msi_set_irq and"
		" kvm_apic_accept_irq also of kernel threads, who may do it for another VM;"
		" block events by the sectors that the process began",
		h->o.pid);
}

int host_live_set_up(struct host_live *h, struct err *e)
{
	unsigned kib = h->o.buffer_kib ? h->o.buffer_kib : buffer_kib((unsigned)get_nprocs_conf());
	int ret;

	if (!host_tracefs(e))
		return -ENOENT;
	host_instances_clean();
	host_returns_clean();
	ret = host_instance_create(&h->instance[OURS], "", kib, e);
	if (!ret)
		ret = host_instance_create(&h->instance[ANY], "-any", kib < 1024 ? kib : 1024, e);
	if (!ret) {
		h->record_ps = host_cost_of_record(&h->instance[ANY]);
		ret = open_decoder(h, e);
	}
	/* An instance whose buffers are open does not change its tracer (EBUSY). */
	if (!ret && h->o.functions)
		ret = set_up_functions(h, e);
	if (!ret)
		ret = open_streams(h, e);
	if (!ret)
		ret = enable(h);
	if (!ret)
		ret = recorder_meta(h->recorder, "host_trace.buffer_kib", "%u per CPU", kib);
	if (!ret && h->o.pid)
		ret = host_live_filter(h);
	if (!ret)
		ret = recorder_host_create(&h->sink, h->recorder, e);
	return ret;
}
