/* SPDX-License-Identifier: MIT */
/* An exit of the hardware, from the host's tracepoints. */
#include "host_exit.h"

#include <linux/kvm.h>

#include "bulk.h"
#include "hw_exit.h"

void host_exit_open(struct host_exit *x, const struct ew_rec *rec, uint8_t present,
	int64_t event_id, uint64_t ts)
{
	struct hw_io io;

	*x = (struct host_exit){.open = true,
		.id = (int64_t)rec->a[0],
		.event_id = event_id,
		.t_exit = (int64_t)ts,
		.isa = rec->a[1],
		.reason = rec->a[2],
		.rip = rec->a[3],
		.info1 = rec->a[4],
		.present = present};
	if (!hw_exit_io(x->isa, x->reason, x->info1, &io))
		return;
	x->access = true;
	x->space = EW_SPACE_PIO;
	x->addr = io.port;
	x->size = io.size;
	x->is_write = !io.in;
	x->count = io.rep ? 0 : 1;
}

static void pio(struct host_exit *x, const struct ew_rec *rec)
{
	if (x->valued) {
		x->count += (int64_t)rec->a[3];
		return;
	}
	x->space = EW_SPACE_PIO;
	x->is_write = rec->a[0] != 0;
	x->addr = (int64_t)rec->a[1];
	x->size = (int64_t)rec->a[2];
	x->count = (int64_t)rec->a[3];
	x->value = (int64_t)rec->a[4];
	x->access = x->valued = true;
}

static void mmio(struct host_exit *x, const struct ew_rec *rec)
{
	if (x->valued) {
		x->count++;
		return;
	}
	x->space = EW_SPACE_MMIO;
	x->is_write = rec->a[0] == 2;
	x->addr = (int64_t)rec->a[1];
	x->size = (int64_t)rec->a[2];
	x->value = (int64_t)rec->a[3];
	x->count = 1;
	x->access = true;
	x->valued = rec->a[0] != 0; /* the answer to a read comes later */
}

/* KVM_RUN returns: with a reason, or with an error (a signal came), after which the exit goes on. */
static void returned(struct host_exit *x, const struct ew_rec *rec)
{
	if (x->returned || ((int64_t)rec->a[1] < 0 && rec->a[0] != KVM_EXIT_INTR))
		return;
	x->returned = true;
	x->kvm_reason = (int64_t)rec->a[0];
}

/* The first access that KVM emulates in an exit is the exit's; more of them count. */
void host_exit_note(struct host_exit *x, const struct ew_rec *rec)
{
	if (!x->open)
		return;
	switch (rec->kind) {
	case EW_KVM_PIO:
		pio(x, rec);
		break;
	case EW_KVM_MMIO:
		mmio(x, rec);
		break;
	case EW_KVM_FAST_MMIO:
		x->space = EW_SPACE_MMIO;
		x->is_write = true;
		x->addr = (int64_t)rec->a[0];
		x->access = true;
		break;
	case EW_KVM_USERSPACE_EXIT:
		returned(x, rec);
		break;
	default:
		break;
	}
}

/* A row of vm_exit, in the order of its columns. */
enum {
	ID,
	EVENT_ID,
	TRACK,
	ISA,
	HW_REASON,
	HW_QUAL,
	KVM_REASON,
	SPACE,
	ADDR,
	SIZE,
	COUNT,
	IS_WRITE,
	VALUE,
	RIP,
	INSN_RIP,
	INSN,
	REGION,
	RESULT,
	T_EXIT,
	T_DISPATCH,
	T_DONE,
	T_ENTRY,
	COLUMNS
};

struct row {
	int64_t value[COLUMNS];
	uint32_t known;
};

static void set(struct row *r, int column, int64_t value, bool known)
{
	r->value[column] = value;
	r->known = (r->known & ~(1u << column)) | (uint32_t)known << column;
}

static void set_kvm(struct row *r, const struct host_exit *x)
{
	set(r, ID, x->id, true);
	set(r, EVENT_ID, x->event_id, true);
	set(r, ISA, (int64_t)x->isa, x->present & 1 << 1);
	set(r, HW_REASON, (int64_t)x->reason, x->present & 1 << 2);
	set(r, HW_QUAL, (int64_t)x->info1, x->present & 1 << 4);
	set(r, KVM_REASON, x->kvm_reason, x->returned);
	set(r, SPACE, x->space, x->access);
	set(r, ADDR, x->addr, x->access);
	set(r, SIZE, x->size, x->access && x->size);
	set(r, COUNT, x->count, x->access && x->count);
	set(r, IS_WRITE, x->is_write, x->access);
	set(r, VALUE, x->value, x->valued);
	set(r, RIP, (int64_t)x->rip, x->present & 1 << 3);
	set(r, T_EXIT, x->t_exit, true);
	set(r, T_ENTRY, x->t_entry, x->t_entry != 0);
}

/* What the VMM was told is what it was asked for. */
static void set_vmm(struct row *r, const struct host_exit_vmm *v)
{
	/* kvm_userspace_exit does not say it where KVM_RUN returns with an error. */
	set(r, KVM_REASON, v->reason, true);
	if (v->p.space < EW_SPACE_MAX) {
		set(r, SPACE, v->p.space, true);
		set(r, ADDR, (int64_t)v->p.addr, true);
		set(r, SIZE, v->p.size, true);
		set(r, COUNT, v->p.count, true);
		set(r, IS_WRITE, v->p.is_write, true);
		set(r, VALUE, (int64_t)v->value, v->p.is_write || v->t_done);
	}
	set(r, INSN_RIP, (int64_t)v->insn_rip, v->insn_len);
	set(r, REGION, v->region, v->t_dispatch);
	set(r, RESULT, v->result, v->t_done);
	set(r, T_DISPATCH, (int64_t)v->t_dispatch, v->t_dispatch);
	set(r, T_DONE, (int64_t)v->t_done, v->t_done);
}

static int insert(
	struct store *s, const struct row *r, const struct host_exit_vmm *v, struct err *e)
{
	for (int i = 0; i < COLUMNS; i++) {
		if (r->known >> i & 1)
			store_int(s, STMT_HOST_EXIT, i + 1, r->value[i]);
		else
			store_null(s, STMT_HOST_EXIT, i + 1);
	}
	if (v && v->insn_len)
		sqlite3_bind_blob(s->stmt[STMT_HOST_EXIT], INSN + 1, v->insn, (int)v->insn_len,
			SQLITE_STATIC);
	return store_run(s, STMT_HOST_EXIT, e);
}

int host_exit_store(struct store *s, unsigned track, const struct host_exit *x,
	const struct host_exit_vmm *vmm, struct err *e)
{
	struct row r = {.known = 0};

	set_kvm(&r, x);
	set(&r, TRACK, track, true);
	if (vmm)
		set_vmm(&r, vmm);
	/* A trace that is imported has no VMM's side. */
	return s->bulk ? bulk_exit(s->bulk, r.value, r.known, e) : insert(s, &r, vmm, e);
}
