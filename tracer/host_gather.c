/* SPDX-License-Identifier: MIT */
/* What the events say of notifications, system calls and interrupts, one by one; host_join.c joins them. */
#include "host_path.h"

#include <errno.h>
#include <linux/virtio_blk.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#define KVM_PIO_OUT 1 /* include/trace/events/kvm.h, arch/x86/kvm/trace.h */
#define KVM_MMIO_WRITE 2
#define KVM_IOCTL 0xae00   /* KVMIO in the second byte of an ioctl request */
#define LEGACY_NOTIFY 0x10 /* VIRTIO_PCI_QUEUE_NOTIFY in a BAR of at least 0x20 ports */
#define LEGACY_BAR 0x20
#define QUEUES_MAX 1024 /* a driver writes the queue's index */
#define ADDRESSES_MAX 4096
/* I/O APIC and local APIC: 0xfec00000 and 0xfee00000, with what is reserved around them */
#define APICS_BEGIN 0xfec00000
#define APICS_END 0xfef00000

/* The exit that goes on on a track. */
struct open_exit {
	int64_t id;                  /* 0: none */
	struct mark at, before;      /* its kvm_exit; the kvm_entry in front of it */
	struct host_gather_exit row; /* id 0: not known */
};

struct track {
	bool vcpu, vmm;
	char name[48];
	struct mark entry, sys; /* the last kvm_entry; the open system call's sys_enter */
	struct mark run;        /* the last KVM_RUN's */
	struct open_exit exit;
	size_t call;     /* the open one, or NO_INDEX */
	size_t irq;      /* the last one raised in the open system call, or NO_INDEX */
	size_t raised;   /* the last one raised, until a local APIC takes it in, or NO_INDEX */
	size_t injected; /* the last one injected, or NO_INDEX */
};

struct host_gather {
	struct host_join *j;
	struct track *track; /* by id - 1 */
	size_t tracks, tracks_cap;
	size_t *vcpu; /* those that are vCPUs */
	size_t vcpus, vcpus_cap;
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
	return derive_grow(array, cap, n, size, j->e);
}

/* Can this write be a notification? To legacy PCI by its port; to MMIO if it is an index, and no register of an
 * interrupt controller that KVM has itself. */
