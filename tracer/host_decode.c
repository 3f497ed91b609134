/* SPDX-License-Identifier: MIT */
/* From a record of the kernel's trace buffer to a host_event. */
#include "host_decode.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define IDS 65536 /* common_type has 16 bits */
#define ARGS 6

/* What is known of one tracepoint. */
struct format {
	struct tep_event *event; /* NULL: the file has no format of this id */
	enum ew_kind kind;       /* 0: none of ours */
	struct tep_format_field *arg[ARGS];
	int element[ARGS]; /* which one of an array's elements, or -1: the whole field */
	struct tep_format_field *vcpu; /* vcpu_id */
	struct tep_format_field *flags, *pid;
	struct tep_format_field *extra[2]; /* bytes for the payload; names of tasks */
	uint64_t skipped;
	struct format *next; /* the one that was seen before it */
};

struct tracepoint {
	const char *system, *name; /* of system calls: how the name begins */
	enum ew_kind kind;
	bool syscall, group; /* group: all tracepoints of systems that begin with `system` */
	const char *arg[ARGS];
};

#define TP(system, name, kind, ...) {system, name, EW_##kind, false, false, {__VA_ARGS__}},
#define SYSCALL(system, prefix, kind, nr) {system, prefix, EW_##kind, true, false, {nr}},
#define GROUP(prefix, kind, ...) {prefix, "", EW_##kind, false, true, {__VA_ARGS__}},
static const struct tracepoint host_points[] = {
#include "host_fields.def"
};

#define TP(system, name, kind, ...) {system, name, EW_##kind, false, false, {__VA_ARGS__}},
#define SYSCALL(system, prefix, kind, nr) {system, prefix, EW_##kind, true, false, {nr}},
static const struct tracepoint guest_points[] = {
#include "guest_fields.def"
};

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

struct host_decoder {
	struct tep_handle *tep;
	const struct tracepoint *point;
	size_t points;
	bool functions;
	bool foreign; /* the records' byte order is not ours */
	void (*learn)(void *ctx, int pid, const char *comm, size_t len);
	void *ctx;
	struct format *format[IDS]; /* of those ids that were seen */
	struct format *last;
};

int host_decoder_create(struct host_decoder **out, struct tep_handle *tep, struct err *e)
{
	*out = calloc(1, sizeof(**out));
	if (!*out)
		return err_set(e, -ENOMEM, "out of memory");
	(*out)->tep = tep;
	(*out)->foreign = tep_is_file_bigendian(tep) != tep_is_local_bigendian(tep);
	(*out)->point = host_points;
	(*out)->points = COUNT(host_points);
	return 0;
}

void host_decoder_guest(struct host_decoder *d,
	void (*learn)(void *ctx, int pid, const char *comm, size_t len), void *ctx)
{
	d->point = guest_points;
	d->points = COUNT(guest_points);
	d->learn = learn;
	d->ctx = ctx;
}

void host_decoder_destroy(struct host_decoder *d)
{
	for (struct format *f = d ? d->last : NULL, *next; f; f = next) {
		next = f->next;
		free(f);
	}
	free(d);
}

void host_decoder_functions(struct host_decoder *d)
{
	d->functions = true;
}

/* --- formats -------------------------------------------------------------------------------- */

/* "a|b": the field of the first of these names that the format has. */
static struct tep_format_field *find(struct tep_event *event, const char *names)
{
	struct tep_format_field *field = NULL;
	char name[64];

	while (*names && !field) {
		size_t n = strcspn(names, "|");

		snprintf(name, sizeof(name), "%.*s", (int)n, names);
		field = tep_find_field(event, name);
		names += n + (names[n] == '|');
	}
	return field;
}

/* The arguments of a system call: fields of their own, or one array. */
static void syscall_args(struct format *f)
{
	struct tep_format_field *field = f->arg[0] ? f->arg[0]->next : NULL;
	unsigned n = 1;

	for (; field && n < ARGS; field = field->next) {
		unsigned elements = 1;

		if (field->flags & TEP_FIELD_IS_ARRAY && field->arraylen)
			elements = field->arraylen;
		for (unsigned i = 0; i < elements && n < ARGS; i++) {
			f->element[n] = elements > 1 ? (int)i : -1;
			f->arg[n++] = field;
		}
	}
}

static bool is_point(const struct tracepoint *p, const struct tep_event *event)
{
	size_t prefix = p->syscall ? strlen(p->name) : SIZE_MAX;

	if (p->group)
		return strncmp(p->system, event->system, strlen(p->system)) == 0;
	return strncmp(p->name, event->name, prefix) == 0 && strcmp(p->system, event->system) == 0;
}

