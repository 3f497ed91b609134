/* SPDX-License-Identifier: MIT */
/*
 * Disk requests in a recording of host tracepoints: which exit told the VMM of it, which system call of
 * which thread did it, which interrupt said that it was done. docs/import.md, "Requests", says how that
 * is known and what it cannot be known from.
 */
#ifndef EXITWALK_TRACER_HOST_JOIN_H
#define EXITWALK_TRACER_HOST_JOIN_H

#include "derive.h"

/* An exit by a write that may be a driver's notification of a queue. */
struct host_kick {
	int64_t exit_id /* SQL_NULL: no kvm_exit */, track, space, addr, value;
	struct mark at;     /* its kvm_exit */
	struct mark before; /* the kvm_entry in front of it; event 0: none was seen */
	struct mark entry;  /* the kvm_entry that ended it */
	bool to_vmm;        /* KVM_RUN returned with it; else an ioeventfd took it */
	size_t address;     /* index in host_join.address */
	size_t calls;       /* system calls that were joined to it */
};

/* A system call that reads, writes or flushes a file, by a thread of the VMM. */
struct host_call {
	int64_t track, nr, fd, bytes,
		offset;          /* bytes: its result where it moved data, else SQL_NULL */
	struct mark enter, exit; /* exit.event 0: it did not return */
	size_t kick, irq;        /* indexes, or NO_INDEX */
};

/* An interrupt on its way into a guest: kvm_set_irq or kvm_msi_set_irq. */
struct host_irq {
	int64_t track, kind, key[2]; /* key: GSI, or address and data */
	struct mark at;
	struct mark begin; /* the system call it was raised in; event 0: none */
	struct mark end;   /* and its return */
	int64_t vector;    /* by kvm_apic_accept_irq, or the message's; SQL_NULL: not known */
};

/* An interrupt that a vCPU is entered with: kvm_inj_virq. */
struct host_inject {
	int64_t track, vector;
	struct mark at, entry, eoi; /* event 0: not seen */
};

/* One address that drivers write to. */
struct host_address {
	int64_t space, addr;
	size_t kicks, followed; /* followed: a disk system call came before the next one */
	int64_t next;           /* while they are counted: time of the write behind this one */
	bool is_kick;
};

struct host_join {
	bool silent; /* kvm_exit and kvm_entry never fire: an access stands for its exit, KVM_RUN for the entry */
	bool attached; /* there are system calls of the VMM's threads only */
	struct err *e;
	struct host_kick *kick;
	size_t kicks, kicks_cap;
	struct host_call *call;
	size_t calls, calls_cap;
	struct host_irq *irq;
	size_t irqs, irqs_cap;
	struct host_inject *inject;
	size_t injects, injects_cap;
	struct host_address *address;
	size_t addresses, addresses_cap;
};

/* Reads the events of a recording; nothing is joined yet. */
int host_gather(struct host_join *j, sqlite3 *db);

/*
 * The same, from whoever has the events before they are in a recording, in their order, and the rows of vm_exit
 * (each at the latest when it is complete, before the event that ends it). Tracks come in the order of their
 * ids, from 1, before the events on them; vcpu: it is one already, while an import's are those with a
 * kvm_entry or kvm_exit. j: all zero, but for e; borrowed until the end. *g is NULL after host_gather_end().
 */
struct host_gather;
struct host_gather_exit {
	int64_t id, space, addr, size, value; /* SQL_NULL as in vm_exit */
	bool is_write, to_vmm;
};
int host_gather_begin(struct host_gather **g, struct host_join *j);
int host_gather_track(struct host_gather *g, const char *name, bool vcpu);
void host_gather_exit(struct host_gather *g, int64_t track, const struct host_gather_exit *x);
int host_gather_event(struct host_gather *g, const struct event_row *ev);
int host_gather_end(struct host_gather **g);

/* Joins what was gathered. */
void host_join(struct host_join *j);

/* The first one of this vector behind an event; NULL: none. */
const struct host_inject *host_injected(const struct host_join *j, int64_t event, int64_t vector);

void host_join_free(struct host_join *j);

/* The type of a virtio-blk request that becomes this system call: VIRTIO_BLK_T_*, or SQL_NULL. */
int64_t host_call_type(int64_t nr);

#endif
