/* SPDX-License-Identifier: MIT */
/* Kernels made in memory, good and hostile: where they go, and which sentence refuses them. */
#include <asm/bootparam.h>
#include <elf.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "vmm/layout.h"
#include "vmm/linux_boot.h"

enum { SETUP_SECTS = 3, SETUP = (SETUP_SECTS + 1) * 512, CODE = 8192, FILE_LEN = SETUP + CODE };
#define MIB (1ull << 20)
#define RAM (64 * MIB)
#define PREF (16 * MIB)
#define INIT_SIZE (8 * MIB)
#define RSDP 0xe0000

struct fixture {
	struct guest_mem mem;
	uint8_t *
		file; /* on the heap, of exactly file_len bytes: the sanitizer sees a read beyond */
	size_t file_len;
	struct linux_files files;
	struct linux_start start;
	struct err e;
};

static struct setup_header *hdr(struct fixture *f)
{
	return (struct setup_header *)(f->file + offsetof(struct boot_params, hdr));
}

/* Every byte of a bzImage that is not set here is 0xff, as around the header of newer kernels. */
static void make_bzimage(struct fixture *f)
{
	f->file_len = FILE_LEN;
	f->file = malloc(FILE_LEN);
	assert_non_null(f->file);
	memset(f->file, 0xff, SETUP);
	for (unsigned i = 0; i < CODE; i++)
		f->file[SETUP + i] = (uint8_t)(i * 7 + i / 256);
	*hdr(f) = (struct setup_header){
		.setup_sects = SETUP_SECTS,
		.syssize = CODE / 16,
		.boot_flag = 0xaa55,
		.jump = 0x6aeb, /* header ends at 0x202 + 0x6a */
		.header = 0x53726448,
		.version = 0x020f,
		.loadflags = LOADED_HIGH,
		.initrd_addr_max = 0x7fffffff,
		.kernel_alignment = 2 * MIB,
		.relocatable_kernel = 1,
		.xloadflags = XLF_KERNEL_64,
		.cmdline_size = 100,
		.payload_offset = 512,
		.payload_length = 1024,
		.setup_data = 0x1234,
		.pref_address = PREF,
		.init_size = INIT_SIZE,
	};
	f->files = (struct linux_files){.kernel = f->file, .kernel_len = f->file_len};
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	*state = f;
	if (!f || mem_alloc(&f->mem, RAM, &f->e))
		return -1;
	make_bzimage(f);
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	mem_free(&f->mem);
	free(f->file);
	free(f);
	return 0;
}

static int boot(struct fixture *f)
{
	f->e.msg[0] = '\0';
	return linux_boot(&f->mem, &f->files, "console=ttyS0", RSDP, &f->start, &f->e);
}

/* Shortens the file for real, so that nothing behind its end may be read. */
static void cut(struct fixture *f, size_t len)
{
	f->file = realloc(f->file, len);
	assert_non_null(f->file);
	f->file_len = len;
	f->files = (struct linux_files){.kernel = f->file, .kernel_len = len};
}

static void refused(struct fixture *f, int rc, const char *field)
{
	assert_int_equal(boot(f), rc);
	if (!strstr(f->e.msg, field))
		fail_msg("\"%s\" does not name %s", f->e.msg, field);
}

static struct boot_params *zero_page(struct fixture *f)
{
	return mem_ptr(&f->mem, LAYOUT_ZERO_PAGE, sizeof(struct boot_params));
}

static void bzimage_is_loaded(void **state)
{
	struct fixture *f = *state;

	assert_true(linux_is_bzimage(f->file, f->file_len));
	assert_int_equal(boot(f), 0);
	assert_int_equal(f->start.entry, PREF + 0x200);
	assert_int_equal(f->start.kernel, PREF);
	assert_int_equal(f->start.kernel_end, PREF + INIT_SIZE);
	assert_int_equal(f->start.initrd, 0);
	assert_memory_equal(mem_ptr(&f->mem, PREF, CODE), f->file + SETUP, CODE);
}

static void version_is_what_the_header_points_to(void **state)
{
	static const char said[] = "6.1.0-test (somebody@somewhere)";
	struct fixture *f = *state;
	char text[64], small[6];

	linux_version(f->file, f->file_len, text, sizeof(text));
	assert_string_equal(text, "");
	hdr(f)->kernel_version = 0x300; /* + 0x200 */
	memcpy(f->file + 0x500, said, sizeof(said));
	linux_version(f->file, f->file_len, text, sizeof(text));
	assert_string_equal(text, said);
	linux_version(f->file, f->file_len, small, sizeof(small));
	assert_string_equal(small, "6.1.0");
	f->file[0x505] = 0x1b; /* no control characters into a recording */
	linux_version(f->file, f->file_len, text, sizeof(text));
	assert_string_equal(text, "6.1.0");
}

