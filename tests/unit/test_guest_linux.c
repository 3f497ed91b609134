/* SPDX-License-Identifier: MIT */
/* Reading a Linux kernel's own tables: a made-up image in every layout, and damage in all of it. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "tests/unit/kernel_image.h"
#include "tracer/guest_linux.h"
#include "tracer/kallsyms.h"

static const enum layout layouts[] = {LAYOUT_6_1, LAYOUT_6_2, LAYOUT_6_4};

static void find(struct guest_linux *g, const struct kernel_image *k)
{
	assert_int_equal(guest_linux_find(g, k->image.bytes, k->image.size, IMAGE_BASE, NULL), 0);
}

/* The same for a kernel of each layout, which is found before. */
static void in_every_layout(void (*fn)(struct kernel_image *k, struct guest_linux *g))
{
	for (size_t i = 0; i < sizeof(layouts) / sizeof(layouts[0]); i++) {
		struct kernel_image *k = kernel_image_new(layouts[i]);
		struct guest_linux g;

		find(&g, k);
		fn(k, &g);
		guest_linux_free(&g);
		kernel_image_free(k);
	}
}

static void has_name(const struct guest_linux *g, uint64_t addr, const char *name, uint64_t size)
{
	uint64_t found = 0;
	const struct ksym *y = ksyms_by_addr(&g->syms, addr, &found);

	assert_non_null(y);
	assert_string_equal(ksyms_name(&g->syms, y), name);
	assert_int_equal(found, size);
}

static void all_names(struct kernel_image *k, struct guest_linux *g)
{
	uint64_t size;

	assert_int_equal(g->syms.n, k->syms);
	for (size_t n = 0; n < k->syms; n++) {
		const struct ksym *y = ksyms_by_name(&g->syms, k->sym[n].name);

		assert_non_null(y);
		assert_int_equal(y->addr, k->sym[n].addr);
		assert_int_equal(y->type, k->sym[n].type);
		assert_string_equal(g->syms.module[y->module], "vmlinux");
	}
	has_name(g, TEXT(F_IOWRITE16) + 0x1e, "iowrite16", 0x1000);
	has_name(g, TEXT(10) + 16 * 300, "filler_300", 16);
	/* Data is no function, and in front of everything there is nothing. */
	assert_null(ksyms_by_addr(&g->syms, IMAGE_BASE + k->btf, &size));
	assert_null(ksyms_by_addr(&g->syms, IMAGE_BASE - 1, &size));
}

static void names_in_every_layout(void **state)
{
	(void)state;
	in_every_layout(all_names);
}

/* Since 6.15 no symbol is per CPU, and offsets count upwards. */
static void addresses_without_percpu(void **state)
{
	struct kernel_image *k = kernel_image_new(LAYOUT_6_4);
	struct ksyms s = {0};
	const struct ksym *y;

	(void)state;
	for (size_t i = 0; i < k->syms; i++)
		if (k->sym[i].addr == CURRENT_TASK)
			k->sym[i].addr = IMAGE_BASE + 0x300;
	memset(k->image.bytes + k->num_syms, 0, k->image.used - k->num_syms);
	k->image.used = k->num_syms;
	put_kallsyms(k);
	assert_int_equal(kallsyms_find(k->image.bytes, k->image.size, IMAGE_BASE, &s), k->syms);
	y = ksyms_by_name(&s, "current_task");
	assert_non_null(y);
	assert_int_equal(y->addr, IMAGE_BASE + 0x300);
	ksyms_free(&s);
	kernel_image_free(k);
}

