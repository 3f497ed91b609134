/* SPDX-License-Identifier: MIT */
/* Finds its way through a Linux kernel's image by symbols and BTF. */
#include "guest_linux.h"

#include <errno.h>
#include <linux/btf.h>
#include <stdlib.h>
#include <string.h>

#include "kallsyms.h"

static uint64_t symbol(const struct guest_linux *g, const char *name)
{
	const struct ksym *y = ksyms_by_name(&g->syms, name);

	return y ? y->addr : 0;
}

int guest_linux_add_text(struct guest_linux *g, const struct guest_text *t)
{
	void *bigger = reallocarray(g->text, g->texts + 1, sizeof(*g->text));

	if (!bigger)
		return -ENOMEM;
	g->text = bigger;
	g->text[g->texts++] = *t;
	return 0;
}

/* --- the image ------------------------------------------------------------------------------ */

/* The kernel's BTF lies between two symbols, or is found by its first bytes. */
static int open_btf(
	const struct guest_linux *g, const uint8_t *image, size_t len, uint64_t base, struct btf *b)
{
	static const uint8_t begin[] = {
		0x9f, 0xeb, BTF_VERSION, 0, sizeof(struct btf_header), 0, 0, 0};
	uint64_t from = symbol(g, "__start_BTF") - base, to = symbol(g, "__stop_BTF") - base;

	if (from < to && to <= len)
		return btf_open(b, image + from, to - from);
	for (const uint8_t *p = image; (p = memmem(p, len - (size_t)(p - image), begin, 8)); p++) {
		int ret = btf_open(b, p, len - (size_t)(p - image));

		if (ret != -ENOEXEC)
			return ret;
	}
	return -ENOENT;
}

static bool bytes_of(const struct btf *b, const char *type, const char *path, struct btf_field *f)
{
	return btf_field(b, type, path, f) && f->bit % 8 == 0;
}

/* Until 6.3 a module has one layout, later an array of areas of which the first is the text. */
static void find_module_fields(struct guest_linux *g, const struct btf *b)
{
	static const char *const s = "module", *const k = "mod_kallsyms";
	bool area = bytes_of(b, s, "mem.base", &g->module.base) &&
		    bytes_of(b, s, "mem.size", &g->module.size);

	if (!area)
		area = bytes_of(b, s, "core_layout.base", &g->module.base) &&
		       bytes_of(b, s, "core_layout.text_size", &g->module.size);
	g->module.known = area && bytes_of(b, s, "list", &g->module.list) &&
			  bytes_of(b, s, "name", &g->module.name) &&
			  bytes_of(b, s, "kallsyms", &g->module.kallsyms) &&
			  bytes_of(b, k, "symtab", &g->module.symtab) &&
			  bytes_of(b, k, "num_symtab", &g->module.num_symtab) &&
			  bytes_of(b, k, "strtab", &g->module.strtab);
	g->module.has_orc = bytes_of(b, s, "arch.num_orcs", &g->module.num_orcs) &&
			    bytes_of(b, s, "arch.orc_unwind_ip", &g->module.orc_ips) &&
			    bytes_of(b, s, "arch.orc_unwind", &g->module.orcs);
}

/* From 6.2 to 6.14 `current` is a member of pcpu_hot, else a variable of its own. */
static void find_task_fields(struct guest_linux *g, const struct btf *b)
{
	struct btf_field in_hot = {0, 0};

	g->current_at = symbol(g, "current_task");
	if (!g->current_at && bytes_of(b, "pcpu_hot", "current_task", &in_hot))
		g->current_at = symbol(g, "pcpu_hot");
	g->has_task = g->current_at && bytes_of(b, "task_struct", "pid", &g->task.pid) &&
		      bytes_of(b, "task_struct", "tgid", &g->task.tgid) &&
		      bytes_of(b, "task_struct", "comm", &g->task.comm);
	g->current_at += in_hot.bit / 8;
}

static int find_orc(struct guest_linux *g)
{
	uint64_t ips = symbol(g, "__start_orc_unwind_ip"), ends = symbol(g, "__stop_orc_unwind_ip");
	const struct guest_text t = {
		/* Behind _etext lies .init.text, which is gone; it has entries too. */
		.from = symbol(g, "_text"),
		.to = symbol(g, "_end"),
		.orc = {ips, symbol(g, "__start_orc_unwind"), (ends - ips) / 4},
	};

	if (!t.from || t.to <= t.from || !ips || ends <= ips || !t.orc.entries)
		return 0;
	return guest_linux_add_text(g, &t);
}

bool guest_linux_fits(const struct ksyms *s, const uint8_t *image, size_t len, uint64_t base)
{
	static const char begin[] = "Linux version ";
	const struct ksym *y = ksyms_by_name(s, "linux_banner");
	uint64_t at = y ? y->addr - base : len;

	return at < len && len - at >= sizeof(begin) &&
	       memcmp(image + at, begin, sizeof(begin) - 1) == 0;
}

int guest_linux_find(
	struct guest_linux *g, const uint8_t *image, size_t len, uint64_t base, struct ksyms *given)
{
	struct btf b;
	int ret = 0;

	*g = (struct guest_linux){0};
	if (given) {
		g->syms = *given;
		*given = (struct ksyms){0};
	} else {
		ret = kallsyms_find(image, len, base, &g->syms);
	}
	if (ret < 0) {
		guest_linux_free(g);
		return ret;
	}
	ksyms_sort(&g->syms);
	ret = open_btf(g, image, len, base, &b);
	g->has_btf = ret == 0;
	if (g->has_btf) {
		find_module_fields(g, &b);
		find_task_fields(g, &b);
	}
	orc_format_of(g->has_btf ? &b : NULL,
		symbol(g, "orc_header") || symbol(g, "__start_orc_header"), &g->orc_format);
	g->pgd = symbol(g, "init_top_pgt");
	g->modules = symbol(g, "modules");
	if (g->has_btf)
		btf_free(&b);
	ret = ret == -ENOMEM ? ret : find_orc(g);
	if (ret)
		guest_linux_free(g);
	return ret;
}

void guest_linux_free(struct guest_linux *g)
{
	ksyms_free(&g->syms);
	free(g->text);
	*g = (struct guest_linux){0};
}

/* --- the running task ------------------------------------------------------------------------ */

bool guest_linux_task(
	const struct guest_linux *g, const struct kmem *m, uint64_t gs_base, struct guest_task *t)
{
	uint64_t task;

	*t = (struct guest_task){0};
	if (!g->has_task || !kmem_is_kernel(gs_base) ||
		!kmem_read(m, gs_base + g->current_at, &task, sizeof(task)) ||
		!kmem_is_kernel(task) ||
		!kmem_read(m, task + g->task.pid.bit / 8, &t->pid, sizeof(t->pid)) ||
		!kmem_read(m, task + g->task.tgid.bit / 8, &t->tgid, sizeof(t->tgid)) ||
		!kmem_read(m, task + g->task.comm.bit / 8, t->comm, TASK_COMM_LEN))
		return false;
	for (char *p = t->comm; *p; p++)
		if ((unsigned char)*p < ' ' || (unsigned char)*p > '~')
			*p = '?';
	return true;
}

/* --- unwind tables ---------------------------------------------------------------------------- */

bool guest_linux_orc(const struct guest_linux *g, const struct kmem *m, uint64_t ip, struct orc *o)
{
	for (size_t i = 0; i < g->texts; i++)
		if (ip >= g->text[i].from && ip < g->text[i].to)
			return orc_find(m, &g->orc_format, &g->text[i].orc, ip, o);
	return false;
}
