/* SPDX-License-Identifier: MIT */
/* KVM's own counters, by KVM_GET_STATS_FD (api.rst 4.133). */
#ifndef EXITWALK_VMM_KVM_STATS_H
#define EXITWALK_VMM_KVM_STATS_H

#include <stdint.h>
#include "tracer/err.h"

/*
 * Calls each(ctx, name, value) for every counter of a VM's or vCPU's fd that is one number
 * (histograms are left out). Returns how many there were, or -errno.
 */
int kvm_stats_read(int kvm_fd, void (*each)(void *ctx, const char *name, uint64_t value), void *ctx,
	struct err *e);

/* The same of a file that KVM_GET_STATS_FD gave. */
int kvm_stats_read_file(
	int fd, void (*each)(void *ctx, const char *name, uint64_t value), void *ctx);

#endif
