/* SPDX-License-Identifier: MIT */
/* MSI-X: the capability, the table, masks and pending bits, through the bus as a driver sees them. */
#include "tests/unit/v1_machine.h"

#include <linux/pci_regs.h>

#include "vmm/kvm_msi.h"
#include "vmm/msix.h"

#define VECTORS 5
#define TABLE 0x2000u
#define PBA 0x3000u
#define DISABLED 0
#define ENABLED PCI_MSIX_FLAGS_ENABLE
#define MASKED (PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL)

struct fixture {
	struct bus bus;
	struct fake_probe fake;
	struct probe *probe;
	struct fake_msi msi;
	struct pci_host *host;
	struct pci_function f;
	struct msix x;
};

static void cfg_written(struct pci_function *f, unsigned reg, unsigned size)
{
	struct fixture *m = (struct fixture *)((char *)f - offsetof(struct fixture, f));

	(void)reg;
	(void)size;
	msix_cfg_written(&m->x);
}

static struct msix_config config(struct fixture *m)
{
	return (struct msix_config){.vectors = VECTORS,
		.bar = 1,
		.table = TABLE,
		.pba = PBA,
		.name = "disk",
		.device = DEVICE,
		.probe = &m->probe};
}

static int setup(void **state)
{
	struct fixture *m = calloc(1, sizeof(*m));
	struct msix_config c;

	assert_non_null(m);
	*state = m;
	c = config(m);
	fake_probe_init(&m->fake);
	m->probe = &m->fake.probe;
	m->msi.sink.send = fake_msi_send;
	assert_int_equal(pci_host_create(&m->host, &m->bus, &m->probe, NULL), 0);
	pci_function_init(&m->f, 0x1af4, 0x1042, 0x01800001, 0x1af4, 0x1042);
	pci_function_mem_bar(&m->f, 1, BASE, 0x4000);
	assert_int_equal(msix_add(&m->x, &c, &m->f, &m->msi.sink, &m->bus, NULL), 0);
	m->f.cfg_written = cfg_written;
	assert_int_equal(pci_host_add(m->host, DEVFN, &m->f, "disk", DEVICE, NULL), 0);
	return 0;
}

static int free_fixture(void **state)
{
	struct fixture *m = *state;

	pci_host_destroy(m->host);
	free(m);
	return 0;
}

static uint32_t cfg_read(struct fixture *m, unsigned reg, unsigned size)
{
	bus_out(&m->bus, m->probe, EW_SPACE_PIO, 0xcf8, 4, 0x80000000 | DEVFN << 8 | (reg & 0xfc));
	return (uint32_t)bus_in(&m->bus, m->probe, EW_SPACE_PIO, 0xcfc + (reg & 3), size);
}

static void cfg_write(struct fixture *m, unsigned reg, unsigned size, uint32_t v)
{
	bus_out(&m->bus, m->probe, EW_SPACE_PIO, 0xcf8, 4, 0x80000000 | DEVFN << 8 | (reg & 0xfc));
	bus_out(&m->bus, m->probe, EW_SPACE_PIO, 0xcfc + (reg & 3), size, v);
}

static void control(struct fixture *m, uint32_t v)
{
	cfg_write(m, m->x.cap + PCI_MSIX_FLAGS, 2, v);
}

static uint64_t in(struct fixture *m, unsigned offset, unsigned size)
{
	return bus_in(&m->bus, m->probe, EW_SPACE_MMIO, BASE + offset, size);
}

static void out(struct fixture *m, unsigned offset, unsigned size, uint64_t v)
{
	bus_out(&m->bus, m->probe, EW_SPACE_MMIO, BASE + offset, size, v);
}

static void entry(struct fixture *m, unsigned vector, uint32_t mask)
{
	unsigned at = TABLE + PCI_MSIX_ENTRY_SIZE * vector;

	out(m, at + PCI_MSIX_ENTRY_LOWER_ADDR, 4, 0xfee00000);
	out(m, at + PCI_MSIX_ENTRY_UPPER_ADDR, 4, vector);
	out(m, at + PCI_MSIX_ENTRY_DATA, 4, 0x40 + vector);
	out(m, at + PCI_MSIX_ENTRY_VECTOR_CTRL, 4, mask);
}