static void no_tables(void **state)
{
	struct kernel_image *k = kernel_image_new(LAYOUT_6_1);
	struct ksyms s = {0};

	(void)state;
	assert_int_equal(kallsyms_find(k->image.bytes, 0, IMAGE_BASE, &s), -ENOENT);
	assert_int_equal(kallsyms_find(k->image.bytes, k->tables, IMAGE_BASE, &s), -ENOENT);
	poke_u32(&k->image, k->num_syms, (uint32_t)k->syms + 1);
	assert_int_equal(kallsyms_find(k->image.bytes, k->image.size, IMAGE_BASE, &s), -ENOENT);
	/* Addresses outside of the image: the tables are some other kernel's. */
	poke_u32(&k->image, k->num_syms, (uint32_t)k->syms);
	assert_int_equal(
		kallsyms_find(k->image.bytes, k->image.size, IMAGE_BASE + (1u << 30), &s), -ENOENT);
	assert_int_equal(s.n, 0);
	ksyms_free(&s);
	kernel_image_free(k);
}

static uint64_t random_number(uint64_t *state)
{
	*state = *state * 6364136223846793005u + 1442695040888963407u;
	return *state >> 33;
}

/* Whatever is wrong in the guest's memory, all that was read stays inside it, and names can be shown. */
static void damage(void **state)
{
	uint64_t seed = 4;

	(void)state;
	for (size_t i = 0; i < 600; i++) {
		struct kernel_image *k = kernel_image_new(layouts[i % 3]);
		struct guest_linux g;
		struct guest_task t;
		struct orc o;

		for (size_t flips = 1 + i % 8; flips--;) {
			struct area *a = flips % 3 == 2 ? &k->module : &k->image;
			size_t from = flips % 3 == 2 ? 0x1000 : k->tables;

			a->bytes[from + random_number(&seed) % (a->used - from)] ^=
				(uint8_t)(1u << random_number(&seed) % 8);
		}
		if (guest_linux_find(&g, k->image.bytes, k->image.used, IMAGE_BASE, NULL) == 0) {
			guest_linux_modules(&g, &k->kmem);
			guest_linux_task(&g, &k->kmem, GS_BASE, &t);
			for (uint64_t ip = TEXT(0); ip < TEXT(9); ip += 0x400)
				guest_linux_orc(&g, &k->kmem, ip, &o);
			for (size_t n = 0; n < g.syms.n; n++)
				assert_true(ksyms_printable(ksyms_name(&g.syms, &g.syms.v[n]),
					strlen(ksyms_name(&g.syms, &g.syms.v[n]))));
			guest_linux_free(&g);
		}
		kernel_image_free(k);
	}
}

static void task(struct kernel_image *k, struct guest_linux *g)
{
	struct guest_task t;

	assert_true(guest_linux_task(g, &k->kmem, GS_BASE, &t));
	assert_int_equal(t.pid, 42);
	assert_int_equal(t.tgid, 41);
	assert_string_equal(t.comm, "kworker/0:1H");
	/* In ring 3 the GS base is the process's own. */
	assert_false(guest_linux_task(g, &k->kmem, 0x7f0000000000, &t));
	assert_false(guest_linux_task(g, &k->kmem, GS_BASE + PERCPU_SIZE, &t));
	poke(&k->percpu, TASK + T_COMM, "a\x01\x80\x7f", 5);
	assert_true(guest_linux_task(g, &k->kmem, GS_BASE, &t));
	assert_string_equal(t.comm, "a???");
	memset(k->percpu.bytes + TASK + T_COMM, 'x', TASK_COMM_LEN + 4);
	assert_true(guest_linux_task(g, &k->kmem, GS_BASE, &t));
	assert_int_equal(strlen(t.comm), TASK_COMM_LEN);
}

static void the_running_task(void **state)
{
	(void)state;
	in_every_layout(task);
}

