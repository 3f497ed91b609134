/* SPDX-License-Identifier: MIT */
/* PCI configuration mechanism 1: the ports' byte lanes, absent functions, BARs, read-only registers. */
#include "tests/unit/fake_machine.h"

#include <errno.h>
#include <linux/pci_regs.h>

#include "vmm/pci.h"

#define DEVFN (1 << 3)

struct machine {
	struct bus bus;
	struct probe *probe;
	struct pci_host *host;
	struct pci_function f;
	struct fake_probe fake;
};

static int setup(void **state)
{
	struct machine *m = calloc(1, sizeof(*m));
	struct err e = {0};

	*state = m;
	fake_probe_init(&m->fake);
	m->probe = &m->fake.probe;
	assert_int_equal(pci_host_create(&m->host, &m->bus, &m->probe, &e), 0);
	pci_function_init(&m->f, 0x1af4, 0x1001, 0x01800000, 0x1af4, 2);
	pci_function_io_bar(&m->f, 0, 0xc000, 128);
	pci_function_irq(&m->f, 1, 11);
	assert_int_equal(pci_host_add(m->host, DEVFN, &m->f, "disk", 3, &e), 0);
	return 0;
}

static int teardown(void **state)
{
	struct machine *m = *state;

	pci_host_destroy(m->host);
	free(m);
	return 0;
}

static void out(struct machine *m, unsigned port, unsigned size, uint32_t v)
{
	bus_out(&m->bus, m->probe, EW_SPACE_PIO, port, size, v);
}

static uint32_t in(struct machine *m, unsigned port, unsigned size)
{
	return (uint32_t)bus_in(&m->bus, m->probe, EW_SPACE_PIO, port, size);
}

static void target(struct machine *m, unsigned bus, unsigned devfn, unsigned reg)
{
	out(m, 0xcf8, 4, 0x80000000 | bus << 16 | devfn << 8 | (reg & 0xfc));
}

static uint32_t cfg_read(struct machine *m, unsigned devfn, unsigned reg, unsigned size)
{
	target(m, 0, devfn, reg);
	return in(m, 0xcfc + (reg & 3), size);
}

static void cfg_write(struct machine *m, unsigned devfn, unsigned reg, unsigned size, uint32_t v)
{
	target(m, 0, devfn, reg);
	out(m, 0xcfc + (reg & 3), size, v);
}

static void test_header(void **state)
{
	struct machine *m = *state;

	assert_int_equal(cfg_read(m, 0, PCI_CLASS_DEVICE, 2), 0x0600);
	assert_int_equal(cfg_read(m, DEVFN, PCI_VENDOR_ID, 4), 0x10011af4);
	assert_int_equal(cfg_read(m, DEVFN, PCI_CLASS_REVISION, 4), 0x01800000);
	assert_int_equal(cfg_read(m, DEVFN, PCI_SUBSYSTEM_ID, 2), 2);
	assert_int_equal(cfg_read(m, DEVFN, PCI_INTERRUPT_PIN, 1), 1);
	assert_int_equal(cfg_read(m, DEVFN, PCI_INTERRUPT_LINE, 1), 11);
	assert_int_equal(cfg_read(m, DEVFN, PCI_HEADER_TYPE, 1), 0);
	assert_int_equal(cfg_read(m, DEVFN, PCI_ROM_ADDRESS, 4), 0);
}

