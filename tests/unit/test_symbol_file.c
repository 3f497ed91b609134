/* SPDX-License-Identifier: MIT */
/* Symbols from a file: the three kinds, KASLR, another kernel's, and what is none of them. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "tests/lib/elf_image.h"
#include "tests/unit/kernel_image.h"
#include "tracer/guest_linux.h"
#include "tracer/symbol_file.h"

static const char map[] = "0000000000014d00 D current_task\n"
			  "ffffffff81000000 T _text\n"
			  "ffffffff81001000 T iowrite16\n"
			  "ffffffff81002000 t blk_mq_dispatch_rq_list\n"
			  "ffffffff81030000 D linux_banner\n"
			  "ffffffff81040000 B _end\n";

static int read_text(struct ksyms *s, const char *text, struct err *e)
{
	*s = (struct ksyms){0};
	*e = (struct err){""};
	return symbol_file_read(s, text, strlen(text), "the file", e);
}

static uint64_t address(const struct ksyms *s, const char *name)
{
	const struct ksym *y = ksyms_by_name(s, name);

	return y ? y->addr : 0;
}

static void system_map(void **state)
{
	struct ksyms s;
	struct err e;

	(void)state;
	assert_int_equal(read_text(&s, map, &e), 0);
	assert_int_equal(s.n, 6);
	assert_int_equal(symbol_file_move(&s, IMAGE_BASE), 0);
	assert_int_equal(address(&s, "iowrite16"), IMAGE_BASE + 0x1000);
	assert_int_equal(address(&s, "current_task"), 0x14d00); /* per CPU: it did not move */
	ksyms_sort(&s);
	ksyms_free(&s);
}

static void kallsyms_copy(void **state)
{
	static const char text[] = "ffffffff9a200000 T _text\n"
				   "ffffffff9a201000 T iowrite16\n"
				   "ffffffffc0311100 t vp_notify\t[virtio_pci]\r\n";
	const struct ksym *y;
	struct ksyms s;
	struct err e;

	(void)state;
	assert_int_equal(read_text(&s, text, &e), 0);
	assert_int_equal(symbol_file_move(&s, IMAGE_BASE), 0);
	y = ksyms_by_name(&s, "vp_notify");
	assert_non_null(y);
	assert_string_equal(s.module[y->module], "[virtio_pci]");
	/* In another boot modules lie elsewhere, nobody knows where. */
	assert_int_equal(symbol_file_move(&s, IMAGE_BASE + (2u << 20)), 0);
	assert_null(ksyms_by_name(&s, "vp_notify"));
	assert_int_equal(address(&s, "iowrite16"), IMAGE_BASE + (2u << 20) + 0x1000);
	ksyms_free(&s);
}

static void vmlinux(void **state)
{
	static const struct elf_image_symbol symbols[] = {
		{"_text", 0xffffffff81000000u, 0, STT_FUNC},
		{"iowrite16", 0xffffffff81001000u, 0x60, STT_FUNC},
		{"linux_banner", 0xffffffff81030000u, 8, STT_OBJECT},
	};
	struct elf_image elf;
	struct ksyms s = {0};
	struct err e = {""};

	(void)state;
	elf_image_make(&elf, symbols, 3);
	assert_int_equal(symbol_file_read(&s, &elf, sizeof(elf), "vmlinux", &e), 0);
	assert_int_equal(address(&s, "iowrite16"), 0xffffffff81001000u);
	assert_int_equal(address(&s, "linux_banner"), 0xffffffff81030000u);
	ksyms_free(&s);
	for (size_t len = 0; len < sizeof(elf); len += 7) {
		uint8_t *copy = malloc(len + 1);

		memcpy(copy, &elf, len);
		symbol_file_read(&s, copy, len, "vmlinux", &e);
		free(copy);
		ksyms_free(&s);
	}
}

static void none_of_them(void **state)
{
	static const char *const text[] = {"", "hello\n", "ffffffff81000000 T\n",
		"ffffffff81000000T _text\n", "11111111111111111 T _text\n",
		"\x7f"
		"ELF"};
	static const char zeros[] = "0000000000000000 T _text\n0000000000000000 T iowrite16\n";
	struct ksyms s;
	struct err e;

	(void)state;
	for (size_t i = 0; i < sizeof(text) / sizeof(text[0]); i++) {
		assert_int_equal(read_text(&s, text[i], &e), -ENOEXEC);
		assert_non_null(strstr(e.msg, "the file names no addresses: give a vmlinux"));
		ksyms_free(&s);
	}
	assert_int_equal(read_text(&s, zeros, &e), -ENOEXEC);
	assert_non_null(strstr(e.msg, "as root"));
	ksyms_free(&s);
	assert_int_equal(read_text(&s, "ffffffff81000000 T startup_64\n", &e), 0);
	assert_int_equal(symbol_file_move(&s, IMAGE_BASE), -ENOENT);
	ksyms_free(&s);
}

/* The banner lies where the file says, or the file is another kernel's. */
static void of_this_kernel(void **state)
{
	struct kernel_image *k = kernel_image_new(LAYOUT_6_1);
	struct guest_linux g;
	struct ksyms s;
	struct err e;

	(void)state;
	assert_int_equal(read_text(&s, map, &e), 0);
	assert_int_equal(symbol_file_move(&s, IMAGE_BASE), 0);
	assert_false(guest_linux_fits(&s, k->image.bytes, k->image.size, IMAGE_BASE));
	poke(&k->image, 0x30000, "Linux version 6.1.0", 20);
	assert_true(guest_linux_fits(&s, k->image.bytes, k->image.size, IMAGE_BASE));
	assert_false(guest_linux_fits(&s, k->image.bytes, 0x30004, IMAGE_BASE));
	assert_int_equal(guest_linux_find(&g, k->image.bytes, k->image.size, IMAGE_BASE, &s), 0);
	assert_int_equal(s.n, 0);
	assert_int_equal(g.syms.n, 6);
	assert_int_equal(g.current_at, 0x14d00);
	guest_linux_free(&g);
	kernel_image_free(k);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(system_map),
		cmocka_unit_test(kallsyms_copy),
		cmocka_unit_test(vmlinux),
		cmocka_unit_test(none_of_them),
		cmocka_unit_test(of_this_kernel),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
