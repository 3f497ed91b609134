// SPDX-License-Identifier: MIT
/* Loads a bzImage by its 64-bit entry point, or a vmlinux, and an initrd above it. */
#include <asm/bootparam.h>
#include <elf.h>
#include <errno.h>
#include <inttypes.h>
#include <stdint.h>
#include <string.h>

#include "boot.h"
#include "layout.h"
#include "linux_boot.h"

/* boot.rst, "The Real-Mode Kernel Header"; each field is named there. */
enum {
	HDR = offsetof(struct boot_params, hdr),
	HDR_END_BYTE =
		0x201, /* the second byte of `jump`: how far the header reaches behind 0x202 */
	HDR_END_BASE = 0x202,
	/* What follows the header in the zero page; a header of any version ends before it. */
	HDR_LIMIT = offsetof(struct boot_params, edd_mbr_sig_buffer),
	/* The last field of protocol 2.12 that is read here is init_size. */
	HDR_MIN = offsetof(struct boot_params, hdr.init_size) + sizeof(uint32_t),
	SECTOR = 512,
	PAGE = 4096,
	ENTRY_64 = 0x200, /* "64-bit Boot Protocol": the entry is the loaded address plus this */
	LOADER_UNKNOWN = 0xff,
	HEAP_END = 0xfe00, /* only 16-bit code has a heap, but the protocol wants the field set */
	INITRD_MAX = 0x7fffffff, /* what every x86-64 kernel since 2.6.32 says of itself */
};

#define MAGIC 0x53726448     /* "HdrS" */
#define PROTOCOL_2_12 0x020c /* Linux 3.8: xloadflags */
#define LEGACY_SETUP_SECTS 4 /* "If this field is 0, the real value is 4" */

static uint64_t align_down(uint64_t value, uint64_t power)
{
	return value & ~(power - 1);
}

static bool is_power_of_two(uint64_t value)
{
	return value && !(value & (value - 1));
}

static int refuse(struct err *e, const char *what)
{
	return err_set(e, -ENOEXEC, "the kernel %s: give a bzImage or a vmlinux for x86-64", what);
}

static bool read_header(struct setup_header *h, const uint8_t *file, size_t len)
{
	if (len < HDR + sizeof(*h))
		return false;
	memcpy(h, file + HDR, sizeof(*h)); /* the bytes may lie at any address */
	return h->header == MAGIC;
}

bool linux_is_bzimage(const void *file, size_t len)
{
	struct setup_header h;

	return read_header(&h, file, len);
}

/* "a pointer to a null-terminated … string", less 0x200, inside the setup code. */
void linux_version(const void *file, size_t len, char *text, size_t size)
{
	const char *bytes = file;
	struct setup_header h;
	size_t at, n = 0;

	text[0] = '\0';
	if (!read_header(&h, file, len) || !h.kernel_version)
		return;
	for (at = (size_t)h.kernel_version + SECTOR; at < len && n + 1 < size; at++, n++) {
		if (bytes[at] < ' ' || bytes[at] > '~')
			break;
		text[n] = bytes[at];
	}
	text[n] = '\0';
}

/* Can this kernel be entered in 64-bit mode at all? */
static int check_protocol(const struct setup_header *h, const uint8_t *file, struct err *e)
{
	size_t end = HDR_END_BASE + (size_t)file[HDR_END_BYTE];

	if (h->version < PROTOCOL_2_12)
		return err_set(e, -ENOEXEC,
			"the kernel speaks boot protocol %d.%02d (setup header field version), "
			"2.12 is needed: give Linux 3.8 or newer",
			h->version >> 8, h->version & 0xff);
	if (end < HDR_MIN || end > HDR_LIMIT)
		return refuse(e, "has a setup header of a strange length (jump)");
	if (!(h->loadflags & LOADED_HIGH))
		return refuse(e, "is a zImage, loaded below 1 MiB (loadflags lacks LOADED_HIGH)");
	if (!(h->xloadflags & XLF_KERNEL_64))
		return refuse(e, "has no 64-bit entry point (xloadflags lacks XLF_KERNEL_64)");
	if (!is_power_of_two(h->kernel_alignment))
		return refuse(e, "has an alignment that is no power of two (kernel_alignment)");
	return 0;
}