static void test_byte_lanes(void **state)
{
	struct machine *m = *state;

	target(m, 0, DEVFN, PCI_VENDOR_ID);
	assert_int_equal(in(m, 0xcfc, 1), 0xf4);
	assert_int_equal(in(m, 0xcfd, 1), 0x1a);
	assert_int_equal(in(m, 0xcfe, 1), 0x01);
	assert_int_equal(in(m, 0xcff, 1), 0x10);
	assert_int_equal(in(m, 0xcfc, 2), 0x1af4);
	assert_int_equal(in(m, 0xcfd, 2), 0x011a);
	assert_int_equal(in(m, 0xcfe, 2), 0x1001);
	/* Nothing reaches beyond the dword. */
	assert_int_equal(in(m, 0xcff, 2), 0xffff);
	assert_int_equal(in(m, 0xcfe, 4), 0xffffffff);
	out(m, 0xcfe, 4, 0);
	/* The two low bits of the address are not register bits. */
	out(m, 0xcf8, 4, 0x80000003 | DEVFN << 8);
	assert_int_equal(in(m, 0xcf8, 4), 0x80000000 | DEVFN << 8);
	assert_int_equal(in(m, 0xcfc, 4), 0x10011af4);
}

/* As Linux probes: a byte to 0xcfb must not disturb a dword register, which must then be there. */
static void test_address_register(void **state)
{
	struct machine *m = *state;

	out(m, 0xcf8, 4, 0x80000000);
	m->fake.n = 0;
	out(m, 0xcfb, 1, 0x01);
	out(m, 0xcfa, 2, 0xffff);
	out(m, 0xcf9, 1, 0x06);
	assert_int_equal(in(m, 0xcf8, 1), 0xff);
	assert_int_equal(in(m, 0xcfb, 1), 0xff);
	assert_int_equal(in(m, 0xcf8, 4), 0x80000000);
	assert_int_equal(fake_count(&m->fake, EW_GUEST_ERROR), 0);
	/* Without the enable bit the data port is an ordinary port where nobody is. */
	out(m, 0xcf8, 4, DEVFN << 8);
	assert_int_equal(in(m, 0xcfc, 4), 0xffffffff);
	assert_int_equal(fake_errors(&m->fake, EW_GERR_UNCLAIMED), 1);
}

static void test_absent(void **state)
{
	struct machine *m = *state;
	const struct ew_rec *r;

	m->fake.n = 0;
	assert_int_equal(cfg_read(m, 2 << 3, PCI_VENDOR_ID, 4), 0xffffffff);
	assert_int_equal(cfg_read(m, DEVFN + 1, PCI_VENDOR_ID, 2), 0xffff);
	cfg_write(m, 2 << 3, PCI_COMMAND, 2, 7);
	target(m, 1, DEVFN, PCI_VENDOR_ID); /* the same function on bus 1 */
	assert_int_equal(in(m, 0xcfc, 4), 0xffffffff);
	assert_int_equal(fake_count(&m->fake, EW_GUEST_ERROR), 0);
	/* The look-up of the function is a dispatch inside the port's. */
	m->fake.n = 0;
	in(m, 0xcfc, 4);
	assert_int_equal(m->fake.n, 4);
	r = m->fake.rec;
	assert_int_equal(r[0].kind, EW_DISPATCH);
	assert_int_equal(r[0].a[1], 0xcfc);
	assert_int_equal(r[1].kind, EW_DISPATCH);
	assert_int_equal(r[1].a[0], EW_SPACE_PCI);
	assert_int_equal(r[1].a[1], 1 << 16 | DEVFN << 8);
	assert_int_equal(r[2].kind, EW_DISPATCH_END);
	assert_int_equal(r[2].a[1], EW_BUS_UNCLAIMED);
	assert_int_equal(r[3].kind, EW_DISPATCH_END);
	assert_int_equal(r[3].a[1], EW_BUS_HANDLED);
}

