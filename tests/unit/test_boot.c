// SPDX-License-Identifier: MIT
/* boot.c with honest and hostile images, and what it leaves in guest memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <asm/bootparam.h>
#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/boot.h"
#include "vmm/guest_abi.h"
#include "vmm/layout.h"

#define RAM (4u << 20)
#define PADDR 0x200000

/* A kernel image with two segments: bytes at PADDR, and a second one that tests bend. */
struct image {
	Elf64_Ehdr h;
	Elf64_Phdr p[2];
	uint8_t bytes[64];
};

static struct image honest(void)
{
	struct image i = {
		.h =
			{
				.e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64,
					ELFDATA2LSB, EV_CURRENT},
				.e_type = ET_EXEC,
				.e_machine = EM_X86_64,
				.e_version = EV_CURRENT,
				.e_entry = PADDR + 4,
				.e_phoff = offsetof(struct image, p),
				.e_phentsize = sizeof(Elf64_Phdr),
				.e_phnum = 2,
			},
		.p =
			{
				{.p_type = PT_LOAD,
					.p_offset = offsetof(struct image, bytes),
					.p_paddr = PADDR,
					.p_vaddr = 0xffffffff81000000,
					.p_filesz = 64,
					.p_memsz = 128},
				{.p_type = PT_LOAD,
					.p_offset = offsetof(struct image, bytes),
					.p_paddr = PADDR + 0x1000,
					.p_filesz = 16,
					.p_memsz = 16},
			},
	};

	for (unsigned b = 0; b < sizeof(i.bytes); b++)
		i.bytes[b] = (uint8_t)(b + 1);
	return i;
}

static int setup(void **state)
{
	struct guest_mem *m = calloc(1, sizeof(*m));
	struct err e = {""};

	assert_non_null(m);
	assert_int_equal(mem_alloc(m, RAM, &e), 0);
	*state = m;
	return 0;
}

static int teardown(void **state)
{
	mem_free(*state);
	free(*state);
	return 0;
}

/* Loads the first `len` bytes of the image from a heap block of just that size, so that ASan sees a
 * read behind it. */
static int load(struct guest_mem *m, const struct image *i, size_t len, struct err *e)
{
	uint8_t *copy = malloc(len ? len : 1);
	uint64_t entry = 0;
	int rc;

	assert_non_null(copy);
	memcpy(copy, i, len);
	e->msg[0] = '\0';
	rc = boot_load_elf(m, copy, len, &entry, e);
	free(copy);
	if (rc == 0)
		assert_int_equal(entry, i->h.e_entry);
	else
		assert_true(strlen(e->msg) > 20);
	return rc;
}

static void test_honest(void **state)
{
	struct guest_mem *m = *state;
	struct image i = honest();
	struct err e;

	memset(m->host, 0xaa, RAM);
	assert_int_equal(load(m, &i, sizeof(i), &e), 0);
	assert_memory_equal(m->host + PADDR, i.bytes, 64);
	for (unsigned b = 64; b < 128; b++)
		assert_int_equal(m->host[PADDR + b], 0);
	assert_int_equal(m->host[PADDR + 128], 0xaa);
	assert_int_equal(m->host[PADDR - 1], 0xaa);
	assert_memory_equal(m->host + PADDR + 0x1000, i.bytes, 16);
}

static void test_every_truncation(void **state)
{
	struct image i = honest();
	struct err e;

	/* The second segment ends at byte 16 of `bytes`, the first at the end of the image. */
	for (size_t len = 0; len < sizeof(i); len++)
		assert_int_equal(load(*state, &i, len, &e), -ENOEXEC);
}

/* One field is bent; `word` must be in the sentence. */
#define REFUSED(change, code, word)                                                                \
	do {                                                                                       \
		struct image i = honest();                                                         \
		struct err e;                                                                      \
		change;                                                                            \
		assert_int_equal(load(*state, &i, sizeof(i), &e), code);                           \
		if (!strstr(e.msg, word))                                                          \
			fail_msg("'%s' does not say '%s'", e.msg, word);                           \
	} while (0)

