/* SPDX-License-Identifier: MIT */
/*
 * Where the fields of a kernel's structures are, from the BPF type format that the kernel carries about
 * itself (Documentation/bpf/btf.rst). Only what that question needs; every offset is checked.
 */
#ifndef EXITWALK_TRACER_BTF_H
#define EXITWALK_TRACER_BTF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct btf {
	const uint8_t *types, *strings; /* borrowed */
	size_t types_len, strings_len;
	uint32_t *at; /* where each type begins, from number 1 on */
	size_t n;     /* types */
};

struct btf_field {
	uint32_t bit, bits; /* where it begins in the outermost structure, and how long it is */
};

/* Finds the types in `data`, which stays the caller's and must stay there. -ENOEXEC: this is no BTF
 * that can be read; -ENOMEM. After either there is nothing to free. */
int btf_open(struct btf *b, const void *data, size_t len);
void btf_free(struct btf *b);

/*
 * The field `path` of the structure `type`: "pid", or "list.next" through structures that lie inside,
 * but not through pointers. Of an array it is the first element. Members of unnamed structures and
 * unions are found as in C. False if there is none.
 */
bool btf_field(const struct btf *b, const char *type, const char *path, struct btf_field *field);

/* Bytes; 0 if there is no such structure. */
uint32_t btf_size(const struct btf *b, const char *type);

#endif
