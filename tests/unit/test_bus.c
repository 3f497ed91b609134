/* SPDX-License-Identifier: MIT */
/* The bus: look-up, overlaps, absent addresses, bad sizes, and the records of a dispatch. */
#include "tests/unit/fake_machine.h"

#include <errno.h>

struct dev {
	uint64_t offset, value;
	unsigned size, calls;
	bool is_write;
	enum ew_bus_result result;
};

static enum ew_bus_result dev_access(
	void *opaque, uint64_t offset, unsigned size, bool is_write, uint64_t *value)
{
	struct dev *d = opaque;

	d->calls++;
	d->offset = offset;
	d->size = size;
	d->is_write = is_write;
	if (is_write)
		d->value = *value;
	else
		*value = d->value;
	return d->result;
}

static int add(struct bus *b, struct dev *d, enum ew_space space, uint64_t base, uint64_t len)
{
	struct bus_region r = {.name = "region",
		.device = 7,
		.space = space,
		.base = base,
		.len = len,
		.handler = dev_access,
		.opaque = d};

	return bus_add(b, &r, NULL);
}

static void test_add(void **state)
{
	struct bus b = {0};
	struct dev d = {0};
	struct err e = {0};
	struct bus_region r = {.name = "new", .base = 0x108, .len = 1, .handler = dev_access};

	(void)state;
	assert_int_equal(add(&b, &d, EW_SPACE_PIO, 0x100, 8), 0);
	assert_int_equal(add(&b, &d, EW_SPACE_PIO, 0x110, 8), 0);
	assert_int_equal(add(&b, &d, EW_SPACE_PIO, 0x108, 8), 0); /* touches both, overlaps none */
	assert_int_equal(add(&b, &d, EW_SPACE_MMIO, 0x100, 8), 0);
	assert_int_equal(add(&b, &d, EW_SPACE_PIO, 0x100, 8), -EEXIST);
	assert_int_equal(add(&b, &d, EW_SPACE_PIO, 0xff, 2), -EEXIST);
	assert_int_equal(add(&b, &d, EW_SPACE_PIO, 0x117, 1), -EEXIST);
	assert_int_equal(add(&b, &d, EW_SPACE_PIO, 0, 0x10000), -EEXIST);
	assert_int_equal(add(&b, &d, EW_SPACE_PIO, 0x200, 0), -EINVAL);
	assert_int_equal(add(&b, &d, EW_SPACE_PIO, 0xffff, 2), -EINVAL);
	assert_int_equal(add(&b, &d, EW_SPACE_MMIO, UINT64_MAX, 2), -EINVAL);
	assert_int_equal(add(&b, &d, EW_SPACE_MMIO, UINT64_MAX - 1, 2), 0);
	assert_int_equal(add(&b, &d, EW_SPACE_MMIO, UINT64_MAX, 1), -EEXIST);
	assert_int_equal(bus_add(&b, &r, &e), -EEXIST);
	assert_string_equal(
		e.msg, "'new' at port 0x108 overlaps 'region' at 0x108: give it another address");
	assert_int_equal(b.count, 5);
	for (unsigned i = 0; i < BUS_MAX_REGIONS - 5; i++)
		assert_int_equal(add(&b, &d, EW_SPACE_PCI, i * 256, 256), 0);
	assert_int_equal(add(&b, &d, EW_SPACE_PCI, 0xff00, 256), -ENOSPC);
	for (unsigned i = 1; i < b.count; i++)
		assert_true(b.region[i - 1].space < b.region[i].space ||
			    b.region[i - 1].base < b.region[i].base);
}

