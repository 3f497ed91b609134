/* SPDX-License-Identifier: MIT */
/* Guest-physical memory, and the walk of the guest's page tables. */
#include "vmm/mem.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Bits of a page-table entry, SDM vol. 3A, tables 4-15 to 4-20. */
#define PTE_PRESENT (1ull << 0)
#define PTE_PAGE_SIZE (1ull << 7) /* in a PDPTE or PDE: this entry maps a page */
#define PTE_ADDRESS 0x000ffffffffff000ull
#define PAGE_BYTES 4096u
#define HUGE_BYTES (2u << 20)

/*
 * Memory that begins at a multiple of 2 MiB, so that guest-physical and host-virtual addresses have the same
 * offset in a huge page and KVM can map one by one entry: a Linux guest's boot then has some hundred
 * page faults (EPT violations, nested page faults) instead of 25,000. A host without them gives small pages.
 *
 * NORESERVE: a guest that touches little costs little, whatever size it was promised.
 */
static void *map_aligned(uint64_t size)
{
	uint8_t *p = mmap(NULL, size + HUGE_BYTES, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	size_t before;

	if (p == MAP_FAILED)
		return NULL;
	before = -(uintptr_t)p % HUGE_BYTES;
	if (before)
		munmap(p, before);
	munmap(p + before + size, HUGE_BYTES - before);
	madvise(p + before, size, MADV_HUGEPAGE);
	/* The process that decodes what the guest sent (tracer/import_process.h) needs none of it. */
	madvise(p + before, size, MADV_DONTFORK);
	return p + before;
}

int mem_alloc(struct guest_mem *m, uint64_t size, struct err *e)
{
	void *p;

	*m = (struct guest_mem){0};
	if (!size || size % PAGE_BYTES || size > SIZE_MAX / 2)
		return err_set(e, -EINVAL,
			"guest memory of %llu bytes is not possible: give a multiple of 4 KiB",
			(unsigned long long)size);
	p = map_aligned(size);
	if (!p)
		return err_set(e, -errno, "cannot map %llu MiB of guest memory (%s): give less",
			(unsigned long long)(size >> 20), strerror(errno));
	*m = (struct guest_mem){.host = p, .size = size};
	return 0;
}

void mem_free(struct guest_mem *m)
{
	if (m->host)
		munmap(m->host, m->size);
	*m = (struct guest_mem){0};
}

void *mem_ptr(const struct guest_mem *m, uint64_t gpa, uint64_t len)
{
	if (gpa > m->size || len > m->size - gpa)
		return NULL;
	return m->host + gpa;
}

int mem_translate(const struct guest_mem *m, uint64_t cr3, uint64_t gva, uint64_t *gpa)
{
	uint64_t table = cr3 & PTE_ADDRESS;

	/* Canonical: bits 63..47 are equal (SDM vol. 1, 3.3.7.1). */
	if ((uint64_t)((int64_t)(gva << 16) >> 16) != gva)
		return -EFAULT;
	/* PML4 (bits 47..39), PDPT, page directory, page table. */
	for (unsigned shift = 39; shift >= 12; shift -= 9) {
		const void *p = mem_ptr(m, table + 8 * (gva >> shift & 511), 8);
		uint64_t entry, in_page = (1ull << shift) - 1;

		if (!p)
			return -EFAULT;
		memcpy(&entry, p, sizeof(entry));
		if (!(entry & PTE_PRESENT))
			return -EFAULT;
		if (shift == 12 || (shift < 39 && (entry & PTE_PAGE_SIZE))) {
			/* Bit 12 of a large page's entry is PAT, not address: mask it off. */
			*gpa = (entry & PTE_ADDRESS & ~in_page) | (gva & in_page);
			return 0;
		}
		table = entry & PTE_ADDRESS;
	}
	return -EFAULT;
}

uint64_t mem_read_virt(
	const struct guest_mem *m, uint64_t cr3, uint64_t gva, void *buf, uint64_t len)
{
	uint64_t done = 0, gpa;

	/* The address space ends at 2^64; reading does not wrap to 0. */
	if (len && len - 1 > UINT64_MAX - gva)
		len = UINT64_MAX - gva + 1;
	while (done < len) {
		uint64_t n = PAGE_BYTES - (gva + done) % PAGE_BYTES;
		const void *p;

		if (n > len - done)
			n = len - done;
		if (mem_translate(m, cr3, gva + done, &gpa))
			break;
		p = mem_ptr(m, gpa, n);
		if (!p)
			break;
		memcpy((uint8_t *)buf + done, p, n);
		done += n;
	}
	return done;
}