static void one_module(struct kernel_image *k, struct guest_linux *g)
{
	const struct ksym *y;
	struct orc o;

	assert_false(guest_linux_orc(g, &k->kmem, F_VP_NOTIFY, &o));
	assert_int_equal(guest_linux_modules(g, &k->kmem), 1);
	y = ksyms_by_name(&g->syms, "vp_notify");
	assert_non_null(y);
	assert_int_equal(y->addr, F_VP_NOTIFY);
	assert_string_equal(g->syms.module[y->module], "[virtio_pci]");
	has_name(g, F_VP_NOTIFY + 0x12, "vp_notify", 0x80);
	has_name(g, F_VP_INTERRUPT, "vp_interrupt", 0x80);
	assert_null(ksyms_by_name(&g->syms, "data"));
	assert_true(guest_linux_orc(g, &k->kmem, F_VP_NOTIFY + 0x12, &o));
	assert_int_equal(o.type, ORC_TYPE_CALL);
	assert_int_equal(o.sp_offset, 8);
	assert_false(guest_linux_orc(g, &k->kmem, MODULE_BASE + 0x1000, &o));
}

static void modules(void **state)
{
	(void)state;
	in_every_layout(one_module);
}

/* A list that leads in a circle without its head, or into nothing. */
static void a_list_without_end(void **state)
{
	struct kernel_image *k = kernel_image_new(LAYOUT_6_1);
	struct guest_linux g;
	uint64_t node = 0;

	(void)state;
	find(&g, k);
	assert_true(image_read(&k->kmem, g.modules, &node, sizeof(node)));
	poke_u64(&k->module, node - MODULE_BASE, node);
	assert_true(guest_linux_modules(&g, &k->kmem) >= 0);
	guest_linux_free(&g);
	find(&g, k);
	poke_u64(&k->module, node - MODULE_BASE, 0xffffffffffffff00u);
	assert_int_equal(guest_linux_modules(&g, &k->kmem), 1);
	guest_linux_free(&g);
	kernel_image_free(k);
}

static void some_orcs(struct kernel_image *k, struct guest_linux *g)
{
	struct orc o;

	assert_true(guest_linux_orc(g, &k->kmem, TEXT(F_SYS_PWRITE64) + 0x94, &o));
	assert_int_equal(o.type, ORC_TYPE_CALL);
	assert_int_equal(o.sp_reg, ORC_REG_BP);
	assert_int_equal(o.sp_offset, 16);
	assert_int_equal(o.bp_reg, ORC_REG_PREV_SP);
	assert_int_equal(o.bp_offset, -16);
	assert_true(guest_linux_orc(g, &k->kmem, TEXT(F_ENTRY) + 1, &o));
	assert_int_equal(o.type, ORC_TYPE_REGS);
	assert_true(guest_linux_orc(g, &k->kmem, TEXT(F_IDLE), &o));
	assert_int_equal(o.type, ORC_TYPE_END);
	assert_true(guest_linux_orc(g, &k->kmem, TEXT(F_BLK_MQ) + 0x800, &o));
	assert_int_equal(o.type, ORC_TYPE_UNDEFINED);
	assert_false(guest_linux_orc(g, &k->kmem, IMAGE_BASE + 8, &o)); /* before all */
	assert_false(o.after_call);
	poke(&k->image, 0x1000 * F_IOWRITE16 + 0x15, "\xe8\1\2\3\4", 5);
	assert_true(guest_linux_orc(g, &k->kmem, TEXT(F_IOWRITE16) + 0x19, &o));
	assert_true(o.after_call);
}

static void orc_entries(void **state)
{
	(void)state;
	in_every_layout(some_orcs);
}

static void call_instructions(void **state)
{
	(void)state;
	assert_true(orc_is_call((const uint8_t *)"\x90\x90\xe8\1\2\3\4"));
	assert_true(orc_is_call((const uint8_t *)"\1\2\3\4\5\xff\xd0"));   /* call *%rax */
	assert_true(orc_is_call((const uint8_t *)"\1\2\3\4\x41\xff\xd3")); /* call *%r11 */
	assert_true(orc_is_call((const uint8_t *)"\1\2\3\4\xff\x50\x08")); /* call *8(%rax) */
	assert_true(orc_is_call((const uint8_t *)"\1\xff\x15\1\2\3\4"));   /* call *x(%rip) */
	assert_true(orc_is_call((const uint8_t *)"\xff\x14\xc5\1\2\3\4")); /* call *x(,%rax,8) */
	assert_false(orc_is_call((const uint8_t *)"\1\2\3\4\5\xff\xe0"));  /* jmp *%rax */
	assert_false(orc_is_call((const uint8_t *)"\1\2\3\4\5\6\7"));
}

