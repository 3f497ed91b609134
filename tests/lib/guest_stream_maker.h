/* SPDX-License-Identifier: MIT */
/*
 * Makes what a guest's agent sends (tracer/guest_stream.h), with the formats that Linux 6.1 has for these tracepoints;
 * pages by trace_dat.h.
 */
#ifndef EXITWALK_TESTS_GUEST_STREAM_MAKER_H
#define EXITWALK_TESTS_GUEST_STREAM_MAKER_H

#include "tests/lib/trace_dat.h"
#include "tracer/guest_stream.h"

#define GS_CPUS 4
#define GS_VP_NOTIFY 0xffffffffc0301000u
#define GS_QUEUE_RQ 0xffffffff81700000u
#define GS_DISPATCH 0xffffffff81600000u

enum gs_id {
	GS_FUNCTION = 1,
	GS_ENTER = 342,
	GS_EXIT,
	GS_BIO,
	GS_INSERT,
	GS_ISSUE,
	GS_COMPLETE,
	GS_QUEUE,
	GS_START,
	GS_END,
	GS_SWITCH,
	GS_WAKING,
	GS_IRQ,
	GS_IRQ_RET,
	GS_SOFTIRQ,
	GS_SOFTIRQ_RET,
	GS_OTHER
};

#define GS_HEAD(name, id)                                                                          \
	"name: " name "\nID: " #id "\nformat:\n"                                                   \
	"\tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;\n"                     \
	"\tfield:unsigned char common_flags;\toffset:2;\tsize:1;\tsigned:0;\n"                     \
	"\tfield:unsigned char common_preempt_count;\toffset:3;\tsize:1;\tsigned:0;\n"             \
	"\tfield:int common_pid;\toffset:4;\tsize:4;\tsigned:1;\n\n"
#define GS_F(decl, offset, size, sign)                                                             \
	"\tfield:" decl ";\toffset:" #offset ";\tsize:" #size ";\tsigned:" #sign ";\n"
#define GS_TAIL "\nprint fmt: \"%d\", REC->common_pid\n"
#define GS_RQ(tail)                                                                                \
	GS_F("dev_t dev", 8, 4, 0)                                                                 \
	GS_F("sector_t sector", 16, 8, 0) GS_F("unsigned int nr_sector", 24, 4, 0) tail

static const char *const gs_formats[] = {
	"ftrace/function\n" GS_HEAD("function", 1) GS_F("unsigned long ip", 8, 8, 0)
		GS_F("unsigned long parent_ip", 16, 8, 0) GS_TAIL,
	"raw_syscalls/sys_enter\n" GS_HEAD("sys_enter", 342) GS_F("long id", 8, 8, 1)
		GS_F("unsigned long args[6]", 16, 48, 0) GS_TAIL,
	"raw_syscalls/sys_exit\n" GS_HEAD("sys_exit", 343) GS_F("long id", 8, 8, 1)
		GS_F("long ret", 16, 8, 1) GS_TAIL,
	"block/block_bio_queue\n" GS_HEAD("block_bio_queue", 344)
		GS_RQ(GS_F("char rwbs[8]", 28, 8, 0) GS_F("char comm[16]", 36, 16, 0)) GS_TAIL,
	"block/block_rq_insert\n" GS_HEAD("block_rq_insert", 345)
		GS_RQ(GS_F("unsigned int bytes", 28, 4, 0) GS_F("char rwbs[8]", 32, 8, 0)) GS_TAIL,
	"block/block_rq_issue\n" GS_HEAD("block_rq_issue", 346)
		GS_RQ(GS_F("unsigned int bytes", 28, 4, 0) GS_F("char rwbs[8]", 32, 8, 0)) GS_TAIL,
	"block/block_rq_complete\n" GS_HEAD("block_rq_complete", 347)
		GS_RQ(GS_F("int error", 28, 4, 1) GS_F("char rwbs[8]", 32, 8, 0)) GS_TAIL,
	"workqueue/workqueue_queue_work\n" GS_HEAD("workqueue_queue_work", 348)
		GS_F("void * work", 8, 8, 0) GS_F("void * function", 16, 8, 0)
			GS_F("__data_loc char[] workqueue", 24, 4, 0) GS_F("int req_cpu", 28, 4, 1)
				GS_F("int cpu", 32, 4, 1) GS_TAIL,
	"workqueue/workqueue_execute_start\n" GS_HEAD("workqueue_execute_start", 349)
		GS_F("void * work", 8, 8, 0) GS_F("void * function", 16, 8, 0) GS_TAIL,
	"workqueue/workqueue_execute_end\n" GS_HEAD("workqueue_execute_end", 350)
		GS_F("void * work", 8, 8, 0) GS_F("void * function", 16, 8, 0) GS_TAIL,
	"sched/sched_switch\n" GS_HEAD("sched_switch", 351) GS_F("char prev_comm[16]", 8, 16, 0)
		GS_F("pid_t prev_pid", 24, 4, 1) GS_F("int prev_prio", 28, 4, 1) GS_F(
			"long prev_state", 32, 8, 1) GS_F("char next_comm[16]", 40, 16, 0)
			GS_F("pid_t next_pid", 56, 4, 1) GS_F("int next_prio", 60, 4, 1) GS_TAIL,
	"sched/sched_waking\n" GS_HEAD("sched_waking", 352) GS_F("char comm[16]", 8, 16, 0)
		GS_F("pid_t pid", 24, 4, 1) GS_F("int prio", 28, 4, 1)
			GS_F("int target_cpu", 32, 4, 1) GS_TAIL,
	"irq/irq_handler_entry\n" GS_HEAD("irq_handler_entry", 353) GS_F("int irq", 8, 4, 1)
		GS_F("__data_loc char[] name", 12, 4, 0) GS_TAIL,
	"irq/irq_handler_exit\n" GS_HEAD("irq_handler_exit", 354) GS_F("int irq", 8, 4, 1)
		GS_F("int ret", 12, 4, 1) GS_TAIL,
	"irq/softirq_entry\n" GS_HEAD("softirq_entry", 355) GS_F("unsigned int vec", 8, 4, 0)
		GS_TAIL,
	"irq/softirq_exit\n" GS_HEAD("softirq_exit", 356) GS_F("unsigned int vec", 8, 4, 0) GS_TAIL,
	"power/cpu_idle\n" GS_HEAD("cpu_idle", 357) GS_F("u32 state", 8, 4, 0) GS_TAIL,
};