static void test_hostile_headers(void **state)
{
	REFUSED(i.h.e_ident[0] = 0, -ENOEXEC, "not an ELF");
	REFUSED(i.h.e_ident[EI_CLASS] = ELFCLASS32, -ENOEXEC, "64-bit");
	REFUSED(i.h.e_ident[EI_DATA] = ELFDATA2MSB, -ENOEXEC, "little-endian");
	REFUSED(i.h.e_machine = EM_AARCH64, -ENOEXEC, "e_machine");
	REFUSED(i.h.e_type = ET_DYN, -ENOEXEC, "e_type");
	REFUSED(i.h.e_phentsize = 55, -ENOEXEC, "e_phentsize");
	REFUSED(i.h.e_phnum = 0, -ENOEXEC, "e_phnum");
	REFUSED(i.h.e_phnum = PN_XNUM, -ENOEXEC, "e_phnum");
	REFUSED(i.h.e_phnum = 1000, -ENOEXEC, "e_phoff");
	REFUSED(i.h.e_phoff = sizeof(i), -ENOEXEC, "e_phoff");
	REFUSED(i.h.e_phoff = sizeof(i) + 1, -ENOEXEC, "e_phoff");
	REFUSED(i.h.e_phoff = UINT64_MAX - 8, -ENOEXEC, "e_phoff");
	REFUSED(i.h.e_entry = PADDR - 1, -ENOEXEC, "e_entry");
	REFUSED(i.h.e_entry = PADDR + 64, -ENOEXEC, "e_entry"); /* in the zeroed part */
	REFUSED(i.h.e_entry = 0xffffffff81000004, -ENOEXEC, "e_entry");
	REFUSED(i.p[0].p_type = i.p[1].p_type = PT_NOTE, -ENOEXEC, "e_entry");
}

static void test_hostile_segments(void **state)
{
	REFUSED(i.p[0].p_filesz = 129, -ENOEXEC, "p_filesz");
	REFUSED(i.p[1].p_offset = UINT64_MAX, -ENOEXEC, "p_offset");
	REFUSED(i.p[1].p_offset = sizeof(i) - 15, -ENOEXEC, "p_offset");
	REFUSED(i.p[1].p_filesz = i.p[1].p_memsz = UINT64_MAX, -ENOEXEC, "p_offset");
	REFUSED(i.p[1].p_paddr = LAYOUT_IMAGE_MIN - 1, -ENOEXEC, "1 MiB");
	REFUSED(i.p[1].p_paddr = RAM - 15, -E2BIG, "memory");
	REFUSED(i.p[1].p_paddr = RAM, -E2BIG, "memory");
	REFUSED(i.p[1].p_paddr = UINT64_MAX - 7, -E2BIG, "memory");
	REFUSED(i.p[1].p_memsz = UINT64_MAX, -E2BIG, "memory");
	REFUSED(i.p[0].p_memsz = RAM, -E2BIG, "memory");
}

static void test_last_byte_of_memory(void **state)
{
	struct guest_mem *m = *state;
	struct image i = honest();
	struct err e;

	i.p[1].p_paddr = RAM - 16;
	assert_int_equal(load(m, &i, sizeof(i), &e), 0);
	assert_int_equal(m->host[RAM - 1], 16);
}

/* Segments of other kinds and empty ones may say anything. */
static void test_ignored_segments(void **state)
{
	struct image i = honest();
	struct err e;

	i.p[1] = (Elf64_Phdr){.p_type = PT_NOTE, .p_offset = UINT64_MAX, .p_filesz = UINT64_MAX};
	assert_int_equal(load(*state, &i, sizeof(i), &e), 0);
	i.p[1] = (Elf64_Phdr){.p_type = PT_LOAD, .p_paddr = 0};
	assert_int_equal(load(*state, &i, sizeof(i), &e), 0);
}

/* Every byte of the headers, every value that tends to break things: no crash, no write outside. */
static void test_any_byte(void **state)
{
	static const uint8_t values[] = {0x00, 0x01, 0x7f, 0x80, 0xff};
	struct err e;

	for (size_t at = 0; at < offsetof(struct image, bytes); at++)
		for (size_t v = 0; v < sizeof(values); v++) {
			struct image i = honest();
			uint64_t entry;

			((uint8_t *)&i)[at] = values[v];
			e.msg[0] = '\0';
			boot_load_elf(*state, &i, sizeof(i), &entry, &e);
		}
}

static void test_zero_page(void **state)
{
	struct guest_mem *m = *state;
	struct boot_params *zp = (struct boot_params *)(m->host + LAYOUT_ZERO_PAGE);
	struct err e = {""};
	uint32_t cmdline;

	memset(m->host, 0xaa, LAYOUT_IMAGE_MIN);
	assert_int_equal(boot_zero_page(m, "entry=int80 repeat=2", &e), 0);
	memcpy(&cmdline, m->host + LAYOUT_ZERO_PAGE + EW_ZERO_PAGE_CMDLINE_PTR, 4);
	assert_string_equal((char *)m->host + cmdline, "entry=int80 repeat=2");
	assert_memory_equal(&zp->hdr.header, "HdrS", 4);
	assert_int_equal(zp->hdr.ramdisk_size, 0);

	/* The memory map covers all RAM, in order, without a hole or an overlap. */
	assert_int_equal(zp->e820_entries, 3);
	for (unsigned i = 0; i < 3; i++) {
		uint64_t begin = zp->e820_table[i].addr;

		assert_int_equal(
			begin, i ? zp->e820_table[i - 1].addr + zp->e820_table[i - 1].size : 0);
		assert_int_equal(zp->e820_table[i].type, i == 1 ? 2 : 1);
	}
	assert_int_equal(zp->e820_table[2].addr + zp->e820_table[2].size, RAM);
	/* What the machine puts below 1 MiB lies in the first range. */
	assert_true(LAYOUT_CMDLINE + LAYOUT_CMDLINE_SIZE <= zp->e820_table[0].size);
}

