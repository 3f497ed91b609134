/* SPDX-License-Identifier: MIT */
/*
 * Where the exits that KVM counted went: which came to the VMM, which KVM served by itself, and what they
 * were. From KVM's own counters (KVM_GET_STATS_FD) before and after the run, and the recorded returns.
 */
#ifndef EXITWALK_TRACER_KVM_ACCOUNT_H
#define EXITWALK_TRACER_KVM_ACCOUNT_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>
#include "err.h"

/*
 * Counters of which each exit of the hardware moves at most one: what the exit was, and the functions of
 * Linux 6.1 to 6.18 in which they move. Accesses to MMIO have none of their own (kvm_account_mmio).
 */
#define KVM_EXIT_CLASSES(C)                                                                        \
	/* handle_io() of vmx.c, io_interception() of svm.c */                                     \
	C(io_exits, "IN and OUT")                                                                  \
	/* kvm_mmu_do_page_fault(); since 6.11 kvm_mmu_page_fault() */                             \
	C(pf_taken, "page faults of guest memory (EPT violation, nested page fault)")              \
	/* handle_external_interrupt(), intr_interception() */                                     \
	C(irq_exits, "interrupts for the host")                                                    \
	/* handle_interrupt_window(), interrupt_window_interception() */                           \
	C(irq_window_exits, "the guest can take an interrupt at last")                             \
	/* handle_nmi_window(), iret_interception() */                                             \
	C(nmi_window_exits, "the guest can take an NMI at last")                                   \
	/* __kvm_emulate_halt() */                                                                 \
	C(halt_exits, "HLT, in which KVM waits by itself")                                         \
	/* kvm_emulate_hypercall() */                                                              \
	C(hypercalls, "hypercalls")

enum kvm_class {
#define C(name, text) KVM_CLASS_##name,
	KVM_EXIT_CLASSES(C)
#undef C
		KVM_CLASS_MAX
};

/* Reasons of returns that the account asks about. */
enum kvm_return { KVM_RET_IO, KVM_RET_MMIO, KVM_RET_INTR, KVM_RET_WINDOW, KVM_RET_MAX };

/*
 * One vCPU's counts, or of all vCPUs together where KVM's are known together only (KVM_ALL_VCPUS). A counter that
 * the recording does not have is KVM_NO_COUNT. Of a VM that was not ours the counters were read while it ran: what
 * is recorded is counted between the two readings, and may differ by `slack`, what happened during them.
 */
#define KVM_NO_COUNT (-1)
#define KVM_ALL_VCPUS (-1)
struct kvm_account {
	int64_t vcpu;
	int64_t from, to, slack; /* INT64_MIN, INT64_MAX, 0: the whole recording */
	bool host;               /* returns are known by kvm_userspace_exit */
	int64_t exits;           /* of the hardware: vcpu_enter_guest(), once per kvm_exit */
	int64_t returns; /* of KVM_RUN: fpu_reload, kvm_put_guest_fpu() at the end of the ioctl */
	int64_t class[KVM_CLASS_MAX];
	int64_t mmio;       /* mmio_exits: x86_emulate_instruction(), once per instruction */
	int64_t pf_emulate; /* pf_taken that led to emulation: MMIO at its first touch */
	int64_t signals;    /* signal_exits: kvm_handle_signal_exit() */
	int64_t windows;    /* request_irq_exits: vcpu_run() */
	/* Recorded returns: all, and by reason. */
	int64_t rows, row[KVM_RET_MAX];
	int64_t traced;  /* exits of the hardware that are recorded, one per kvm_exit */
	int64_t strings; /* of KVM_RET_IO: string instructions, which may return several times */
	/* Notifies that ioeventfds took, by MMIO: of all vCPUs, so 0 unless this is the only one. */
	int64_t claimed;
};

/* Gives each vCPU that has counters to each(), lowest first. Returns 0, what each() returned (if not 0), or
 * -errno. */
int kvm_account_each(
	sqlite3 *db, int (*each)(void *ctx, const struct kvm_account *a), void *ctx, struct err *e);

/* MMIO exits that no class counts: at least so many. A first touch is in pf_taken. */
int64_t kvm_account_mmio(const struct kvm_account *a);

/* Exits that no counter tells. Negative: the backend does not count those that it emulates (kvm_pvm). */
int64_t kvm_account_rest(const struct kvm_account *a);

/* Notifies that ioeventfds took in this recording, over all vCPUs; *mmio: those of them by MMIO. */
int kvm_account_claimed(sqlite3 *db, int64_t *all, int64_t *mmio, struct err *e);

/* One line of the account: of vCPU `vcpu` (or KVM_ALL_VCPUS), `name` is a counter's, a reason's, or "not counted apart". */
struct kvm_line {
	int64_t vcpu, count;
	const char *name, *what;
	bool part; /* of the line without this in front of it */
};

/* The account as a table for people. Returns as kvm_account_each() does. */
int kvm_account_lines(
	sqlite3 *db, int (*each)(void *ctx, const struct kvm_line *line), void *ctx, struct err *e);

#endif
