/* SPDX-License-Identifier: MIT */
/* What the events say of notifications, system calls and interrupts, in one pass; host_join.c joins them. */
#include "host_join.h"

#include <errno.h>
#include <linux/virtio_blk.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#define KVM_IOCTL 0xae00   /* KVMIO in the second byte of an ioctl request */
#define LEGACY_NOTIFY 0x10 /* VIRTIO_PCI_QUEUE_NOTIFY in a BAR of at least 0x20 ports */
#define LEGACY_BAR 0x20
#define QUEUES_MAX 1024 /* a driver writes the queue's index */
#define ADDRESSES_MAX 4096

struct track {
	bool vmm;
	char name[48];
	struct mark entry, sys; /* the last kvm_entry; the open system call's sys_enter */
	size_t call;            /* the open one, or NO_INDEX */
	size_t kick;            /* the exit that goes on, or NO_INDEX */
	size_t irq;             /* the last one raised in the open system call, or NO_INDEX */
	size_t raised;   /* the last one raised, until a local APIC takes it in, or NO_INDEX */
	size_t injected; /* the last one injected, or NO_INDEX */
};

struct pass {
	struct host_join *j;
	struct track *track; /* by id - 1 */
	int64_t tracks;
	sqlite3_stmt *exits; /* vm_exit, in step with the kvm_exit events */
};

int64_t host_call_type(int64_t nr)
{
	switch (nr) {
	case SYS_pread64:
	case SYS_preadv:
	case SYS_preadv2:
		return VIRTIO_BLK_T_IN;
	case SYS_pwrite64:
	case SYS_pwritev:
	case SYS_pwritev2:
		return VIRTIO_BLK_T_OUT;
	case SYS_fsync:
	case SYS_fdatasync:
	case SYS_sync_file_range:
		return VIRTIO_BLK_T_FLUSH;
	default:
		return SQL_NULL;
	}
}

/* io_submit and io_uring_enter do not say what they submit. */
static bool is_disk_call(const struct event_row *ev)
{
	return host_call_type(ev->a[0]) != SQL_NULL || ev->a[0] == SYS_io_submit ||
	       (ev->a[0] == SYS_io_uring_enter && ev->a[2] > 0);
}

static bool has_offset(int64_t nr)
{
	int64_t type = host_call_type(nr);

	return type == VIRTIO_BLK_T_IN || type == VIRTIO_BLK_T_OUT;
}

static int grow(struct host_join *j, void **array, size_t *cap, size_t n, size_t size)
{
	return derive_grow(array, cap, n, size, j->d->e);
}

/* Can this write be a notification? To legacy PCI by its port; to MMIO if it is an index that goes to the
 * VMM, or an ioeventfd's. */
static bool looks_like_kick(int64_t space, int64_t addr, int64_t size, int64_t value, bool to_vmm)
{
	if (space == EW_SPACE_PIO)
		return size == 2 && (addr & (LEGACY_BAR - 1)) == LEGACY_NOTIFY && value >= 0 &&
		       value < QUEUES_MAX;
	if (size == SQL_NULL)
		return true; /* kvm_fast_mmio */
	return to_vmm && (size == 2 || size == 4) && value >= 0 && value < QUEUES_MAX;
}

/* *index NO_INDEX: there are more than any machine has. */
static int find_address(struct host_join *j, int64_t space, int64_t addr, size_t *index)
{
	int ret;

	for (*index = 0; *index < j->addresses; ++*index)
		if (j->address[*index].space == space && j->address[*index].addr == addr)
			return 0;
	if (*index == ADDRESSES_MAX) {
		*index = NO_INDEX;
		return 0;
	}
	ret = grow(j, (void **)&j->address, &j->addresses_cap, j->addresses, sizeof(*j->address));
	if (!ret)
		j->address[j->addresses++] = (struct host_address){.space = space, .addr = addr};
	return ret;
}

static int on_kvm_exit(struct pass *p, struct track *t, const struct event_row *ev)
{
	struct host_join *j = p->j;
	int64_t space, addr, size, value;
	bool to_vmm;
	size_t address;
	int ret = sql_step(p->exits, j->d->e);

	t->kick = NO_INDEX;
	if (ret <= 0 || sqlite3_column_int64(p->exits, 0) != ev->a[0])
		return ret < 0 ? ret : 0; /* a row is missing: check says so */
	space = sql_int_or(p->exits, 1, SQL_NULL);
	addr = sqlite3_column_int64(p->exits, 2);
	size = sql_int_or(p->exits, 3, SQL_NULL);
	value = sql_int_or(p->exits, 5, SQL_NULL);
	to_vmm = sqlite3_column_type(p->exits, 6) != SQLITE_NULL;
	if (space == SQL_NULL || !sqlite3_column_int(p->exits, 4) ||
		!looks_like_kick(space, addr, size, value, to_vmm))
		return 0;
	ret = find_address(j, space, addr, &address);
	if (!ret && address == NO_INDEX)
		return 0;
	if (!ret)
		ret = grow(j, (void **)&j->kick, &j->kicks_cap, j->kicks, sizeof(*j->kick));
	if (ret)
		return ret;
	t->kick = j->kicks;
	j->kick[j->kicks++] = (struct host_kick){.exit_id = ev->a[0],
		.track = ev->track,
		.space = space,
		.addr = addr,
		.value = value,
		.at = {ev->id, ev->ts},
		.before = t->entry,
		.to_vmm = to_vmm,
		.address = address};
	j->address[address].kicks++;
	return 0;
}

