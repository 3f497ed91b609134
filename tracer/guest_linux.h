/* SPDX-License-Identifier: MIT */
/*
 * What a Linux guest's kernel says of itself in its own memory: names of addresses, types, unwind tables,
 * modules, the running task. No offset in it is ours: fields are found by the kernel's BTF, variables by
 * their symbols. The guest may have put anything there.
 */
#ifndef EXITWALK_TRACER_GUEST_LINUX_H
#define EXITWALK_TRACER_GUEST_LINUX_H

#include "kmem.h"
#include "ksyms.h"
#include "orc.h"

#define TASK_COMM_LEN 16

struct guest_task {
	int32_t pid, tgid;
	char comm[TASK_COMM_LEN + 1]; /* printable */
};

/* Functions of a module, or of the kernel itself, and their ORC entries. */
struct guest_text {
	uint64_t from, to;
	struct orc_table orc;
};

struct guest_linux {
	struct ksyms syms; /* with those of modules after guest_linux_modules() */
	bool has_btf;
	struct orc_format orc_format;
	struct guest_text *text;
	size_t texts;
	uint64_t pgd;        /* init_top_pgt; 0: not known */
	uint64_t modules;    /* the list's head; 0: not known */
	uint64_t current_at; /* from a CPU's gs base on */
	bool has_task;
	struct {
		struct btf_field pid, tgid, comm;
	} task;
	struct {
		struct btf_field list, name, base, size, kallsyms, num_orcs, orc_ips, orcs;
		struct btf_field symtab, num_symtab, strtab;
		bool known, has_orc;
	} module;
};

/*
 * Looks into a copy of the kernel's image, as kallsyms_find() takes it, and keeps what is needed of it;
 * `given`, if not NULL, are the symbols to use instead of those in the image, and is empty afterwards.
 * On success g is to be freed. -ENOENT: there are no symbols; -ENOMEM, -E2BIG.
 */
int guest_linux_find(struct guest_linux *g, const uint8_t *image, size_t len, uint64_t base,
	struct ksyms *given);
void guest_linux_free(struct guest_linux *g);

/* Are these the symbols of the kernel in that image? Its linux_banner must lie where they say. */
bool guest_linux_fits(const struct ksyms *s, const uint8_t *image, size_t len, uint64_t base);

/* The task that runs on the CPU whose per-CPU area is at gs_base. False if that cannot be told. */
bool guest_linux_task(
	const struct guest_linux *g, const struct kmem *m, uint64_t gs_base, struct guest_task *t);

/* Adds the names and ORC tables of the modules that are loaded. Returns how many, or -errno. */
int guest_linux_modules(struct guest_linux *g, const struct kmem *m);

/* One more stretch of code. 0 or -ENOMEM. */
int guest_linux_add_text(struct guest_linux *g, const struct guest_text *t);

/* The ORC entry for an instruction of the kernel or of a module. */
bool guest_linux_orc(const struct guest_linux *g, const struct kmem *m, uint64_t ip, struct orc *o);

#endif
