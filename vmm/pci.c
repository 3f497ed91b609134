/* SPDX-License-Identifier: MIT */
/* PCI configuration mechanism 1 and the configuration space of functions on bus 0. */
#include "vmm/pci.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <linux/pci_regs.h>

#include "vmm/guest_abi.h"

/* CONFIG_ADDRESS, PCI Local Bus 3.0, figure 3-2: enable bit, bus, device, function, register. */
#define CONFIG_ENABLE 0x80000000u
#define CONFIG_TARGET 0x00fffffcu
/* STATUS bits that a guest clears by writing a one (6.2.3), seen in the register's upper byte. */
#define STATUS_HI_RW1C                                                                             \
	((PCI_STATUS_PARITY | PCI_STATUS_SIG_TARGET_ABORT | PCI_STATUS_REC_TARGET_ABORT |          \
		 PCI_STATUS_REC_MASTER_ABORT | PCI_STATUS_SIG_SYSTEM_ERROR |                       \
		 PCI_STATUS_DETECTED_PARITY) >>                                                    \
		8)
/* 82441FX (PMC): the host bridge that guests expect on a machine without PCI Express. */
#define HOST_BRIDGE_VENDOR 0x8086
#define HOST_BRIDGE_DEVICE 0x1237
#define HOST_BRIDGE_CLASS_REV 0x06000000u

struct pci_slot {
	struct pci_slot *next;
	char name[64];
};

struct pci_host {
	struct bus *bus;
	struct probe **probe;
	uint32_t address; /* CONFIG_ADDRESS */
	struct pci_function bridge;
	struct pci_slot *slots; /* own the names of the functions' regions */
};

void pci_put16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)v;
	p[1] = (uint8_t)(v >> 8);
}

void pci_put32(uint8_t *p, uint32_t v)
{
	pci_put16(p, (uint16_t)v);
	pci_put16(p + 2, (uint16_t)(v >> 16));
}

uint32_t pci_get32(const uint8_t *p)
{
	return p[0] | p[1] << 8 | p[2] << 16 | (uint32_t)p[3] << 24;
}

/* One byte of a BAR. Sizing by single bytes works too: it is complete when the last one is written. */
static void bar_write(struct pci_function *f, unsigned reg, uint8_t value)
{
	unsigned n = (reg - PCI_BASE_ADDRESS_0) / 4, at = PCI_BASE_ADDRESS_0 + 4 * n;
	unsigned shift = 8 * (reg - at);
	uint32_t mask = pci_get32(f->writable + at);
	uint32_t *w = &f->bar_written[n];

	if (!mask)
		return;
	*w = (*w & ~(0xffu << shift)) | (uint32_t)value << shift;
	pci_put32(f->cfg + at, ((*w & mask) == mask ? mask : f->bar_base[n]) | f->bar_flags[n]);
}

static void cfg_write(struct pci_function *f, unsigned reg, uint8_t value)
{
	if (reg >= PCI_BASE_ADDRESS_0 && reg < PCI_BASE_ADDRESS_0 + 4 * PCI_BARS)
		bar_write(f, reg, value);
	else if (reg == PCI_STATUS + 1)
		f->cfg[reg] &= (uint8_t) ~(value & STATUS_HI_RW1C);
	else
		f->cfg[reg] = (uint8_t)((f->cfg[reg] & ~f->writable[reg]) |
					(value & f->writable[reg]));
}

static enum ew_bus_result function_access(
	void *opaque, uint64_t offset, unsigned size, bool is_write, uint64_t *value)
{
	struct pci_function *f = opaque;
	unsigned reg = (unsigned)offset;
	uint64_t v = 0;

	if (f->cfg_access && f->cfg_access(f, reg, size, is_write, value))
		return EW_BUS_HANDLED;
	for (unsigned i = 0; i < size; i++) {
		if (is_write)
			cfg_write(f, reg + i, (uint8_t)(*value >> 8 * i));
		else
			v |= (uint64_t)f->cfg[reg + i] << 8 * i;
	}
	if (!is_write)
		*value = v;
	else if (f->cfg_written)
		f->cfg_written(f, reg, size);
	if (is_write && f->decode_changed && reg < PCI_COMMAND + 2 && reg + size > PCI_COMMAND)
		f->decode_changed(f->decode_ctx);
	return EW_BUS_HANDLED;
}