static void version_outside_the_file_is_none(void **state)
{
	struct fixture *f = *state;
	char text[64];

	hdr(f)->kernel_version = 0xffff;
	linux_version(f->file, f->file_len, text, sizeof(text));
	assert_string_equal(text, "");
	hdr(f)->kernel_version = FILE_LEN - 0x200 - 3; /* ends with the file, not with a NUL */
	memcpy(f->file + FILE_LEN - 3, "6.1", 3);
	linux_version(f->file, f->file_len, text, sizeof(text));
	assert_string_equal(text, "6.1");
	linux_version(f->file, 100, text, sizeof(text));
	assert_string_equal(text, "");
}

static void zero_page_has_the_header_and_nothing_else(void **state)
{
	struct fixture *f = *state;
	struct boot_params *zp = zero_page(f);
	static const uint8_t zero[sizeof(*zp)];
	size_t before = offsetof(struct boot_params, hdr), after = 0x202 + 0x6a;

	assert_int_equal(boot(f), 0);
	assert_int_equal(zp->hdr.header, 0x53726448);
	assert_int_equal(zp->hdr.version, 0x020f);
	assert_int_equal(zp->hdr.init_size, INIT_SIZE);
	assert_int_equal(zp->hdr.type_of_loader, 0xff);
	assert_true(zp->hdr.loadflags & LOADED_HIGH);
	assert_true(zp->hdr.loadflags & CAN_USE_HEAP);
	assert_int_equal(zp->hdr.heap_end_ptr, 0xfe00);
	assert_int_equal(zp->hdr.code32_start, PREF);
	assert_int_equal(zp->hdr.setup_data, 0);
	assert_int_equal(zp->acpi_rsdp_addr, RSDP);
	assert_string_equal((char *)f->mem.host + zp->hdr.cmd_line_ptr, "console=ttyS0");
	zp->acpi_rsdp_addr = 0;
	zp->e820_entries = 0;
	assert_memory_equal(zp, zero, before);
	assert_memory_equal(
		(uint8_t *)zp + after, zero, offsetof(struct boot_params, e820_table) - after);
}

static void memory_map_leaves_out_what_is_reserved(void **state)
{
	struct fixture *f = *state;
	const struct boot_e820_entry want[] = {
		{0, 0x9fc00, 1}, {0x9fc00, 0x100000 - 0x9fc00, 2}, {0x100000, RAM - 0x100000, 1}};

	assert_int_equal(boot(f), 0);
	assert_int_equal(zero_page(f)->e820_entries, 3);
	assert_memory_equal(zero_page(f)->e820_table, want, sizeof(want));
}

static void setup_sects_zero_means_four(void **state)
{
	struct fixture *f = *state;

	hdr(f)->setup_sects = 0;
	hdr(f)->syssize = 1;
	assert_int_equal(boot(f), 0);
	assert_memory_equal(mem_ptr(&f->mem, PREF, 512), f->file + 5 * 512, 512);
}

static void initrd_goes_as_high_as_allowed(void **state)
{
	struct fixture *f = *state;
	uint8_t data[5000];

	memset(data, 0x5a, sizeof(data));
	f->files.initrd = data;
	f->files.initrd_len = sizeof(data);
	assert_int_equal(boot(f), 0);
	assert_int_equal(f->start.initrd, RAM - 8192);
	assert_int_equal(zero_page(f)->hdr.ramdisk_image, RAM - 8192);
	assert_int_equal(zero_page(f)->hdr.ramdisk_size, sizeof(data));
	assert_memory_equal(mem_ptr(&f->mem, RAM - 8192, sizeof(data)), data, sizeof(data));

	hdr(f)->initrd_addr_max = 32 * MIB - 1;
	assert_int_equal(boot(f), 0);
	assert_int_equal(f->start.initrd, 32 * MIB - 8192);
}

static void initrd_must_not_reach_into_the_kernel(void **state)
{
	struct fixture *f = *state;
	uint8_t *data = calloc(1, RAM);

	assert_non_null(data);
	f->files.initrd = data;
	f->files.initrd_len = RAM - PREF - INIT_SIZE;
	assert_int_equal(boot(f), 0);
	assert_int_equal(f->start.initrd, f->start.kernel_end);
	f->files.initrd_len++;
	refused(f, -E2BIG, "initrd");
	f->files.initrd_len = SIZE_MAX;
	refused(f, -E2BIG, "initrd");
	f->files.initrd_len = 1;
	hdr(f)->initrd_addr_max = 0;
	refused(f, -E2BIG, "initrd_addr_max");
	free(data);
}

