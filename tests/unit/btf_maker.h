/* SPDX-License-Identifier: MIT */
/* Puts BTF together, type by type (Documentation/bpf/btf.rst). */
#ifndef EXITWALK_TESTS_BTF_MAKER_H
#define EXITWALK_TESTS_BTF_MAKER_H

#include <linux/btf.h>
#include <stdint.h>
#include <string.h>

struct btf_maker {
	uint8_t types[8192];
	char strings[4096];
	size_t types_len, strings_len;
	uint32_t n;
};

static inline uint32_t btf_string(struct btf_maker *b, const char *s)
{
	size_t at = b->strings_len;

	if (!*s)
		return 0;
	memcpy(b->strings + at, s, strlen(s) + 1);
	b->strings_len += strlen(s) + 1;
	return (uint32_t)at;
}

static inline void btf_more(struct btf_maker *b, const void *p, size_t n)
{
	memcpy(b->types + b->types_len, p, n);
	b->types_len += n;
}

static inline uint32_t btf_type(
	struct btf_maker *b, const char *name, uint32_t kind, uint32_t vlen, uint32_t size)
{
	const struct btf_type t = {btf_string(b, name), kind << 24 | vlen, {size}};

	btf_more(b, &t, sizeof(t));
	return ++b->n;
}

static inline void btf_member_of(
	struct btf_maker *b, const char *name, uint32_t type, uint32_t offset)
{
	const struct btf_member m = {btf_string(b, name), type, offset};

	btf_more(b, &m, sizeof(m));
}

static inline uint32_t btf_array_of(struct btf_maker *b, uint32_t type, uint32_t n)
{
	uint32_t id = btf_type(b, "", BTF_KIND_ARRAY, 0, 0);
	const struct btf_array a = {type, type, n};

	btf_more(b, &a, sizeof(a));
	return id;
}

#define BIT_FIELD(bit, bits) ((uint32_t)(bits) << 24 | (bit))
#define KFLAG (1u << 7) /* of the kind: bit fields */

/* Header, types, strings: as they lie in a kernel. */
static inline size_t btf_bytes(const struct btf_maker *b, uint8_t *to)
{
	const struct btf_header h = {.magic = BTF_MAGIC,
		.version = BTF_VERSION,
		.hdr_len = sizeof(h),
		.type_len = (uint32_t)b->types_len,
		.str_off = (uint32_t)b->types_len,
		.str_len = (uint32_t)b->strings_len};

	memcpy(to, &h, sizeof(h));
	memcpy(to + sizeof(h), b->types, b->types_len);
	memcpy(to + sizeof(h) + b->types_len, b->strings, b->strings_len);
	return sizeof(h) + b->types_len + b->strings_len;
}

#define BTF_BYTES_MAX (sizeof(struct btf_header) + sizeof(struct btf_maker))

#endif
