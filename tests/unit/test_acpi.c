/* SPDX-License-Identifier: MIT */
/* The ACPI tables as a kernel reads them: found from the RSDP, checksums, lengths, references, AML. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "vmm/acpi.h"
#include "vmm/acpi_ports.h"
#include "vmm/aml.h"

struct fixture {
	struct guest_mem mem;
	struct acpi_config config;
	uint64_t rsdp;
	struct err e;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	*state = f;
	if (!f || mem_alloc(&f->mem, 2 << 20, &f->e))
		return -1;
	f->config.cpus = 2;
	f->config.pci_gsi[1] = 11;
	f->config.pci_gsi[31] = 17;
	f->config.mmio[0] = (struct acpi_mmio){0xfe000000, 0x200, 20};
	f->config.mmio_count = 1;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	mem_free(&f->mem);
	free(f);
	return 0;
}

static uint64_t number(struct fixture *f, uint64_t gpa, unsigned bytes)
{
	uint64_t value = 0;

	memcpy(&value, mem_ptr(&f->mem, gpa, bytes), bytes);
	return value;
}

static uint8_t sum(struct fixture *f, uint64_t gpa, uint64_t len)
{
	uint8_t s = 0;

	for (uint64_t i = 0; i < len; i++)
		s += (uint8_t)number(f, gpa + i, 1);
	return s;
}

static uint64_t length(struct fixture *f, uint64_t table)
{
	return number(f, table + 4, 4);
}

/* A whole table inside our area, with this signature. */
static void good_table(struct fixture *f, uint64_t table, const char *signature)
{
	assert_memory_equal(mem_ptr(&f->mem, table, 4), signature, 4);
	assert_true(table >= ACPI_TABLES);
	assert_true(table + length(f, table) <= ACPI_TABLES + ACPI_TABLES_SIZE);
	assert_int_equal(sum(f, table, length(f, table)), 0);
}

/* The table that the XSDT names `signature`. */
static uint64_t find(struct fixture *f, const char *signature)
{
	uint64_t xsdt = number(f, f->rsdp + 24, 8);

	for (uint64_t at = 36; at < length(f, xsdt); at += 8) {
		uint64_t table = number(f, xsdt + at, 8);

		if (memcmp(mem_ptr(&f->mem, table, 4), signature, 4) == 0)
			return table;
	}
	fail_msg("no %s", signature);
	return 0;
}

static uint64_t dsdt(struct fixture *f)
{
	return number(f, find(f, "FACP") + 140, 8);
}

static void build(struct fixture *f)
{
	assert_int_equal(acpi_build(&f->mem, &f->config, &f->rsdp, &f->e), 0);
}

static void everything_is_found_and_sums_to_zero(void **state)
{
	struct fixture *f = *state;

	build(f);
	assert_int_equal(f->rsdp % 16, 0);
	assert_memory_equal(mem_ptr(&f->mem, f->rsdp, 8), "RSD PTR ", 8);
	assert_int_equal(sum(f, f->rsdp, 20), 0);
	assert_int_equal(sum(f, f->rsdp, 36), 0);
	good_table(f, number(f, f->rsdp + 24, 8), "XSDT");
	good_table(f, find(f, "FACP"), "FACP");
	good_table(f, find(f, "APIC"), "APIC");
	good_table(f, dsdt(f), "DSDT");
	assert_int_equal(number(f, find(f, "FACP") + 40, 4), dsdt(f));
}

static void fadt_says_hardware_reduced_with_registers(void **state)
{
	struct fixture *f = *state;
	uint64_t fadt;

	build(f);
	fadt = find(f, "FACP");
	assert_int_equal(length(f, fadt), 276);
	assert_true(number(f, fadt + 112, 4) & 1 << 20);
	assert_true(number(f, fadt + 112, 4) & 1 << 10);
	assert_int_equal(number(f, fadt + 116, 1), 1); /* I/O space */
	assert_int_equal(number(f, fadt + 120, 8), ACPI_PORTS + ACPI_PORT_RESET);
	assert_int_equal(number(f, fadt + 128, 1), ACPI_RESET_VALUE);
	assert_int_equal(number(f, fadt + 248, 8), ACPI_PORTS + ACPI_PORT_SLEEP_CONTROL);
	assert_int_equal(number(f, fadt + 260, 8), ACPI_PORTS + ACPI_PORT_SLEEP_STATUS);
}

static void madt_has_every_cpu_and_one_ioapic(void **state)
{
	static const unsigned cpus[] = {1, 2, ACPI_MAX_CPUS};
	struct fixture *f = *state;

	for (unsigned i = 0; i < 3; i++) {
		unsigned lapics = 0, ioapics = 0;
		uint64_t madt, at = 44;

		f->config.cpus = cpus[i];
		build(f);
		madt = find(f, "APIC");
		good_table(f, madt, "APIC");
		assert_int_equal(number(f, madt + 36, 4), ACPI_LAPIC);
		while (at < length(f, madt)) {
			uint64_t type = number(f, madt + at, 1), len = number(f, madt + at + 1, 1);

			if (type == 0) {
				assert_int_equal(len, 8);
				assert_int_equal(number(f, madt + at + 3, 1), lapics);
				assert_int_equal(number(f, madt + at + 4, 4), 1);
				lapics++;
			} else if (type == 1) {
				assert_int_equal(len, 12);
				assert_int_equal(number(f, madt + at + 4, 4), ACPI_IOAPIC);
				ioapics++;
			}
			assert_true(len >= 2);
			at += len;
		}
		assert_int_equal(at, length(f, madt));
		assert_int_equal(lapics, cpus[i]);
		assert_int_equal(ioapics, 1);
	}
}

