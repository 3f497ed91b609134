/* SPDX-License-Identifier: MIT */
/*
 * The probe interface: how the machine (vmm/) says what it does. The machine knows nothing of
 * recorders; it calls probe_emit() with a fixed-size record, and a NULL probe costs one branch, so
 * that the same machine runs unrecorded at full speed. Unit tests plug in a probe that appends to an
 * array.
 */
#ifndef EXITWALK_TRACER_PROBE_H
#define EXITWALK_TRACER_PROBE_H

#include <stddef.h>
#include <stdint.h>
#include <time.h>

enum ew_kind {
#define EV(id, name, NAME, stage, layer, source, text, doc, a0, a1, a2, a3, a4, a5) EW_##NAME = id,
#include "events.def"
#undef EV
};

enum ew_layer {
#define LAYER(id, v, n, l) EW_LAYER_##id = v,
#include "names.def"
	EW_LAYER_MAX = EW_LAYER_IN_VMM
};

enum ew_source {
#define SRC(id, v, n, l) EW_SRC_##id = v,
#include "names.def"
	EW_SRC_MAX = EW_SRC_GUEST_TRACE
};

enum ew_guest_error {
#define GERR(id, v, n) EW_GERR_##id = v,
#include "names.def"
	EW_GERR_MAX
};

enum ew_stop {
#define STOP(id, v, n) EW_STOP_##id = v,
#include "names.def"
	EW_STOP_MAX
};

enum ew_space { EW_SPACE_PIO, EW_SPACE_MMIO, EW_SPACE_PCI, EW_SPACE_MAX };
enum ew_bus_result { EW_BUS_HANDLED, EW_BUS_UNCLAIMED, EW_BUS_BAD_SIZE };
enum ew_kick_via { EW_KICK_VIA_VCPU, EW_KICK_VIA_IOEVENTFD };
enum ew_snapshot_why { EW_SNAPSHOT_NONE, EW_SNAPSHOT_NOTIFY, EW_SNAPSHOT_ISR_READ };

/* One record: one instant on one thread. 64 bytes, one cache line. */
struct ew_rec {
	uint64_t ts;    /* CLOCK_MONOTONIC, ns */
	uint16_t kind;  /* enum ew_kind */
	uint16_t slots; /* how many 64-byte slots of payload follow in the ring (set by the ring) */
	uint32_t payload; /* payload length in bytes */
	uint64_t a[6]; /* arguments in the order of events.def; a signed value is sign-extended */
};
_Static_assert(sizeof(struct ew_rec) == 64, "one cache line");

/*
 * Payload of EW_RUN_EXIT: everything about one return of KVM_RUN that does not fit the arguments.
 * For exits that have no address or data the fields are 0 and `space` is EW_SPACE_MAX.
 */
struct ew_exit_payload {
	uint64_t rip;  /* as KVM reports it: at the instruction, or behind it (backends differ) */
	uint64_t addr; /* port, guest-physical address */
	uint64_t
		value; /* first up to 8 bytes moved, little-endian; for a read filled in DISPATCH_END */
	uint32_t count;   /* repetitions (string I/O), else 1 */
	uint8_t size;     /* bytes per access */
	uint8_t space;    /* enum ew_space */
	uint8_t is_write; /* guest to device */
	uint8_t insn_ok; /* the two halves of insn[] that could be read: bit 0 before, bit 1 from rip */
	uint8_t insn[24]; /* 8 bytes in front of rip, then 16 from rip on */
};
_Static_assert(sizeof(struct ew_exit_payload) == 56, "fits one slot");

/* Guest registers in the order of struct kvm_regs, head of EW_SNAPSHOT's payload; the stack follows. */
struct ew_regs {
	uint64_t rax, rbx, rcx, rdx, rsi, rdi, rsp, rbp, r8, r9, r10, r11, r12, r13, r14, r15;
	uint64_t rip, rflags;
};

/* Where records go. `emit` never blocks, allocates or locks; the payload is copied before it returns. */
struct probe {
	void (*emit)(struct probe *p, const struct ew_rec *rec, const void *payload);
};

/* CLOCK_MONOTONIC in ns, by the vDSO. */
static inline uint64_t probe_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static inline void probe_emit_at(struct probe *p, uint64_t ts, enum ew_kind kind,
	const uint64_t a[6], const void *payload, uint32_t len)
{
	struct ew_rec rec = {.ts = ts,
		.kind = (uint16_t)kind,
		.payload = len,
		.a = {a[0], a[1], a[2], a[3], a[4], a[5]}};

	if (p)
		p->emit(p, &rec, payload);
}

/*
 * PROBE(p, kind, a0, a1, …): emit now. PROBE_AT takes the time, PROBE_DATA a payload too.
 * The arguments are evaluated even when p is NULL: keep them cheap.
 */
#define PROBE_ARGS(...) ((const uint64_t[6]){__VA_ARGS__})
#define PROBE_AT(p, ts, kind, ...) probe_emit_at(p, ts, kind, PROBE_ARGS(__VA_ARGS__), NULL, 0)
#define PROBE(p, kind, ...)                                                                        \
	do {                                                                                       \
		if (p)                                                                             \
			PROBE_AT(p, probe_now(), kind, __VA_ARGS__);                               \
	} while (0)
#define PROBE_DATA(p, ts, kind, data, len, ...)                                                    \
	probe_emit_at(p, ts, kind, PROBE_ARGS(__VA_ARGS__), data, len)

#endif
