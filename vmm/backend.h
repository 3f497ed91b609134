/* SPDX-License-Identifier: MIT */
/* Which KVM backend this is, and what has to be found out by trying. */
#ifndef EXITWALK_VMM_BACKEND_H
#define EXITWALK_VMM_BACKEND_H

#include <stddef.h>
#include "tracer/err.h"

/* "kvm_intel", "kvm_amd", "kvm_pvm"; several with commas; "unknown" if /sys/module has none. */
void backend_name(char *name, size_t size);

/* each(ctx, "kvm_intel", "ept", "Y") for every readable parameter of kvm and of the backends. */
void backend_parameters(
	void (*each)(void *ctx, const char *module, const char *parameter, const char *value),
	void *ctx);

/* /proc/cpuinfo's "model name", or "unknown". Only told, never a reason to refuse. */
void backend_cpu_model(char *name, size_t size);

/* -ENOTSUP with a sentence if it is known that a Linux guest cannot boot by this backend. */
int backend_check_linux(struct err *e);

/* What a test in a throw-away VM showed. */
enum backend_answer { BACKEND_NO, BACKEND_YES, BACKEND_UNKNOWN };

/*
 * Each makes a VM, runs a few instructions for at most a second, and writes into `detail` what
 * happened. BACKEND_UNKNOWN: the VM could not be made or run.
 */
enum backend_answer backend_syscall(const char *kvm_device, char *detail, size_t size);
enum backend_answer backend_single_step(const char *kvm_device, char *detail, size_t size);
enum backend_answer backend_hw_breakpoint(const char *kvm_device, char *detail, size_t size);
enum backend_answer backend_int3(const char *kvm_device, char *detail, size_t size);

#endif