static bool looks_like_kick(int64_t space, int64_t addr, int64_t size, int64_t value)
{
	if (space == EW_SPACE_PIO)
		return size == 2 && (addr & (LEGACY_BAR - 1)) == LEGACY_NOTIFY && value >= 0 &&
		       value < QUEUES_MAX;
	if (size == SQL_NULL)
		return true; /* kvm_fast_mmio */
	if (addr >= APICS_BEGIN && addr < APICS_END)
		return false;
	return (size == 2 || size == 4) && value >= 0 && value < QUEUES_MAX;
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

/* The exit of a track has ended, or nobody knows any more whether it has. entry: the kvm_entry that ended it. */
static int close_exit(struct host_gather *g, int64_t track, struct track *t, struct mark entry)
{
	const struct open_exit x = t->exit;
	struct host_join *j = g->j;
	size_t address, at;
	int ret;

	t->exit.id = 0;
	if (!x.id || x.row.id != x.id || x.row.space == SQL_NULL || !x.row.is_write ||
		!looks_like_kick(x.row.space, x.row.addr, x.row.size, x.row.value))
		return 0;
	ret = find_address(j, x.row.space, x.row.addr, &address);
	if (!ret && address == NO_INDEX)
		return 0;
	if (!ret)
		ret = grow(j, (void **)&j->kick, &j->kicks_cap, j->kicks, sizeof(*j->kick));
	if (ret)
		return ret;
	/* They stand in the order in which they began. */
	for (at = j->kicks++; at > 0 && j->kick[at - 1].at.event > x.at.event; at--)
		j->kick[at] = j->kick[at - 1];
	j->kick[at] = (struct host_kick){.exit_id = j->silent ? SQL_NULL : x.id,
		.track = track,
		.space = x.row.space,
		.addr = x.row.addr,
		.value = x.row.value,
		.at = x.at,
		.before = x.before,
		.entry = entry,
		.to_vmm = x.row.to_vmm,
		.address = address};
	j->address[address].kicks++;
	return 0;
}

/* "qemu-system-x86-172" → "qemu-system-x86": threads that are called alike are of one process, or nearly. */
static void cut_name(char *name)
{
	char *dash = strrchr(name, '-');

	if (dash)
		*dash = '\0';
}

static bool same_name(const struct host_gather *g, const struct track *t)
{
	for (size_t i = 0; i < g->vcpus; i++)
		if (!strcmp(g->track[g->vcpu[i]].name, t->name))
			return true;
	return false;
}

/* From here on it is known that this is a vCPU, and so whose the threads are that have its name. */
static int is_vcpu(struct host_gather *g, struct track *t)
{
	int ret = t->vcpu ? 0
			  : grow(g->j, (void **)&g->vcpu, &g->vcpus_cap, g->vcpus,
				    sizeof(*g->vcpu));

	if (ret || t->vcpu)
		return ret;
	t->vcpu = true;
	if (!same_name(g, t))
		for (size_t i = 0; i < g->tracks; i++)
			g->track[i].vmm |= !strcmp(t->name, g->track[i].name);
	g->vcpu[g->vcpus++] = (size_t)(t - g->track);
	return 0;
}

static int on_kvm_exit(struct host_gather *g, struct track *t, const struct event_row *ev)
{
	int ret = is_vcpu(g, t);

	if (!ret)
		ret = close_exit(g, ev->track, t, (struct mark){0, 0});
	t->exit.id = ev->a[0];
	t->exit.at = (struct mark){ev->id, ev->ts};
	t->exit.before = t->entry;
	return ret;
}

static int on_kvm_entry(struct host_gather *g, struct track *t, const struct event_row *ev)
{
	int ret = is_vcpu(g, t);

	t->entry = (struct mark){ev->id, ev->ts};
	if (!ret)
		ret = close_exit(g, ev->track, t, t->entry);
	delivered(g->j, t, ev);
	return ret;
}

static int on_sys_enter(struct host_gather *g, struct track *t, const struct event_row *ev)
{
	struct host_join *j = g->j;
	int ret = 0;

	t->sys = (struct mark){ev->id, ev->ts};
	t->call = t->irq = NO_INDEX;
	if (host_is_run(ev)) {
		t->run = t->sys;
		ret = j->silent ? close_exit(g, ev->track, t, t->run) : 0;
	}
	if (ev->a[0] == SYS_ioctl && (ev->a[2] & 0xff00) == KVM_IOCTL)
		t->vmm = true;
	if (ret || !t->vmm || !is_disk_call(ev))
		return ret;
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

static void on_sys_exit(struct host_gather *g, struct track *t, const struct event_row *ev)
{
	struct host_join *j = g->j;

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

static int on_irq(struct host_gather *g, struct track *t, const struct event_row *ev)
{
	struct host_join *j = g->j;
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

static int on_inject(struct host_gather *g, struct track *t, const struct event_row *ev)
{
	struct host_join *j = g->j;
	int ret = grow(j, (void **)&j->inject, &j->injects_cap, j->injects, sizeof(*j->inject));

	if (ret)
		return ret;
	t->injected = j->injects;
	j->inject[j->injects++] = (struct host_inject){
		.track = ev->track, .vector = ev->a[0], .at = {ev->id, ev->ts}};
	return 0;
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

/* Where no kvm_exit fires: a write by the guest, seen by its emulation. Its exit ends with the next KVM_RUN. */
static int on_access(struct host_gather *g, struct track *t, const struct event_row *ev)
{
	bool pio = ev->kind == EW_KVM_PIO, write = ev->a[0] == (pio ? KVM_PIO_OUT : KVM_MMIO_WRITE);
	int ret = close_exit(g, ev->track, t, (struct mark){0, 0});

	if (!write)
		return ret;
	t->exit = (struct open_exit){.id = ev->id,
		.at = {ev->id, ev->ts},
		.before = t->run,
		.row = {.id = ev->id,
			.space = pio ? EW_SPACE_PIO : EW_SPACE_MMIO,
			.addr = ev->a[1],
			.size = ev->a[2],
			.value = pio ? ev->a[4] : ev->a[3],
			.is_write = true}};
	return ret;
}

/* Records were lost: nobody knows where any track is. */
static int forget(struct host_gather *g)
{
	int ret = 0;

	for (size_t i = 0; !ret && i < g->tracks; i++) {
		struct track *t = &g->track[i];

		ret = close_exit(g, (int64_t)i + 1, t, (struct mark){0, 0});
		t->call = t->irq = t->raised = t->injected = NO_INDEX;
		t->entry = t->sys = (struct mark){0, 0};
	}
	return ret;
}

int host_gather_event(struct host_gather *g, const struct event_row *ev)
{
	struct track *t;

	if (ev->track < 1 || (size_t)ev->track > g->tracks)
		return 0;
	t = &g->track[ev->track - 1];
	switch (ev->kind) {
	case EW_KVM_ENTRY:
		return on_kvm_entry(g, t, ev);
	case EW_KVM_INJ_VIRQ:
		return on_inject(g, t, ev);
	case EW_KVM_EOI:
		ended(g->j, t, ev);
		return 0;
	case EW_KVM_APIC_ACCEPT_IRQ:
		if (t->raised != NO_INDEX)
			g->j->irq[t->raised].vector = ev->a[3];
		t->raised = NO_INDEX;
		return 0;
	case EW_KVM_EXIT:
		return on_kvm_exit(g, t, ev);
	case EW_SYS_ENTER:
		return on_sys_enter(g, t, ev);
	case EW_SYS_EXIT:
		on_sys_exit(g, t, ev);
		return 0;
	case EW_SCHED_WAKING:
		if (t->vmm && ev->a[0] >= 1 && (size_t)ev->a[0] <= g->tracks)
			g->track[ev->a[0] - 1].vmm = true;
		return 0;
	case EW_LOST:
		return forget(g);
	case EW_KVM_SET_IRQ:
	case EW_KVM_MSI_SET_IRQ:
		return on_irq(g, t, ev);
	case EW_KVM_PIO:
	case EW_KVM_MMIO:
		return g->j->silent ? on_access(g, t, ev) : 0;
	case EW_KVM_USERSPACE_EXIT:
		t->exit.row.to_vmm |= g->j->silent;
		return 0;
	default:
		return 0;
	}
}

void host_gather_exit(struct host_gather *g, int64_t track, const struct host_gather_exit *x)
{
	if (track >= 1 && (size_t)track <= g->tracks)
		g->track[track - 1].exit.row = *x;
}

int host_gather_track(struct host_gather *g, const char *name, bool vcpu)
{
	int ret = grow(g->j, (void **)&g->track, &g->tracks_cap, g->tracks, sizeof(*g->track));
	struct track *t;

	if (ret)
		return ret;
	t = &g->track[g->tracks++];
	*t = (struct track){
		.call = NO_INDEX, .irq = NO_INDEX, .raised = NO_INDEX, .injected = NO_INDEX};
	snprintf(t->name, sizeof(t->name), "%s", name);
	cut_name(t->name);
	t->vmm = g->j->attached || same_name(g, t);
	return vcpu ? is_vcpu(g, t) : 0;
}

int host_gather_begin(struct host_gather **g, struct host_join *j)
{
	*g = calloc(1, sizeof(**g));
	if (!*g)
		return err_set(j->e, -ENOMEM, "out of memory");
	(*g)->j = j;
	return 0;
}

int host_gather_end(struct host_gather **g)
{
	int ret = *g ? forget(*g) : 0;

	if (*g) {
		free((*g)->track);
		free((*g)->vcpu);
	}
	free(*g);
	*g = NULL;
	return ret;
}
