/* SPDX-License-Identifier: MIT */
/* A kernel's symbols in memory: all of them while they are looked for, whatever they came from. */
#ifndef EXITWALK_TRACER_KSYMS_H
#define EXITWALK_TRACER_KSYMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a hostile table may cost at most. Debian's kernel has 150,000 symbols of 3 MiB. */
#define KSYMS_MAX (1u << 20)
#define KSYMS_NAMES_MAX (64u << 20)
#define KSYMS_NAME_MAX 512 /* KSYM_NAME_LEN of Linux 6.1; 128 before */

struct ksym {
	uint64_t addr;
	uint32_t size; /* 0: up to the next symbol */
	uint32_t name; /* at names + name */
	uint16_t module;
	char type; /* as nm(1) has it: 'T', 't', 'D' … */
};

struct ksyms {
	struct ksym *v;
	size_t n, cap;
	bool sorted;
	char *names;
	size_t names_len, names_cap;
	char (*module)[64]; /* "vmlinux", "[virtio_blk]" */
	size_t modules;
};

/* Frees what s has; it is empty then, as after a zero initialiser. */
void ksyms_free(struct ksyms *s);

/* The number of a module, new or known; -ENOMEM, -E2BIG. */
int ksyms_module(struct ksyms *s, const char *name);

/* A name that is not printable is left out. 0, -ENOMEM, -E2BIG. */
int ksyms_add(struct ksyms *s, const struct ksym *y, const char *name, size_t len);

/* By address; of equal ones the one that was added first stays in front. */
void ksyms_sort(struct ksyms *s);

static inline const char *ksyms_name(const struct ksyms *s, const struct ksym *y)
{
	return s->names + y->name;
}

static inline bool ksym_is_function(const struct ksym *y)
{
	return y->type == 't' || y->type == 'T' || y->type == 'w' || y->type == 'W';
}

/* The first symbol with that name, or NULL. */
const struct ksym *ksyms_by_name(const struct ksyms *s, const char *name);

/* The function whose bytes contain addr, or NULL; *size is how long it is. s is sorted. */
const struct ksym *ksyms_by_addr(const struct ksyms *s, uint64_t addr, uint64_t *size);

/* Can the name be shown as it is? */
bool ksyms_printable(const char *name, size_t len);

#endif