static const char gs_kallsyms[] = "ffffffff81600000 T blk_mq_dispatch_rq_list\n"
				  "ffffffff81600400 t after_it\n"
				  "ffffffff81700000 t virtio_queue_rq\n"
				  "ffffffff81701000 t vring_interrupt\n"
				  "ffffffffc0301000 t vp_notify\t[virtio_pci]\n"
				  "ffffffffc0302000 t the_end\t[virtio_pci]\n";

/* The bytes of the stream so far. */
struct gs {
	uint8_t *bytes;
	size_t len, cap;
	uint32_t number;
	struct td_stream cpu[GS_CPUS]; /* pages that are not sent yet */
};

static inline void gs_free(struct gs *g)
{
	for (int i = 0; i < GS_CPUS; i++)
		free(g->cpu[i].page);
	free(g->bytes);
	memset(g, 0, sizeof(*g));
}

static inline void gs_bytes(struct gs *g, const void *data, size_t len)
{
	if (g->len + len > g->cap) {
		g->cap = 2 * (g->len + len);
		g->bytes = realloc(g->bytes, g->cap);
		if (!g->bytes)
			abort();
	}
	if (len)
		memcpy(g->bytes + g->len, data, len);
	g->len += len;
}

static inline void gs_chunk(
	struct gs *g, enum guest_stream_type type, unsigned cpu, const void *data, size_t len)
{
	const struct guest_stream_header h = {
		GUEST_STREAM_MAGIC, (uint16_t)type, (uint16_t)cpu, (uint32_t)len, g->number++};

	gs_bytes(g, &h, sizeof(h));
	gs_bytes(g, data, len);
}

static inline void gs_text(
	struct gs *g, enum guest_stream_type type, unsigned cpu, const char *text)
{
	gs_chunk(g, type, cpu, text, strlen(text));
}

static inline void gs_hello(struct gs *g, const char *clock)
{
	struct guest_stream_hello h = {
		.version = GUEST_STREAM_VERSION, .page_size = TD_PAGE, .cpus = 1, .pid = 90};

	snprintf(h.clock, sizeof(h.clock), "%s", clock);
	snprintf(h.release, sizeof(h.release), "6.1.0-test");
	gs_chunk(g, GUEST_STREAM_HELLO, GUEST_STREAM_NO_CPU, &h, sizeof(h));
}

/* What comes before the first page. */
static inline void gs_begin(struct gs *g)
{
	gs_hello(g, "x86-tsc");
	for (size_t i = 0; i < sizeof(gs_formats) / sizeof(gs_formats[0]); i++)
		gs_text(g, GUEST_STREAM_FORMAT, GUEST_STREAM_NO_CPU, gs_formats[i]);
}

static inline void gs_mark(struct gs *g, unsigned cpu, uint64_t tsc)
{
	const struct guest_stream_mark m = {tsc};

	gs_chunk(g, GUEST_STREAM_MARK, cpu, &m, sizeof(m));
}

/* A record: its common fields; the others are put by gs_put(). */
struct gs_record {
	uint8_t data[112];
	size_t len;
};

static inline struct gs_record gs_record(enum gs_id id, int pid, unsigned flags)
{
	struct gs_record r = {.len = 8};
	const uint16_t type = (uint16_t)id;

	memcpy(r.data, &type, 2);
	r.data[2] = (uint8_t)flags;
	memcpy(r.data + 4, &pid, 4);
	return r;
}

static inline void gs_put(struct gs_record *r, size_t offset, size_t size, uint64_t value)
{
	memcpy(r->data + offset, &value, size);
	if (offset + size > r->len)
		r->len = offset + size;
}