static int on_sys_enter(struct pass *p, struct track *t, const struct event_row *ev)
{
	struct host_join *j = p->j;
	int ret;

	t->sys = (struct mark){ev->id, ev->ts};
	t->call = t->irq = NO_INDEX;
	if (ev->a[0] == SYS_ioctl && (ev->a[2] & 0xff00) == KVM_IOCTL)
		t->vmm = true;
	if (!t->vmm || !is_disk_call(ev))
		return 0;
	ret = grow(j, (void **)&j->call, &j->calls_cap, j->calls, sizeof(*j->call));
	if (ret)
		return ret;
	t->call = j->calls;
	j->call[j->calls++] = (struct host_call){.track = ev->track,
		.nr = ev->a[0],
		.fd = ev->a[1],
		.bytes = SQL_NULL,
		.offset = has_offset(ev->a[0]) ? ev->a[4] : SQL_NULL,
		.enter = {ev->id, ev->ts},
		.kick = NO_INDEX,
		.irq = NO_INDEX};
	return 0;
}

static void on_sys_exit(struct pass *p, struct track *t, const struct event_row *ev)
{
	struct host_join *j = p->j;

	if (t->call != NO_INDEX && j->call[t->call].nr == ev->a[0]) {
		j->call[t->call].exit = (struct mark){ev->id, ev->ts};
		if (j->call[t->call].offset != SQL_NULL && ev->a[1] >= 0)
			j->call[t->call].bytes = ev->a[1];
	}
	if (t->irq != NO_INDEX)
		j->irq[t->irq].end = (struct mark){ev->id, ev->ts};
	t->call = t->irq = NO_INDEX;
	t->sys = (struct mark){0, 0};
}

static int on_irq(struct pass *p, struct track *t, const struct event_row *ev)
{
	struct host_join *j = p->j;
	int ret;

	/* A line that goes down, or that a device in the kernel (the PIT) holds, is no disk's. */
	if (ev->kind == EW_KVM_SET_IRQ && (ev->a[1] == 0 || ev->a[2] > 1))
		return 0;
	ret = grow(j, (void **)&j->irq, &j->irqs_cap, j->irqs, sizeof(*j->irq));
	if (ret)
		return ret;
	t->irq = t->sys.event ? j->irqs : NO_INDEX;
	t->raised = j->irqs;
	j->irq[j->irqs++] = (struct host_irq){.track = ev->track,
		.kind = ev->kind,
		.key = {ev->a[0], ev->kind == EW_KVM_SET_IRQ ? 0 : ev->a[1]},
		.at = {ev->id, ev->ts},
		.begin = t->sys,
		.vector = ev->kind == EW_KVM_MSI_SET_IRQ ? ev->a[1] & 0xff : SQL_NULL};
	return 0;
}

static int on_inject(struct pass *p, struct track *t, const struct event_row *ev)
{
	struct host_join *j = p->j;
	int ret = grow(j, (void **)&j->inject, &j->injects_cap, j->injects, sizeof(*j->inject));

	if (ret)
		return ret;
	t->injected = j->injects;
	j->inject[j->injects++] = (struct host_inject){
		.track = ev->track, .vector = ev->a[0], .at = {ev->id, ev->ts}};
	return 0;
}

#define LOOK_BACK 8 /* interrupts that may be injected by one entry, or be nested */

/* Those that were injected on this track since its last entry are delivered by this one. */
static void delivered(struct host_join *j, const struct track *t, const struct event_row *ev)
{
	size_t i = t->injected;

	for (int n = 0; i != NO_INDEX && n < LOOK_BACK; n++) {
		if (j->inject[i].track == ev->track) {
			if (j->inject[i].entry.event)
				return;
			j->inject[i].entry = (struct mark){ev->id, ev->ts};
		}
		i = i ? i - 1 : NO_INDEX;
	}
}

static void ended(struct host_join *j, const struct track *t, const struct event_row *ev)
{
	size_t i = t->injected;

	for (int n = 0; i != NO_INDEX && n < LOOK_BACK; n++) {
		struct host_inject *in = &j->inject[i];

		if (in->track == ev->track && in->vector == ev->a[1]) {
			if (in->eoi.event)
				return;
			/* It may have been injected more than once before the entry that took it. */
			if (in->entry.event)
				in->eoi = (struct mark){ev->id, ev->ts};
		}
		i = i ? i - 1 : NO_INDEX;
	}
}