static void test_command_line_length(void **state)
{
	char line[LAYOUT_CMDLINE_SIZE + 1];
	struct guest_mem *m = *state;
	struct err e = {""};

	memset(line, 'a', sizeof(line));
	line[LAYOUT_CMDLINE_SIZE] = '\0';
	assert_int_equal(boot_zero_page(m, line, &e), -E2BIG);
	assert_non_null(strstr(e.msg, "2047"));
	m->host[LAYOUT_CMDLINE + LAYOUT_CMDLINE_SIZE] = 0x55;
	line[LAYOUT_CMDLINE_SIZE - 1] = '\0';
	assert_int_equal(boot_zero_page(m, line, &e), 0);
	assert_string_equal((char *)m->host + LAYOUT_CMDLINE, line);
	assert_int_equal(m->host[LAYOUT_CMDLINE + LAYOUT_CMDLINE_SIZE], 0x55);
}

static void test_page_tables(void **state)
{
	static const uint64_t address[] = {0, 0x1234, LAYOUT_IMAGE_MIN, 0x1fffff, 0x200000,
		(1ull << 30) - 1, 1ull << 30, 0xdeadbeef, (4ull << 30) - 1};
	struct guest_mem *m = *state;
	struct err e = {""};
	uint64_t gpa;

	memset(m->host, 0xaa, LAYOUT_IMAGE_MIN);
	assert_int_equal(boot_page_tables(m, &e), 0);
	for (size_t i = 0; i < sizeof(address) / sizeof(address[0]); i++) {
		assert_int_equal(mem_translate(m, LAYOUT_PML4, address[i], &gpa), 0);
		assert_int_equal(gpa, address[i]);
	}
	assert_int_equal(mem_translate(m, LAYOUT_PML4, 4ull << 30, &gpa), -EFAULT);
	assert_int_equal(mem_translate(m, LAYOUT_PML4, 0xffffffff81000000, &gpa), -EFAULT);
	/* Nothing beside the six pages was touched. */
	assert_int_equal(m->host[LAYOUT_PML4 - 1], 0xaa);
	assert_int_equal(m->host[LAYOUT_PD + 4 * 4096], 0xaa);
}

static void test_gdt(void **state)
{
	struct guest_mem *m = *state;
	struct err e = {""};
	uint64_t cs;

	assert_int_equal(boot_write_gdt(m, &e), 0);
	memcpy(&cs, m->host + LAYOUT_GDT + BOOT_CS, sizeof(cs));
	assert_int_equal(cs >> 53 & 1, 1); /* L: 64-bit code */
	assert_int_equal(cs >> 54 & 1, 0); /* D must be 0 with it */
	assert_int_equal(cs >> 47 & 1, 1); /* present */
	assert_int_equal(cs >> 45 & 3, 0); /* DPL */
}

static void test_too_little_memory(void **state)
{
	struct guest_mem small = *(struct guest_mem *)*state;
	struct err e = {""};

	small.size = 4096;
	assert_int_equal(boot_zero_page(&small, "", &e), -E2BIG);
	assert_int_equal(boot_page_tables(&small, &e), -E2BIG);
	small.size = LAYOUT_GDT;
	assert_int_equal(boot_write_gdt(&small, &e), -E2BIG);
	assert_non_null(strstr(e.msg, "-m"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_honest),
		cmocka_unit_test(test_every_truncation),
		cmocka_unit_test(test_hostile_headers),
		cmocka_unit_test(test_hostile_segments),
		cmocka_unit_test(test_last_byte_of_memory),
		cmocka_unit_test(test_ignored_segments),
		cmocka_unit_test(test_any_byte),
		cmocka_unit_test(test_zero_page),
		cmocka_unit_test(test_command_line_length),
		cmocka_unit_test(test_page_tables),
		cmocka_unit_test(test_gdt),
		cmocka_unit_test(test_too_little_memory),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
