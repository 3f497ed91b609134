/* SPDX-License-Identifier: MIT */
/* The reader of a trace.dat file: libtracecmd and libtraceevent, on one end of a pipe. */
#include "import_write.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <trace-cmd.h>

#include "host_decode.h"
#include "import_mend.h"

/*
 * What libtracecmd exports and its public header does not declare. Weak: a version that hides them leaves
 * those lines of meta empty.
 */
extern const char *tracecmd_get_trace_clock(struct tracecmd_input *handle) __attribute__((weak));
extern const char *tracecmd_get_cpustats(struct tracecmd_input *handle) __attribute__((weak));
extern const char *tracecmd_get_uname(struct tracecmd_input *handle) __attribute__((weak));
extern const char *tracecmd_get_version(struct tracecmd_input *handle) __attribute__((weak));
extern unsigned long tracecmd_get_in_file_version(struct tracecmd_input *handle)
	__attribute__((weak));

#define TASKS (1u << 22) /* PID_MAX_LIMIT */
#define BUFFERS 64
#define CPUS 1024

struct buffer {
	struct tracecmd_input *handle;
	const char *name;
	uint64_t *last; /* by CPU: time of its last record; 0: none */
};

struct reader {
	struct import_writer to;
	struct host_decoder *decoder;
	struct buffer buffer[BUFFERS];
	unsigned buffers;
	uint64_t records;
	uint8_t *named; /* bit per task: it was announced */
	uint64_t first_ts;
	char skipped[4096];
};

/* --- records -------------------------------------------------------------------------------- */

static void announce(struct reader *r, uint32_t task, const char *of_buffer)
{
	struct import_task t = {.task = task};
	char name[32];

	if (*of_buffer)
		snprintf(t.name, sizeof(t.name), "%s of buffer %.12s",
			host_task_name(r->decoder, task, name, sizeof(name)), of_buffer);
	else
		host_task_name(r->decoder, task, t.name, sizeof(t.name));
	import_write_after(&r->to, IMPORT_TASK, &t, sizeof(t));
}

/* Idle tasks and odd ids have bits of their own behind those of the threads. */
static bool first_time(struct reader *r, uint32_t task)
{
	uint32_t bit = task < TASKS ? task : TASKS + (task & (TASKS - 1));
	uint8_t mask = (uint8_t)(1u << (bit & 7));

	if (r->named[bit >> 3] & mask)
		return false;
	r->named[bit >> 3] |= mask;
	return true;
}

static void name_task(struct reader *r, uint32_t task)
{
	if (first_time(r, task))
		announce(r, task, "");
}

static void loss(struct reader *r, struct buffer *b, unsigned cpu, const struct tep_record *record)
{
	unsigned index = (unsigned)(b - r->buffer);
	struct import_loss l = {.ts0 = b->last[cpu] ? b->last[cpu] : r->first_ts,
		.ts1 = record->ts,
		.n = record->missed_events > 0 ? (uint64_t)record->missed_events : 0,
		.task = HOST_TASK_CPU | index << 16 | cpu,
		.cpu = cpu};

	if (l.ts0 > l.ts1)
		l.ts0 = l.ts1;
	if (first_time(r, l.task))
		announce(r, l.task, b->name);
	import_write_after(&r->to, IMPORT_LOSS, &l, sizeof(l));
}

static struct buffer *buffer_of(struct reader *r, struct tracecmd_input *handle)
{
	for (unsigned i = 0; i < r->buffers; i++)
		if (r->buffer[i].handle == handle)
			return &r->buffer[i];
	return &r->buffer[0];
}

static int one_record(struct tracecmd_input *handle, struct tep_record *record, int cpu, void *ctx)
{
	struct reader *r = ctx;
	struct buffer *b = buffer_of(r, handle);
	struct host_event ev;

	(void)cpu; /* counts over all buffers; the record has its own */
	if (record->cpu < 0 || record->cpu >= CPUS)
		return 0;
	if (!r->first_ts)
		r->first_ts = record->ts;
	if (record->missed_events)
		loss(r, b, (unsigned)record->cpu, record);
	b->last[record->cpu] = record->ts;
	if (++r->records % 65536 == 0)
		import_alive();
	if (!host_decode(r->decoder, record, &ev))
		return r->to.error;
	name_task(r, ev.task); /* may send what there is: the batch begins anew */
	if (ev.rec.kind == EW_SCHED_SWITCH || ev.rec.kind == EW_SCHED_WAKING) {
		name_task(r, (uint32_t)ev.rec.a[0]);
		if (ev.rec.kind == EW_SCHED_SWITCH)
			name_task(r, (uint32_t)ev.rec.a[2]);
	}
	import_write_event(&r->to, &ev);
	return r->to.error;
}

/* --- the file ------------------------------------------------------------------------------- */

static bool add_buffer(struct reader *r, struct tracecmd_input *handle, const char *name)
{
	struct buffer *b = &r->buffer[r->buffers];

	if (!handle || r->buffers == BUFFERS)
		return false;
	*b = (struct buffer){handle, name ? name : "", calloc(CPUS, sizeof(*b->last))};
	if (!b->last)
		return false;
	r->buffers++;
	return true;
}