static void test_bar(void **state)
{
	struct machine *m = *state;

	assert_int_equal(cfg_read(m, DEVFN, PCI_BASE_ADDRESS_0, 4), 0xc001);
	cfg_write(m, DEVFN, PCI_BASE_ADDRESS_0, 4, 0xffffffff);
	assert_int_equal(cfg_read(m, DEVFN, PCI_BASE_ADDRESS_0, 4), 0xffffff81);
	cfg_write(m, DEVFN, PCI_BASE_ADDRESS_0, 4, 0xc001);
	assert_int_equal(cfg_read(m, DEVFN, PCI_BASE_ADDRESS_0, 4), 0xc001);
	/* It cannot be moved, and says so. */
	cfg_write(m, DEVFN, PCI_BASE_ADDRESS_0, 4, 0xd001);
	assert_int_equal(cfg_read(m, DEVFN, PCI_BASE_ADDRESS_0, 4), 0xc001);
	/* Sizing byte by byte. */
	for (unsigned i = 0; i < 4; i++)
		cfg_write(m, DEVFN, PCI_BASE_ADDRESS_0 + i, 1, 0xff);
	assert_int_equal(cfg_read(m, DEVFN, PCI_BASE_ADDRESS_0, 4), 0xffffff81);
	cfg_write(m, DEVFN, PCI_BASE_ADDRESS_0 + 1, 1, 0xc0);
	assert_int_equal(cfg_read(m, DEVFN, PCI_BASE_ADDRESS_0, 4), 0xc001);
	/* What is not there has no size. */
	cfg_write(m, DEVFN, PCI_BASE_ADDRESS_1, 4, 0xffffffff);
	assert_int_equal(cfg_read(m, DEVFN, PCI_BASE_ADDRESS_1, 4), 0);
	cfg_write(m, DEVFN, PCI_ROM_ADDRESS, 4, 0xffffffff);
	assert_int_equal(cfg_read(m, DEVFN, PCI_ROM_ADDRESS, 4), 0);
}

/* The same protocol for a memory BAR, whose low bits say something else. */
static void test_memory_bar(void **state)
{
	struct machine *m = *state;

	pci_function_mem_bar(&m->f, 2, 0xe0010000, 0x8000);
	assert_int_equal(cfg_read(m, DEVFN, PCI_COMMAND, 2), PCI_COMMAND_IO | PCI_COMMAND_MEMORY);
	assert_int_equal(cfg_read(m, DEVFN, PCI_BASE_ADDRESS_2, 4), 0xe0010000);
	cfg_write(m, DEVFN, PCI_BASE_ADDRESS_2, 4, 0xffffffff);
	assert_int_equal(cfg_read(m, DEVFN, PCI_BASE_ADDRESS_2, 4), 0xffff8000);
	cfg_write(m, DEVFN, PCI_BASE_ADDRESS_2, 4, 0xd0000000);
	assert_int_equal(cfg_read(m, DEVFN, PCI_BASE_ADDRESS_2, 4), 0xe0010000);
	assert_true(pci_function_mem_enabled(&m->f));
	cfg_write(m, DEVFN, PCI_COMMAND, 2, PCI_COMMAND_IO);
	assert_false(pci_function_mem_enabled(&m->f));
	assert_true(pci_function_io_enabled(&m->f));
	assert_int_equal(cfg_read(m, DEVFN, PCI_BASE_ADDRESS_0, 4), 0xc001);
}

static void test_capabilities(void **state)
{
	struct machine *m = *state;
	unsigned at[3], n = 0;

	assert_int_equal(cfg_read(m, DEVFN, PCI_CAPABILITY_LIST, 1), 0);
	assert_int_equal(cfg_read(m, DEVFN, PCI_STATUS, 2) & PCI_STATUS_CAP_LIST, 0);
	at[0] = pci_function_add_capability(&m->f, PCI_CAP_ID_VNDR, 17);
	at[1] = pci_function_add_capability(&m->f, PCI_CAP_ID_MSIX, PCI_CAP_MSIX_SIZEOF);
	at[2] = pci_function_add_capability(&m->f, PCI_CAP_ID_VNDR, 256 - 0x40 - 20 - 12);
	assert_int_equal(pci_function_add_capability(&m->f, PCI_CAP_ID_VNDR, 4), 0);
	assert_true(cfg_read(m, DEVFN, PCI_STATUS, 2) & PCI_STATUS_CAP_LIST);
	for (unsigned cap = cfg_read(m, DEVFN, PCI_CAPABILITY_LIST, 1); cap; n++) {
		assert_true(n < 3);
		assert_int_equal(cap, at[n]);
		assert_int_equal(cap % 4, 0);
		assert_int_equal(
			cfg_read(m, DEVFN, cap, 1), n == 1 ? PCI_CAP_ID_MSIX : PCI_CAP_ID_VNDR);
		cap = cfg_read(m, DEVFN, cap + PCI_CAP_LIST_NEXT, 1);
	}
	assert_int_equal(n, 3);
	cfg_write(m, DEVFN, at[0], 4, 0xffffffff); /* read-only */
	assert_int_equal(cfg_read(m, DEVFN, at[0], 1), PCI_CAP_ID_VNDR);
	cfg_write(m, DEVFN, PCI_CAPABILITY_LIST, 1, 0);
	assert_int_equal(cfg_read(m, DEVFN, PCI_CAPABILITY_LIST, 1), at[0]);
}

