/* SPDX-License-Identifier: MIT */
/* MSI-X: a message goes out at once, or stays pending until nothing masks it. */
#include "vmm/msix.h"

#include <errno.h>
#include <linux/pci_regs.h>

enum { ADDR_LO, ADDR_HI, DATA, CONTROL };

static uint16_t control(const struct msix *x)
{
	return (uint16_t)pci_get32(x->function->cfg + x->cap + PCI_MSIX_FLAGS);
}

bool msix_enabled(const struct msix *x)
{
	return x->vectors && (control(x) & PCI_MSIX_FLAGS_ENABLE);
}

static bool masked(const struct msix *x, unsigned vector)
{
	return (control(x) & PCI_MSIX_FLAGS_MASKALL) ||
	       (x->table[vector][CONTROL] & PCI_MSIX_ENTRY_CTRL_MASKBIT);
}

static void send(struct msix *x, unsigned vector)
{
	const uint32_t *entry = x->table[vector];

	/* A message that cannot be delivered is lost, as on a bus; the sink records that. */
	(void)x->sink->send(
		x->sink, vector, (uint64_t)entry[ADDR_HI] << 32 | entry[ADDR_LO], entry[DATA]);
}

/* 6.8.3.5: a pending message goes out when nothing masks it any more. */
static void flush(struct msix *x)
{
	if (!msix_enabled(x))
		return;
	for (unsigned i = 0; i < x->vectors; i++)
		if ((x->pending & 1ull << i) && !masked(x, i)) {
			x->pending &= ~(1ull << i);
			send(x, i);
		}
}

void msix_notify(struct msix *x, unsigned vector)
{
	if (!msix_enabled(x) || vector >= x->vectors)
		return;
	if (!masked(x, vector)) {
		send(x, vector);
		return;
	}
	x->pending |= 1ull << vector;
	PROBE(*x->probe, EW_MSIX_PENDING, x->device, vector);
}

void msix_forget(struct msix *x)
{
	x->pending = 0;
}

void msix_cfg_written(struct msix *x)
{
	flush(x);
}

/* 6.8.2: table and pending bits are accessed by aligned dwords or qwords. */
static enum ew_bus_result check(const struct msix *x, uint64_t offset, unsigned size)
{
	if (!pci_function_mem_enabled(x->function))
		return EW_BUS_UNCLAIMED;
	return (size == 4 || size == 8) && offset % size == 0 ? EW_BUS_HANDLED : EW_BUS_BAD_SIZE;
}

static void table_write(struct msix *x, unsigned dword, uint32_t value)
{
	static const uint32_t writable[] = {[ADDR_LO] = ~3u, /* the address is dword-aligned */
		[ADDR_HI] = ~0u,
		[DATA] = ~0u,
		[CONTROL] = PCI_MSIX_ENTRY_CTRL_MASKBIT};

	x->table[dword / 4][dword % 4] = value & writable[dword % 4];
}

static enum ew_bus_result table_access(
	void *opaque, uint64_t offset, unsigned size, bool is_write, uint64_t *value)
{
	struct msix *x = opaque;
	enum ew_bus_result result = check(x, offset, size);
	unsigned first = (unsigned)offset / 4;
	uint64_t v = 0;

	if (result != EW_BUS_HANDLED)
		return result;
	for (unsigned i = 0; i < size / 4; i++) {
		if (is_write)
			table_write(x, first + i, (uint32_t)(*value >> 32 * i));
		else
			v |= (uint64_t)x->table[(first + i) / 4][(first + i) % 4] << 32 * i;
	}
	if (is_write)
		flush(x);
	else
		*value = v;
	return EW_BUS_HANDLED;
}

static enum ew_bus_result pba_access(
	void *opaque, uint64_t offset, unsigned size, bool is_write, uint64_t *value)
{
	struct msix *x = opaque;
	enum ew_bus_result result = check(x, offset, size);

	if (result == EW_BUS_HANDLED && !is_write) /* read-only: a write has no effect */
		*value = x->pending >> 8 * offset;
	return result;
}

static void add_capability(struct msix *x, const struct msix_config *c)
{
	uint8_t *cfg = x->function->cfg + x->cap;

	pci_put16(cfg + PCI_MSIX_FLAGS, (uint16_t)(c->vectors - 1));
	pci_put32(cfg + PCI_MSIX_TABLE, c->table | c->bar);
	pci_put32(cfg + PCI_MSIX_PBA, c->pba | c->bar);
	pci_put16(x->function->writable + x->cap + PCI_MSIX_FLAGS,
		PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
}

int msix_add(struct msix *x, const struct msix_config *c, struct pci_function *f,
	struct msi_sink *sink, struct bus *bus, struct err *e)
{
	struct bus_region table = {.name = x->name[0],
		.device = c->device,
		.space = EW_SPACE_MMIO,
		.base = (uint64_t)f->bar_base[c->bar] + c->table,
		.len = (uint64_t)c->vectors * PCI_MSIX_ENTRY_SIZE,
		.handler = table_access,
		.opaque = x};
	struct bus_region pba = {.name = x->name[1],
		.device = c->device,
		.space = EW_SPACE_MMIO,
		.base = (uint64_t)f->bar_base[c->bar] + c->pba,
		.len = sizeof(x->pending),
		.handler = pba_access,
		.opaque = x};
	int ret;

	*x = (struct msix){.function = f, .sink = sink, .probe = c->probe, .device = c->device};
	if (!c->vectors || c->vectors > MSIX_MAX_VECTORS)
		return err_set(e, -EINVAL, "%s cannot have %u MSI-X vectors: 1 to %d are possible",
			c->name, c->vectors, MSIX_MAX_VECTORS);
	snprintf(x->name[0], sizeof(x->name[0]), "%s MSI-X table", c->name);
	snprintf(x->name[1], sizeof(x->name[1]), "%s MSI-X pending bits", c->name);
	x->cap = pci_function_add_capability(f, PCI_CAP_ID_MSIX, PCI_CAP_MSIX_SIZEOF);
	if (!x->cap)
		return err_set(
			e, -ENOSPC, "no room for MSI-X in the configuration space of %s", c->name);
	for (unsigned i = 0; i < c->vectors; i++)
		x->table[i][CONTROL] = PCI_MSIX_ENTRY_CTRL_MASKBIT;
	x->vectors = c->vectors;
	add_capability(x, c);
	ret = bus_add(bus, &table, e);
	return ret ? ret : bus_add(bus, &pba, e);
}