static void test_find(void **state)
{
	struct bus b = {0};
	struct dev d = {0};

	(void)state;
	assert_null(bus_find(&b, EW_SPACE_PIO, 0, 1));
	for (unsigned i = 20; i-- > 0;) /* added downwards, found everywhere */
		assert_int_equal(add(&b, &d, EW_SPACE_PIO, 0x100 + 0x10 * i, 8), 0);
	assert_int_equal(add(&b, &d, EW_SPACE_MMIO, 0x1000, 8), 0);
	for (unsigned i = 0; i < 20; i++) {
		const struct bus_region *r = bus_find(&b, EW_SPACE_PIO, 0x107 + 0x10 * i, 1);

		assert_non_null(r);
		assert_int_equal(r->base, 0x100 + 0x10 * i);
		assert_int_equal(r->id, 20 - i);
		assert_null(bus_find(&b, EW_SPACE_PIO, 0x108 + 0x10 * i, 1));
		assert_null(bus_find(&b, EW_SPACE_PIO, 0x107 + 0x10 * i, 2));
		assert_null(bus_find(&b, EW_SPACE_PIO, 0xff + 0x10 * i, 2));
	}
	assert_null(bus_find(&b, EW_SPACE_PIO, 0x1000, 1));
	assert_null(bus_find(&b, EW_SPACE_PCI, 0x1000, 1));
	assert_non_null(bus_find(&b, EW_SPACE_MMIO, 0x1000, 8));
	assert_null(bus_find(&b, EW_SPACE_MMIO, UINT64_MAX, 8));
}

static void expect_rec(const struct ew_rec *r, enum ew_kind kind, const uint64_t a[6])
{
	assert_int_equal(r->kind, kind);
	for (unsigned i = 0; i < 6; i++)
		assert_int_equal(r->a[i], a[i]);
}
#define EXPECT(r, kind, ...) expect_rec(r, kind, (const uint64_t[6]){__VA_ARGS__})

static void test_access(void **state)
{
	static struct fake_probe p;
	struct bus b = {0};
	struct dev d = {.result = EW_BUS_HANDLED};

	(void)state;
	fake_probe_init(&p);
	add(&b, &d, EW_SPACE_PIO, 0x100, 8);
	assert_int_equal(bus_out(&b, &p.probe, EW_SPACE_PIO, 0x104, 2, 0xabcd1234), EW_BUS_HANDLED);
	assert_int_equal(d.value, 0x1234); /* no more than the size */
	assert_int_equal(d.offset, 4);
	assert_int_equal(d.size, 2);
	assert_true(d.is_write);
	d.value = 0x1122334455667788;
	assert_int_equal(bus_in(&b, &p.probe, EW_SPACE_PIO, 0x100, 4), 0x55667788);
	assert_int_equal(bus_in(&b, &p.probe, EW_SPACE_PIO, 0x100, 8), 0x1122334455667788);
	assert_int_equal(p.n, 6);
	EXPECT(&p.rec[0], EW_DISPATCH, EW_SPACE_PIO, 0x104, 1, 4, 2, 1);
	EXPECT(&p.rec[1], EW_DISPATCH_END, 1, EW_BUS_HANDLED, 0x1234);
	EXPECT(&p.rec[2], EW_DISPATCH, EW_SPACE_PIO, 0x100, 1, 0, 4, 0);
	EXPECT(&p.rec[3], EW_DISPATCH_END, 1, EW_BUS_HANDLED, 0x55667788);
	/* Unrecorded, the same machine. */
	assert_int_equal(bus_in(&b, NULL, EW_SPACE_PIO, 0x100, 1), 0x88);
	assert_int_equal(p.n, 6);
}

