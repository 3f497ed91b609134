// SPDX-License-Identifier: MIT
/* What the DSDT says: one PCI bus with its interrupt lines, one serial port, virtio-mmio, power off. */
#include "acpi_dsdt.h"
#include "guest_abi.h"

enum { COM_PORTS = 8, PCI_CONFIG_PORTS = 8 };

/* _PRT (6.2.13): {address, pin, source, source index}; source 0 makes the index a GSI. */
static void interrupt_routes(struct aml *a, const struct acpi_config *c)
{
	enum { ANY_FUNCTION = 0xffff, INTA = 0, ELEMENTS = 4 };
	unsigned routes = 0;
	size_t all;

	for (unsigned slot = 0; slot < ACPI_MAX_PCI; slot++)
		routes += c->pci_gsi[slot] != 0;
	aml_define(a, "_PRT");
	all = aml_open(a, AML_PACKAGE);
	aml_byte(a, (uint8_t)routes);
	for (unsigned slot = 0; slot < ACPI_MAX_PCI; slot++) {
		size_t one;

		if (!c->pci_gsi[slot])
			continue;
		one = aml_open(a, AML_PACKAGE);
		aml_byte(a, ELEMENTS);
		aml_integer(a, slot << 16 | ANY_FUNCTION);
		aml_integer(a, INTA);
		aml_integer(a, 0);
		aml_integer(a, c->pci_gsi[slot]);
		aml_close(a, one);
	}
	aml_close(a, all);
}

/* The bridge itself takes the configuration ports; everything around them goes to the bus. */
static void pci_bus(struct aml *a, const struct acpi_config *c)
{
	size_t device = aml_open(a, AML_DEVICE), crs;

	aml_name(a, "PCI0");
	aml_define(a, "_HID");
	aml_eisa_id(a, "PNP0A03");
	aml_define_integer(a, "_UID", 0);
	aml_define_integer(a, "_BBN", 0);
	aml_define(a, "_CRS");
	crs = aml_open_resources(a);
	aml_bus_window(a, 0, 0);
	aml_io_ports(a, EW_PCI_ADDR_PORT, PCI_CONFIG_PORTS);
	aml_io_window(a, 0, EW_PCI_ADDR_PORT - 1);
	aml_io_window(a, EW_PCI_ADDR_PORT + PCI_CONFIG_PORTS, 0xffff);
	aml_memory_window(a, ACPI_PCI_MMIO_FIRST, ACPI_PCI_MMIO_LAST);
	aml_close_resources(a, crs);
	interrupt_routes(a, c);
	aml_close(a, device);
}

static void serial_port(struct aml *a)
{
	size_t device = aml_open(a, AML_DEVICE), crs;

	aml_name(a, "COM1");
	aml_define(a, "_HID");
	aml_eisa_id(a, "PNP0501");
	aml_define_integer(a, "_UID", 1);
	aml_define(a, "_CRS");
	crs = aml_open_resources(a);
	aml_io_ports(a, EW_COM1_PORT, COM_PORTS);
	aml_isa_irq(a, EW_COM1_IRQ);
	aml_close_resources(a, crs);
	aml_close(a, device);
}

/* "LNRO0005" is what Linux's virtio_mmio driver binds to (drivers/virtio/virtio_mmio.c). */
static void virtio_mmio(struct aml *a, const struct acpi_mmio *m, unsigned n)
{
	char name[] = {'V', 'R', (char)('0' + n / 10), (char)('0' + n % 10), '\0'};
	size_t device = aml_open(a, AML_DEVICE), crs;

	aml_name(a, name);
	aml_define(a, "_HID");
	aml_string(a, "LNRO0005");
	aml_define_integer(a, "_UID", n);
	aml_define_integer(a, "_CCA", 1); /* DMA is coherent */
	aml_define(a, "_CRS");
	crs = aml_open_resources(a);
	aml_memory(a, m->base, m->len);
	aml_level_irq(a, m->gsi);
	aml_close_resources(a, crs);
	aml_close(a, device);
}

/* 7.4.2: the first element goes into the sleep control register. */
static void soft_off(struct aml *a)
{
	enum { ELEMENTS = 4 };
	size_t package;

	aml_define(a, "_S5");
	package = aml_open(a, AML_PACKAGE);
	aml_byte(a, ELEMENTS);
	aml_integer(a, ACPI_S5_TYPE);
	for (unsigned i = 1; i < ELEMENTS; i++)
		aml_integer(a, 0);
	aml_close(a, package);
}

void acpi_dsdt(struct aml *a, const struct acpi_config *c)
{
	size_t scope = aml_open(a, AML_SCOPE);

	aml_name(a, "\\_SB");
	pci_bus(a, c);
	serial_port(a);
	for (unsigned i = 0; i < c->mmio_count; i++)
		virtio_mmio(a, &c->mmio[i], i);
	aml_close(a, scope);
	soft_off(a);
}
