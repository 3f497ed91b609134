/* SPDX-License-Identifier: MIT */
/* From the chunks of a guest's agent to events of the guest's kernel. */
#include "guest_decode.h"

#include <errno.h>
#include <kbuffer.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "guest_page.h"
#include "guest_texts.h"
#include "host_decode.h"
#include "symbol_file.h"
#include "u64_map.h"

#define TASKS_MAX (1u << 16)
#define PLACES_MAX (1u << 20)
#define FORMATS_MAX 4096u /* libtraceevent moves all that it has for each one that comes */

/* The buffer of one of the guest's CPUs. */
struct cpu {
	bool seen;            /* a page of it has come */
	bool gap;             /* something of the stream was lost since its last page */
	bool uncounted;       /* one of its losses has no number */
	uint64_t first, last; /* TSC of its first and last record */
	uint64_t missed;      /* records that its pages say are missing */
	uint64_t events, damaged;
};

struct comm {
	char name[16];
};

struct guest_decoder {
	const struct guest_sink *sink;
	struct tep_handle *tep;
	struct kbuffer *kbuf;
	struct host_decoder *records;
	struct ksyms syms;
	struct cpu cpu[GUEST_CPUS];
	struct u64_map task; /* pid → comm[value - 1] */
	struct comm *comm;
	size_t comms, comms_cap;
	struct u64_map place; /* (address, enum guest_name) that was named */
	struct guest_texts texts;
	bool hello, ended;
	uint64_t records_n, pages, overrun, dropped, formats;
	int error; /* of learn(), which cannot say it */
};

/* --- names ----------------------------------------------------------------------------------- */

/* What sched tracepoints call a task: the last name counts, since execve() gives a new one. */
static void learn(void *ctx, int pid, const char *name, size_t len)
{
	struct guest_decoder *d = ctx;
	struct comm new = {""};
	uint64_t *at;

	if (pid <= 0 || d->error)
		return;
	guest_text_clean(new.name, sizeof(new.name), name, len);
	at = u64_map_find(&d->task, (uint64_t)pid);
	if (!at && d->task.n >= TASKS_MAX)
		return;
	if (at && !strcmp(d->comm[*at - 1].name, new.name))
		return;
	if (!at) {
		struct comm *more = d->comm;

		if (d->comms == d->comms_cap) {
			d->comms_cap = d->comms_cap ? 2 * d->comms_cap : 64;
			more = reallocarray(d->comm, d->comms_cap, sizeof(*more));
		}
		at = more ? u64_map_put(&d->task, (uint64_t)pid) : NULL;
		if (more)
			d->comm = more;
		if (!at) {
			d->error = -ENOMEM;
			return;
		}
		*at = ++d->comms;
	}
	d->comm[*at - 1] = new;
	d->error = d->sink->name(d->sink->ctx, GUEST_NAME_PID, (uint64_t)pid, new.name);
}

/* Of tasks that no event has named. */
static void learn_saved(void *ctx, int pid, const char *name, size_t len)
{
	struct guest_decoder *d = ctx;

	if (!u64_map_find(&d->task, (uint64_t)pid))
		learn(d, pid, name, len);
}

/* Says once what an address is called, if the guest has sent its symbols. */
static int name_address(struct guest_decoder *d, enum guest_name what, uint64_t addr)
{
	uint64_t size, *known, key = addr << 1 | (what == GUEST_NAME_PLACE);
	const struct ksym *y;
	char name[KSYMS_NAME_MAX + 96];

	/* No address of all ones is a function's, and no key of a map. */
	if (!d->syms.n || !addr || key == UINT64_MAX || d->place.n >= PLACES_MAX)
		return 0;
	known = u64_map_put(&d->place, key);
	if (!known)
		return -ENOMEM;
	if ((*known)++)
		return 0;
	y = ksyms_by_addr(&d->syms, addr, &size);
	if (!y)
		return 0;
	guest_text_symbol(
		name, sizeof(name), &d->syms, y, what == GUEST_NAME_PLACE ? addr : y->addr);
	return d->sink->name(d->sink->ctx, what, addr, name);
}