/* Is the file whole? *setup: where its protected-mode part begins. */
static int check_extent(const struct setup_header *h, size_t len, size_t *setup, struct err *e)
{
	size_t sects = h->setup_sects ? h->setup_sects : LEGACY_SETUP_SECTS;
	size_t code;

	*setup = (sects + 1) * SECTOR;
	if (*setup > len)
		return refuse(e, "is cut off inside its setup code (setup_sects)");
	code = len - *setup;
	if (code <= ENTRY_64 || (uint64_t)h->syssize * 16 > code)
		return refuse(e, "is cut off inside its code (syssize)");
	if (h->payload_offset > code || h->payload_length > code - h->payload_offset)
		return refuse(e, "is cut off inside its compressed part (payload_length)");
	return 0;
}

/*
 * Where to load: pref_address, since the decompressor moves the kernel there anyway. It needs
 * init_size bytes from there before it looks at the memory map.
 */
static int choose_address(const struct guest_mem *m, const struct setup_header *h, size_t code,
	struct linux_start *out, struct err *e)
{
	uint64_t need = h->init_size > code ? h->init_size : code;

	if (h->pref_address < LAYOUT_IMAGE_MIN)
		return refuse(e, "wants to be loaded below 1 MiB (pref_address)");
	if (h->relocatable_kernel && h->pref_address % h->kernel_alignment)
		return refuse(e, "has a load address that is not aligned (pref_address)");
	if (h->pref_address > m->size || need > m->size - h->pref_address)
		return err_set(e, -E2BIG,
			"the kernel needs %" PRIu64 " bytes (init_size) from 0x%" PRIx64
			" (pref_address), but guest memory ends at 0x%" PRIx64 ": give more by -m",
			need, (uint64_t)h->pref_address, m->size);
	out->kernel = h->pref_address;
	out->kernel_end = h->pref_address + need;
	out->entry = h->pref_address + ENTRY_64;
	return 0;
}

/* boot_zero_page() has checked LAYOUT_CMDLINE_SIZE; the kernel may take less. */
static int check_cmdline(const struct setup_header *h, const char *cmdline, struct err *e)
{
	size_t len = strlen(cmdline);

	if (len > h->cmdline_size)
		return err_set(e, -E2BIG,
			"the command line has %zu bytes, this kernel takes %u (cmdline_size): "
			"give fewer words by --append",
			len, h->cmdline_size);
	return 0;
}

/*
 * The header, and nothing but the header, goes from the file into the zero page: what surrounds it
 * in the file is code, and 0xff since Linux 6.1.88, which the kernel would take for boot parameters.
 */
static void copy_header(struct boot_params *zp, const uint8_t *file, uint64_t load)
{
	uint32_t cmd_line_ptr = zp->hdr.cmd_line_ptr;
	size_t end = HDR_END_BASE + (size_t)file[HDR_END_BYTE];

	memset(&zp->hdr, 0, sizeof(zp->hdr));
	memcpy((uint8_t *)zp + HDR, file + HDR, end - HDR);
	zp->hdr.type_of_loader = LOADER_UNKNOWN;
	zp->hdr.ext_loader_type = zp->hdr.ext_loader_ver = 0;
	zp->hdr.loadflags |= CAN_USE_HEAP;
	zp->hdr.heap_end_ptr = HEAP_END;
	zp->hdr.code32_start = (uint32_t)load;
	zp->hdr.cmd_line_ptr = cmd_line_ptr;
	/* Not the file's to say. */
	zp->hdr.ramdisk_image = zp->hdr.ramdisk_size = 0;
	zp->hdr.setup_data = 0;
}

static int load_bzimage(struct guest_mem *m, const struct linux_files *f, const char *cmdline,
	struct linux_start *out, struct err *e)
{
	const uint8_t *file = f->kernel;
	struct setup_header h;
	size_t setup = 0;
	int rc;

