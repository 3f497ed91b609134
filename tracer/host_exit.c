/* SPDX-License-Identifier: MIT */
/* An exit of the hardware, from the host's tracepoints. */
#include "host_exit.h"

#include <linux/kvm.h>

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
		x->space = EW_SPACE_PIO;
		x->is_write = rec->a[0] != 0;
		x->addr = (int64_t)rec->a[1];
		x->size = (int64_t)rec->a[2];
		x->count = (int64_t)rec->a[3];
		x->value = (int64_t)rec->a[4];
		x->access = x->valued = true;
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

static void bind(struct store *s, int n, int64_t value, bool known)
{
	if (known)
		store_int(s, STMT_HOST_EXIT, n, value);
	else
		store_null(s, STMT_HOST_EXIT, n);
}

static void bind_kvm(struct store *s, const struct host_exit *x)
{
	bind(s, 4, (int64_t)x->isa, x->present & 1 << 1);
	bind(s, 5, (int64_t)x->reason, x->present & 1 << 2);
	bind(s, 6, (int64_t)x->info1, x->present & 1 << 4);
	bind(s, 7, x->kvm_reason, x->returned);
	bind(s, 8, x->space, x->access);
	bind(s, 9, x->addr, x->access);
	bind(s, 10, x->size, x->access && x->size);
	bind(s, 11, x->count, x->access && x->count);
	bind(s, 12, x->is_write, x->access);
	bind(s, 13, x->value, x->valued);
	bind(s, 14, (int64_t)x->rip, x->present & 1 << 3);
}

/* What the VMM was told is what it was asked for. */
static void bind_vmm(struct store *s, const struct host_exit_vmm *v)
{
	/* kvm_userspace_exit does not say it where KVM_RUN returns with an error. */
	if (v)
		bind(s, 7, v->reason, true);
	if (v && v->p.space < EW_SPACE_MAX) {
		bind(s, 8, v->p.space, true);
		bind(s, 9, (int64_t)v->p.addr, true);
		bind(s, 10, v->p.size, true);
		bind(s, 11, v->p.count, true);
		bind(s, 12, v->p.is_write, true);
		bind(s, 13, (int64_t)v->value, v->p.is_write || v->t_done);
	}
	bind(s, 17, v ? (int64_t)v->insn_rip : 0, v && v->insn_len);
	if (v && v->insn_len)
		sqlite3_bind_blob(
			s->stmt[STMT_HOST_EXIT], 18, v->insn, (int)v->insn_len, SQLITE_STATIC);
	else
		store_null(s, STMT_HOST_EXIT, 18);
	bind(s, 19, v ? v->region : 0, v && v->t_dispatch);
	bind(s, 20, v ? v->result : 0, v && v->t_done);
	bind(s, 21, v ? (int64_t)v->t_dispatch : 0, v && v->t_dispatch);
	bind(s, 22, v ? (int64_t)v->t_done : 0, v && v->t_done);
}

int host_exit_store(struct store *s, unsigned track, const struct host_exit *x,
	const struct host_exit_vmm *vmm, struct err *e)
{
	store_int(s, STMT_HOST_EXIT, 1, x->id);
	store_int(s, STMT_HOST_EXIT, 2, x->event_id);
	store_int(s, STMT_HOST_EXIT, 3, track);
	bind_kvm(s, x);
	store_int(s, STMT_HOST_EXIT, 15, x->t_exit);
	bind(s, 16, x->t_entry, x->t_entry != 0);
	bind_vmm(s, vmm);
	return store_run(s, STMT_HOST_EXIT, e);
}