/*
 * 0xcf8..0xcfb. Only a whole dword reaches the register; a smaller access "has no effect on
 * CONFIG_ADDRESS" (3.2.2.3.2) and would go on to the bus, where nobody is. Guests make such accesses on
 * purpose (a byte to 0xcfb while probing for mechanism 1, 0xcf9 for a reset), so it is no guest error.
 */
static enum ew_bus_result address_access(
	void *opaque, uint64_t offset, unsigned size, bool is_write, uint64_t *value)
{
	struct pci_host *h = opaque;

	if (offset || size != 4) {
		if (!is_write)
			*value = UINT64_MAX;
	} else if (is_write) {
		h->address = (uint32_t)*value & (CONFIG_ENABLE | CONFIG_TARGET);
	} else {
		*value = h->address;
	}
	return EW_BUS_HANDLED;
}

/*
 * 0xcfc..0xcff. Byte lanes: 0xcfc + n is byte n of the addressed dword. The region is four bytes long,
 * so the bus has refused what would reach beyond that dword. Bus numbers other than 0 leave the range
 * in which functions are plugged, and so find nobody.
 */
static enum ew_bus_result data_access(
	void *opaque, uint64_t offset, unsigned size, bool is_write, uint64_t *value)
{
	struct pci_host *h = opaque;

	if (!(h->address & CONFIG_ENABLE))
		return EW_BUS_UNCLAIMED;
	bus_access(h->bus, h->probe ? *h->probe : NULL, EW_SPACE_PCI,
		(h->address & CONFIG_TARGET) + offset, size, is_write, value);
	return EW_BUS_HANDLED; /* absent functions are all ones, and the nested dispatch says so */
}

int pci_host_create(struct pci_host **out, struct bus *bus, struct probe **probe, struct err *e)
{
	struct pci_host *h = calloc(1, sizeof(*h));
	struct bus_region address = {.name = "PCI CONFIG_ADDRESS",
		.space = EW_SPACE_PIO,
		.base = EW_PCI_ADDR_PORT,
		.len = 4,
		.handler = address_access,
		.opaque = h};
	struct bus_region data = {.name = "PCI CONFIG_DATA",
		.space = EW_SPACE_PIO,
		.base = EW_PCI_DATA_PORT,
		.len = 4,
		.handler = data_access,
		.opaque = h};
	int ret;

	*out = NULL;
	if (!h)
		return err_set(e, -ENOMEM, "no memory for the PCI host bridge");
	h->bus = bus;
	h->probe = probe;
	pci_function_init(
		&h->bridge, HOST_BRIDGE_VENDOR, HOST_BRIDGE_DEVICE, HOST_BRIDGE_CLASS_REV, 0, 0);
	ret = bus_add(bus, &address, e);
	if (!ret)
		ret = bus_add(bus, &data, e);
	if (!ret)
		ret = pci_host_add(h, 0, &h->bridge, "host bridge", 0, e);
	if (ret) {
		pci_host_destroy(h);
		return ret;
	}
	*out = h;
	return 0;
}

void pci_host_destroy(struct pci_host *h)
{
	struct pci_slot *s;

	if (!h)
		return;
	while ((s = h->slots)) {
		h->slots = s->next;
		free(s);
	}
	free(h);
}