static void test_capability(void **state)
{
	struct fixture *m = *state;
	unsigned cap = cfg_read(m, PCI_CAPABILITY_LIST, 1);

	assert_int_equal(cfg_read(m, cap, 1), PCI_CAP_ID_MSIX);
	assert_int_equal(cfg_read(m, cap + PCI_MSIX_FLAGS, 2), VECTORS - 1);
	assert_int_equal(cfg_read(m, cap + PCI_MSIX_TABLE, 4), TABLE | 1);
	assert_int_equal(cfg_read(m, cap + PCI_MSIX_PBA, 4), PBA | 1);
	/* Two bits can be written, also by a byte alone. */
	for (unsigned i = 0; i < PCI_CAP_MSIX_SIZEOF; i += 4)
		cfg_write(m, cap + i, 4, 0xffffffff);
	assert_int_equal(cfg_read(m, cap + PCI_MSIX_FLAGS, 2), MASKED | (VECTORS - 1));
	assert_int_equal(cfg_read(m, cap + PCI_MSIX_TABLE, 4), TABLE | 1);
	assert_true(msix_enabled(&m->x));
	cfg_write(m, cap + PCI_MSIX_FLAGS + 1, 1, 0);
	assert_false(msix_enabled(&m->x));
}

static void test_table(void **state)
{
	struct fixture *m = *state;

	for (unsigned i = 0; i < VECTORS; i++) {
		unsigned at = TABLE + PCI_MSIX_ENTRY_SIZE * i;

		assert_int_equal(in(m, at, 8), 0);
		assert_int_equal(in(m, at + 8, 8), 1ull << 32); /* masked from reset on */
		out(m, at, 8, UINT64_MAX);
		assert_true(in(m, at, 8) == 0xfffffffffffffffcull);
		out(m, at + 8, 8, UINT64_MAX);
		assert_true(in(m, at + 8, 8) == 0x1ffffffffull);
		assert_int_equal(in(m, at + PCI_MSIX_ENTRY_VECTOR_CTRL, 4), 1);
		out(m, at + PCI_MSIX_ENTRY_DATA, 4, i);
		assert_int_equal(in(m, at + PCI_MSIX_ENTRY_DATA, 4), i);
	}
	assert_int_equal(fake_count(&m->fake, EW_GUEST_ERROR), 0);
}

static void test_bad_accesses(void **state)
{
	struct fixture *m = *state;

	in(m, TABLE, 1);
	in(m, TABLE, 2);
	out(m, TABLE + 2, 4, 0);
	out(m, TABLE + 4, 8, 0);
	in(m, PBA, 2);
	in(m, PBA + 4, 2);
	assert_int_equal(fake_errors(&m->fake, EW_GERR_BAD_SIZE), 6);
	/* No entry, no bits behind the last ones. */
	m->fake.n = 0;
	assert_int_equal(in(m, TABLE + PCI_MSIX_ENTRY_SIZE * VECTORS, 4), 0xffffffff);
	out(m, TABLE + PCI_MSIX_ENTRY_SIZE * VECTORS - 4, 8, 0);
	assert_int_equal(in(m, PBA + 8, 4), 0xffffffff);
	assert_int_equal(in(m, PBA + 4, 8), UINT64_MAX);
	assert_int_equal(fake_errors(&m->fake, EW_GERR_UNCLAIMED), 4);
	/* With memory decoding off nobody is there. */
	cfg_write(m, PCI_COMMAND, 2, 0);
	m->fake.n = 0;
	assert_int_equal(in(m, TABLE, 4), 0xffffffff);
	assert_int_equal(in(m, PBA, 4), 0xffffffff);
	assert_int_equal(fake_errors(&m->fake, EW_GERR_UNCLAIMED), 2);
}

static void test_delivery(void **state)
{
	struct fixture *m = *state;

	for (unsigned i = 0; i < VECTORS; i++)
		entry(m, i, 0);
	msix_notify(&m->x, 0); /* off */
	assert_int_equal(m->msi.n, 0);
	control(m, ENABLED);
	assert_int_equal(m->msi.n, 0); /* and not remembered */
	msix_notify(&m->x, 3);
	assert_int_equal(m->msi.n, 1);
	assert_true(m->msi.addr[0] == 0x3fee00000ull);
	assert_int_equal(m->msi.data[0], 0x43);
	msix_notify(&m->x, VECTORS);
	msix_notify(&m->x, 63);
	msix_notify(&m->x, 64);
	msix_notify(&m->x, 0xffff);
	assert_int_equal(m->msi.n, 1);
	assert_int_equal(in(m, PBA, 8), 0);
}