static void know(const struct host_decoder *d, struct format *f)
{
	struct tep_event *event = f->event;

	for (size_t i = 0; i < d->points; i++) {
		const struct tracepoint *p = &d->point[i];

		if (!is_point(p, event))
			continue;
		f->kind = p->kind;
		for (int a = 0; a < ARGS && p->arg[a]; a++)
			f->arg[a] = find(event, p->arg[a]);
		if (p->syscall)
			syscall_args(f);
	}
	f->flags = tep_find_common_field(event, "common_flags");
	f->pid = tep_find_common_field(event, "common_pid");
	if (f->kind == EW_KVM_EXIT || f->kind == EW_KVM_ENTRY)
		f->vcpu = find(event, "vcpu_id");
	if (f->kind == EW_KVM_EXIT) {
		f->extra[0] = find(event, "intr_info");
		f->extra[1] = find(event, "error_code");
	} else if (f->kind == EW_KVM_EMULATE_INSN) {
		f->extra[0] = find(event, "insn");
	} else if (f->kind == EW_SCHED_SWITCH || f->kind == EW_GUEST_SWITCH) {
		f->extra[0] = find(event, "prev_comm");
		f->extra[1] = find(event, "next_comm");
	} else if (f->kind == EW_SCHED_WAKING || f->kind == EW_GUEST_WAKING) {
		f->extra[0] = find(event, "comm");
	}
}

static struct format *format_of(struct host_decoder *d, struct tep_record *record)
{
	int id = record->size >= 2 && record->data ? tep_data_type(d->tep, record) : -1;
	struct format *f;

	if (id < 0 || id >= IDS)
		return NULL;
	if (d->format[id])
		return d->format[id];
	f = calloc(1, sizeof(*f));
	if (!f)
		return NULL;
	memset(f->element, -1, sizeof(f->element));
	f->event = tep_find_event(d->tep, id);
	if (f->event && f->event->name && f->event->system)
		know(d, f);
	if ((f->kind == EW_HOST_FUNC || f->kind == EW_HOST_FUNC_EXIT) && !d->functions)
		f->kind = 0;
	f->next = d->last;
	d->last = f;
	d->format[id] = f;
	return f;
}

/* --- values --------------------------------------------------------------------------------- */

static bool inside(const struct tep_format_field *field, const struct tep_record *record)
{
	return field && field->offset >= 0 && field->size > 0 && field->offset <= record->size &&
	       field->size <= record->size - field->offset;
}

static uint64_t sign_extend(const struct tep_format_field *field, int size, uint64_t v)
{
	if (!(field->flags & TEP_FIELD_IS_SIGNED) || size <= 0 || size >= 8)
		return v;
	return (uint64_t)((int64_t)(v << (64 - 8 * size)) >> (64 - 8 * size));
}

/* Up to eight letters, the first one in the low byte. */
static uint64_t letters(const char *s, int len)
{
	uint64_t v = 0;

	for (int i = 0; i < len && i < 8 && s[i]; i++)
		v |= (uint64_t)(unsigned char)s[i] << (8 * i);
	return v;
}

/* Nearly always the file's byte order is ours, and then the library need not be asked. */
static uint64_t number_at(const struct host_decoder *d, const char *p, int size)
{
	uint64_t v = 0;

	if (d->foreign)
		return tep_read_number(d->tep, p, size);
	switch (size) {
	case 8:
		memcpy(&v, p, 8);
		break;
	case 4:
		memcpy(&v, p, 4);
		break;
	case 2:
		memcpy(&v, p, 2);
		break;
	default:
		v = (uint8_t)*p;
		break;
	}
	return v;
}

static bool value(struct host_decoder *d, const struct tep_format_field *field, int element,
	const struct tep_record *record, uint64_t *v)
{
	const char *data = record->data;
	int size, offset;

	if (!inside(field, record))
		return false;
	size = field->size;
	offset = field->offset;
	if (element >= 0) {
		size = (int)field->elementsize;
		if (size <= 0 || element >= field->size / size)
			return false;
		offset += element * size;
	} else if (field->flags & TEP_FIELD_IS_ARRAY) {
		*v = letters(data + offset, size);
		return true;
	}
	if (size > 8 || (size & (size - 1)))
		return false;
	*v = sign_extend(field, size, number_at(d, data + offset, size));
	return true;
}

static uint32_t value32(struct host_decoder *d, const struct tep_format_field *field,
	const struct tep_record *record)
{
	uint64_t v = 0;

	return value(d, field, -1, record, &v) ? (uint32_t)v : 0;
}

static void put_be32(uint8_t *p, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		p[i] = (uint8_t)(v >> (24 - 8 * i));
}

/* --- what is special to a kind -------------------------------------------------------------- */

static void interrupt_information(struct host_decoder *d, const struct format *f,
	const struct tep_record *record, struct host_event *ev)
{
	uint32_t intr = value32(d, f->extra[0], record), code = value32(d, f->extra[1], record);

	if (!intr && !code)
		return;
	put_be32(ev->data, intr);
	put_be32(ev->data + 4, code);
	ev->bytes = 8;
}

