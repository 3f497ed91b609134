/* SPDX-License-Identifier: MIT */
/* The host kernel's tracepoints, live: instances, and the thread that reads them. */
#include "array.h"
#include "host_live_priv.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ROUND_NS 20000000 /* between two looks at the buffers, which may take a vCPU's CPU */
#define MARGIN_NS 2000000 /* a record has its time before it can be read: so long at most */
#define PAGES 256         /* of one buffer in one look */

/* --- what is the VM's ----------------------------------------------------------------------- */

static bool is_ours(struct host_live *h, uint64_t task)
{
	return host_tasks_kind(&h->tasks, (uint32_t)task) == HOST_TASK_OURS;
}

/* As the kernel filters by task. */
static bool keep_unfiltered(struct host_live *h, const struct host_event *ev)
{
	switch (ev->rec.kind) {
	case EW_SCHED_SWITCH:
		return is_ours(h, ev->rec.a[0]) || is_ours(h, ev->rec.a[2]);
	case EW_SCHED_WAKING:
		return is_ours(h, ev->task) || is_ours(h, ev->rec.a[0]);
	default:
		return is_ours(h, ev->task);
	}
}

static bool is_block(const struct host_event *ev)
{
	return ev->rec.kind >= EW_BLOCK_BIO_QUEUE && ev->rec.kind <= EW_BLOCK_RQ_COMPLETE;
}

static bool keep(void *ctx, const struct host_event *ev)
{
	struct host_live *h = ctx;

	if (is_block(ev)) { /* give() asks, of the CPUs merged; the task may be gone by then */
		is_ours(h, ev->task);
		return true;
	}
	switch (ev->rec.kind) {
	case EW_KVM_SET_IRQ:
	case EW_KVM_MSI_SET_IRQ:
	case EW_KVM_APIC_ACCEPT_IRQ:
		return host_tasks_kind(&h->tasks, ev->task) != HOST_TASK_FOREIGN;
	default:
		return ev->rec.ts >= h->filtered || keep_unfiltered(h, ev);
	}
}

/* --- to the recorder ------------------------------------------------------------------------ */

static int tell_name(struct host_live *h, uint64_t ts, uint32_t task)
{
	char name[44], comm[32];

	if (task < HOST_TASKS && host_tasks_name(task, comm, sizeof(comm)))
		tep_override_comm(h->pages.tep, comm, (int)task);
	return recorder_host_task(
		h->sink, ts, task, host_task_name(h->pages.decoder, task, name, sizeof(name)));
}

static int name_task(struct host_live *h, uint64_t ts, uint32_t task)
{
	uint32_t bit = host_task_slot(task);
	uint8_t mask = (uint8_t)(1u << (bit & 7));

	if (h->named[bit >> 3] & mask)
		return 0;
	h->named[bit >> 3] |= mask;
	return tell_name(h, ts, task);
}

static int give(struct host_live *h, struct host_event *ev)
{
	const struct ew_rec *rec = &ev->rec;
	int ret;

	if (is_block(ev) && !host_sectors_keep(&h->sectors, ev, is_ours(h, ev->task)))
		return 0;
	ret = name_task(h, rec->ts, ev->task);
	if (!ret && rec->kind == 0) {
		h->lost += rec->a[0];
		host_nesting_forget(&h->nesting);
		return recorder_host_lost(h->sink, ev->task, rec->a[1], rec->ts, rec->a[0]);
	}
	if (!ret && host_vcpus_see(&h->vcpus, h->o.pid, ev))
		ret = tell_name(h, rec->ts, ev->task);
	if (!ret && (rec->kind == EW_SCHED_SWITCH || rec->kind == EW_SCHED_WAKING))
		ret = name_task(h, rec->ts, (uint32_t)rec->a[0]);
	if (!ret && rec->kind == EW_SCHED_SWITCH)
		ret = name_task(h, rec->ts, (uint32_t)rec->a[2]);
	if (!ret)
		ret = host_nesting_see(&h->nesting, ev);
	if (rec->kind == EW_HOST_FUNC || rec->kind == EW_HOST_FUNC_EXIT) {
		host_addresses_add(&h->addresses, rec->a[0]);
		if (rec->kind == EW_HOST_FUNC)
			host_addresses_add(&h->addresses, rec->a[1]);
	}
	h->events++;
	h->returned += h->nesting.on && rec->kind == EW_HOST_FUNC_EXIT;
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

/* --- life ----------------------------------------------------------------------------------- */

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
	h->pages.keep = keep;
	h->pages.ctx = h;
	ret = host_live_set_up(h, e);
	if (ret) {
		host_live_free(h);
		return ret;
	}
	*out = h;
	return 0;
}

