/* SPDX-License-Identifier: MIT */
/*
 * Writes trace.dat files, version 6 and 7 (trace-cmd.dat.v6(5), trace-cmd.dat.v7(5)), with the tracepoints
 * that a test needs: several CPUs, several buffers, lost records. The formats are this file's own, with
 * other offsets than any kernel's: a reader must go by the fields' names.
 */
#ifndef EXITWALK_TESTS_TRACE_DAT_H
#define EXITWALK_TESTS_TRACE_DAT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TD_PAGE 4096
#define TD_PAGE_HEADER 16
#define TD_FIELDS 8
#define TD_CPUS 4
#define TD_BUFFERS 3

enum td_id {
	TD_ENTRY = 300,
	TD_EXIT,
	TD_PIO,
	TD_USERSPACE_EXIT,
	TD_MSI,
	TD_INJ,
	TD_SYS_ENTER_IOCTL,
	TD_SYS_EXIT_IOCTL,
	TD_SYS_ENTER_PWRITE,
	TD_SYS_EXIT_PWRITE,
	TD_RAW_ENTER,
	TD_RAW_EXIT,
	TD_SWITCH,
	TD_WAKING,
	TD_ISSUE,
	TD_UNKNOWN,
	TD_EMULATE,
	TD_MMIO,
	TD_FAST_MMIO,
	TD_FUNCTION, /* the function tracer, and a return probe: in no file */
	TD_RETURN,
	TD_IDS
};

struct td_field {
	const char *type, *name, *array; /* array: "[16]" or "" */
	int size;                        /* bytes in all */
	bool is_signed;
};

