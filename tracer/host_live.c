/* SPDX-License-Identifier: MIT */
/* The host kernel's tracepoints, live: instances, and the thread that reads them. */
#include "host_live.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <unistd.h>
#include <tracefs.h>

#include "host_functions.h"
#include "host_stream.h"
#include "host_tasks.h"
#include "host_tracefs.h"
#include "recorder_host.h"

#define ROUND_NS 5000000  /* between two looks at the buffers */
#define MARGIN_NS 2000000 /* a record has its time before it can be read: so long at most */
#define PAGES 256         /* of one buffer in one look */
#define MEMORY_KIB (256u << 10)

enum { OURS, ANY, INSTANCES }; /* the VM's tasks; all tasks */

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

/* Requests of the block layer that threads of the VM have begun: their sectors. */
#define SECTORS 4096

struct host_live {
	struct recorder *recorder;
	struct recorder_host *sink;
	struct host_live_opts o;
	struct host_instance instance[INSTANCES];
	struct host_pages pages;
	struct host_stream *stream; /* of each instance, of each CPU */
	unsigned streams;
	struct host_tasks tasks;
	struct host_addresses addresses; /* of functions that were traced */
	uint8_t *named;                  /* by task: the recorder knows it */
	uint64_t sector[SECTORS];
	pthread_t thread;
	bool running;
	atomic_bool stop;
	_Atomic uint64_t events, exits, lost;
	uint64_t cpu_ns; /* the reader's, when it has ended */
	int failed;      /* -errno: the reader has given up */
};

/* --- what is the VM's ----------------------------------------------------------------------- */

/* Completions come in anybody's context: their sectors tell whose they are. */
static bool keep_block(struct host_live *h, const struct host_event *ev)
{
	uint64_t sector = ev->rec.a[1];
	uint64_t *slot = &h->sector[(sector * 0x9e3779b97f4a7c15u) >> 52];

	if (host_tasks_kind(&h->tasks, ev->task) == HOST_TASK_OURS) {
		*slot = sector + 1;
		return true;
	}
	if (*slot != sector + 1)
		return false;
	if (ev->rec.kind == EW_BLOCK_RQ_COMPLETE)
		*slot = 0;
	return true;
}

static bool keep(void *ctx, const struct host_event *ev)
{
	struct host_live *h = ctx;

	switch (ev->rec.kind) {
	case EW_BLOCK_BIO_QUEUE:
	case EW_BLOCK_RQ_INSERT:
	case EW_BLOCK_RQ_ISSUE:
	case EW_BLOCK_RQ_COMPLETE:
		return keep_block(h, ev);
	case EW_KVM_SET_IRQ:
	case EW_KVM_MSI_SET_IRQ:
	case EW_KVM_APIC_ACCEPT_IRQ:
		return host_tasks_kind(&h->tasks, ev->task) != HOST_TASK_FOREIGN;
	default:
		return true; /* the kernel has filtered */
	}
}

/* --- to the recorder ------------------------------------------------------------------------ */

#define NAMES (1u << 23) /* tasks, and behind them what is none */

static int name_task(struct host_live *h, uint64_t ts, uint32_t task)
{
	uint32_t bit = task < NAMES / 2 ? task : NAMES / 2 + (task & (NAMES / 2 - 1));
	uint8_t mask = (uint8_t)(1u << (bit & 7));
	char name[44], comm[32];

	if (h->named[bit >> 3] & mask)
		return 0;
	h->named[bit >> 3] |= mask;
	if (task < NAMES / 2 && host_tasks_name(task, comm, sizeof(comm)) &&
		!tep_is_pid_registered(h->pages.tep, (int)task))
		tep_register_comm(h->pages.tep, comm, (int)task);
	return recorder_host_task(
		h->sink, ts, task, host_task_name(h->pages.decoder, task, name, sizeof(name)));
}

static int give(struct host_live *h, const struct host_event *ev)
{
	const struct ew_rec *rec = &ev->rec;
	int ret = name_task(h, rec->ts, ev->task);

	if (!ret && rec->kind == 0) {
		h->lost += rec->a[0];
		return recorder_host_lost(h->sink, ev->task, rec->a[1], rec->ts, rec->a[0]);
	}
	if (!ret && (rec->kind == EW_SCHED_SWITCH || rec->kind == EW_SCHED_WAKING))
		ret = name_task(h, rec->ts, (uint32_t)rec->a[0]);
	if (!ret && rec->kind == EW_SCHED_SWITCH)
		ret = name_task(h, rec->ts, (uint32_t)rec->a[2]);
	if (rec->kind == EW_HOST_FUNC || rec->kind == EW_HOST_FUNC_EXIT) {
		host_addresses_add(&h->addresses, rec->a[0]);
		if (rec->kind == EW_HOST_FUNC)
			host_addresses_add(&h->addresses, rec->a[1]);
	}
	h->events++;
	h->exits += rec->kind == EW_KVM_EXIT;
	return ret ? ret : recorder_host_event(h->sink, ev);
}

