/* SPDX-License-Identifier: MIT */
/* Finding and printing the instruction that exited (Zydis). */
#ifndef EXITWALK_TRACER_INSN_H
#define EXITWALK_TRACER_INSN_H

#include <stddef.h>
#include "probe.h"

#define INSN_MAX 15 /* the architecture's limit (Intel SDM vol. 2, 2.3.11) */
#define INSN_TEXT_MAX 128

/*
 * The instruction that made this port or MMIO access, from the 24 bytes around RIP. Hardware
 * reports RIP at the instruction; KVM's emulator has already moved it on when it exits for a write
 * (x86_emulate_instruction(), arch/x86/kvm/x86.c). So both places are tried, and an instruction
 * counts only if its kind, direction, size and, where it is in the bytes, its port are those of the
 * access. Several may, as long as nobody says where it began: hw_rip, which kvm_exit tells (0: it was not traced).
 * Stores its address and bytes (16, zero-padded) and returns its length; 0, storing nothing, if no
 * instruction fits or several do.
 */
unsigned insn_locate(
	const struct ew_exit_payload *p, uint64_t hw_rip, uint64_t *insn_rip, uint8_t insn[16]);

/* Intel syntax, e.g. "out dx, ax". `rip` serves relative operands. Returns the instruction's
 * length, or 0 with "(bad)" as text. */
unsigned insn_format(const uint8_t *bytes, size_t len, uint64_t rip, char *text, size_t text_size);

#endif