static const struct td_format {
	enum td_id id;
	const char *system, *name;
	struct td_field field[TD_FIELDS];
	const char *print; /* as in a kernel; NULL: something short */
} td_formats[] = {
	{TD_ENTRY, "kvm", "kvm_entry",
		{{"unsigned long", "rip", "", 8, 0}, {"unsigned int", "vcpu_id", "", 4, 0}},
		"\"vcpu %u, rip 0x%lx\", REC->vcpu_id, REC->rip"},
	{TD_EXIT, "kvm", "kvm_exit",
		{{"u64", "info2", "", 8, 0}, {"u64", "info1", "", 8, 0}, {"u32", "isa", "", 4, 0},
			{"unsigned int", "exit_reason", "", 4, 0},
			{"unsigned long", "guest_rip", "", 8, 0}, {"u32", "intr_info", "", 4, 0},
			{"unsigned int", "vcpu_id", "", 4, 0}},
		NULL},
	{TD_PIO, "kvm", "kvm_pio",
		{{"unsigned int", "val", "", 4, 0}, {"unsigned int", "rw", "", 4, 0},
			{"unsigned int", "port", "", 4, 0}, {"unsigned int", "size", "", 4, 0},
			{"unsigned int", "count", "", 4, 0}},
		"\"pio_%s at 0x%x size %d count %d val 0x%x\", REC->rw ? \"write\" : \"read\", REC->port,"
		" REC->size, REC->count, REC->val"},
	{TD_USERSPACE_EXIT, "kvm", "kvm_userspace_exit",
		{{"__u32", "reason", "", 4, 0}, {"int", "errno", "", 4, 1}},
		"\"reason %s (%d)\", REC->errno < 0 ? (REC->errno == -4 ? \"restart\" : \"error\") :"
		" __print_symbolic(REC->reason, { 0, \"KVM_EXIT_UNKNOWN\" }, { 1, \"KVM_EXIT_EXCEPTION\" },"
		" { 2, \"KVM_EXIT_IO\" }, { 5, \"KVM_EXIT_HLT\" }, { 6, \"KVM_EXIT_MMIO\" }),"
		" REC->errno < 0 ? -REC->errno : REC->reason"},
	{TD_MSI, "kvm", "kvm_msi_set_irq",
		{{"u64", "address", "", 8, 0}, {"u64", "data", "", 8, 0}},
		"\"dst %llx vec %u (%s|%s)\", (REC->address >> 12) & 0xff, (unsigned char)(REC->data),"
		" __print_symbolic((REC->data >> 8 & 0x7), {0x0, \"Fixed\"}, {0x1, \"LowPrio\"}),"
		" (REC->address & 4) ? \"logical\" : \"physical\""},
	{TD_INJ, "kvm", "kvm_inj_virq",
		{{"unsigned int", "vector", "", 4, 0}, {"bool", "soft", "", 1, 0},
			{"bool", "reinjected", "", 1, 0}},
		"\"IRQ 0x%x%s%s\", REC->vector, REC->soft ? \" [soft]\" : \"\","
		" REC->reinjected ? \" [reinjected]\" : \"\""},
	{TD_SYS_ENTER_IOCTL, "syscalls", "sys_enter_ioctl",
		{{"int", "__syscall_nr", "", 4, 1}, {"unsigned int", "fd", "", 8, 0},
			{"unsigned int", "cmd", "", 8, 0}, {"unsigned long", "arg", "", 8, 0}},
		"\"fd: 0x%08lx, cmd: 0x%08lx, arg: 0x%08lx\", ((unsigned long)(REC->fd)),"
		" ((unsigned long)(REC->cmd)), ((unsigned long)(REC->arg))"},
	{TD_SYS_EXIT_IOCTL, "syscalls", "sys_exit_ioctl",
		{{"int", "__syscall_nr", "", 4, 1}, {"long", "ret", "", 8, 1}},
		"\"0x%lx\", REC->ret"},
	{TD_SYS_ENTER_PWRITE, "syscalls", "sys_enter_pwrite64",
		{{"int", "__syscall_nr", "", 4, 1}, {"unsigned int", "fd", "", 8, 0},
			{"const char *", "buf", "", 8, 0}, {"size_t", "count", "", 8, 0},
			{"loff_t", "pos", "", 8, 0}},
		"\"fd: 0x%08lx, buf: 0x%08lx, count: 0x%08lx, pos: 0x%08lx\", ((unsigned long)(REC->fd)),"
		" ((unsigned long)(REC->buf)), ((unsigned long)(REC->count)), ((unsigned long)(REC->pos))"},
	{TD_SYS_EXIT_PWRITE, "syscalls", "sys_exit_pwrite64",
		{{"int", "__syscall_nr", "", 4, 1}, {"long", "ret", "", 8, 1}},
		"\"0x%lx\", REC->ret"},
	{TD_RAW_ENTER, "raw_syscalls", "sys_enter",
		{{"long", "id", "", 8, 1}, {"unsigned long", "args", "[6]", 48, 0}}, NULL},
	{TD_RAW_EXIT, "raw_syscalls", "sys_exit",
		{{"long", "id", "", 8, 1}, {"long", "ret", "", 8, 1}}, NULL},
	{TD_SWITCH, "sched", "sched_switch",
		{{"char", "prev_comm", "[16]", 16, 1}, {"pid_t", "prev_pid", "", 4, 1},
			{"long", "prev_state", "", 8, 1}, {"char", "next_comm", "[16]", 16, 1},
			{"pid_t", "next_pid", "", 4, 1}},
		NULL},
	{TD_WAKING, "sched", "sched_waking",
		{{"char", "comm", "[16]", 16, 1}, {"pid_t", "pid", "", 4, 1},
			{"int", "target_cpu", "", 4, 1}},
		"\"comm=%s pid=%d target_cpu=%03d\", REC->comm, REC->pid, REC->target_cpu"},
	{TD_ISSUE, "block", "block_rq_issue",
		{{"dev_t", "dev", "", 4, 0}, {"sector_t", "sector", "", 8, 0},
			{"unsigned int", "nr_sector", "", 4, 0},
			{"unsigned int", "bytes", "", 4, 0}, {"char", "rwbs", "[8]", 8, 1}},
		NULL},
	{TD_UNKNOWN, "power", "cpu_idle", {{"u32", "state", "", 4, 0}}, NULL},
	{TD_EMULATE, "kvm", "kvm_emulate_insn",
		{{"__u64", "rip", "", 8, 0}, {"__u32", "csbase", "", 4, 0},
			{"__u8", "len", "", 1, 0}, {"__u8", "insn", "[15]", 15, 0},
			{"__u8", "failed", "", 1, 0}},
		NULL},
	{TD_MMIO, "kvm", "kvm_mmio",
		{{"u32", "type", "", 4, 0}, {"u32", "len", "", 4, 0}, {"u64", "gpa", "", 8, 0},
			{"u64", "val", "", 8, 0}},
		NULL},
	{TD_FAST_MMIO, "kvm", "kvm_fast_mmio", {{"u64", "gpa", "", 8, 0}}, NULL},
	{TD_FUNCTION, "ftrace", "function",
		{{"unsigned long", "parent_ip", "", 8, 0}, {"unsigned long", "ip", "", 8, 0}},
		NULL},
	{TD_RETURN, "exitwalk_4711", "handle_io",
		{{"unsigned long", "__probe_ret_ip", "", 8, 0},
			{"unsigned long", "__probe_func", "", 8, 0}},
		NULL},
};
#define TD_FORMATS (sizeof(td_formats) / sizeof(td_formats[0]))

