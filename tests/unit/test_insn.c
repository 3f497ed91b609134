/* SPDX-License-Identifier: MIT */
/* Which instruction exited, from the bytes around RIP. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "tracer/insn.h"

#define RIP 0xffffffff80001010u

/* An access, with `before` ending at RIP and `after` beginning there; 0x90 around them. */
static struct ew_exit_payload access_with(
	const char *before, size_t before_len, const char *after, size_t after_len)
{
	struct ew_exit_payload p = {.rip = RIP,
		.addr = 0xc010,
		.count = 1,
		.size = 2,
		.space = EW_SPACE_PIO,
		.is_write = 1,
		.insn_ok = 3};

	memset(p.insn, 0x90, sizeof(p.insn));
	if (before_len)
		memcpy(p.insn + 8 - before_len, before, before_len);
	if (after_len)
		memcpy(p.insn + 8, after, after_len);
	return p;
}

#define ACCESS(before, after) access_with(before, sizeof(before) - 1, after, sizeof(after) - 1)

static void expect_with(
	const struct ew_exit_payload *p, uint64_t hw_rip, uint64_t rip, const char *text)
{
	uint8_t insn[16];
	uint64_t found = 0;
	char got[INSN_TEXT_MAX];
	unsigned len = insn_locate(p, hw_rip, &found, insn);

	assert_int_equal(insn_format(insn, len, found, got, sizeof(got)), len);
	assert_string_equal(got, text);
	assert_true(found == rip);
	for (unsigned i = len; i < 16; i++)
		assert_int_equal(insn[i], 0);
}

static void expect(const struct ew_exit_payload *p, uint64_t rip, const char *text)
{
	expect_with(p, 0, rip, text);
}

static void expect_none(const struct ew_exit_payload *p)
{
	uint8_t insn[16];
	uint64_t found;

	assert_int_equal(insn_locate(p, 0, &found, insn), 0);
}

/* VT-x and SVM leave RIP at the OUT, KVM's emulator behind it. */
static void out_at_rip(void **state)
{
	struct ew_exit_payload p = ACCESS("\x89\xf8", "\x66\xef\x5d\xc3");

	(void)state;
	expect(&p, RIP, "out dx, ax");
}

static void out_behind_rip(void **state)
{
	struct ew_exit_payload p = ACCESS("\x89\xf8\x66\xef", "\x5d\xc3");

	(void)state;
	expect(&p, RIP - 2, "out dx, ax");
}

/* 66 ef holds ef, "out dx, eax": the size tells them apart. */
static void size_decides(void **state)
{
	struct ew_exit_payload p = ACCESS("\x66\xef", "\xc3");

	(void)state;
	p.size = 4;
	expect(&p, RIP - 1, "out dx, eax");
	p.size = 1;
	expect_none(&p);
}

static void direction_decides(void **state)
{
	struct ew_exit_payload p = ACCESS("\xee", "\xec");

	(void)state;
	p.size = 1;
	expect(&p, RIP - 1, "out dx, al");
	p.is_write = 0;
	expect(&p, RIP, "in al, dx");
}

static void immediate_port_must_match(void **state)
{
	struct ew_exit_payload p = ACCESS("\xe6\x80", "\x48\xff\xcf");

	(void)state;
	p.size = 1;
	p.addr = 0x80;
	expect(&p, RIP - 2, "out 0x80, al");
	p.addr = 0x81;
	expect_none(&p);
}

/* "out; out" in a row: RIP between them may be at the second or behind the first. */
static void two_in_a_row_are_ambiguous(void **state)
{
	struct ew_exit_payload p = ACCESS("\xee", "\xee");

	(void)state;
	p.size = 1;
	expect_none(&p);
	p.insn_ok = 2;
	expect(&p, RIP, "out dx, al");
	p.insn_ok = 1;
	expect(&p, RIP - 1, "out dx, al");
	p.insn_ok = 0;
	expect_none(&p);
}

/* "mov edx, esi; out dx, al": the f2 is no prefix. */
static void byte_that_looks_like_a_prefix(void **state)
{
	struct ew_exit_payload p = ACCESS("\x89\xf2\xee", "\xc3");

	(void)state;
	p.size = 1;
	expect(&p, RIP - 1, "out dx, al");
}