static const uint8_t *search(struct fixture *f, const void *what, size_t len)
{
	uint64_t table = dsdt(f);

	return memmem(mem_ptr(&f->mem, table, length(f, table)), length(f, table), what, len);
}

/* The bytes are what `iasl` makes of the same source. */
static void dsdt_describes_the_machine(void **state)
{
	static const uint8_t slot1[] = {0x12, 0x0b, 4, 0x0c, 0xff, 0xff, 1, 0, 0, 0, 0x0a, 11},
			     slot31[] = {0x12, 0x0b, 4, 0x0c, 0xff, 0xff, 31, 0, 0, 0, 0x0a, 17},
			     pnp0a03[] = {0x08, '_', 'H', 'I', 'D', 0x0c, 0x41, 0xd0, 0x0a, 0x03},
			     pnp0501[] = {0x08, '_', 'H', 'I', 'D', 0x0c, 0x41, 0xd0, 0x05, 0x01},
			     com1[] = {0x47, 1, 0xf8, 3, 0xf8, 3, 1, 8, 0x22, 0x10, 0, 0x79, 0},
			     mmio[] = {0x86, 9, 0, 1, 0, 0, 0, 0xfe, 0, 2, 0, 0, 0x89, 6, 0, 9, 1,
				     20, 0, 0, 0, 0x79, 0},
			     s5[] = {0x08, '_', 'S', '5', '_', 0x12, 7, 4, 0x0a, ACPI_S5_TYPE, 0, 0,
				     0};
	static const uint8_t prt[] = {0x08, '_', 'P', 'R', 'T', 0x12, 0x1a, 2, 0x12, 0x0b},
			     /* 32-bit memory, fixed, read and write: 0xc0000000..0xfdffffff */
		window[] = {0x87, 0x17, 0, 0, 0x0c, 1, 0, 0, 0, 0, 0, 0, 0, 0xc0, 0xff, 0xff, 0xff,
			0xfd, 0, 0, 0, 0, 0, 0, 0, 0x3e};
	struct fixture *f = *state;

	build(f);
	assert_non_null(search(f, prt, sizeof(prt)));
	assert_non_null(search(f, window, sizeof(window)));
	assert_non_null(search(f, slot1, sizeof(slot1)));
	assert_non_null(search(f, slot31, sizeof(slot31)));
	assert_non_null(search(f, pnp0a03, sizeof(pnp0a03)));
	assert_non_null(search(f, pnp0501, sizeof(pnp0501)));
	assert_non_null(search(f, com1, sizeof(com1)));
	assert_non_null(search(f, mmio, sizeof(mmio)));
	assert_non_null(search(f, "\x0dLNRO0005", 10));
	assert_non_null(search(f, s5, sizeof(s5)));
	f->config.pci_gsi[31] = 0;
	f->config.mmio_count = 0;
	build(f);
	assert_null(search(f, slot31, sizeof(slot31)));
	assert_null(search(f, "LNRO0005", 8));
}

static void reset_vector_writes_the_reset_register(void **state)
{
	static const uint8_t code[] = {
		0xba, 0x02, 0x06, 0xb0, ACPI_RESET_VALUE, 0xee, 0xf4, 0xeb, 0xfd};
	struct fixture *f = *state;

	build(f);
	assert_int_equal(ACPI_PORTS + ACPI_PORT_RESET, 0x0602);
	assert_memory_equal(mem_ptr(&f->mem, 0xffff0, sizeof(code)), code, sizeof(code));
}

static void bad_configurations_are_refused(void **state)
{
	struct fixture *f = *state;
	int rc;

	f->config.cpus = 0;
	assert_int_equal(acpi_build(&f->mem, &f->config, &f->rsdp, &f->e), -EINVAL);
	f->config.cpus = ACPI_MAX_CPUS + 1;
	assert_int_equal(acpi_build(&f->mem, &f->config, &f->rsdp, &f->e), -EINVAL);
	f->config.cpus = 1;
	f->config.mmio_count = ACPI_MAX_MMIO + 1;
	assert_int_equal(acpi_build(&f->mem, &f->config, &f->rsdp, &f->e), -EINVAL);
	f->config.mmio_count = 0;
	f->mem.size = ACPI_TABLES + 4096;
	rc = acpi_build(&f->mem, &f->config, &f->rsdp, &f->e);
	f->mem.size = 2 << 20; /* what is really mapped */
	assert_int_equal(rc, -E2BIG);
}

