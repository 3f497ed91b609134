/* SPDX-License-Identifier: MIT */
/* What to tell a person when a guest cannot go on. */
#ifndef EXITWALK_VMM_DIAG_H
#define EXITWALK_VMM_DIAG_H

#include <stdbool.h>
#include <stdio.h>
#include "cpus.h"

/* Did the run end in a way that needs explaining? */
bool diag_wanted(enum ew_stop why);

/*
 * Reason, suberror and data, registers, the code at RIP (translated through the guest's page tables,
 * disassembled) and the last exits: of the vCPU that ended the run, or of all if none did. After cpus_run.
 */
void diag_print(FILE *out, struct cpus *c);

/*
 * One line: where v is, with the name of the function if `kernel` is an ELF file that has it, and what
 * it does there. On v's thread, outside of KVM_RUN. A processor that the guest has not started: nothing.
 */
void diag_where(FILE *out, struct vcpu *v, const void *kernel, size_t len, const char *end);

/* "the guest shut down (triple fault)" … */
const char *stop_text(enum ew_stop why);

#endif
