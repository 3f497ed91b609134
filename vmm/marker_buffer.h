/* SPDX-License-Identifier: MIT */
/* Where the data of a guest process's system call lie in guest-physical memory. */
#ifndef EXITWALK_VMM_MARKER_BUFFER_H
#define EXITWALK_VMM_MARKER_BUFFER_H

#include "guest_abi.h"
#include "mem.h"
#include "tracer/probe.h"

/* What is looked up of one call. Where it ends, one more piece, without an address, says so. */
#define MARKER_BUFFER_PIECES 1024
#define MARKER_BUFFER_PAGES 16384

/*
 * Records a MARKER_BUFFER on p for each piece of the buffers that m's system call names, by the page
 * tables at cr3: pieces are contiguous in both address spaces, and as long as they can be. One that is not mapped has all
 * ones for an address. Nothing for a
 * call without a buffer. Nothing of the guest's is trusted.
 */
void marker_buffer_record(
	const struct guest_mem *mem, uint64_t cr3, const struct ew_marker *m, struct probe *p);

#endif