static void largest_configuration_fits(void **state)
{
	struct fixture *f = *state;

	f->config.cpus = ACPI_MAX_CPUS;
	memset(f->config.pci_gsi, 23, sizeof(f->config.pci_gsi));
	f->config.mmio_count = ACPI_MAX_MMIO;
	build(f);
	good_table(f, dsdt(f), "DSDT");
	good_table(f, find(f, "APIC"), "APIC");
}

/* 20.2.4: one byte up to 63, then 4 + 8 * n bits; the length counts itself. */
static void package_lengths(void **state)
{
	static const struct {
		unsigned body;
		uint8_t bytes[3];
		unsigned n;
	} want[] = {{0, {0x01}, 1}, {62, {0x3f}, 1}, {63, {0x41, 0x04}, 2}, {4093, {0x4f, 0xff}, 2},
		{4094, {0x81, 0x00, 0x01}, 3}};
	static uint8_t buf[5000];

	(void)state;
	for (unsigned i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
		struct aml a = {.buf = buf, .size = sizeof(buf)};
		size_t mark = aml_open(&a, AML_SCOPE);

		for (unsigned k = 0; k < want[i].body; k++)
			aml_byte(&a, 0xa5);
		aml_close(&a, mark);
		assert_false(a.overflow);
		assert_int_equal(a.len, 1 + want[i].n + want[i].body);
		assert_memory_equal(buf + 1, want[i].bytes, want[i].n);
		assert_int_equal(buf[want[i].n], want[i].bytes[want[i].n - 1]);
	}
}

static void aml_stops_at_the_end_of_its_buffer(void **state)
{
	static const uint8_t untouched[4] = {0xee, 0xee, 0xee, 0xee};

	(void)state;
	for (size_t size = 0; size < 40; size++) {
		uint8_t buf[44];
		struct aml a = {.buf = buf, .size = size};
		size_t outer, inner;

		memset(buf, 0xee, sizeof(buf));
		outer = aml_open(&a, AML_DEVICE);
		aml_name(&a, "ABCD");
		inner = aml_open_resources(&a);
		aml_memory_window(&a, 0xc0000000, 0xfdffffff);
		aml_close_resources(&a, inner);
		aml_close(&a, outer);
		assert_int_equal(a.overflow, size < 2 + 1 + 4 + 1 + 1 + 3 + 26 + 2);
		assert_true(a.len <= size);
		assert_memory_equal(buf + size, untouched, sizeof(untouched));
	}
}

static void count(void *ctx)
{
	++*(int *)ctx;
}

static void fail_if_called(void *ctx)
{
	(void)ctx;
	fail_msg("the wrong register acted");
}

static enum ew_bus_result access_port(
	struct bus *bus, unsigned offset, unsigned size, bool is_write, uint64_t *value)
{
	return bus_access(bus, NULL, EW_SPACE_PIO, ACPI_PORTS + offset, size, is_write, value);
}

static void ports_switch_off_and_reset(void **state)
{
	static struct bus bus;
	struct err e = {""};
	int calls = 0;
	struct acpi_ports p = {.power_off = count, .reset = fail_if_called, .ctx = &calls};
	uint64_t other = 3 << 2 | 1 << 5, unarmed = ACPI_S5_TYPE << 2, s5 = unarmed | 1 << 5,
		 reset = ACPI_RESET_VALUE, zero = 0, read = 0xff;

	(void)state;
	assert_int_equal(acpi_ports_add(&p, &bus, &e), 0);
	access_port(&bus, ACPI_PORT_SLEEP_CONTROL, 1, true, &other);
	access_port(&bus, ACPI_PORT_SLEEP_CONTROL, 1, true, &unarmed);
	access_port(&bus, ACPI_PORT_SLEEP_STATUS, 1, true, &s5);
	access_port(&bus, ACPI_PORT_RESET, 1, true, &zero);
	assert_int_equal(access_port(&bus, ACPI_PORT_SLEEP_CONTROL, 2, true, &s5), EW_BUS_BAD_SIZE);
	assert_int_equal(calls, 0);
	assert_int_equal(
		access_port(&bus, ACPI_PORT_SLEEP_STATUS, 1, false, &read), EW_BUS_HANDLED);
	assert_int_equal(read, 0);
	assert_int_equal(access_port(&bus, ACPI_PORT_SLEEP_CONTROL, 1, true, &s5), EW_BUS_HANDLED);
	assert_int_equal(calls, 1);
	p.power_off = fail_if_called;
	p.reset = count;
	access_port(&bus, ACPI_PORT_RESET, 1, true, &reset);
	assert_int_equal(calls, 2);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(everything_is_found_and_sums_to_zero),
		TEST(fadt_says_hardware_reduced_with_registers),
		TEST(madt_has_every_cpu_and_one_ioapic),
		TEST(dsdt_describes_the_machine),
		TEST(reset_vector_writes_the_reset_register),
		TEST(bad_configurations_are_refused),
		TEST(largest_configuration_fits),
		cmocka_unit_test(package_lengths),
		cmocka_unit_test(aml_stops_at_the_end_of_its_buffer),
		cmocka_unit_test(ports_switch_off_and_reset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