/* The pages of one CPU of one buffer. */
struct td_stream {
	uint8_t *page; /* all of them */
	size_t pages, cap;
	uint64_t ts;     /* of the last event */
	int64_t missing; /* in front of the next page: how many were lost, -1: unknown, 0: none */
	int64_t stored;  /* in front of the last page */
};

struct td {
	int version;
	const char *clock, *cmdlines;
	unsigned cpus, buffers;
	int64_t shift; /* to the host's clock, ns; 0: it is no guest's trace */
	const char *buffer_name[TD_BUFFERS];
	struct td_stream stream[TD_BUFFERS][TD_CPUS];
};

/* --- records -------------------------------------------------------------------------------- */

static inline uint8_t *td_new_page(struct td_stream *s, uint64_t ts)
{
	uint8_t *p;
	uint64_t commit = 0;

	if (s->pages == s->cap) {
		s->cap = s->cap ? 2 * s->cap : 16;
		s->page = reallocarray(s->page, s->cap, TD_PAGE);
		if (!s->page)
			abort();
	}
	p = s->page + s->pages++ * TD_PAGE;
	memset(p, 0, TD_PAGE);
	/* Bit 31: records are missing in front of it; bit 30: their number is behind the data. */
	if (s->missing)
		commit |= 1u << 31;
	if (s->missing > 0)
		commit |= 1u << 30;
	memcpy(p, &ts, 8);
	memcpy(p + 8, &commit, 8);
	s->ts = ts;
	s->stored = s->missing;
	s->missing = 0;
	return p;
}

static inline size_t td_used(const uint8_t *page)
{
	uint32_t commit;

	memcpy(&commit, page + 8, 4);
	return commit & 0xfffff;
}

static inline void td_set_used(struct td_stream *s, uint8_t *page, size_t used)
{
	uint32_t commit;

	memcpy(&commit, page + 8, 4);
	commit = (commit & ~0xfffffu) | (uint32_t)used;
	memcpy(page + 8, &commit, 4);
	if (commit & 1u << 30)
		memcpy(page + TD_PAGE_HEADER + used, &s->stored, 8);
}

static inline void td_append(struct td_stream *s, uint64_t ts, const uint8_t *data, size_t len)
{
	uint8_t *page = s->pages ? s->page + (s->pages - 1) * TD_PAGE : NULL;
	size_t used = page ? td_used(page) : 0;
	uint64_t delta = ts - s->ts;
	uint32_t head;

	if (!page || s->missing || used + len + 32 > TD_PAGE - TD_PAGE_HEADER) {
		page = td_new_page(s, ts);
		used = 0;
		delta = 0;
	}
	if (delta >= 1u << 27) {
		uint32_t extend[2] = {
			30u | (uint32_t)(delta & ((1u << 27) - 1)) << 5, (uint32_t)(delta >> 27)};

		memcpy(page + TD_PAGE_HEADER + used, extend, 8);
		used += 8;
		delta = 0;
	}
	head = (uint32_t)(len / 4) | (uint32_t)delta << 5;
	memcpy(page + TD_PAGE_HEADER + used, &head, 4);
	memcpy(page + TD_PAGE_HEADER + used + 4, data, len);
	td_set_used(s, page, used + 4 + len);
	s->ts = ts;
}

static inline size_t td_align(size_t at, int size)
{
	size_t to = size >= 8 ? 8 : size >= 4 ? 4 : 1;

	return (at + to - 1) & ~(to - 1);
}