static void string_io(void **state)
{
	struct ew_exit_payload p = ACCESS("\x90", "\xf3\x66\x6f");
	struct ew_exit_payload behind = ACCESS("\xf3\x6e", "\xc3");

	(void)state;
	p.count = 64;
	expect(&p, RIP, "rep outsw");
	p.is_write = 0;
	expect_none(&p);
	behind.size = 1;
	expect(&behind, RIP - 2, "rep outsb");
	/* A count needs a repetition. */
	p = ACCESS("\x90", "\x66\xef");
	p.count = 2;
	expect_none(&p);
}

static void mmio(void **state)
{
	struct ew_exit_payload p = ACCESS("\x90", "\x89\x07\xc3");

	(void)state;
	p.space = EW_SPACE_MMIO;
	p.addr = 0xfebc0000;
	p.size = 4;
	expect(&p, RIP, "mov [rdi], eax");
	p.is_write = 0;
	expect_none(&p);
	p = ACCESS("\x66\x89\x3e", "\xc3");
	p.space = EW_SPACE_MMIO;
	expect(&p, RIP - 3, "mov [rsi], di");
	p.size = 4;
	expect(&p, RIP - 2, "mov [rsi], edi");
}

/* REX names other registers; and it may be the last byte of what stands in front. */
static void a_rex_prefix_is_ambiguous(void **state)
{
	struct ew_exit_payload p = ACCESS("\x40\x88\x3e", "\xc3");

	(void)state;
	p.space = EW_SPACE_MMIO;
	p.size = 1;
	expect_none(&p);
	expect_with(&p, RIP - 3, RIP - 3, "mov [rsi], dil");
	expect_with(&p, RIP - 2, RIP - 2, "mov [rsi], bh");
	p = ACCESS("\x41\x89\x00", "\xc3");
	p.space = EW_SPACE_MMIO;
	p.size = 4;
	expect_none(&p);
	p = ACCESS("\x41\xee", "\xc3"); /* it has no effect on OUT */
	p.size = 1;
	expect(&p, RIP - 1, "out dx, al");
}

/* What kvm_exit says decides, as long as an instruction is there that makes the access. */
static void the_hardware_says_where(void **state)
{
	struct ew_exit_payload p = ACCESS("\xee", "\xee");

	(void)state;
	p.size = 1;
	expect_with(&p, RIP, RIP, "out dx, al");
	expect_with(&p, RIP - 1, RIP - 1, "out dx, al");
	p = ACCESS("\x66\xef", "\xc3");
	expect_with(&p, RIP - 1, RIP - 2, "out dx, ax");
	expect_with(&p, RIP, RIP - 2, "out dx, ax");
	expect_with(&p, RIP - 100, RIP - 2, "out dx, ax");
	expect_with(&p, RIP + 1, RIP - 2, "out dx, ax");
}

static void other_exits_have_none(void **state)
{
	struct ew_exit_payload p = ACCESS("\x66\xef", "\xc3");

	(void)state;
	p.space = EW_SPACE_MAX;
	expect_none(&p);
	p.space = EW_SPACE_PIO;
	p.size = 0;
	expect_none(&p);
}

static void bad_bytes_have_no_text(void **state)
{
	static const uint8_t bad[] = {0x06};
	char text[16];

	(void)state;
	assert_int_equal(insn_format(bad, 1, 0, text, sizeof(text)), 0);
	assert_string_equal(text, "(bad)");
	assert_int_equal(insn_format(bad, 0, 0, text, sizeof(text)), 0);
	assert_string_equal(text, "(bad)");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(out_at_rip),
		cmocka_unit_test(out_behind_rip),
		cmocka_unit_test(size_decides),
		cmocka_unit_test(direction_decides),
		cmocka_unit_test(immediate_port_must_match),
		cmocka_unit_test(two_in_a_row_are_ambiguous),
		cmocka_unit_test(byte_that_looks_like_a_prefix),
		cmocka_unit_test(string_io),
		cmocka_unit_test(mmio),
		cmocka_unit_test(a_rex_prefix_is_ambiguous),
		cmocka_unit_test(the_hardware_says_where),
		cmocka_unit_test(other_exits_have_none),
		cmocka_unit_test(bad_bytes_have_no_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