/* Each line: what is wrong, and the field that the sentence has to name. */
static void bad_headers_are_named(void **state)
{
	static const struct {
		const char *field;
		size_t at;
		unsigned size;
		uint64_t value;
		int rc;
	} bad[] = {
#define BAD(f, v, rc)                                                                              \
	{#f, offsetof(struct boot_params, hdr.f), sizeof(((struct boot_params *)0)->hdr.f), v, rc}
		BAD(header, 0, -ENOEXEC),
		BAD(version, 0x020b, -ENOEXEC),
		BAD(jump, 0x10eb, -ENOEXEC),
		BAD(jump, 0xffeb, -ENOEXEC),
		BAD(loadflags, 0, -ENOEXEC),
		BAD(xloadflags, 0, -ENOEXEC),
		BAD(kernel_alignment, 0, -ENOEXEC),
		BAD(kernel_alignment, 3 * MIB, -ENOEXEC),
		BAD(setup_sects, 0xff, -ENOEXEC),
		BAD(syssize, CODE / 16 + 1, -ENOEXEC),
		BAD(syssize, 0xffffffff, -ENOEXEC),
		BAD(payload_length, CODE, -ENOEXEC),
		BAD(payload_length, 0xffffffff, -ENOEXEC),
		BAD(pref_address, 0x9000, -ENOEXEC),
		BAD(pref_address, PREF + 4096, -ENOEXEC),
		BAD(pref_address, UINT64_MAX - 2 * MIB + 1, -E2BIG),
		BAD(init_size, RAM, -E2BIG),
		BAD(init_size, 0xffffffff, -E2BIG),
		BAD(cmdline_size, 4, -E2BIG),
#undef BAD
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		uint8_t good[8];

		memcpy(good, f->file + bad[i].at, bad[i].size);
		memcpy(f->file + bad[i].at, &bad[i].value, bad[i].size);
		refused(f, bad[i].rc, bad[i].field);
		memcpy(f->file + bad[i].at, good, bad[i].size);
	}
	assert_int_equal(boot(f), 0);
}

static void cut_files_are_refused(void **state)
{
	struct fixture *f = *state;

	for (size_t len = FILE_LEN; len > 16; len -= len > SETUP + 16 ? 509 : 13) {
		cut(f, len);
		assert_int_equal(boot(f), len == FILE_LEN ? 0 : -ENOEXEC);
	}
	assert_false(linux_is_bzimage(f->file, f->file_len));
	f->files.kernel_len = 0;
	assert_int_equal(boot(f), -ENOEXEC);
}

static void too_much_memory_is_refused(void **state)
{
	struct fixture *f = *state;

	int rc;

	f->mem.size = (LAYOUT_RAM_MAX_MIB + 1) * MIB;
	rc = boot(f);
	f->mem.size = RAM; /* what is really mapped */
	assert_int_equal(rc, -E2BIG);
	assert_non_null(strstr(f->e.msg, "-m"));
}

static void make_vmlinux(struct fixture *f, uint64_t memsz)
{
	Elf64_Ehdr h = {.e_type = ET_EXEC,
		.e_machine = EM_X86_64,
		.e_version = EV_CURRENT,
		.e_entry = PREF,
		.e_phoff = sizeof(h),
		.e_ehsize = sizeof(h),
		.e_phentsize = sizeof(Elf64_Phdr),
		.e_phnum = 1};
	Elf64_Phdr p = {.p_type = PT_LOAD,
		.p_offset = sizeof(h) + sizeof(p),
		.p_vaddr = 0xffffffff81000000,
		.p_paddr = PREF,
		.p_filesz = 64,
		.p_memsz = memsz};

	memcpy(h.e_ident, ELFMAG, SELFMAG);
	h.e_ident[EI_CLASS] = ELFCLASS64;
	h.e_ident[EI_DATA] = ELFDATA2LSB;
	h.e_ident[EI_VERSION] = EV_CURRENT;
	cut(f, sizeof(h) + sizeof(p) + 64);
	memcpy(f->file, &h, sizeof(h));
	memcpy(f->file + sizeof(h), &p, sizeof(p));
	memset(f->file + sizeof(h) + sizeof(p), 0x90, 64);
}

static void vmlinux_gets_a_header_by_hand(void **state)
{
	struct fixture *f = *state;
	char data[] = "initrd";

	make_vmlinux(f, 3 * MIB);
	f->files.initrd = data;
	f->files.initrd_len = sizeof(data);
	assert_false(linux_is_bzimage(f->file, f->file_len));
	assert_int_equal(boot(f), 0);
	assert_int_equal(f->start.entry, PREF);
	assert_int_equal(f->start.kernel, PREF);
	assert_int_equal(f->start.kernel_end, PREF + 3 * MIB);
	assert_int_equal(f->start.initrd, RAM - 4096);
	assert_int_equal(zero_page(f)->hdr.header, 0x53726448);
	assert_int_equal(zero_page(f)->hdr.type_of_loader, 0xff);
	assert_int_equal(zero_page(f)->hdr.ramdisk_image, RAM - 4096);
	assert_int_equal(zero_page(f)->acpi_rsdp_addr, RSDP);
	make_vmlinux(f, RAM);
	assert_int_equal(boot(f), -E2BIG);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(bzimage_is_loaded),
		TEST(version_is_what_the_header_points_to),
		TEST(version_outside_the_file_is_none),
		TEST(zero_page_has_the_header_and_nothing_else),
		TEST(memory_map_leaves_out_what_is_reserved),
		TEST(setup_sects_zero_means_four),
		TEST(initrd_goes_as_high_as_allowed),
		TEST(initrd_must_not_reach_into_the_kernel),
		TEST(bad_headers_are_named),
		TEST(cut_files_are_refused),
		TEST(too_much_memory_is_refused),
		TEST(vmlinux_gets_a_header_by_hand),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