static void add_skipped(void *ctx, const char *system, const char *name, uint64_t records)
{
	struct reader *r = ctx;
	size_t used = strlen(r->skipped);

	snprintf(r->skipped + used, sizeof(r->skipped) - used, "%s%s:%s %llu", used ? ", " : "",
		system, name, (unsigned long long)records);
}

/* The file's clock, by the name of the CLOCK_ that it is, where it is one. */
static const char *clock_name(const char *clock, char *buf, size_t size)
{
	static const char *const posix[][2] = {{"mono", "CLOCK_MONOTONIC"},
		{"mono_raw", "CLOCK_MONOTONIC_RAW"}, {"boot", "CLOCK_BOOTTIME"},
		{"tai", "CLOCK_TAI"}};

	for (size_t i = 0; i < sizeof(posix) / sizeof(posix[0]); i++)
		if (clock && !strcmp(clock, posix[i][0]))
			return posix[i][1];
	snprintf(buf, size, "ftrace clock %s", clock && *clock ? clock : "of unknown name");
	return buf;
}

/* The kernel's own counts of what its buffers lost, summed over the CPUs. */
static void cpustats(struct reader *r, const char *stats, const char *line, const char *key)
{
	unsigned long long sum = 0;
	char text[24];

	for (const char *p = stats ? strstr(stats, line) : NULL; p; p = strstr(p + 1, line))
		sum += strtoull(p + strlen(line), NULL, 10);
	snprintf(text, sizeof(text), "%llu", sum);
	if (sum)
		import_write_meta(&r->to, key, text);
}

static void describe(struct reader *r, struct tracecmd_input *top)
{
	char text[64];

	import_write_meta(&r->to, "clock",
		clock_name(tracecmd_get_trace_clock ? tracecmd_get_trace_clock(top) : NULL, text,
			sizeof(text)));
	if (tracecmd_get_in_file_version) {
		snprintf(text, sizeof(text), "%lu", tracecmd_get_in_file_version(top));
		import_write_meta(&r->to, "import.format", text);
	}
	if (tracecmd_get_version)
		import_write_meta(&r->to, "import.trace_cmd", tracecmd_get_version(top));
	if (tracecmd_get_uname)
		import_write_meta(&r->to, "host_kernel", tracecmd_get_uname(top));
	if (tracecmd_get_cpustats) {
		cpustats(r, tracecmd_get_cpustats(top), "\noverrun: ", "import.overrun");
		cpustats(r, tracecmd_get_cpustats(top), "\ndropped events: ", "import.dropped");
	}
	for (unsigned i = 1; i < r->buffers; i++) {
		snprintf(text, sizeof(text), "import.buffer.%u", i);
		import_write_meta(&r->to, text, r->buffer[i].name);
	}
}

static int read_file(struct reader *r, struct tracecmd_input *top)
{
	struct tracecmd_input *handles[BUFFERS];
	struct err e = {""};
	int ret = host_decoder_create(&r->decoder, tracecmd_get_tep(top), &e);

	if (!add_buffer(r, top, "") || ret)
		return -ENOMEM;
	for (int i = 0; i < tracecmd_buffer_instances(top); i++)
		add_buffer(r, tracecmd_buffer_instance_handle(top, i),
			tracecmd_buffer_instance_name(top, i));
	for (unsigned i = 0; i < r->buffers; i++)
		handles[i] = r->buffer[i].handle;
	describe(r, top);
	ret = tracecmd_iterate_events_multi(handles, (int)r->buffers, one_record, r);
	import_write_events(&r->to);
	host_decoder_skipped(r->decoder, add_skipped, r);
	import_write_meta(&r->to, "import.not_imported", r->skipped);
	return ret;
}

int import_read(const struct import_reader *reader, int out, struct import_ring *ring)
{
	struct reader *r = calloc(1, sizeof(*r));
	struct tracecmd_input *top;
	int in = reader->in;

	if (!r || !(r->named = calloc(2, TASKS / 8)))
		return -ENOMEM;
	r->to.out = out;
	r->to.ring = ring;
	r->to.batch = ring->batch;
	import_alive();
	tracecmd_set_loglevel(TEP_LOG_NONE);
	tep_set_loglevel(TEP_LOG_NONE);
	if (reader->mend)
		in = import_mend(in);
	top = in < 0 ? NULL : tracecmd_open_fd(in, TRACECMD_FL_LOAD_NO_PLUGINS);
	if (!top)
		import_write_damage(&r->to, "libtracecmd cannot open it");
	else if (read_file(r, top) < 0 && !r->to.error)
		import_write_damage(&r->to, "libtracecmd stops in the middle of it");
	else if (reader->mend)
		import_write_damage(&r->to, "its end is missing");
	import_write(&r->to, IMPORT_END, NULL, 0);
	return r->to.error;
}