/* --- running -------------------------------------------------------------------------------- */

/* The threads of another process, all at once; those that it makes from then on come by fork. */
static int trace_process(struct host_live *h)
{
	char path[48];
	struct dirent *d;
	pid_t *task = NULL;
	size_t n = 0, cap = 0;
	int ret = 0;
	DIR *all;

	snprintf(path, sizeof(path), "/proc/%d/task", h->o.pid);
	all = opendir(path);
	if (!all)
		return -errno;
	while (!ret && (d = readdir(all))) {
		pid_t id = atoi(d->d_name);

		if (id <= 0)
			continue;
		ret = array_grow((void **)&task, &cap, n, sizeof(*task));
		if (!ret)
			task[n++] = id;
	}
	closedir(all);
	if (!ret)
		ret = host_instance_tasks(&h->instance[OURS], task, n);
	free(task);
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

static int start_tracing(struct host_live *h)
{
	int ret = 0;

	h->begun = probe_now();
	for (int i = 0; !ret && i < INSTANCES; i++)
		ret = host_instance_write(&h->instance[i], "tracing_on", "1");
	return ret;
}

static int cannot_start(int ret, struct err *e)
{
	return err_set(e, ret, "tracing cannot be started: %s", strerror(-ret));
}

int host_live_all(struct host_live *h, struct err *e)
{
	int ret = start_tracing(h);

	h->all = true;
	return ret ? cannot_start(ret, e) : 0;
}

int host_live_process(struct host_live *h, pid_t pid, uint64_t since, struct err *e)
{
	int ret;

	h->o.pid = pid;
	ret = host_live_filter(h);
	if (!ret)
		ret = trace_process(h);
	/* One that a thread of before the filter made since comes now. */
	if (!ret && h->all)
		ret = trace_process(h);
	if (!ret && !h->all)
		ret = start_tracing(h);
	if (h->all) {
		h->filtered = probe_now();
		h->begun = since > h->begun ? since : h->begun;
	}
	if (ret == -ENOENT && kill(pid, 0))
		return err_set(e, ret, "process %d has ended", pid);
	return ret ? cannot_start(ret, e) : 0;
}

/* The reader is made before the kernel looks for threads made by this one: it is not traced. */
int host_live_start(struct host_live *h, struct err *e)
{
	bool own = h->o.pid == getpid();
	uint64_t from = own ? probe_now() : h->begun;
	pid_t self = gettid();
	int ret;

	for (unsigned i = 0; i < h->streams; i++) {
		h->stream[i].from = h->stream[i].last = from;
		h->stream[i].older = h->all;
	}
	recorder_host_until(h->sink, from);
	ret = start_reader(h);
	if (!ret && own)
		ret = host_instance_tasks(&h->instance[OURS], &self, 1);
	if (!ret && h->o.functions)
		ret = host_instance_ftrace_tasks(&h->instance[OURS], &self, 1);
	if (!ret && own)
		ret = start_tracing(h);
	return ret ? cannot_start(ret, e) : 0;
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
	if (!ret && h->record_ps)
		ret = recorder_meta(h->recorder, "host_trace.cost_ns", "%llu",
			(unsigned long long)((h->record_ps * (h->events - h->returned) +
						     (h->return_ps ?: h->record_ps) * h->returned) /
					     1000));
	if (!ret && h->record_ps)
		ret = recorder_meta(h->recorder, "host_trace.record_ns", "%llu",
			(unsigned long long)((h->record_ps + 500) / 1000));
	if (!ret)
		ret = recorder_meta(h->recorder, "host_trace.reader_cpu_ns", "%llu",
			(unsigned long long)h->cpu_ns);
	if (!ret)
		ret = recorder_meta(h->recorder, "host_trace.overrun", "%llu", overrun + dropped);
	if (!ret && h->return_ps)
		ret = recorder_meta(h->recorder, "host_trace.return_ns", "%llu",
			(unsigned long long)((h->return_ps + 500) / 1000));
	if (!ret && h->nesting.on)
		ret = recorder_meta(h->recorder, "host_trace.returns_missing", "%llu",
			(unsigned long long)h->nesting.missing);
	if (!ret && h->nesting.on)
		ret = recorder_meta(h->recorder, "host_trace.returns_missed", "%llu",
			host_returns_missed(&h->returns));
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
	host_returns_remove(&h->returns); /* nobody has them switched on any more */
	host_nesting_free(&h->nesting);
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
