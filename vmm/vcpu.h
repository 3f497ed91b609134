/* SPDX-License-Identifier: MIT */
/* One virtual CPU: its state at the start, the KVM_RUN loop, and what is recorded of each exit. */
#ifndef EXITWALK_VMM_VCPU_H
#define EXITWALK_VMM_VCPU_H

#include <linux/kvm.h>
#include <pthread.h>
#include <stdbool.h>
#include "bus.h"
#include "cpuid.h"
#include "kvm.h"
#include "mem.h"
#include "stop.h"
#include "tracer/probe.h"
#include "turn.h"

#ifndef KVM_EXIT_MEMORY_FAULT
#define KVM_EXIT_MEMORY_FAULT 39 /* <linux/kvm.h> since Linux 6.8 */
#endif

struct guest_kernel;
struct recorder;

/* What is kept of the last exits, for a message when the guest cannot go on. */
#define VCPU_HISTORY 10
struct exit_note {
	uint64_t number, addr, rip; /* rip: 0 in unrecorded runs */
	uint32_t reason, count;
	uint8_t size, space, is_write;
};

struct vcpu {
	int fd;
	unsigned id; /* also its APIC id; 0 starts the machine */
	const struct kvm *kvm;
	struct kvm_run *run; /* shared with KVM */
	pthread_t thread;    /* that runs it; not of vCPU 0 */
	unsigned sync_regs;  /* KVM_SYNC_X86_* that KVM can deliver with each return */
	struct guest_mem *mem;
	struct bus *bus;
	struct guest_kernel *linux_kernel; /* NULL: the guest is not Linux */
	struct turn *turn;                 /* taken around each access to a device */
	struct probe *probe;               /* NULL: unrecorded */
	const struct recorder *recorder;   /* asked at each exit whether it can go on; or NULL */

	struct stop *stop; /* of the machine */
	struct stop_thread stop_thread;
	uint64_t
		*numbers; /* the machine's last exit number; each vCPU takes the next, atomically */

	uint64_t exits;  /* returns of this vCPU's KVM_RUN so far */
	uint64_t number; /* the last exit's, in the recording; 0: none yet */

	void (*kicked)(void *ctx, struct vcpu *v); /* a signal ended KVM_RUN; or NULL */
	void *kicked_ctx;
	int look; /* kicked() is to say where the vCPU is; set by another thread, atomically */

	uint64_t tsc_next; /* when its TSC offset is due to be said again; 0: never */

	uint64_t cr3;         /* as last read; VCPU_NO_TABLES */
	uint64_t last_tables; /* the last CR3 that was not VCPU_NO_TABLES; 0: none */
	uint64_t gs_base;     /* of the same time: in Linux the processor's own data */
	uint64_t cr3_exit;    /* the exit at which both were read */
	uint64_t sregs_until; /* up to this exit the system registers come with each return */
	uint64_t regs_exit;   /* without sync_regs: the exit at which run->s.regs.regs was read */
	struct exit_note history[VCPU_HISTORY]; /* the n-th exit is at n % VCPU_HISTORY */
};

/* Instead of CR3 where the processor has no 4-level page tables (not in long mode): mem_translate finds
 * nothing by it. */
#define VCPU_NO_TABLES UINT64_MAX

/* Creates vCPU `id` of k; on failure nothing is left to destroy. */
int vcpu_create(struct vcpu *v, const struct kvm *k, unsigned id, struct err *e);
void vcpu_destroy(struct vcpu *v);

/*
 * CPUID and MSRs; for vCPU 0 also FPU, LAPIC and the registers of the 64-bit
 * boot protocol (boot.h has been here). The others stay as KVM made them: after INIT, waiting for SIPI.
 */
int vcpu_reset(struct vcpu *v, const struct cpuid_config *cpu, uint64_t entry, struct err *e);

int vcpu_set_msr(struct vcpu *v, uint32_t index, uint64_t value, struct err *e);

/* Long mode, CPL 0, flat segments, page tables at pml4, GDT at gdt (an image of boot_gdt). */
void vcpu_long_mode(struct kvm_sregs *s, uint64_t pml4, uint64_t gdt);
/* A segment as its GDT descriptor describes it; rpl goes into the selector. */
struct kvm_segment vcpu_segment(uint64_t descriptor, uint16_t selector);

/* Runs the guest until v->stop has a reason. KICK_SIGNAL must have its handler (kick_init). */
void vcpu_run(struct vcpu *v);

/* Ends the run because of what this vCPU met: status is the guest's exit status (EW_STOP_GUEST_EXIT),
 * errno (EW_STOP_RUN_FAILED, EW_STOP_NO_THREAD) or what the exit said. The first reason wins. */
void vcpu_stop(struct vcpu *v, enum ew_stop why, int status);

/* The guest's CR3 at the present exit (or VCPU_NO_TABLES), and its registers. For the vCPU's own thread. */
uint64_t vcpu_cr3(struct vcpu *v);
/* Is v->cr3 the present one already, at no cost? */
bool vcpu_cr3_known(struct vcpu *v);
const struct kvm_regs *vcpu_regs(struct vcpu *v);

/* Registers, stack and code into the recording. For the vCPU's own thread. */
void vcpu_snapshot(struct vcpu *v, enum ew_snapshot_why why);

/* exits.c: acts on run->exit_reason. */
void exit_handle(struct vcpu *v);
/* "KVM_EXIT_IO", or "unknown exit reason" */
const char *exit_name(uint32_t reason);
/* What the exit says of an access; zeroes (and EW_SPACE_MAX) if it is none. */
void exit_access(const struct kvm_run *run, struct ew_exit_payload *x);

/* insn_bytes.c: fills in x->insn and x->insn_ok; x->rip and x->space are set. */
void insn_bytes(struct vcpu *v, uint32_t reason, struct ew_exit_payload *x);
/* Is there an IN or OUT at insn[8], or one that ends right before it? */
bool insn_is_port_io(const uint8_t insn[24], unsigned ok);

#endif