/* Everything up to `until`, merged. */
static int give_until(struct host_live *h, uint64_t until)
{
	int ret = 0;

	while (!ret) {
		struct host_stream *first = NULL;

		for (unsigned i = 0; i < h->streams; i++) {
			struct host_stream *s = &h->stream[i];

			if (s->at < s->n &&
				(!first || s->ev[s->at].rec.ts < first->ev[first->at].rec.ts))
				first = s;
		}
		if (!first || first->ev[first->at].rec.ts > until)
			break;
		ret = give(h, host_stream_head(first));
		host_stream_take(first);
	}
	if (!ret)
		recorder_host_until(h->sink, until);
	return ret;
}

/* One look at all buffers; *quiet: there was nothing in them. */
static int look(struct host_live *h, bool last, bool *quiet)
{
	uint64_t until = last ? UINT64_MAX : probe_now() - MARGIN_NS;
	int ret = 0;

	*quiet = true;
	for (unsigned i = 0; !ret && i < h->streams; i++) {
		struct host_stream *s = &h->stream[i];
		uint64_t before = s->last;
		bool drained;

		ret = host_stream_read(s, &h->pages, PAGES, &drained);
		*quiet &= drained && s->last == before;
		if (!drained && s->last < until)
			until = s->last;
	}
	return ret ? ret : give_until(h, until);
}

static void *reader(void *arg)
{
	const struct timespec wait = {.tv_nsec = ROUND_NS};
	struct host_live *h = arg;
	struct timespec cpu;
	bool quiet = false;
	int ret = 0;

	while (!ret && !atomic_load_explicit(&h->stop, memory_order_acquire)) {
		ret = look(h, false, &quiet);
		nanosleep(&wait, NULL);
	}
	for (quiet = false; !ret && !quiet;)
		ret = look(h, true, &quiet);
	h->failed = ret;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &cpu);
	h->cpu_ns = (uint64_t)cpu.tv_sec * 1000000000u + (uint64_t)cpu.tv_nsec;
	recorder_host_until(h->sink, UINT64_MAX);
	return NULL;
}

/* --- set-up --------------------------------------------------------------------------------- */

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

/* Each CPU's buffer: a tenth of a second of a million events in a second, but not all memory. */
static unsigned buffer_kib(unsigned cpus)
{
	unsigned kib = MEMORY_KIB / (cpus ? cpus : 1);

	return kib > 8192 ? 8192 : kib < 256 ? 256 : kib;
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
	h->named = calloc(1, NAMES / 8);
	if (!p->kbuf || !p->page || !h->named || host_tasks_init(&h->tasks, h->o.pid))
		return err_set(e, -ENOMEM, "out of memory");
	p->keep = keep;
	p->ctx = h;
	return 0;
}

static int set_up_functions(struct host_live *h, struct err *e)
{
	const char *tracer = "";
	char names[1024];
	int ret = host_functions_enable(&h->instance[OURS], &tracer, names, sizeof(names), e);

	if (!ret)
		ret = recorder_meta(h->recorder, "host_trace.functions", "%s", names);
	return ret ? ret : recorder_meta(h->recorder, "host_trace.tracer", "%s", tracer);
}

static int set_up(struct host_live *h, struct err *e)
{
	unsigned kib = buffer_kib((unsigned)get_nprocs_conf());
	int ret;

	if (!host_tracefs(e))
		return -ENOENT;
	host_instances_clean();
	ret = host_instance_create(&h->instance[OURS], "", kib, e);
	if (!ret)
		ret = host_instance_create(&h->instance[ANY], "-any", kib < 1024 ? kib : 1024, e);
	if (!ret)
		ret = open_decoder(h, e);
	/* An instance whose buffers are open does not change its tracer (EBUSY). */
	if (!ret && h->o.functions)
		ret = set_up_functions(h, e);
	if (!ret)
		ret = open_streams(h, e);
	if (!ret)
		ret = enable(h);
	if (!ret)
		ret = recorder_meta(h->recorder, "host_trace.buffer_kib", "%u per CPU", kib);
	if (!ret)
		ret = recorder_meta(h->recorder, "host_trace.filter",
			"by the kernel: threads of process %d; kvm_set_irq, kvm_msi_set_irq and"
			" kvm_apic_accept_irq also of kernel threads, who may do it for another VM;"
			" block events by the sectors that the process began",
			h->o.pid);
	if (!ret)
		ret = recorder_host_create(&h->sink, h->recorder, e);
	return ret;
}

int host_live_create(
	struct host_live **out, struct recorder *r, const struct host_live_opts *o, struct err *e)
{
	struct host_live *h = calloc(1, sizeof(*h));
	int ret;