static int name_all(struct guest_decoder *d, const struct ew_rec *rec)
{
	int ret = 0;

	if (rec->kind == EW_GUEST_FUNC) {
		ret = name_address(d, GUEST_NAME_FUNC, rec->a[0]);
		if (!ret)
			ret = name_address(d, GUEST_NAME_PLACE, rec->a[1]);
	} else if (rec->kind == EW_GUEST_WORK_QUEUE || rec->kind == EW_GUEST_WORK_START ||
		   rec->kind == EW_GUEST_WORK_END) {
		ret = name_address(d, GUEST_NAME_FUNC, rec->a[1]);
	}
	return ret ? ret : d->error;
}

/* --- pages ----------------------------------------------------------------------------------- */

/* Records are missing in front of the one at ts. */
static int lost_before(struct guest_decoder *d, unsigned cpu, uint64_t ts, int missed)
{
	struct cpu *c = &d->cpu[cpu];
	uint64_t n = missed > 0 && !c->gap ? (uint64_t)missed : 0;

	if (missed > 0)
		c->missed += (uint64_t)missed;
	c->uncounted |= !n;
	c->gap = false;
	return d->sink->loss(d->sink->ctx, cpu, c->seen ? c->last : ts, ts, n);
}

static int one_record(struct guest_decoder *d, unsigned cpu, struct tep_record *record)
{
	struct cpu *c = &d->cpu[cpu];
	struct host_event ev;
	int ret;

	if (!c->seen)
		c->first = record->ts;
	c->seen = true;
	c->last = record->ts;
	d->records_n++;
	if (!host_decode(d->records, record, &ev))
		return d->error;
	c->events++;
	ret = name_all(d, &ev.rec);
	return ret ? ret : d->sink->event(d->sink->ctx, &ev);
}

static int take_page(struct guest_decoder *d, const struct guest_chunk *chunk)
{
	unsigned cpu = chunk->header.cpu;
	struct tep_record record = {.cpu = (int)cpu};
	struct cpu *c = &d->cpu[cpu < GUEST_CPUS ? cpu : 0];
	unsigned long long ts;
	int missed, ret = 0;

	d->pages++;
	if (cpu >= GUEST_CPUS || !guest_page_whole(chunk->data, chunk->header.len) ||
		kbuffer_load_subbuffer(d->kbuf, (void *)(uintptr_t)chunk->data)) {
		c->damaged++;
		c->gap = true;
		return 0;
	}
	missed = kbuffer_missed_events(d->kbuf);
	for (record.data = kbuffer_read_event(d->kbuf, &ts); record.data && !ret;
		record.data = kbuffer_next_event(d->kbuf, &ts)) {
		record.ts = ts;
		record.size = kbuffer_event_size(d->kbuf);
		if (missed || c->gap)
			ret = lost_before(d, cpu, ts, missed);
		missed = 0;
		if (!ret)
			ret = one_record(d, cpu, &record);
	}
	return ret;
}

/* --- the other chunks -------------------------------------------------------------------------- */

static int meta(struct guest_decoder *d, const char *key, const char *value)
{
	return d->sink->meta(d->sink->ctx, key, value);
}

static int meta_number(struct guest_decoder *d, const char *key, uint64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
	return meta(d, key, text);
}

static int take_hello(struct guest_decoder *d, const struct guest_chunk *c)
{
	struct guest_stream_hello h;
	char text[96];
	int ret;

	if (c->header.len < sizeof(h))
		return 0;
	memcpy(&h, c->data, sizeof(h));
	d->hello = true;
	guest_text_clean(text, sizeof(h.clock) + 1, h.clock, sizeof(h.clock));
	ret = meta(d, "guest_trace.trace_clock", text);
	guest_text_clean(text, sizeof(h.release) + 1, h.release, sizeof(h.release));
	if (!ret)
		ret = meta(d, "guest_trace.kernel", text);
	if (!ret)
		ret = meta_number(d, "guest_trace.agent_pid", h.pid);
	if (!ret && h.version != GUEST_STREAM_VERSION)
		ret = meta_number(d, "guest_trace.unknown_version", h.version);
	return ret;
}