/* insn and insn2: up to 16 bytes, the first one on top. */
static void instruction(
	const struct format *f, const struct tep_record *record, struct host_event *ev)
{
	const struct tep_format_field *field = f->extra[0];

	if (!inside(field, record))
		return;
	for (int i = 0; i < field->size && i < 16; i++)
		ev->rec.a[4 + i / 8] |= (uint64_t)((const uint8_t *)record->data)[field->offset + i]
					<< (56 - 8 * (i % 8));
	ev->present |= 1u << 4 | 1u << 5;
}

/* A task that the saved command lines do not have: what this record calls it. */
static void learn_name(struct host_decoder *d, const struct tep_format_field *field,
	const struct tep_record *record, int tid)
{
	char name[17];

	if (tid <= 0 || !inside(field, record) || tep_is_pid_registered(d->tep, tid))
		return;
	snprintf(name, sizeof(name), "%.*s", field->size < 16 ? field->size : 16,
		(const char *)record->data + field->offset);
	tep_register_comm(d->tep, name, tid);
}

static uint32_t task_of(int tid, uint16_t cpu)
{
	return tid > 0 ? (uint32_t)tid : HOST_TASK_IDLE | cpu;
}

static void tasks(struct host_decoder *d, const struct format *f, const struct tep_record *record,
	struct host_event *ev)
{
	bool two = f->kind == EW_SCHED_SWITCH;

	learn_name(d, f->extra[0], record, (int)ev->rec.a[0]);
	ev->rec.a[0] = task_of((int)ev->rec.a[0], ev->cpu);
	if (two) {
		learn_name(d, f->extra[1], record, (int)ev->rec.a[2]);
		ev->rec.a[2] = task_of((int)ev->rec.a[2], ev->cpu);
	}
}

/* What a guest calls its tasks, and whose pids stay as they are. */
static void guest_names(struct host_decoder *d, const struct format *f,
	const struct tep_record *record, struct host_event *ev)
{
	for (int i = 0; i < 2; i++)
		if (inside(f->extra[i], record))
			d->learn(d->ctx, (int)ev->rec.a[2 * i],
				(const char *)record->data + f->extra[i]->offset,
				(size_t)f->extra[i]->size);
}

bool host_decode(struct host_decoder *d, struct tep_record *record, struct host_event *ev)
{
	struct format *f = format_of(d, record);
	uint32_t pid;
	uint64_t v;

	if (!f || !f->kind) {
		if (f)
			f->skipped++;
		return false;
	}
	*ev = (struct host_event){.rec = {.ts = record->ts, .kind = (uint16_t)f->kind},
		.vcpu = HOST_NO_VCPU,
		.cpu = (uint16_t)record->cpu};
	ev->flags = (uint8_t)value32(d, f->flags, record);
	pid = value32(d, f->pid, record);
	ev->task = d->learn ? pid : task_of((int)pid, ev->cpu);
	for (int i = 0; i < ARGS; i++)
		if (f->arg[i] && value(d, f->arg[i], f->element[i], record, &v)) {
			ev->rec.a[i] = v;
			ev->present |= (uint8_t)(1u << i);
		}
	if (f->vcpu && value(d, f->vcpu, -1, record, &v))
		ev->vcpu = (int32_t)v;
	if (f->kind == EW_KVM_EXIT)
		interrupt_information(d, f, record, ev);
	else if (f->kind == EW_KVM_EMULATE_INSN)
		instruction(f, record, ev);
	else if (f->kind == EW_SCHED_SWITCH || f->kind == EW_SCHED_WAKING)
		tasks(d, f, record, ev);
	else if (d->learn)
		guest_names(d, f, record, ev);
	return true;
}

/* --- about the whole ------------------------------------------------------------------------ */

void host_decoder_skipped(const struct host_decoder *d,
	void (*each)(void *ctx, const char *system, const char *name, uint64_t records), void *ctx)
{
	for (const struct format *f = d->last; f; f = f->next)
		if (f->skipped)
			each(ctx, f->event && f->event->system ? f->event->system : "?",
				f->event && f->event->name ? f->event->name : "?", f->skipped);
}

const char *host_task_name(const struct host_decoder *d, uint32_t task, char *buf, size_t size)
{
	const char *comm;

	switch (task & HOST_TASK_KIND) {
	case HOST_TASK_IDLE:
		snprintf(buf, size, "idle/%u", task & ~HOST_TASK_KIND);
		break;
	case HOST_TASK_CPU:
		snprintf(buf, size, "CPU %u", task & 0xffff);
		break;
	default:
		comm = tep_is_pid_registered(d->tep, (int)task)
			       ? tep_data_comm_from_pid(d->tep, (int)task)
			       : "task";
		snprintf(buf, size, "%s-%u", comm, task);
	}
	return buf;
}