/* The record of an event, as it lies behind its header: its length, a multiple of 4. */
static inline size_t td_record(uint8_t data[112], int pid, enum td_id id, const uint64_t *value)
{
	const struct td_format *f = &td_formats[id - TD_ENTRY];
	uint16_t type = (uint16_t)id;
	size_t at = 8;

	memset(data, 0, 112);
	memcpy(data, &type, 2);
	memcpy(data + 4, &pid, 4);
	for (int i = 0; i < TD_FIELDS && f->field[i].name; i++) {
		int size = f->field[i].size;

		at = td_align(at, size);
		for (int n = 0; n < size; n += 8)
			if (n == 0 || size == 48)
				memcpy(data + at + n, value++,
					size - n < 8 ? (size_t)(size - n) : 8);
		at += (size_t)size;
	}
	return (at + 3) & ~(size_t)3;
}

/* One event; the values in the order of the format's fields, letters packed from the low byte on. An array
 * of numbers takes one value for each. */
static inline void td_event(struct td *t, unsigned buffer, unsigned cpu, uint64_t ts, int pid,
	enum td_id id, const uint64_t *value)
{
	uint8_t data[112];
	size_t len = td_record(data, pid, id, value);

	td_append(&t->stream[buffer][cpu], ts, data, len);
}
#define TD(t, buffer, cpu, ts, pid, id, ...)                                                       \
	td_event(t, buffer, cpu, ts, pid, id, (const uint64_t[9]){__VA_ARGS__})

/* n records are missing in front of the next one; -1: nobody knows how many. */
static inline void td_lose(struct td *t, unsigned buffer, unsigned cpu, int64_t n)
{
	t->stream[buffer][cpu].missing = n;
}

/* --- the file ------------------------------------------------------------------------------- */

static inline void td_bytes(FILE *f, const void *data, size_t len)
{
	if (fwrite(data, 1, len, f) != len)
		abort();
}

static inline void td_number(FILE *f, uint64_t v, int size)
{
	td_bytes(f, &v, (size_t)size);
}

static inline void td_text(FILE *f, const char *text)
{
	td_number(f, strlen(text), 8);
	td_bytes(f, text, strlen(text));
}

/* The text of a format file; the caller frees it. */
static inline char *td_format_text(const struct td_format *fmt)
{
	char *text = NULL;
	size_t len = 0, at = 8;
	FILE *m = open_memstream(&text, &len);

	fprintf(m,
		"name: %s\nID: %d\nformat:\n"
		"\tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;\n"
		"\tfield:unsigned char common_flags;\toffset:2;\tsize:1;\tsigned:0;\n"
		"\tfield:unsigned char common_preempt_count;\toffset:3;\tsize:1;\tsigned:0;\n"
		"\tfield:int common_pid;\toffset:4;\tsize:4;\tsigned:1;\n\n",
		fmt->name, (int)fmt->id);
	for (int i = 0; i < TD_FIELDS && fmt->field[i].name; i++) {
		const struct td_field *d = &fmt->field[i];

		at = td_align(at, d->size);
		fprintf(m, "\tfield:%s %s%s;\toffset:%zu;\tsize:%d;\tsigned:%d;\n", d->type,
			d->name, d->array, at, d->size, d->is_signed);
		at += (size_t)d->size;
	}
	fprintf(m, "\nprint fmt: %s\n", fmt->print ? fmt->print : "\"%d\", REC->common_pid");
	fclose(m);
	return text;
}

static inline void td_one_format(FILE *f, const struct td_format *fmt)
{
	char *text = td_format_text(fmt);

	td_text(f, text);
	free(text);
}

static inline void td_header_info(FILE *f)
{
	td_bytes(f, "header_page", 12);
	td_text(f, "\tfield: u64 timestamp;\toffset:0;\tsize:8;\tsigned:0;\n"
		   "\tfield: local_t commit;\toffset:8;\tsize:8;\tsigned:1;\n"
		   "\tfield: int overwrite;\toffset:8;\tsize:1;\tsigned:1;\n"
		   "\tfield: char data;\toffset:16;\tsize:4080;\tsigned:1;\n");
	td_bytes(f, "header_event", 13);
	td_text(f,
		"# compressed entry header\n\ttype_len    :    5 bits\n\ttime_delta  :   27 bits\n"
		"\tarray       :   32 bits\n\n\tpadding     : type == 29\n"
		"\ttime_extend : type == 30\n\ttime_stamp : type == 31\n"
		"\tdata max type_len  == 28\n");
}

