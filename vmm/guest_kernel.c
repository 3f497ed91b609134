// SPDX-License-Identifier: MIT
/* Finds the image of a Linux guest's kernel, copies it, and lets tracer/guest_linux.c look into it. */
#include "guest_kernel.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>

#include "tracer/probe.h"
#include "tracer/recorder.h"
#include "tracer/recorder_linux.h"
#include "tracer/symbol_file.h"

/* Documentation/arch/x86/x86_64/mm.rst: "kernel text mapping", where KASLR puts the image. */
#define IMAGE_FROM 0xffffffff80000000ull
#define IMAGE_TO 0xffffffffc0000000ull
#define IMAGE_STEP (2ull << 20) /* the image is mapped by 2 MiB */
#define IMAGE_MAX (128ull << 20)
#define PAGE 4096

#define TRIES_MAX 4

static bool read_kernel(const struct kmem *m, uint64_t addr, void *to, size_t n)
{
	const struct guest_kernel *g = m->ctx;

	return mem_read_virt(g->mem, g->cr3, addr, to, n) == n;
}

void guest_kernel_init(struct guest_kernel *g, const struct guest_mem *m)
{
	*g = (struct guest_kernel){.mem = m, .kmem = {read_kernel, g}};
}

void guest_kernel_free(struct guest_kernel *g)
{
	guest_linux_free(&g->kernel);
	ksyms_free(&g->given);
	g->found = false;
}

void guest_kernel_symbols(struct guest_kernel *g, struct ksyms *s, const char *file)
{
	g->given = *s;
	g->file = file;
	*s = (struct ksyms){0};
}

/* The kernel unmaps what is not its image from this range (cleanup_highmap). */
static bool find_image(struct guest_kernel *g)
{
	uint64_t gpa, from = 0, to = 0;

	for (uint64_t a = IMAGE_FROM; a < IMAGE_TO; a += IMAGE_STEP) {
		if (mem_translate(g->mem, g->cr3, a, &gpa))
			continue;
		if (!from)
			from = a;
		to = a + IMAGE_STEP;
	}
	g->base = from;
	g->bytes = to - from < IMAGE_MAX ? to - from : IMAGE_MAX;
	return from != 0;
}

/*
 * A copy: the guest's other processors run on, and what was checked must stay what it is. Most of its price
 * are new pages, which come cheaper all at once.
 */
static uint8_t *copy_image(const struct guest_kernel *g)
{
	uint8_t *image = mmap(NULL, g->bytes, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	if (image == MAP_FAILED)
		return NULL;
	for (uint64_t at = 0; at < g->bytes; at += PAGE)
		mem_read_virt(g->mem, g->cr3, g->base + at, image + at, PAGE);
	return image;
}

/* The file's symbols, moved to where the kernel is; NULL: there are none, or not of this kernel. */
static struct ksyms *fitting(struct guest_kernel *g, const uint8_t *image)
{
	if (!g->given.n)
		return NULL;
	if (symbol_file_move(&g->given, g->base) == 0 &&
		guest_linux_fits(&g->given, image, g->bytes, g->base))
		return &g->given;
	ksyms_free(&g->given);
	g->refused = true;
	return NULL;
}

static bool find(struct guest_kernel *g, uint64_t cr3)
{
	uint64_t begin = probe_now(), copied, gpa;
	uint8_t *image;

	g->tries++;
	g->cr3 = cr3;
	if (!find_image(g))
		return false;
	image = copy_image(g);
	if (!image)
		return false;
	copied = probe_now();
	g->copy_ns = copied - begin;
	g->found = guest_linux_find(&g->kernel, image, g->bytes, g->base, fitting(g, image)) == 0;
	g->find_ns = probe_now() - copied;
	munmap(image, g->bytes);
	/* The kernel's own page tables stay when the process is gone whose tables these are. */
	if (g->found && g->kernel.pgd && !mem_translate(g->mem, cr3, g->kernel.pgd, &gpa))
		g->cr3 = gpa;
	return g->found;
}

bool guest_kernel_task(struct guest_kernel *g, uint64_t cr3, uint64_t gs_base, struct guest_task *t)
{
	/* Asked for the 1st, 10th, 100th … time. */
	static const unsigned try_at[TRIES_MAX] = {1, 10, 100, 1000};

	if (!g->found && g->tries < TRIES_MAX && ++g->asked == try_at[g->tries])
		find(g, cr3);
	return g->found && guest_linux_task(&g->kernel, &g->kmem, gs_base, t);
}

bool guest_kernel_left_stack(uint64_t rsp, const uint8_t *stack, uint64_t len, uint64_t *left)
{
	if (len < sizeof(*left))
		return false;
	memcpy(left, stack + len - sizeof(*left), sizeof(*left));
	return kmem_is_kernel(*left) && *left % 8 == 0 && *left - rsp >= len;
}

int guest_kernel_describe(struct guest_kernel *g, uint64_t cr3, struct recorder *r, struct err *e)
{
	if (!g->found && !find(g, cr3)) {
		recorder_meta(r, "guest_linux.names",
			"none: no kallsyms tables were found in the guest's memory");
		return 0;
	}
	recorder_meta(r, "guest_linux.names", "%s%s", g->file && !g->refused ? "file " : "",
		g->file && !g->refused ? g->file : "kallsyms in the guest's memory");
	if (g->refused)
		recorder_meta(r, "guest_linux.symbols_file", "%s is of another kernel", g->file);
	recorder_meta(r, "guest_linux.image", "0x%" PRIx64, g->base);
	recorder_meta(r, "guest_linux.image_bytes", "%" PRIu64, g->bytes);
	recorder_meta(r, "guest_linux.types", "%s", g->kernel.has_btf ? "BTF" : "none");
	recorder_meta(r, "guest_linux.copy_ns", "%" PRIu64, g->copy_ns);
	recorder_meta(r, "guest_linux.find_ns", "%" PRIu64, g->find_ns);
	return recorder_linux(r, &g->kernel, &g->kmem, e);
}
