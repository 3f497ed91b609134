// SPDX-License-Identifier: MIT
/* Puts an ELF64 kernel, its zero page, its page tables and its GDT into guest memory. */
#include <asm/bootparam.h>
#include <elf.h>
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

#include "boot.h"
#include "guest_abi.h"
#include "layout.h"

_Static_assert(offsetof(struct boot_params, hdr.cmd_line_ptr) == EW_ZERO_PAGE_CMDLINE_PTR,
	"guest ABI and <asm/bootparam.h> agree");

/* SDM vol. 3A 3.4.5 and 7.2.3: 64-bit code, data, and a busy 64-bit TSS, which takes two entries. */
const uint64_t boot_gdt[BOOT_GDT_ENTRIES] = {
	[BOOT_CS / 8] = 0x00af9b000000ffff,
	[BOOT_DS / 8] = 0x00cf93000000ffff,
	[BOOT_TR / 8] = 0x00008b0000000067,
};

static int refuse(struct err *e, const char *what)
{
	return err_set(e, -ENOEXEC, "the kernel image %s: give an x86-64 ELF executable", what);
}

static int check_header(const Elf64_Ehdr *h, size_t len, struct err *e)
{
	if (memcmp(h->e_ident, ELFMAG, SELFMAG) != 0)
		return refuse(e, "is not an ELF file");
	if (h->e_ident[EI_CLASS] != ELFCLASS64 || h->e_ident[EI_DATA] != ELFDATA2LSB)
		return refuse(e, "is not a 64-bit little-endian ELF file");
	if (h->e_machine != EM_X86_64)
		return refuse(e, "is for another processor (e_machine)");
	if (h->e_type != ET_EXEC)
		return refuse(e, "is not a statically linked executable (e_type)");
	if (h->e_phentsize != sizeof(Elf64_Phdr))
		return refuse(e, "has program headers of a strange size (e_phentsize)");
	if (h->e_phnum == 0 || h->e_phnum == PN_XNUM)
		return refuse(e, "has no program headers (e_phnum)");
	if (h->e_phoff > len || (uint64_t)h->e_phnum * sizeof(Elf64_Phdr) > len - h->e_phoff)
		return refuse(e, "is cut off: its program headers lie behind its end (e_phoff)");
	return 0;
}

static int load_segment(
	struct guest_mem *m, const uint8_t *elf, size_t len, const Elf64_Phdr *p, struct err *e)
{
	uint8_t *to;

	if (p->p_filesz > p->p_memsz)
		return refuse(e, "has a segment with p_filesz > p_memsz");
	if (p->p_offset > len || p->p_filesz > len - p->p_offset)
		return refuse(e, "is cut off: a segment lies behind its end (p_offset)");
	if (p->p_paddr < LAYOUT_IMAGE_MIN)
		return refuse(e, "wants to be loaded below 1 MiB (p_paddr)");
	to = mem_ptr(m, p->p_paddr, p->p_memsz);
	if (!to)
		return err_set(e, -E2BIG,
			"the kernel image wants %" PRIu64 " bytes at 0x%" PRIx64
			", but guest memory ends at 0x%" PRIx64 ": give more by -m",
			(uint64_t)p->p_memsz, (uint64_t)p->p_paddr, m->size);
	memcpy(to, elf + p->p_offset, p->p_filesz);
	memset(to + p->p_filesz, 0, p->p_memsz - p->p_filesz);
	return 0;
}

int boot_load_elf(struct guest_mem *m, const void *elf, size_t len, uint64_t *entry, struct err *e)
{
	const uint8_t *bytes = elf;
	bool entry_inside = false;
	Elf64_Ehdr h;
	int rc;

	if (len < sizeof(h))
		return refuse(e, "is too short for an ELF header");
	memcpy(&h, bytes, sizeof(h)); /* the bytes may lie at any address */
	rc = check_header(&h, len, e);
	if (rc)
		return rc;
	for (unsigned i = 0; i < h.e_phnum; i++) {
		Elf64_Phdr p;

		memcpy(&p, bytes + h.e_phoff + i * sizeof(p), sizeof(p));
		if (p.p_type != PT_LOAD || p.p_memsz == 0)
			continue;
		rc = load_segment(m, bytes, len, &p, e);
		if (rc)
			return rc;
		entry_inside |= h.e_entry >= p.p_paddr && h.e_entry - p.p_paddr < p.p_filesz;
	}
	if (!entry_inside)
		return refuse(e, "has its entry point (e_entry, a physical address) in no segment");
	*entry = h.e_entry;
	return 0;
}