int pci_host_add(struct pci_host *h, unsigned devfn, struct pci_function *f, const char *name,
	unsigned device, struct err *e)
{
	struct pci_slot *s;
	struct bus_region r = {.device = device,
		.space = EW_SPACE_PCI,
		.base = (uint64_t)devfn << 8,
		.len = PCI_CFG_SIZE,
		.handler = function_access,
		.opaque = f};
	int ret;

	if (devfn > 0xff)
		return err_set(e, -EINVAL,
			"PCI function 0x%x does not exist: bus 0 has 0x00 to 0xff", devfn);
	s = calloc(1, sizeof(*s));
	if (!s)
		return err_set(e, -ENOMEM, "no memory for PCI function %s", name);
	snprintf(s->name, sizeof(s->name), "PCI 00:%02x.%x %s", devfn >> 3, devfn & 7, name);
	r.name = s->name;
	ret = bus_add(h->bus, &r, e);
	if (ret) {
		free(s);
		return ret;
	}
	s->next = h->slots;
	h->slots = s;
	return 0;
}

void pci_function_init(struct pci_function *f, uint16_t vendor, uint16_t device, uint32_t class_rev,
	uint16_t subsystem_vendor, uint16_t subsystem)
{
	*f = (struct pci_function){0};
	pci_put16(f->cfg + PCI_VENDOR_ID, vendor);
	pci_put16(f->cfg + PCI_DEVICE_ID, device);
	pci_put32(f->cfg + PCI_CLASS_REVISION, class_rev);
	pci_put16(f->cfg + PCI_SUBSYSTEM_VENDOR_ID, subsystem_vendor);
	pci_put16(f->cfg + PCI_SUBSYSTEM_ID, subsystem);
	/* The other bits of COMMAND switch what no function here has, so they are hard-wired to 0. */
	pci_put16(f->writable + PCI_COMMAND,
		PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	f->writable[PCI_INTERRUPT_LINE] = 0xff;
	f->cap_end = PCI_STD_HEADER_SIZEOF;
}

static void set_bar(struct pci_function *f, unsigned n, uint32_t base, uint32_t len, uint8_t flags,
	uint8_t command)
{
	unsigned reg = PCI_BASE_ADDRESS_0 + 4 * n;

	f->bar_base[n] = f->bar_written[n] = base;
	f->bar_len[n] = len;
	f->bar_flags[n] = flags;
	pci_put32(f->cfg + reg, base | flags);
	pci_put32(f->writable + reg, ~(len - 1));
	f->cfg[PCI_COMMAND] |= command;
}

void pci_function_io_bar(struct pci_function *f, unsigned n, uint16_t base, uint16_t len)
{
	set_bar(f, n, base, len, PCI_BASE_ADDRESS_SPACE_IO, PCI_COMMAND_IO);
}

void pci_function_mem_bar(struct pci_function *f, unsigned n, uint32_t base, uint32_t len)
{
	set_bar(f, n, base, len, PCI_BASE_ADDRESS_SPACE_MEMORY | PCI_BASE_ADDRESS_MEM_TYPE_32,
		PCI_COMMAND_MEMORY);
}

/* PCI Local Bus 3.0, 6.7: dword-aligned, each with a pointer to the next. */
unsigned pci_function_add_capability(struct pci_function *f, uint8_t id, unsigned len)
{
	unsigned at = f->cap_end, link = PCI_CAPABILITY_LIST;

	if (len < PCI_CAP_SIZEOF || len > PCI_CFG_SIZE - at)
		return 0;
	if (f->cap_last)
		link = f->cap_last + PCI_CAP_LIST_NEXT;
	f->cfg[link] = (uint8_t)at;
	f->cfg[at + PCI_CAP_LIST_ID] = id;
	f->cfg[PCI_STATUS] |= PCI_STATUS_CAP_LIST;
	f->cap_last = at;
	f->cap_end = (at + len + 3) & ~3u;
	return at;
}

void pci_function_irq(struct pci_function *f, unsigned pin, unsigned line)
{
	f->cfg[PCI_INTERRUPT_PIN] = (uint8_t)pin;
	f->cfg[PCI_INTERRUPT_LINE] = (uint8_t)line;
}

bool pci_function_io_enabled(const struct pci_function *f)
{
	return f->cfg[PCI_COMMAND] & PCI_COMMAND_IO;
}

bool pci_function_mem_enabled(const struct pci_function *f)
{
	return f->window || (f->cfg[PCI_COMMAND] & PCI_COMMAND_MEMORY);
}