static void test_unclaimed(void **state)
{
	static struct fake_probe p;
	struct bus b = {0};
	struct dev d = {.result = EW_BUS_UNCLAIMED};

	(void)state;
	fake_probe_init(&p);
	add(&b, &d, EW_SPACE_PIO, 0x100, 8);
	assert_int_equal(bus_in(&b, &p.probe, EW_SPACE_PIO, 0x42, 1), 0xff);
	assert_int_equal(bus_in(&b, &p.probe, EW_SPACE_MMIO, 0x100, 8), UINT64_MAX);
	assert_int_equal(bus_in(&b, &p.probe, EW_SPACE_PIO, 0x107, 2), 0xffff);
	assert_int_equal(
		bus_out(&b, &p.probe, EW_SPACE_PIO, 0x42, 4, 0xdeadbeef), EW_BUS_UNCLAIMED);
	assert_int_equal(d.calls, 0);
	assert_int_equal(p.n, 12);
	EXPECT(&p.rec[0], EW_DISPATCH, EW_SPACE_PIO, 0x42, 0, 0, 1, 0);
	EXPECT(&p.rec[1], EW_GUEST_ERROR, EW_GERR_UNCLAIMED, 0, 0x42, 1, 0);
	EXPECT(&p.rec[2], EW_DISPATCH_END, 0, EW_BUS_UNCLAIMED, 0xff);
	EXPECT(&p.rec[9], EW_DISPATCH, EW_SPACE_PIO, 0x42, 0, 0, 4, 1);
	EXPECT(&p.rec[11], EW_DISPATCH_END, 0, EW_BUS_UNCLAIMED, 0xdeadbeef);
	/* A region may decline; looking for absent PCI functions is no error. */
	p.n = 0;
	assert_int_equal(bus_in(&b, &p.probe, EW_SPACE_PIO, 0x100, 1), 0xff);
	assert_int_equal(d.calls, 1);
	EXPECT(&p.rec[1], EW_GUEST_ERROR, EW_GERR_UNCLAIMED, 7, 0x100, 1, 0);
	p.n = 0;
	assert_int_equal(bus_in(&b, &p.probe, EW_SPACE_PCI, 0x100, 4), 0xffffffff);
	assert_int_equal(p.n, 2);
	EXPECT(&p.rec[1], EW_DISPATCH_END, 0, EW_BUS_UNCLAIMED, 0xffffffff);
}

static void test_bad_size(void **state)
{
	static struct fake_probe p;
	struct bus b = {0};
	struct dev d = {.result = EW_BUS_BAD_SIZE};

	(void)state;
	fake_probe_init(&p);
	add(&b, &d, EW_SPACE_PIO, 0x100, 8);
	assert_int_equal(bus_in(&b, &p.probe, EW_SPACE_PIO, 0x102, 2), 0xffff);
	EXPECT(&p.rec[1], EW_GUEST_ERROR, EW_GERR_BAD_SIZE, 7, 2, 2, 0);
	EXPECT(&p.rec[2], EW_DISPATCH_END, 1, EW_BUS_BAD_SIZE, 0xffff);
	/* A size that does not exist never reaches the device. */
	assert_int_equal(bus_out(&b, &p.probe, EW_SPACE_PIO, 0x100, 3, 0), EW_BUS_BAD_SIZE);
	assert_int_equal(d.calls, 1);
}

struct order {
	struct fake_probe *p;
	enum ew_snapshot_why why;
	unsigned at, calls;
};

static void on_snapshot(void *ctx, enum ew_snapshot_why why)
{
	struct order *o = ctx;

	o->why = why;
	o->at = o->p->n;
	o->calls++;
}

static enum ew_snapshot_why want_snapshot(void *opaque, uint64_t offset, bool is_write)
{
	(void)opaque;
	return offset == 2 && is_write ? EW_SNAPSHOT_NOTIFY : EW_SNAPSHOT_NONE;
}

static void test_snapshot(void **state)
{
	static struct fake_probe p;
	struct order o = {.p = &p};
	struct bus b = {.on_snapshot = on_snapshot, .snapshot_ctx = &o};
	struct dev d = {.result = EW_BUS_HANDLED};
	struct bus_region r = {.name = "r",
		.base = 0x100,
		.len = 8,
		.handler = dev_access,
		.opaque = &d,
		.snapshot = want_snapshot};

	(void)state;
	fake_probe_init(&p);
	bus_add(&b, &r, NULL);
	bus_out(&b, &p.probe, EW_SPACE_PIO, 0x100, 2, 0);
	bus_in(&b, &p.probe, EW_SPACE_PIO, 0x102, 2);
	assert_int_equal(o.calls, 0);
	bus_out(&b, &p.probe, EW_SPACE_PIO, 0x102, 2, 0);
	assert_int_equal(o.calls, 1);
	assert_int_equal(o.why, EW_SNAPSHOT_NOTIFY);
	assert_int_equal(o.at, 4); /* before this access's DISPATCH */
	b.on_snapshot = NULL;
	assert_int_equal(bus_out(&b, NULL, EW_SPACE_PIO, 0x102, 2, 0), EW_BUS_HANDLED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_add),
		cmocka_unit_test(test_find),
		cmocka_unit_test(test_access),
		cmocka_unit_test(test_unclaimed),
		cmocka_unit_test(test_bad_size),
		cmocka_unit_test(test_snapshot),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