	*out = NULL;
	if (!h)
		return err_set(e, -ENOMEM, "out of memory");
	h->recorder = r;
	h->o = *o;
	for (int i = 0; i < INSTANCES; i++)
		h->instance[i] = (struct host_instance)HOST_INSTANCE_NONE;
	ret = set_up(h, e);
	if (ret) {
		host_live_free(h);
		return ret;
	}
	*out = h;
	return 0;
}

/* --- running -------------------------------------------------------------------------------- */

/* The threads of another process; those that it makes while this looks come by fork. */
static int trace_process(struct host_live *h)
{
	char path[48];
	struct dirent *d;
	int ret = 0;
	DIR *all;

	snprintf(path, sizeof(path), "/proc/%d/task", h->o.pid);
	all = opendir(path);
	if (!all)
		return -errno;
	while (!ret && (d = readdir(all))) {
		pid_t task = atoi(d->d_name);

		if (task > 0)
			ret = host_instance_tasks(&h->instance[OURS], &task, 1);
	}
	closedir(all);
	return ret;
}

static int start_reader(struct host_live *h)
{
	sigset_t all, old;
	int ret;

	/* Signals are for the other threads. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	ret = pthread_create(&h->thread, NULL, reader, h);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (ret)
		return -ret;
	pthread_setname_np(h->thread, HOST_LIVE_THREAD);
	h->running = true;
	return 0;
}

int host_live_start(struct host_live *h, struct err *e)
{
	uint64_t now = probe_now();
	pid_t self = gettid();
	int ret;

	for (unsigned i = 0; i < h->streams; i++)
		h->stream[i].last = now;
	recorder_host_until(h->sink, now);
	/* The reader is made before the kernel looks for threads made by this one: it is not traced. */
	ret = start_reader(h);
	if (!ret && h->o.pid == getpid())
		ret = host_instance_tasks(&h->instance[OURS], &self, 1);
	else if (!ret)
		ret = trace_process(h);
	if (!ret && h->o.functions)
		ret = host_instance_ftrace_tasks(&h->instance[OURS], &self, 1);
	for (int i = 0; !ret && i < INSTANCES; i++)
		ret = host_instance_write(&h->instance[i], "tracing_on", "1");
	if (ret == -ENOENT && kill(h->o.pid, 0))
		err_set(e, ret, "process %d has ended", h->o.pid);
	else if (ret)
		err_set(e, ret, "tracing cannot be started: %s", strerror(-ret));
	return ret;
}

void host_live_stop(struct host_live *h)
{
	if (!h || !h->running)
		return;
	for (int i = 0; i < INSTANCES; i++)
		host_instance_write(&h->instance[i], "tracing_on", "0");
	atomic_store_explicit(&h->stop, true, memory_order_release);
	pthread_join(h->thread, NULL);
	h->running = false;
}

static int name_function(void *ctx, uint64_t addr, const char *name)
{
	return recorder_name(ctx, "host_func", (int64_t)addr, name);
}

int host_live_describe(struct host_live *h)
{
	unsigned long long overrun = 0, dropped = 0;
	int ret;

	for (unsigned i = 0; i < h->streams; i++) {
		const struct host_instance *in =
			&h->instance[(h->stream[i].task & ~HOST_TASK_KIND) >> 16];

		overrun += host_instance_stat(in, h->stream[i].cpu, "\noverrun");
		dropped += host_instance_stat(in, h->stream[i].cpu, "\ndropped events");
	}
	ret = recorder_meta(
		h->recorder, "host_trace.records", "%llu", (unsigned long long)h->events);
	if (!ret)
		ret = recorder_meta(h->recorder, "host_trace.reader_cpu_ns", "%llu",
			(unsigned long long)h->cpu_ns);
	if (!ret)
		ret = recorder_meta(h->recorder, "host_trace.overrun", "%llu", overrun + dropped);
	if (!ret && h->addresses.n)
		ret = host_addresses_names(&h->addresses, name_function, h->recorder);
	if (!ret && h->failed)
		ret = recorder_meta(h->recorder, "host_trace.failed", "the reader gave up: %s",
			strerror(-h->failed));
	return ret;
}

void host_live_counts(const struct host_live *h, struct host_live_counts *n)
{
	*n = (struct host_live_counts){h->events, h->exits, h->lost};
}

void host_live_free(struct host_live *h)
{
	if (!h)
		return;
	host_live_stop(h);
	for (unsigned i = 0; i < h->streams; i++)
		host_stream_close(&h->stream[i]);
	for (int i = 0; i < INSTANCES; i++)
		host_instance_destroy(&h->instance[i]);
	free(h->stream);
	free(h->pages.page);
	if (h->pages.kbuf)
		kbuffer_free(h->pages.kbuf);
	host_decoder_destroy(h->pages.decoder);
	if (h->pages.tep)
		tep_free(h->pages.tep);
	host_tasks_free(&h->tasks);
	free(h->named);
	free(h);
}
