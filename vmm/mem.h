/* SPDX-License-Identifier: MIT */
/* Guest-physical memory: one slot from address 0. Devices get a pointer to this and nothing else. */
#ifndef EXITWALK_VMM_MEM_H
#define EXITWALK_VMM_MEM_H

#include <stdint.h>
#include "tracer/err.h"

struct guest_mem {
	uint8_t *host; /* where the guest's address 0 is mapped */
	uint64_t size; /* bytes */
};

/* Maps `size` bytes of anonymous memory. Owner: the caller, until mem_free. */
int mem_alloc(struct guest_mem *m, uint64_t size, struct err *e);
void mem_free(struct guest_mem *m);

/* The host address of [gpa, gpa+len), or NULL if any byte of it lies outside (also when gpa+len wraps).
 * len 0 is inside if gpa <= size. */
void *mem_ptr(const struct guest_mem *m, uint64_t gpa, uint64_t len);

/*
 * Guest-virtual to guest-physical by walking 4-level page tables (SDM vol. 3A 4.5, APM vol. 2 5.3) in
 * guest memory: 4 KiB, 2 MiB and 1 GiB pages; access rights are not checked. 0 or -EFAULT.
 */
int mem_translate(const struct guest_mem *m, uint64_t cr3, uint64_t gva, uint64_t *gpa);

/* Copies len bytes from guest-virtual memory; returns how many could be read (stops at the first page
 * that is not mapped or not in memory). */
uint64_t mem_read_virt(
	const struct guest_mem *m, uint64_t cr3, uint64_t gva, void *buf, uint64_t len);

#endif
