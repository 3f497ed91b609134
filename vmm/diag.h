/* SPDX-License-Identifier: MIT */
/* What to tell a person when a guest cannot go on. */
#ifndef EXITWALK_VMM_DIAG_H
#define EXITWALK_VMM_DIAG_H

#include <stdbool.h>
#include <stdio.h>
#include "vcpu.h"

/* Did the run end in a way that needs explaining? */
bool diag_wanted(enum ew_stop why);

/*
 * Reason, suberror and data, registers, the code at RIP (translated through the guest's page tables,
 * disassembled) and the last exits. After vcpu_run, on its thread.
 */
void diag_print(FILE *out, struct vcpu *v);

/* "the guest shut down (triple fault)" … */
const char *stop_text(enum ew_stop why);

#endif
