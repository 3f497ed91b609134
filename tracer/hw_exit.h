/* SPDX-License-Identifier: MIT */
/*
 * What the numbers of a hardware exit mean, per instruction set: VT-x (Intel SDM vol. 3) and SVM (AMD APM
 * vol. 2). The bits stand here once: hw_exit_io() decodes with them, and so does the SQL that
 * schema/gen_text.c makes.
 */
#ifndef EXITWALK_TRACER_HW_EXIT_H
#define EXITWALK_TRACER_HW_EXIT_H

#include <stdbool.h>
#include <stdint.h>

/* The field `isa` of the kvm_exit tracepoint: KVM_ISA_VMX, KVM_ISA_SVM (arch/x86/kvm/trace.h). */
#define HW_VMX 1
#define HW_SVM 2

/* Exit reason of VT-x, SDM 25.9.1: the basic reason in 15:0, and bit 31 if VM entry failed. */
#define HW_VMX_BASIC 0xffffu
#define HW_VMX_ENTRY_FAILED 0x80000000u
#define HW_VMX_IO 30u

/* Exit qualification of an I/O instruction, SDM 28.2.1: size - 1 in 2:0, port in 31:16. */
#define HW_VMX_IO_SIZE 7u
#define HW_VMX_IO_IN 8u
#define HW_VMX_IO_STRING 16u
#define HW_VMX_IO_REP 32u

/* EXITINFO1 of an I/O instruction, APM 15.10.2: SZ8, SZ16, SZ32 in 6:4 (so the size in bytes), port in 31:16. */
#define HW_SVM_IO 0x7bu
#define HW_SVM_IO_IN 1u
#define HW_SVM_IO_STRING 4u
#define HW_SVM_IO_REP 8u
#define HW_SVM_IO_SIZE_SHIFT 4
#define HW_SVM_IO_SIZE 7u

#define HW_IO_PORT_SHIFT 16
#define HW_IO_PORT 0xffffu

struct hw_io {
	uint16_t port;
	uint8_t size; /* bytes: 1, 2, 4 */
	bool in, string, rep;
};

/* Is it an exit by an I/O instruction? Then *io is what its qualification (info1) says. */
static inline bool hw_exit_io(uint64_t isa, uint64_t reason, uint64_t info1, struct hw_io *io)
{
	*io = (struct hw_io){.port = (uint16_t)(info1 >> HW_IO_PORT_SHIFT)};
	if (isa == HW_VMX && (reason & HW_VMX_BASIC) == HW_VMX_IO &&
		!(reason & HW_VMX_ENTRY_FAILED)) {
		io->size = (uint8_t)((info1 & HW_VMX_IO_SIZE) + 1);
		io->in = info1 & HW_VMX_IO_IN;
		io->string = info1 & HW_VMX_IO_STRING;
		io->rep = info1 & HW_VMX_IO_REP;
	} else if (isa == HW_SVM && reason == HW_SVM_IO) {
		io->size = info1 >> HW_SVM_IO_SIZE_SHIFT & HW_SVM_IO_SIZE;
		io->in = info1 & HW_SVM_IO_IN;
		io->string = info1 & HW_SVM_IO_STRING;
		io->rep = info1 & HW_SVM_IO_REP;
	} else {
		return false;
	}
	return true;
}

#endif