static void test_masks(void **state)
{
	struct fixture *m = *state;

	entry(m, 1, 1);
	entry(m, 2, 0);
	control(m, ENABLED);
	/* Two causes, one bit, one message. */
	msix_notify(&m->x, 1);
	msix_notify(&m->x, 1);
	assert_int_equal(m->msi.n, 0);
	assert_int_equal(in(m, PBA, 4), 1 << 1);
	assert_int_equal(fake_last(&m->fake, EW_MSIX_PENDING)->a[1], 1);
	out(m, PBA, 8, UINT64_MAX); /* read-only */
	assert_int_equal(in(m, PBA, 8), 1 << 1);
	/* A new address while it is masked is the one that counts. */
	entry(m, 1, 1);
	out(m, TABLE + 16 + PCI_MSIX_ENTRY_DATA, 4, 0x77);
	assert_int_equal(m->msi.n, 0);
	out(m, TABLE + 16 + PCI_MSIX_ENTRY_VECTOR_CTRL, 4, 0);
	assert_int_equal(m->msi.n, 1);
	assert_int_equal(m->msi.data[0], 0x77);
	assert_int_equal(in(m, PBA, 8), 0);
	/* The mask of the function. */
	control(m, MASKED);
	msix_notify(&m->x, 1);
	msix_notify(&m->x, 2);
	msix_notify(&m->x, 0);
	assert_int_equal(m->msi.n, 1);
	assert_int_equal(in(m, PBA, 8), 7);
	control(m, ENABLED);
	assert_int_equal(m->msi.n, 3);
	assert_int_equal(m->msi.data[1], 0x77);
	assert_int_equal(m->msi.data[2], 0x42);
	assert_int_equal(in(m, PBA, 8), 1); /* vector 0 has a mask of its own */
	/* Switched off it stays pending, forgotten it does not come. */
	control(m, DISABLED);
	out(m, TABLE + PCI_MSIX_ENTRY_VECTOR_CTRL, 4, 0);
	assert_int_equal(m->msi.n, 3);
	control(m, ENABLED);
	assert_int_equal(m->msi.n, 4);
	out(m, TABLE + PCI_MSIX_ENTRY_VECTOR_CTRL, 4, 1);
	msix_notify(&m->x, 0);
	msix_forget(&m->x);
	out(m, TABLE + PCI_MSIX_ENTRY_VECTOR_CTRL, 4, 0);
	assert_int_equal(m->msi.n, 4);
	assert_int_equal(fake_count(&m->fake, EW_GUEST_ERROR), 0);
}

static void test_add_refuses(void **state)
{
	struct fixture *m = *state;
	struct msix_config c = config(m);
	struct msix x;
	struct err e = {0};

	c.vectors = 0;
	assert_int_equal(msix_add(&x, &c, &m->f, &m->msi.sink, &m->bus, NULL), -EINVAL);
	assert_false(msix_enabled(&x));
	msix_notify(&x, 0);
	c.vectors = MSIX_MAX_VECTORS + 1;
	assert_int_equal(msix_add(&x, &c, &m->f, &m->msi.sink, &m->bus, &e), -EINVAL);
	assert_non_null(strstr(e.msg, "65 MSI-X vectors"));
	c.vectors = VECTORS;
	assert_int_equal(msix_add(&x, &c, &m->f, &m->msi.sink, &m->bus, NULL), -EEXIST);
	while (pci_function_add_capability(&m->f, PCI_CAP_ID_VNDR, 16))
		;
	assert_int_equal(msix_add(&x, &c, &m->f, &m->msi.sink, &m->bus, NULL), -ENOSPC);
}

/* The sink that ends at KVM says what it does, also when KVM refuses. */
static void test_kvm_sink(void **state)
{
	struct fixture *m = *state;
	struct kvm_msi_sink k;
	const struct ew_rec *r = m->fake.rec;

	kvm_msi_init(&k, -1, DEVICE, &m->probe);
	m->x.sink = &k.sink;
	entry(m, 3, 0);
	control(m, ENABLED);
	m->fake.n = 0;
	msix_notify(&m->x, 3);
	assert_int_equal(m->fake.n, 2);
	assert_int_equal(r[0].kind, EW_MSI);
	assert_true(r[0].a[0] == 0x3fee00000ull);
	assert_int_equal(r[0].a[1], 0x43);
	assert_int_equal(r[0].a[2], DEVICE);
	assert_int_equal(r[1].kind, EW_MSI_RET);
	assert_int_equal((int)r[1].a[2], -EBADF);
	assert_int_equal(k.sink.send(&k.sink, 0, 0, 0), -EBADF);
}

#define M(name) cmocka_unit_test_setup_teardown(name, setup, free_fixture)

int main(void)
{
	const struct CMUnitTest tests[] = {
		M(test_capability),
		M(test_table),
		M(test_bad_accesses),
		M(test_delivery),
		M(test_masks),
		M(test_add_refuses),
		M(test_kvm_sink),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