static void *place(struct guest_mem *m, uint64_t gpa, size_t len, struct err *e)
{
	void *p = mem_ptr(m, gpa, len);

	if (!p)
		err_set(e, -E2BIG, "guest memory is too small to boot: give at least -m %d",
			LAYOUT_RAM_MIN_MIB);
	return p;
}

static void add_range(struct boot_params *zp, uint64_t from, uint64_t to, uint32_t type)
{
	if (to <= from)
		return;
	zp->e820_table[zp->e820_entries++] = (struct boot_e820_entry){
		.addr = from, .size = to - from, .type = type};
}

int boot_zero_page(struct guest_mem *m, const char *cmdline, struct err *e)
{
	enum { E820_RAM = 1, E820_RESERVED = 2 };
	struct boot_params *zp = place(m, LAYOUT_ZERO_PAGE, sizeof(*zp), e);
	char *line = place(m, LAYOUT_CMDLINE, LAYOUT_CMDLINE_SIZE, e);
	size_t len = strlen(cmdline);

	if (!zp || !line)
		return -E2BIG;
	if (len >= LAYOUT_CMDLINE_SIZE)
		return err_set(e, -E2BIG,
			"the guest's command line has %zu bytes, %d fit: give fewer words by "
			"--append",
			len, LAYOUT_CMDLINE_SIZE - 1);
	memcpy(line, cmdline, len + 1);
	memset(zp, 0, sizeof(*zp));
	zp->hdr.boot_flag = 0xaa55;
	zp->hdr.header = 0x53726448; /* "HdrS" */
	zp->hdr.version = 0x020c;
	zp->hdr.type_of_loader = 0xff; /* no assigned number */
	zp->hdr.loadflags = LOADED_HIGH;
	zp->hdr.kernel_alignment = 0x1000000;
	zp->hdr.cmd_line_ptr = LAYOUT_CMDLINE;
	zp->hdr.cmdline_size = LAYOUT_CMDLINE_SIZE - 1;
	add_range(zp, 0, LAYOUT_LOW_RAM_END, E820_RAM);
	add_range(zp, LAYOUT_LOW_RAM_END, LAYOUT_IMAGE_MIN, E820_RESERVED);
	add_range(zp, LAYOUT_IMAGE_MIN, m->size, E820_RAM);
	return 0;
}

int boot_page_tables(struct guest_mem *m, struct err *e)
{
	enum { PRESENT = 1, WRITABLE = 2, LARGE = 0x80, ENTRIES = 512, GIB = 4 };
	uint64_t *pml4 = place(m, LAYOUT_PML4, (2 + GIB) * 4096, e);
	uint64_t *pdpt, *pd;

	_Static_assert(LAYOUT_PDPT == LAYOUT_PML4 + 4096 && LAYOUT_PD == LAYOUT_PDPT + 4096,
		"the tables are neighbours");
	if (!pml4)
		return -E2BIG;
	pdpt = pml4 + ENTRIES;
	pd = pdpt + ENTRIES;
	memset(pml4, 0, 2 * 4096);
	pml4[0] = LAYOUT_PDPT | PRESENT | WRITABLE;
	for (unsigned i = 0; i < GIB; i++)
		pdpt[i] = (LAYOUT_PD + i * 4096) | PRESENT | WRITABLE;
	for (uint64_t i = 0; i < GIB * ENTRIES; i++)
		pd[i] = i << 21 | PRESENT | WRITABLE | LARGE;
	return 0;
}

int boot_write_gdt(struct guest_mem *m, struct err *e)
{
	void *gdt = place(m, LAYOUT_GDT, sizeof(boot_gdt), e);

	if (!gdt)
		return -E2BIG;
	memcpy(gdt, boot_gdt, sizeof(boot_gdt));
	return 0;
}