/* "system/event\n", then the text of its format file. */
static void take_format(struct guest_decoder *d, const struct guest_chunk *c)
{
	const char *text = (const char *)c->data, *slash, *nl;
	char system[64];

	nl = memchr(text, '\n', c->header.len);
	slash = nl ? memchr(text, '/', (size_t)(nl - text)) : NULL;
	if (!slash || (size_t)(slash - text) >= sizeof(system) || d->formats++ >= FORMATS_MAX)
		return;
	snprintf(system, sizeof(system), "%.*s", (int)(slash - text), text);
	tep_parse_event(d->tep, nl + 1, c->header.len - (unsigned long)(nl + 1 - text), system);
}

/* Without them the addresses are named by what else is known of the guest's kernel. */
static void take_symbols(struct guest_decoder *d, const struct guest_chunk *c)
{
	struct ksyms more = {0};

	if (d->syms.n)
		return; /* one set is enough */
	if (symbol_file_read(&more, c->data, c->header.len, "the guest's kallsyms", NULL)) {
		ksyms_free(&more);
		return;
	}
	ksyms_sort(&more);
	d->syms = more;
}

static int take_mark(struct guest_decoder *d, const struct guest_chunk *c)
{
	struct guest_stream_mark m;

	if (c->header.len < sizeof(m) || c->header.cpu >= GUEST_CPUS)
		return 0;
	memcpy(&m, c->data, sizeof(m));
	return d->sink->mark(d->sink->ctx, c->header.cpu, m.tsc, c->end);
}

/* per_cpu/cpuN/stats: what the buffer had to drop. Where no page says it, it was somewhere in all of its time. */
static int take_stats(struct guest_decoder *d, const struct guest_chunk *chunk)
{
	const char *text = (const char *)chunk->data;
	struct cpu *c = &d->cpu[chunk->header.cpu < GUEST_CPUS ? chunk->header.cpu : 0];
	uint64_t overrun = guest_text_number(text, "overrun");
	uint64_t lost = overrun + guest_text_number(text, "dropped events") +
			guest_text_number(text, "commit overrun");

	d->overrun += overrun;
	d->dropped += lost - overrun;
	if (c->uncounted || lost <= c->missed)
		return 0;
	lost -= c->missed;
	c->missed += lost;
	return d->sink->loss(
		d->sink->ctx, chunk->header.cpu, c->first, c->seen ? c->last : UINT64_MAX, lost);
}

int guest_decoder_chunk(void *decoder, const struct guest_chunk *c)
{
	struct guest_decoder *d = decoder;
	const char *text = (const char *)c->data;

	switch (c->header.type) {
	case GUEST_STREAM_HELLO:
		return take_hello(d, c);
	case GUEST_STREAM_FORMAT:
		take_format(d, c);
		return 0;
	case GUEST_STREAM_SYMBOLS:
		take_symbols(d, c);
		return 0;
	case GUEST_STREAM_PAGE:
		return take_page(d, c);
	case GUEST_STREAM_MARK:
		return take_mark(d, c);
	case GUEST_STREAM_CMDLINES:
		guest_text_tasks(text, c->header.len, learn_saved, d);
		return d->error;
	case GUEST_STREAM_STATS:
		return take_stats(d, c);
	case GUEST_STREAM_FUNCTIONS:
		guest_texts_add(&d->texts.functions, text, c->header.len, " ");
		return 0;
	case GUEST_STREAM_MISSING:
		guest_texts_add(&d->texts.missing, text, c->header.len, "; ");
		return 0;
	case GUEST_STREAM_END:
		d->ended = true;
		return 0;
	default: /* a newer agent's, or nothing to decode */
		return 0;
	}
}

