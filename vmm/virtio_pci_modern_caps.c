/* SPDX-License-Identifier: MIT */
/* The virtio 1.x PCI function: capabilities, the access window in configuration space, MSI-X. */
#include "vmm/virtio_pci_modern_priv.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <linux/pci_regs.h>
#include <linux/virtio_pci.h>

#define PCI_DEVICE_BASE 0x1040 /* 4.1.2: plus the virtio device type */
#define PCI_PIN_INTA 1
#define BAR 0
/* One structure per page, so that a guest can map each alone; MSI-X behind them. */
#define PAGE 0x1000u
#define MSIX_TABLE 0x4000
#define MSIX_PBA 0x5000

static bool messages_on(struct virtio_messages *m)
{
	const struct virtio_pci_modern *t =
		(struct virtio_pci_modern *)((char *)m -
					     offsetof(struct virtio_pci_modern, messages));

	return msix_enabled(&t->msix);
}

static void messages_send(struct virtio_messages *m, int queue)
{
	struct virtio_pci_modern *t =
		(struct virtio_pci_modern *)((char *)m -
					     offsetof(struct virtio_pci_modern, messages));

	/* VIRTIO_MSI_NO_VECTOR is beyond all vectors, so it sends nothing. */
	msix_notify(&t->msix,
		queue == VIRTIO_CONFIG_CHANGE ? t->config_vector : t->queue_vector[queue]);
}

/*
 * 4.1.4.9: an access to pci_cfg_data is one of `length` bytes at `offset` of BAR `bar`, as the driver
 * wrote them into the capability. It looks its target up on the bus, so it is recorded, but it cannot
 * leave the BAR. Memory decoding may be off.
 */
static void window_access(struct virtio_pci_modern *t, bool is_write)
{
	struct pci_function *f = &t->function;
	uint8_t *cap = f->cfg + t->window, *data = cap + sizeof(struct virtio_pci_cap);
	uint32_t offset = pci_get32(cap + VIRTIO_PCI_CAP_OFFSET);
	uint32_t len = pci_get32(cap + VIRTIO_PCI_CAP_LENGTH);
	uint64_t value = pci_get32(data);
	uint8_t bar = cap[VIRTIO_PCI_CAP_BAR];

	if (bar != BAR || (len != 1 && len != 2 && len != 4) || offset % len ||
		offset > VIRTIO_PCI_MODERN_BAR_LEN - len) {
		PROBE(*t->v1.dev->env.probe, EW_GUEST_ERROR, EW_GERR_CFG_WINDOW, t->v1.dev->id, bar,
			offset, len);
		return;
	}
	f->window = true;
	bus_access(t->bus, *t->v1.dev->env.probe, EW_SPACE_MMIO,
		(uint64_t)f->bar_base[BAR] + offset, (unsigned)len, is_write, &value);
	f->window = false;
	for (unsigned i = 0; !is_write && i < len; i++)
		data[i] = (uint8_t)(value >> 8 * i);
}

static bool cfg_access(
	struct pci_function *f, unsigned reg, unsigned size, bool is_write, uint64_t *value)
{
	struct virtio_pci_modern *t =
		(struct virtio_pci_modern *)((char *)f -
					     offsetof(struct virtio_pci_modern, function));
	unsigned data = t->window + sizeof(struct virtio_pci_cap);

	if (reg < data || reg >= sizeof(struct virtio_pci_cfg_cap) + t->window)
		return false;
	for (unsigned i = 0; is_write && i < size; i++)
		f->cfg[reg + i] = (uint8_t)(*value >> 8 * i);
	window_access(t, is_write);
	return is_write; /* what was read is in cfg[] now */
}

static void cfg_written(struct pci_function *f, unsigned reg, unsigned size)
{
	struct virtio_pci_modern *t =
		(struct virtio_pci_modern *)((char *)f -
					     offsetof(struct virtio_pci_modern, function));

	(void)reg;
	(void)size;
	if (!t->msix.vectors)
		return;
	msix_cfg_written(&t->msix);
	virtio_device_update_line(t->v1.dev);
}

/* Adds a capability of `len` bytes; 0, or -ENOSPC. */
static int add_capability(struct virtio_pci_modern *t, unsigned len, uint8_t type, uint32_t offset,
	uint32_t length, unsigned *at, struct err *e)
{
	uint8_t *cap;

	*at = pci_function_add_capability(&t->function, PCI_CAP_ID_VNDR, len);
	if (!*at)
		return err_set(e, -ENOSPC, "no room for a virtio capability of %s", t->name[0]);
	cap = t->function.cfg + *at;
	cap[VIRTIO_PCI_CAP_LEN] = (uint8_t)len;
	cap[VIRTIO_PCI_CAP_CFG_TYPE] = type;
	cap[VIRTIO_PCI_CAP_BAR] = BAR;
	pci_put32(cap + VIRTIO_PCI_CAP_OFFSET, offset);
	pci_put32(cap + VIRTIO_PCI_CAP_LENGTH, length);
	return 0;
}