static int one_event(struct pass *p, const struct event_row *ev)
{
	struct track *t;

	if (ev->track < 1 || ev->track > p->tracks)
		return 0;
	t = &p->track[ev->track - 1];
	switch (ev->kind) {
	case EW_KVM_ENTRY:
		if (t->kick != NO_INDEX)
			p->j->kick[t->kick].entry = (struct mark){ev->id, ev->ts};
		t->kick = NO_INDEX;
		t->entry = (struct mark){ev->id, ev->ts};
		delivered(p->j, t, ev);
		return 0;
	case EW_KVM_INJ_VIRQ:
		return on_inject(p, t, ev);
	case EW_KVM_EOI:
		ended(p->j, t, ev);
		return 0;
	case EW_KVM_APIC_ACCEPT_IRQ:
		if (t->raised != NO_INDEX)
			p->j->irq[t->raised].vector = ev->a[3];
		t->raised = NO_INDEX;
		return 0;
	case EW_KVM_EXIT:
		return on_kvm_exit(p, t, ev);
	case EW_SYS_ENTER:
		return on_sys_enter(p, t, ev);
	case EW_SYS_EXIT:
		on_sys_exit(p, t, ev);
		return 0;
	case EW_SCHED_WAKING:
		if (t->vmm && ev->a[0] >= 1 && ev->a[0] <= p->tracks)
			p->track[ev->a[0] - 1].vmm = true;
		return 0;
	case EW_LOST:
		for (int64_t i = 0; i < p->tracks; i++) {
			struct track *x = &p->track[i];

			x->call = x->kick = x->irq = x->raised = x->injected = NO_INDEX;
			p->track[i].entry = p->track[i].sys = (struct mark){0, 0};
		}
		return 0;
	case EW_KVM_SET_IRQ:
	case EW_KVM_MSI_SET_IRQ:
		return on_irq(p, t, ev);
	default:
		return 0;
	}
}

/* "qemu-system-x86-172" → "qemu-system-x86": threads that are called alike are of one process, or nearly. */
static void cut_name(char *name)
{
	char *dash = strrchr(name, '-');

	if (dash)
		*dash = '\0';
}

static int load_tracks(struct pass *p)
{
	struct derive *d = p->j->d;
	sqlite3_stmt *row = NULL;
	int ret = sql_get_int(d->db, d->e, "SELECT count(*) FROM track", &p->tracks);

	if (!ret)
		p->track = calloc((size_t)p->tracks + 1, sizeof(*p->track));
	if (!ret && !p->track)
		return err_set(d->e, -ENOMEM, "out of memory while deriving requests");
	if (!ret)
		ret = sql_prepare(
			d->db, &row, d->e, "SELECT id, kind = 'vcpu', name FROM track ORDER BY id");
	while (!ret && (ret = sql_step(row, d->e)) > 0) {
		int64_t id = sqlite3_column_int64(row, 0);
		const char *name = (const char *)sqlite3_column_text(row, 2);
		struct track *t = &p->track[id - 1];

		ret = 0;
		if (id < 1 || id > p->tracks)
			continue; /* a damaged file: check says so */
		*t = (struct track){.vmm = sqlite3_column_int(row, 1),
			.call = NO_INDEX,
			.kick = NO_INDEX,
			.irq = NO_INDEX,
			.raised = NO_INDEX,
			.injected = NO_INDEX};
		snprintf(t->name, sizeof(t->name), "%s", name ? name : "");
		cut_name(t->name);
	}
	sqlite3_finalize(row);
	for (int64_t i = 0; !ret && i < p->tracks; i++)
		for (int64_t k = 0; p->track[i].vmm && k < p->tracks; k++)
			if (!strcmp(p->track[i].name, p->track[k].name))
				p->track[k].vmm = true;
	return ret;
}

static int read_events(struct pass *p)
{
	struct derive *d = p->j->d;
	sqlite3_stmt *row = NULL;
	struct event_row ev;
	char sql[256];
	int ret = sql_prepare(d->db, &p->exits, d->e,
		"SELECT id, space, addr, size, is_write, value, kvm_reason FROM vm_exit ORDER BY id");

	/* All kinds of the host's tracepoints, and gaps: two comparisons are cheaper than a list. */
	snprintf(sql, sizeof(sql),
		"SELECT " EVENT_COLUMNS " FROM event WHERE kind >= %d OR kind = %d ORDER BY id",
		EW_KVM_ENTRY, EW_LOST);
	if (!ret)
		ret = sql_prepare(d->db, &row, d->e, sql);
	while (!ret && (ret = sql_step(row, d->e)) > 0) {
		derive_read_event(row, &ev);
		ret = one_event(p, &ev);
	}
	sqlite3_finalize(row);
	sqlite3_finalize(p->exits);
	return ret;
}

int host_gather(struct host_join *j)
{
	struct pass p = {.j = j};
	int ret = load_tracks(&p);

	if (!ret)
		ret = read_events(&p);
	free(p.track);
	return ret;
}