static inline void td_event_formats(FILE *f)
{
	static const char *const system[] = {
		"kvm", "syscalls", "raw_syscalls", "sched", "block", "power"};

	td_number(f, sizeof(system) / sizeof(system[0]), 4);
	for (size_t s = 0; s < sizeof(system) / sizeof(system[0]); s++) {
		unsigned n = 0;

		for (size_t i = 0; i < TD_FORMATS; i++)
			n += !strcmp(td_formats[i].system, system[s]);
		td_bytes(f, system[s], strlen(system[s]) + 1);
		td_number(f, n, 4);
		for (size_t i = 0; i < TD_FORMATS; i++)
			if (!strcmp(td_formats[i].system, system[s]))
				td_one_format(f, &td_formats[i]);
	}
}

static inline void td_pad(FILE *f)
{
	while (ftell(f) % TD_PAGE)
		fputc(0, f);
}

/* The pages of all CPUs of a buffer; their places to where[][2]: offset, size. */
static inline void td_pages(
	FILE *f, const struct td *t, unsigned buffer, uint64_t where[TD_CPUS][2])
{
	for (unsigned c = 0; c < t->cpus; c++) {
		const struct td_stream *s = &t->stream[buffer][c];

		td_pad(f);
		where[c][0] = (uint64_t)ftell(f);
		where[c][1] = s->pages * TD_PAGE;
		if (s->pages)
			td_bytes(f, s->page, s->pages * TD_PAGE);
	}
}

static inline void td_option(FILE *f, unsigned id, const void *data, size_t len)
{
	td_number(f, id, 2);
	td_number(f, len, 4);
	td_bytes(f, data, len);
}

static inline void td_clock_option(FILE *f, const struct td *t)
{
	char text[64];

	snprintf(text, sizeof(text), "local [%s] global", t->clock);
	td_option(f, 4, text, strlen(text) + 1);
}

/* TIME_SHIFT: for each CPU one correction: when it was taken, the offset, the scaling (1, in 0 bits of
 * fraction). */
static inline void td_shift_option(FILE *f, const struct td *t)
{
	if (!t->shift)
		return;
	td_number(f, 12, 2);
	td_number(f, 16 + 36 * t->cpus, 4);
	td_number(f, 0x1234, 8); /* the host's trace */
	td_number(f, 0, 4);
	td_number(f, t->cpus, 4);
	for (unsigned c = 0; c < t->cpus; c++) {
		td_number(f, 1, 4);
		td_number(f, 0, 8);
		td_number(f, (uint64_t)t->shift, 8);
		td_number(f, 1, 8);
	}
	for (unsigned c = 0; c < t->cpus; c++)
		td_number(f, 0, 8);
}

/* Version 6 puts one thing behind the other; the places of the pages are filled in at the end. */
static inline void td_write_v6(FILE *f, const struct td *t)
{
	uint64_t where[TD_BUFFERS][TD_CPUS][2] = {0};
	long at[TD_BUFFERS], option[TD_BUFFERS] = {0};

	td_header_info(f);
	td_number(f, 0, 4); /* ftrace's own formats */
	td_event_formats(f);
	td_number(f, 0, 4); /* kallsyms */
	td_number(f, 0, 4); /* printk */
	td_text(f, t->cmdlines);
	td_number(f, t->cpus, 4);
	td_bytes(f, "options  ", 10);
	td_clock_option(f, t);
	td_shift_option(f, t);
	for (unsigned b = 1; b < t->buffers; b++) {
		td_number(f, 3, 2);
		td_number(f, 8 + strlen(t->buffer_name[b]) + 1, 4);
		option[b] = ftell(f);
		td_number(f, 0, 8);
		td_bytes(f, t->buffer_name[b], strlen(t->buffer_name[b]) + 1);
	}
	td_number(f, 0, 2);
	for (unsigned b = 0; b < t->buffers; b++) {
		long here = ftell(f);

		if (option[b]) {
			fseek(f, option[b], SEEK_SET);
			td_number(f, (uint64_t)here, 8);
			fseek(f, here, SEEK_SET);
		}
		td_bytes(f, "flyrecord", 10);
		at[b] = ftell(f);
		td_bytes(f, where[b], 16 * t->cpus);
		td_pages(f, t, b, where[b]);
	}
	for (unsigned b = 0; b < t->buffers; b++) {
		fseek(f, at[b], SEEK_SET);
		td_bytes(f, where[b], 16 * t->cpus);
	}
}

