/* SPDX-License-Identifier: MIT */
/*
 * libFuzzer target: a Linux guest whose memory says what it likes. The first byte chooses a made-up
 * kernel, the rest changes it, piece by piece (area, offset, length, bytes); or the rest is BTF. Whatever
 * is found in it, only what is there is read, names can be shown, and every walk ends.
 *
 * sources: tracer/guest_linux.c tracer/guest_modules.c tracer/kallsyms.c tracer/ksyms.c tracer/btf.c tracer/orc.c tracer/unwind_orc.c
 */
#include "tests/fuzz/fuzz.h"
#include "tests/unit/kernel_image.h"
#include "tracer/guest_linux.h"
#include "tracer/unwind.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct world {
	struct kernel_image *k;
	struct guest_linux g;
};

static bool find(void *ctx, uint64_t ip, struct orc *o)
{
	struct world *w = ctx;

	return guest_linux_orc(&w->g, &w->k->kmem, ip, o);
}

/* Stacks whose words are code, stack and module addresses in turn: each entry is followed somewhere. */
static void walk(struct world *w)
{
	const struct unwind_piece p = {w->k->percpu.bytes, w->k->percpu.size, GS_BASE};
	struct unwind_frame frame[UNWIND_MAX_FRAMES];
	struct unwind_call call;

	for (unsigned i = 1; i < 12; i++) {
		const struct ew_regs regs = {.rip = i < 9 ? TEXT(i) : F_VP_NOTIFY,
			.rsp = GS_BASE + 8 * i,
			.rbp = GS_BASE + 0x400};
		size_t n = unwind_orc(&regs, &p, 1, find, w, frame, UNWIND_MAX_FRAMES, &call);

		check(n >= 1 && n <= UNWIND_MAX_FRAMES);
	}
}

static void look(struct world *w)
{
	struct guest_task t;

	if (guest_linux_find(&w->g, w->k->image.bytes, w->k->image.used, IMAGE_BASE, NULL))
		return;
	guest_linux_modules(&w->g, &w->k->kmem);
	if (guest_linux_task(&w->g, &w->k->kmem, GS_BASE, &t))
		for (const char *c = t.comm; *c; c++)
			check(*c >= ' ' && *c <= '~');
	for (size_t i = 0; i < w->g.syms.n; i++) {
		const char *name = ksyms_name(&w->g.syms, &w->g.syms.v[i]);

		check(ksyms_printable(name, strlen(name)));
		check(w->g.syms.v[i].module < w->g.syms.modules);
	}
	walk(w);
	guest_linux_free(&w->g);
}

static void change(struct kernel_image *k, struct input *in)
{
	struct area *const area[] = {&k->image, &k->module, &k->percpu};
	const size_t from[] = {k->tables, 0, 0};

	while (in->p < in->end) {
		unsigned which = take(in, 1) % 3;
		size_t at = from[which] + take(in, 3) % (area[which]->size - from[which]);

		for (unsigned n = 1 + take(in, 1) % 16; n && at < area[which]->size; n--)
			area[which]->bytes[at++] = (uint8_t)take(in, 1);
	}
}

static void look_at_btf(const uint8_t *data, size_t size)
{
	struct btf_field f;
	struct btf b;

	if (btf_open(&b, data, size))
		return;
	btf_field(&b, "module", "core_layout.base", &f);
	btf_field(&b, "task_struct", "comm", &f);
	btf_field(&b, "a", "a.a.a", &f);
	btf_size(&b, "orc_entry");
	btf_free(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, data + size};
	unsigned mode = take(&in, 1) % 4;
	struct world w;

	if (mode == 3) {
		look_at_btf(in.p, (size_t)(in.end - in.p));
		return 0;
	}
	w.k = kernel_image_new((enum layout)mode);
	change(w.k, &in);
	look(&w);
	kernel_image_free(w.k);
	return 0;
}