	if (!read_header(&h, file, f->kernel_len))
		return refuse(e, "is no Linux kernel (setup header field header is not \"HdrS\")");
	rc = check_protocol(&h, file, e);
	if (rc == 0)
		rc = check_extent(&h, f->kernel_len, &setup, e);
	if (rc == 0)
		rc = choose_address(m, &h, f->kernel_len - setup, out, e);
	if (rc == 0)
		rc = check_cmdline(&h, cmdline, e);
	if (rc == 0)
		rc = boot_zero_page(m, cmdline, e);
	if (rc)
		return rc;
	copy_header(mem_ptr(m, LAYOUT_ZERO_PAGE, PAGE), file, out->kernel);
	memcpy(mem_ptr(m, out->kernel, f->kernel_len - setup), file + setup, f->kernel_len - setup);
	return 0;
}

/* boot_load_elf() has checked the program headers. */
static void elf_extent(const uint8_t *elf, struct linux_start *out)
{
	Elf64_Ehdr h;

	memcpy(&h, elf, sizeof(h));
	out->kernel = UINT64_MAX;
	out->kernel_end = 0;
	for (unsigned i = 0; i < h.e_phnum; i++) {
		Elf64_Phdr p;

		memcpy(&p, elf + h.e_phoff + i * sizeof(p), sizeof(p));
		if (p.p_type != PT_LOAD || p.p_memsz == 0)
			continue;
		if (p.p_paddr < out->kernel)
			out->kernel = p.p_paddr;
		if (p.p_paddr + p.p_memsz > out->kernel_end)
			out->kernel_end = p.p_paddr + p.p_memsz;
	}
}

static int load_vmlinux(struct guest_mem *m, const struct linux_files *f, const char *cmdline,
	struct linux_start *out, struct err *e)
{
	struct boot_params *zp;
	int rc = boot_load_elf(m, f->kernel, f->kernel_len, &out->entry, e);

	if (rc == 0)
		rc = boot_zero_page(m, cmdline, e);
	if (rc)
		return rc;
	zp = mem_ptr(m, LAYOUT_ZERO_PAGE, sizeof(*zp));
	zp->hdr.initrd_addr_max = INITRD_MAX;
	elf_extent(f->kernel, out);
	return 0;
}

/* As high as allowed, so that the kernel can grow below it. */
static int load_initrd(struct guest_mem *m, const struct linux_files *f, struct boot_params *zp,
	struct linux_start *out, struct err *e)
{
	uint64_t top = (uint64_t)zp->hdr.initrd_addr_max + 1;

	out->initrd = 0;
	if (!f->initrd || f->initrd_len == 0)
		return 0;
	if (top > m->size)
		top = m->size;
	if (f->initrd_len > top || align_down(top - f->initrd_len, PAGE) < out->kernel_end)
		return err_set(e, -E2BIG,
			"the initrd has %zu bytes, but only 0x%" PRIx64 "..0x%" PRIx64
			" is left above the kernel (initrd_addr_max): give more memory by -m",
			f->initrd_len, out->kernel_end,
			top > out->kernel_end ? top : out->kernel_end);
	out->initrd = align_down(top - f->initrd_len, PAGE);
	memcpy(mem_ptr(m, out->initrd, f->initrd_len), f->initrd, f->initrd_len);
	zp->hdr.ramdisk_image = (uint32_t)out->initrd;
	zp->hdr.ramdisk_size = (uint32_t)f->initrd_len;
	return 0;
}

int linux_boot(struct guest_mem *m, const struct linux_files *f, const char *cmdline, uint64_t rsdp,
	struct linux_start *out, struct err *e)
{
	bool is_elf = f->kernel_len >= SELFMAG && memcmp(f->kernel, ELFMAG, SELFMAG) == 0;
	struct boot_params *zp;
	int rc;

	/* The 32-bit PCI hole begins there, and RAM is one slot. */
	if (m->size > (uint64_t)LAYOUT_RAM_MAX_MIB << 20)
		return err_set(e, -E2BIG,
			"a guest can have up to %d MiB of memory: give less by -m",
			LAYOUT_RAM_MAX_MIB);
	*out = (struct linux_start){0};
	rc = is_elf ? load_vmlinux(m, f, cmdline, out, e) : load_bzimage(m, f, cmdline, out, e);
	if (rc)
		return rc;
	zp = mem_ptr(m, LAYOUT_ZERO_PAGE, sizeof(*zp));
	zp->acpi_rsdp_addr = rsdp;
	return load_initrd(m, f, zp, out, e);
}