/* A section of version 7: the body is written by the caller; returns where its header is. */
static inline long td_section(FILE *f, unsigned id)
{
	long at = ftell(f);

	td_number(f, id, 2);
	td_number(f, 0, 2);
	td_number(f, 0, 4);
	td_number(f, 0, 8);
	return at;
}

static inline void td_end_section(FILE *f, long at)
{
	long end = ftell(f);

	fseek(f, at + 8, SEEK_SET);
	td_number(f, (uint64_t)(end - at - 16), 8);
	fseek(f, end, SEEK_SET);
}

static inline void td_buffer_option(
	FILE *f, const struct td *t, unsigned b, long section, uint64_t where[TD_CPUS][2])
{
	size_t name = strlen(t->buffer_name[b]) + 1, clock = strlen(t->clock) + 1;

	td_number(f, 3, 2);
	td_number(f, 8 + name + clock + 8 + 20 * t->cpus, 4);
	td_number(f, (uint64_t)section, 8);
	td_bytes(f, t->buffer_name[b], name);
	td_bytes(f, t->clock, clock);
	td_number(f, TD_PAGE, 4);
	td_number(f, t->cpus, 4);
	for (unsigned c = 0; c < t->cpus; c++) {
		td_number(f, c, 4);
		td_bytes(f, where[c], 16);
	}
}

static inline void td_write_v7(FILE *f, const struct td *t)
{
	uint64_t where[TD_BUFFERS][TD_CPUS][2] = {0}, place;
	long section[4], buffer[TD_BUFFERS], options = ftell(f), at;
	static const unsigned id[4] = {16, 17, 18, 21};

	td_number(f, 0, 8);
	for (int i = 0; i < 4; i++) {
		section[i] = td_section(f, id[i]);
		if (id[i] == 16)
			td_header_info(f);
		else if (id[i] == 17)
			td_number(f, 0, 4);
		else if (id[i] == 18)
			td_event_formats(f);
		else
			td_text(f, t->cmdlines);
		td_end_section(f, section[i]);
	}
	for (unsigned b = 0; b < t->buffers; b++) {
		buffer[b] = td_section(f, 3);
		td_pages(f, t, b, where[b]);
		td_end_section(f, buffer[b]);
	}
	at = td_section(f, 0);
	for (int i = 0; i < 4; i++) {
		place = (uint64_t)section[i];
		td_option(f, id[i], &place, 8);
	}
	td_clock_option(f, t);
	td_shift_option(f, t);
	place = t->cpus;
	td_option(f, 8, &place, 4);
	for (unsigned b = 0; b < t->buffers; b++)
		td_buffer_option(f, t, b, buffer[b], where[b]);
	place = 0;
	td_option(f, 0, &place, 8);
	td_end_section(f, at);
	fseek(f, options, SEEK_SET);
	td_number(f, (uint64_t)at, 8);
}

static inline void td_init(struct td *t, int version, unsigned cpus)
{
	memset(t, 0, sizeof(*t));
	t->version = version;
	t->cpus = cpus;
	t->buffers = 1;
	t->buffer_name[0] = "";
	t->clock = "mono";
	t->cmdlines = "100 vmm-vcpu0\n101 vmm-vcpu1\n200 vmm-io\n300 vmm\n";
}

static inline void td_write(const struct td *t, const char *path)
{
	FILE *f = fopen(path, "we");

	if (!f)
		abort();
	td_bytes(f, "\x17\x08\x44tracing", 10);
	fprintf(f, "%d%c", t->version, 0);
	td_number(f, 0, 1); /* little-endian */
	td_number(f, 8, 1);
	td_number(f, TD_PAGE, 4);
	if (t->version == 7) {
		td_bytes(f, "none\0", 6);
		td_write_v7(f, t);
	} else {
		td_write_v6(f, t);
	}
	if (fclose(f))
		abort();
}

static inline void td_free(struct td *t)
{
	for (unsigned b = 0; b < TD_BUFFERS; b++)
		for (unsigned c = 0; c < TD_CPUS; c++)
			free(t->stream[b][c].page);
}

#endif