static int add_structure(struct virtio_pci_modern *t, unsigned n,
	const struct virtio_pci_modern_structure *s, const char *name, struct err *e)
{
	struct bus_region r = {.name = t->name[n],
		.device = t->v1.dev->id,
		.space = EW_SPACE_MMIO,
		.base = (uint64_t)t->function.bar_base[BAR] + n * PAGE,
		.len = s->len,
		.handler = s->handler,
		.opaque = t,
		.snapshot = s->snapshot};
	bool notify = s->type == VIRTIO_PCI_CAP_NOTIFY_CFG;
	unsigned at;
	int ret;

	snprintf(t->name[n], sizeof(t->name[n]), "%s %s", name, s->name);
	ret = add_capability(t,
		notify ? sizeof(struct virtio_pci_notify_cap) : sizeof(struct virtio_pci_cap),
		s->type, n * PAGE, s->len, &at, e);
	if (ret)
		return ret;
	if (notify)
		pci_put32(t->function.cfg + at + VIRTIO_PCI_NOTIFY_CAP_MULT,
			VIRTIO_PCI_MODERN_MULTIPLIER);
	return bus_add(t->bus, &r, e);
}

static int add_window(struct virtio_pci_modern *t, struct err *e)
{
	uint8_t *w;
	int ret = add_capability(
		t, sizeof(struct virtio_pci_cfg_cap), VIRTIO_PCI_CAP_PCI_CFG, 0, 0, &t->window, e);

	if (ret)
		return ret;
	w = t->function.writable + t->window;
	w[VIRTIO_PCI_CAP_BAR] = 0xff;
	pci_put32(w + VIRTIO_PCI_CAP_OFFSET, UINT32_MAX);
	pci_put32(w + VIRTIO_PCI_CAP_LENGTH, UINT32_MAX);
	t->function.cfg_access = cfg_access;
	return 0;
}

static int add_msix(
	struct virtio_pci_modern *t, const char *name, struct msi_sink *sink, struct err *e)
{
	const struct virtio_device *dev = t->v1.dev;
	const struct msix_config c = {
		.vectors = dev->queues + 1, /* and one for the configuration */
		.bar = BAR,
		.table = MSIX_TABLE,
		.pba = MSIX_PBA,
		.name = name,
		.device = dev->id,
		.probe = dev->env.probe};
	int ret = msix_add(&t->msix, &c, &t->function, sink, t->bus, e);

	if (ret)
		return ret;
	t->function.cfg_written = cfg_written;
	t->messages = (struct virtio_messages){.on = messages_on, .send = messages_send};
	t->v1.dev->messages = &t->messages;
	return 0;
}

static int add_structures(struct virtio_pci_modern *t, const char *name, struct err *e)
{
	struct virtio_pci_modern_structure all[VIRTIO_PCI_MODERN_STRUCTURES];
	int ret = 0;

	virtio_pci_modern_structures(t, all);
	for (unsigned n = 0; !ret && n < VIRTIO_PCI_MODERN_STRUCTURES; n++)
		if (all[n].len)
			ret = add_structure(t, n, &all[n], name, e);
	return ret;
}

int virtio_pci_modern_attach(struct virtio_pci_modern *t, struct virtio_device *dev,
	const char *name, uint32_t class_rev, struct msi_sink *sink, struct pci_host *pci,
	struct bus *bus, unsigned devfn, uint32_t membase, struct err *e)
{
	uint16_t id = (uint16_t)(PCI_DEVICE_BASE + dev->type);
	int ret;

	*t = (struct virtio_pci_modern){.bus = bus};
	ret = virtio_v1_init(&t->v1, dev, e);
	if (ret)
		return ret;
	/* 4.1.2.1: a subsystem ID of 0x40 or more keeps legacy drivers away. */
	pci_function_init(&t->function, VIRTIO_PCI_VENDOR, id, class_rev, VIRTIO_PCI_VENDOR, id);
	pci_function_mem_bar(&t->function, BAR, membase, VIRTIO_PCI_MODERN_BAR_LEN);
	pci_function_irq(&t->function, PCI_PIN_INTA, dev->env.irq->irq);
	ret = add_structures(t, name, e);
	if (!ret)
		ret = add_window(t, e);
	if (!ret && sink)
		ret = add_msix(t, name, sink, e);
	if (ret)
		return ret;
	virtio_pci_modern_forget_vectors(t);
	return pci_host_add(pci, devfn, &t->function, name, dev->id, e);
}

uint64_t virtio_pci_modern_notify_address(const struct virtio_pci_modern *t, unsigned queue)
{
	return (uint64_t)t->function.bar_base[BAR] + VIRTIO_PCI_MODERN_NOTIFY * PAGE +
	       queue * VIRTIO_PCI_MODERN_MULTIPLIER;
}