static void test_registers(void **state)
{
	struct machine *m = *state;

	/* Decoding is on from reset; COMMAND's other bits are hard-wired. */
	assert_int_equal(cfg_read(m, DEVFN, PCI_COMMAND, 2), PCI_COMMAND_IO);
	assert_true(pci_function_io_enabled(&m->f));
	cfg_write(m, DEVFN, PCI_COMMAND, 2, 0xffff);
	assert_int_equal(cfg_read(m, DEVFN, PCI_COMMAND, 2),
		PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	cfg_write(m, DEVFN, PCI_COMMAND, 2, 0);
	assert_false(pci_function_io_enabled(&m->f));
	/* STATUS: errors are cleared by writing ones, capabilities and speed are not memory. */
	m->f.cfg[PCI_STATUS] = PCI_STATUS_CAP_LIST;
	m->f.cfg[PCI_STATUS + 1] = PCI_STATUS_DEVSEL_MEDIUM >> 8 | PCI_STATUS_REC_MASTER_ABORT >> 8;
	cfg_write(m, DEVFN, PCI_COMMAND, 4, 0);
	assert_int_equal(cfg_read(m, DEVFN, PCI_STATUS, 2),
		PCI_STATUS_CAP_LIST | PCI_STATUS_DEVSEL_MEDIUM | PCI_STATUS_REC_MASTER_ABORT);
	cfg_write(m, DEVFN, PCI_STATUS, 2, 0xffff);
	assert_int_equal(
		cfg_read(m, DEVFN, PCI_STATUS, 2), PCI_STATUS_CAP_LIST | PCI_STATUS_DEVSEL_MEDIUM);
	/* The note is the guest's, the pin and the identity are not. */
	cfg_write(m, DEVFN, PCI_INTERRUPT_LINE, 4, 0xffffff05);
	assert_int_equal(cfg_read(m, DEVFN, PCI_INTERRUPT_LINE, 4), 0x0105);
	cfg_write(m, DEVFN, PCI_VENDOR_ID, 4, 0);
	assert_int_equal(cfg_read(m, DEVFN, PCI_VENDOR_ID, 4), 0x10011af4);
}

static void test_add_refuses(void **state)
{
	struct machine *m = *state;
	struct err e = {0};

	assert_int_equal(pci_host_add(m->host, DEVFN, &m->f, "twin", 4, &e), -EEXIST);
	assert_non_null(strstr(e.msg, "00:01.0 twin"));
	assert_int_equal(pci_host_add(m->host, 256, &m->f, "far", 4, NULL), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_header, setup, teardown),
		cmocka_unit_test_setup_teardown(test_byte_lanes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_address_register, setup, teardown),
		cmocka_unit_test_setup_teardown(test_absent, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bar, setup, teardown),
		cmocka_unit_test_setup_teardown(test_memory_bar, setup, teardown),
		cmocka_unit_test_setup_teardown(test_capabilities, setup, teardown),
		cmocka_unit_test_setup_teardown(test_registers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_add_refuses, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