/* --- BTF -------------------------------------------------------------------------------------- */

static void btf_fields(void **state)
{
	struct kernel_image *k = kernel_image_new(LAYOUT_6_4);
	struct btf_field f;
	struct btf b;

	(void)state;
	assert_int_equal(btf_open(&b, k->image.bytes + k->btf, k->btf_len), 0);
	assert_true(btf_field(&b, "module", "list.prev", &f));
	assert_int_equal(f.bit, 8 * (M_LIST + 8));
	assert_int_equal(f.bits, 64);
	assert_true(btf_field(&b, "module", "mem.size", &f)); /* the first of an array */
	assert_int_equal(f.bit, 8 * (M_LAYOUT + 8));
	assert_true(btf_field(&b, "task_struct", "tgid", &f)); /* in a union without a name */
	assert_int_equal(f.bit, 8 * T_TGID);
	assert_int_equal(f.bits, 32);
	assert_true(btf_field(&b, "module", "name", &f)); /* through a typedef: one char of them */
	assert_int_equal(f.bit, 8 * M_NAME);
	assert_true(btf_field(&b, "orc_entry", "bp_reg", &f));
	assert_int_equal(f.bit, 36);
	assert_int_equal(f.bits, 4);
	assert_int_equal(btf_size(&b, "orc_entry"), 6);
	assert_false(btf_field(&b, "module", "lis", &f));
	assert_false(btf_field(&b, "module", "list.nothing", &f));
	assert_false(btf_field(&b, "module", "kallsyms.symtab", &f)); /* through a pointer */
	assert_false(btf_field(&b, "nothing", "list", &f));
	assert_int_equal(btf_size(&b, "nothing"), 0);
	btf_free(&b);
	kernel_image_free(k);
}

static void btf_cut_short(void **state)
{
	struct kernel_image *k = kernel_image_new(LAYOUT_6_1);
	uint8_t *copy;
	struct btf b;

	(void)state;
	for (size_t len = 0; len < k->btf_len; len++) {
		copy = malloc(len ? len : 1); /* so that a sanitizer sees what is read behind it */
		memcpy(copy, k->image.bytes + k->btf, len);
		assert_int_equal(btf_open(&b, copy, len), -ENOEXEC);
		free(copy);
	}
	kernel_image_free(k);
}

/* A structure without a name in itself, and a typedef of itself. */
static void btf_in_circles(void **state)
{
	struct btf_maker m = {.strings_len = 1};
	uint8_t bytes[BTF_BYTES_MAX];
	struct btf_field f;
	struct btf b;

	(void)state;
	btf_type(&m, "s", BTF_KIND_STRUCT, 2, 8);
	btf_member_of(&m, "", 1, 0);
	btf_member_of(&m, "", 1, 0);
	btf_type(&m, "t", BTF_KIND_TYPEDEF, 0, 2);
	btf_type(&m, "u", BTF_KIND_STRUCT, 1, 8);
	btf_member_of(&m, "x", 2, 0);
	assert_int_equal(btf_open(&b, bytes, btf_bytes(&m, bytes)), 0);
	assert_false(btf_field(&b, "s", "x", &f));
	assert_false(btf_field(&b, "u", "x.y", &f));
	btf_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_in_every_layout),
		cmocka_unit_test(addresses_without_percpu),
		cmocka_unit_test(no_tables),
		cmocka_unit_test(damage),
		cmocka_unit_test(the_running_task),
		cmocka_unit_test(modules),
		cmocka_unit_test(a_list_without_end),
		cmocka_unit_test(orc_entries),
		cmocka_unit_test(call_instructions),
		cmocka_unit_test(btf_fields),
		cmocka_unit_test(btf_cut_short),
		cmocka_unit_test(btf_in_circles),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