int guest_decoder_gap(void *decoder)
{
	struct guest_decoder *d = decoder;

	for (unsigned i = 0; i < GUEST_CPUS; i++)
		d->cpu[i].gap = true;
	return 0;
}

/* --- beginning and end ------------------------------------------------------------------------- */

int guest_decoder_create(struct guest_decoder **out, const struct guest_sink *sink, struct err *e)
{
	struct guest_decoder *d = calloc(1, sizeof(*d));

	*out = d;
	if (!d)
		return err_set(e, -ENOMEM, "out of memory");
	d->sink = sink;
	tep_set_loglevel(TEP_LOG_NONE);
	d->tep = tep_alloc();
	d->kbuf = kbuffer_alloc(KBUFFER_LSIZE_8, KBUFFER_ENDIAN_LITTLE);
	if (!d->tep || !d->kbuf || host_decoder_create(&d->records, d->tep, e)) {
		guest_decoder_destroy(d);
		*out = NULL;
		return err_set(e, -ENOMEM, "out of memory");
	}
	tep_set_long_size(d->tep, 8);
	host_decoder_guest(d->records, learn, d);
	return 0;
}

void guest_decoder_destroy(struct guest_decoder *d)
{
	if (!d)
		return;
	host_decoder_destroy(d->records);
	kbuffer_free(d->kbuf);
	tep_free(d->tep);
	ksyms_free(&d->syms);
	u64_map_free(&d->task);
	u64_map_free(&d->place);
	free(d->comm);
	free(d);
}

static void add_skipped(void *ctx, const char *system, const char *name, uint64_t records)
{
	struct guest_decoder *d = ctx;
	char text[192];
	int n = snprintf(
		text, sizeof(text), "%s:%s %llu\n", system, name, (unsigned long long)records);

	guest_texts_add(&d->texts.skipped, text,
		(size_t)n < sizeof(text) ? (size_t)n : sizeof(text) - 1, ", ");
}

/* What did not come after the last page of each CPU: all of it, without an END. */
static int lost_at_end(struct guest_decoder *d)
{
	int ret = 0;

	for (unsigned i = 0; !ret && i < GUEST_CPUS; i++)
		if (d->cpu[i].seen && (d->cpu[i].gap || !d->ended))
			ret = d->sink->loss(d->sink->ctx, i, d->cpu[i].last, UINT64_MAX, 0);
	return ret;
}

int guest_decoder_end(struct guest_decoder *d, const struct guest_chunks *c)
{
	uint64_t damaged = 0;
	int ret = lost_at_end(d);

	for (unsigned i = 0; i < GUEST_CPUS; i++)
		damaged += d->cpu[i].damaged;
	host_decoder_skipped(d->records, add_skipped, d);
	const struct {
		const char *key;
		uint64_t value;
		bool always;
	} number[] = {
		{"guest_trace.chunks", c->chunks, true},
		{"guest_trace.pages", d->pages, true},
		{"guest_trace.records", d->records_n, true},
		{"guest_trace.gaps", c->gaps, false},
		{"guest_trace.bytes_not_understood", c->skipped, false},
		{"guest_trace.pages_damaged", damaged, false},
		{"guest_trace.overrun", d->overrun, false},
		{"guest_trace.dropped", d->dropped, false},
	};
	const struct {
		const char *key, *value;
	} text[] = {
		{"guest_trace.functions", d->texts.functions.text},
		{"guest_trace.missing", d->texts.missing.text},
		{"guest_trace.not_recorded", d->texts.skipped.text},
		{"guest_trace.end", d->ended   ? "the agent said so"
				    : d->hello ? "missing: the agent was ended, or the run was"
					       : "missing: no agent has spoken"},
	};

	for (size_t i = 0; !ret && i < sizeof(number) / sizeof(number[0]); i++)
		if (number[i].always || number[i].value)
			ret = meta_number(d, number[i].key, number[i].value);
	for (size_t i = 0; !ret && i < sizeof(text) / sizeof(text[0]); i++)
		if (*text[i].value)
			ret = meta(d, text[i].key, text[i].value);
	return ret;
}
