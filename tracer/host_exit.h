/* SPDX-License-Identifier: MIT */
/*
 * An exit of the hardware from its kvm_exit to its kvm_entry: what the host's tracepoints say of it, and
 * what vm_exit will say.
 */
#ifndef EXITWALK_TRACER_HOST_EXIT_H
#define EXITWALK_TRACER_HOST_EXIT_H

#include "host_event.h"
#include "store.h"

struct host_exit {
	bool open, access, valued, returned;
	int64_t id, event_id, t_exit, t_entry; /* t_entry 0: not yet */
	uint64_t isa, reason, info1, rip;
	int64_t kvm_reason; /* if returned */
	int64_t space, addr, size, count, value;
	bool is_write;
	uint8_t present; /* as host_event's, of the kvm_exit */
};

/* What the VMM adds to an exit that KVM_RUN returned with; times 0: did not happen. */
struct host_exit_vmm {
	struct ew_exit_payload p;
	uint8_t insn[16];
	unsigned insn_len; /* 0: not known */
	uint64_t insn_rip, value, t_dispatch, t_done;
	int64_t region, result, reason;
};

/* rec: the kvm_exit, whose a[0] is the exit's number already. */
void host_exit_open(struct host_exit *x, const struct ew_rec *rec, uint8_t present,
	int64_t event_id, uint64_t ts);

/* Another tracepoint of the same exit: kvm_pio and kvm_mmio say what was accessed, kvm_userspace_exit with
 * what KVM_RUN returns. */
void host_exit_note(struct host_exit *x, const struct ew_rec *rec);

/* Stores the row, or replaces it. vmm NULL: it did not come to the VMM, or nobody recorded that. */
int host_exit_store(struct store *s, unsigned track, const struct host_exit *x,
	const struct host_exit_vmm *vmm, struct err *e);

#endif