static inline void gs_letters(struct gs_record *r, size_t offset, size_t size, const char *text)
{
	snprintf((char *)r->data + offset, size, "%s", text);
	if (offset + size > r->len)
		r->len = offset + size;
}

static inline void gs_add(struct gs *g, unsigned cpu, uint64_t tsc, const struct gs_record *r)
{
	td_append(&g->cpu[cpu], tsc, r->data, (r->len + 3) & ~(size_t)3);
}

/* Sends the pages that each CPU has. */
static inline void gs_pages(struct gs *g)
{
	for (unsigned c = 0; c < GS_CPUS; c++) {
		struct td_stream *s = &g->cpu[c];

		for (size_t p = 0; p < s->pages; p++)
			gs_chunk(g, GUEST_STREAM_PAGE, c, s->page + p * TD_PAGE, TD_PAGE);
		s->pages = 0;
	}
}

static inline void gs_end(struct gs *g)
{
	gs_pages(g);
	gs_text(g, GUEST_STREAM_END, GUEST_STREAM_NO_CPU, "");
}

/* --- events ------------------------------------------------------------------------------------ */

static inline void gs_func(
	struct gs *g, unsigned cpu, uint64_t tsc, int pid, uint64_t ip, uint64_t parent)
{
	struct gs_record r = gs_record(GS_FUNCTION, pid, 0);

	gs_put(&r, 8, 8, ip);
	gs_put(&r, 16, 8, parent);
	gs_add(g, cpu, tsc, &r);
}

/* sys_exit has one value, its result; sys_enter up to six. */
static inline void gs_syscall(
	struct gs *g, unsigned cpu, uint64_t tsc, int pid, bool enter, uint64_t nr, uint64_t value)
{
	struct gs_record r = gs_record(enter ? GS_ENTER : GS_EXIT, pid, 0);

	gs_put(&r, 8, 8, nr);
	gs_put(&r, 16, 8, value);
	for (unsigned i = 1; enter && i < 6; i++)
		gs_put(&r, 16 + 8 * i, 8, i);
	gs_add(g, cpu, tsc, &r);
}

/* GS_BIO … GS_COMPLETE; value: bytes, or error. */
static inline void gs_block(struct gs *g, unsigned cpu, uint64_t tsc, int pid, enum gs_id id,
	uint64_t sector, unsigned sectors, uint64_t value)
{
	struct gs_record r = gs_record(id, pid, 0);

	gs_put(&r, 8, 4, 0xfe00000);
	gs_put(&r, 16, 8, sector);
	gs_put(&r, 24, 4, sectors);
	if (id != GS_BIO)
		gs_put(&r, 28, 4, value);
	gs_letters(&r, id == GS_BIO ? 28 : 32, 8, "WS");
	gs_add(g, cpu, tsc, &r);
}

/* GS_QUEUE, GS_START, GS_END */
static inline void gs_work(struct gs *g, unsigned cpu, uint64_t tsc, int pid, enum gs_id id,
	uint64_t work, uint64_t function)
{
	struct gs_record r = gs_record(id, pid, 0);

	gs_put(&r, 8, 8, work);
	gs_put(&r, 16, 8, function);
	if (id == GS_QUEUE)
		gs_put(&r, 32, 4, cpu);
	gs_add(g, cpu, tsc, &r);
}

static inline void gs_switch(struct gs *g, unsigned cpu, uint64_t tsc, int prev,
	const char *prev_comm, uint64_t state, int next, const char *next_comm)
{
	struct gs_record r = gs_record(GS_SWITCH, prev, 0);

	gs_letters(&r, 8, 16, prev_comm);
	gs_put(&r, 24, 4, (uint32_t)prev);
	gs_put(&r, 32, 8, state);
	gs_letters(&r, 40, 16, next_comm);
	gs_put(&r, 56, 4, (uint32_t)next);
	gs_put(&r, 60, 4, 120);
	gs_add(g, cpu, tsc, &r);
}

static inline void gs_waking(
	struct gs *g, unsigned cpu, uint64_t tsc, int by, unsigned flags, int pid, const char *comm)
{
	struct gs_record r = gs_record(GS_WAKING, by, flags);

	gs_letters(&r, 8, 16, comm);
	gs_put(&r, 24, 4, (uint32_t)pid);
	gs_put(&r, 32, 4, cpu);
	gs_add(g, cpu, tsc, &r);
}

/* GS_IRQ, GS_IRQ_RET, GS_SOFTIRQ, GS_SOFTIRQ_RET, GS_OTHER */
static inline void gs_irq(struct gs *g, unsigned cpu, uint64_t tsc, int pid, unsigned flags,
	enum gs_id id, uint64_t number, uint64_t ret)
{
	struct gs_record r = gs_record(id, pid, flags);

	gs_put(&r, 8, 4, number);
	if (id == GS_IRQ || id == GS_IRQ_RET)
		gs_put(&r, 12, 4, ret);
	gs_add(g, cpu, tsc, &r);
}

#endif
