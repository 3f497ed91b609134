// SPDX-License-Identifier: MIT
/* Writes AML bytes; what has a length in front gets it when it is closed. */
#include <string.h>

#include "aml.h"

/* ACPI 6.4, 20.2.3 and 20.2.5 */
enum {
	OP_NAME = 0x08,
	OP_ZERO = 0x00,
	OP_ONE = 0x01,
	PREFIX_BYTE = 0x0a,
	PREFIX_WORD = 0x0b,
	PREFIX_DWORD = 0x0c,
	PREFIX_STRING = 0x0d,
	PREFIX_QWORD = 0x0e,
	MAX_PKG_LENGTH = 4,
};

void aml_byte(struct aml *a, uint8_t byte)
{
	if (a->overflow || a->len == a->size) {
		a->overflow = true;
		return;
	}
	a->buf[a->len++] = byte;
}

void aml_raw(struct aml *a, uint64_t value, unsigned bytes)
{
	for (unsigned i = 0; i < bytes; i++)
		aml_byte(a, (uint8_t)(value >> 8 * i));
}

void aml_name(struct aml *a, const char *name)
{
	unsigned n = 0;

	if (*name == '\\')
		aml_byte(a, (uint8_t)*name++);
	for (; n < 4 && name[n]; n++)
		aml_byte(a, (uint8_t)name[n]);
	for (; n < 4; n++)
		aml_byte(a, '_');
}

static unsigned integer_bytes(uint64_t value)
{
	return value <= 0xff ? 1 : value <= 0xffff ? 2 : value <= 0xffffffff ? 4 : 8;
}

void aml_integer(struct aml *a, uint64_t value)
{
	static const uint8_t prefix[] = {
		[1] = PREFIX_BYTE, [2] = PREFIX_WORD, [4] = PREFIX_DWORD, [8] = PREFIX_QWORD};
	unsigned bytes = integer_bytes(value);

	if (value <= 1) {
		aml_byte(a, value ? OP_ONE : OP_ZERO);
		return;
	}
	aml_byte(a, prefix[bytes]);
	aml_raw(a, value, bytes);
}

void aml_string(struct aml *a, const char *text)
{
	aml_byte(a, PREFIX_STRING);
	do
		aml_byte(a, (uint8_t)*text);
	while (*text++);
}

static unsigned hex_digit(char c)
{
	return (unsigned)(c <= '9' ? c - '0' : c - 'A' + 10);
}

/* Three letters of 5 bits each, four hexadecimal digits; stored big-endian. */
void aml_eisa_id(struct aml *a, const char *id)
{
	unsigned letters = 0, digits = 0;

	for (unsigned i = 0; i < 3; i++)
		letters = letters << 5 | ((unsigned)id[i] & 0x1f);
	for (unsigned i = 3; i < 7; i++)
		digits = digits << 4 | hex_digit(id[i]);
	aml_byte(a, PREFIX_DWORD);
	aml_byte(a, (uint8_t)(letters >> 8));
	aml_byte(a, (uint8_t)letters);
	aml_byte(a, (uint8_t)(digits >> 8));
	aml_byte(a, (uint8_t)digits);
}

/* Moves what follows `at` up and writes `n` bytes there. */
static void insert(struct aml *a, size_t at, const uint8_t *bytes, size_t n)
{
	if (a->overflow || n > a->size - a->len) {
		a->overflow = true;
		return;
	}
	memmove(a->buf + at + n, a->buf + at, a->len - at);
	memcpy(a->buf + at, bytes, n);
	a->len += n;
}

size_t aml_open(struct aml *a, enum aml_op op)
{
	if (op > 0xff)
		aml_byte(a, (uint8_t)(op >> 8));
	aml_byte(a, (uint8_t)op);
	return a->len;
}

/*
 * PkgLength (20.2.4) counts itself. One byte: 6 bits of length. Else bits 7..6 say how many bytes
 * follow, and the first holds the low 4 bits.
 */
void aml_close(struct aml *a, size_t mark)
{
	uint8_t bytes[MAX_PKG_LENGTH];
	size_t body = a->len - mark, n = 1;

	if (body + 1 <= 0x3f) {
		bytes[0] = (uint8_t)(body + 1);
	} else {
		for (n = 2; n < MAX_PKG_LENGTH && (body + n) >> (4 + 8 * (n - 1)); n++)
			;
		bytes[0] = (uint8_t)((n - 1) << 6 | ((body + n) & 0xf));
		for (size_t i = 1; i < n; i++)
			bytes[i] = (uint8_t)((body + n) >> (4 + 8 * (i - 1)));
	}
	insert(a, mark, bytes, n);
}

size_t aml_open_resources(struct aml *a)
{
	return aml_open(a, AML_BUFFER);
}

void aml_close_resources(struct aml *a, size_t mark)
{
	uint8_t length[3] = {PREFIX_WORD};
	size_t n;

	aml_byte(a, 0x79); /* end tag (6.4.2.9); checksum 0: "as if the checksum were correct" */
	aml_byte(a, 0);
	n = a->len - mark;
	length[1] = (uint8_t)n;
	length[2] = (uint8_t)(n >> 8);
	insert(a, mark, length, sizeof(length));
	aml_close(a, mark);
}

void aml_define(struct aml *a, const char *name)
{
	aml_byte(a, OP_NAME);
	aml_name(a, name);
}

void aml_define_integer(struct aml *a, const char *name, uint64_t value)
{
	aml_define(a, name);
	aml_integer(a, value);
}

/* 6.4.2.5, decoding all 16 bits. */
void aml_io_ports(struct aml *a, uint16_t base, uint8_t len)
{
	aml_byte(a, 0x47);
	aml_byte(a, 1);
	aml_raw(a, base, 2);
	aml_raw(a, base, 2);
	aml_byte(a, 1);
	aml_byte(a, len);
}

/* 6.4.2.1, the form of two bytes: edge, active high. */
void aml_isa_irq(struct aml *a, unsigned irq)
{
	aml_byte(a, 0x22);
	aml_raw(a, 1u << irq, 2);
}

/* 6.4.3.6: consumer, level (bit 1 clear), active high (bit 2 clear), shared (bit 3). */
void aml_level_irq(struct aml *a, uint32_t gsi)
{
	aml_byte(a, 0x89);
	aml_raw(a, 6, 2);
	aml_byte(a, 1 | 1 << 3);
	aml_byte(a, 1);
	aml_raw(a, gsi, 4);
}

/* 6.4.3.4 */
void aml_memory(struct aml *a, uint32_t base, uint32_t len)
{
	aml_byte(a, 0x86);
	aml_raw(a, 9, 2);
	aml_byte(a, 1);
	aml_raw(a, base, 4);
	aml_raw(a, len, 4);
}

/*
 * 6.4.3.5: what a bridge passes down ("producer"), of fixed place. `width`: bytes of each number.
 * Granularity and translation are 0.
 */
static void window(struct aml *a, uint8_t tag, uint8_t type, uint8_t type_flags, unsigned width,
	uint32_t first, uint32_t last)
{
	enum { MIN_FIXED = 1 << 2, MAX_FIXED = 1 << 3 };

	aml_byte(a, tag);
	aml_raw(a, 3 + 5 * width, 2);
	aml_byte(a, type);
	aml_byte(a, MIN_FIXED | MAX_FIXED);
	aml_byte(a, type_flags);
	aml_raw(a, 0, width);
	aml_raw(a, first, width);
	aml_raw(a, last, width);
	aml_raw(a, 0, width);
	aml_raw(a, (uint64_t)last - first + 1, width);
}

enum { TAG_WORD = 0x88, TAG_DWORD = 0x87, TYPE_MEMORY = 0, TYPE_IO = 1, TYPE_BUS = 2 };

void aml_bus_window(struct aml *a, uint16_t first, uint16_t last)
{
	window(a, TAG_WORD, TYPE_BUS, 0, 2, first, last);
}

void aml_io_window(struct aml *a, uint16_t first, uint16_t last)
{
	window(a, TAG_WORD, TYPE_IO, 3 /* ISA and other addresses */, 2, first, last);
}

void aml_memory_window(struct aml *a, uint32_t first, uint32_t last)
{
	window(a, TAG_DWORD, TYPE_MEMORY, 1 /* read and write, not cacheable */, 4, first, last);
}
