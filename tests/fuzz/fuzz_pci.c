/* SPDX-License-Identifier: MIT */
/*
 * libFuzzer target: a hostile guest at PCI configuration space: mechanism 1 in every size and order,
 * BARs that it tries to move, capabilities, the access window of modern virtio, MSI-X. Whatever it does,
 * what is read-only stays, a BAR is where it was or a size mask, and the capability lists end.
 *
 * sources: vmm/bus.c vmm/pci.c vmm/mem.c vmm/virtq.c vmm/virtio_device.c vmm/virtio_v1.c vmm/msix.c vmm/virtio_pci_legacy.c vmm/virtio_pci_modern.c vmm/virtio_pci_modern_caps.c
 */
#include <string.h>
#include <linux/pci_regs.h>

#include "fuzz.h"
#include "vmm/guest_abi.h"
#include "vmm/virtio_pci_legacy.h"
#include "vmm/virtio_pci_modern.h"

#define IOBASE 0xc000u
#define MEMBASE 0xe0000000u
#define LEGACY (1 << 3)
#define MODERN (2 << 3)

struct machine {
	struct guest_mem mem;
	struct bus bus;
	struct fuzz_probe fake;
	struct probe *probe;
	struct irq_line irq;
	uint64_t next_request;
	int stop;
	uint8_t config[64];
	struct virtq queue[2];
	struct virtio_device dev[2];
	struct pci_host *pci;
	struct virtio_pci_legacy legacy;
	struct virtio_pci_modern modern;
	uint8_t before[2][PCI_CFG_SIZE];
};

/* Configuration space is all that this device has; it takes nothing. */
static bool process(struct virtio_device *dev, struct virtq *q)
{
	(void)dev;
	(void)q;
	return true;
}

static int msi_send(struct msi_sink *sink, unsigned vector, uint64_t addr, uint32_t data)
{
	(void)sink;
	(void)data;
	check(vector < VIRTIO_V1_QUEUES + 1 && addr % 4 == 0);
	return 0;
}

static uint64_t access(struct machine *m, enum ew_space space, uint64_t addr, unsigned size,
	bool is_write, uint64_t v)
{
	bus_access(&m->bus, m->probe, space, addr, size, is_write, &v);
	check(is_write || size >= 8 || v >> 8 * size == 0);
	return v;
}

static uint64_t config_read(struct machine *m, unsigned devfn, unsigned reg, unsigned size)
{
	access(m, EW_SPACE_PIO, EW_PCI_ADDR_PORT, 4, true, 0x80000000u | devfn << 8 | (reg & 0xfc));
	return access(m, EW_SPACE_PIO, EW_PCI_DATA_PORT + (reg & 3), size, false, 0);
}

/* --- operations --------------------------------------------------------------------------------- */

/* Either port, any size: 3 and 5 too, which no instruction makes. */
static void op_port(struct machine *m, struct input *i)
{
	uint32_t port = EW_PCI_ADDR_PORT + (take(i, 1) & 7), how = take(i, 1);
	bool is_write = how & 0x80;

	access(m, EW_SPACE_PIO, port, 1 + (how & 7), is_write, is_write ? take(i, 4) : 0);
}

static void op_address(struct machine *m, struct input *i)
{
	access(m, EW_SPACE_PIO, EW_PCI_ADDR_PORT, 4, true, take(i, 4));
}

static void op_register(struct machine *m, struct input *i)
{
	uint32_t devfn = take(i, 1) & 0x1f, reg = take(i, 1), how = take(i, 1);
	unsigned size = 1u << (how & 3);

	access(m, EW_SPACE_PIO, EW_PCI_ADDR_PORT, 4, true, 0x80000000u | devfn << 8 | (reg & 0xfc));
	if (how & 0x80)
		access(m, EW_SPACE_PIO, EW_PCI_DATA_PORT + (reg & 3), size, true, take(i, 4));
	else
		access(m, EW_SPACE_PIO, EW_PCI_DATA_PORT + (reg & 3), size, false, 0);
}

/* VIRTIO_PCI_CAP_PCI_CFG: bar, offset, length, then data. */
static void op_window(struct machine *m, struct input *i)
{
	unsigned at = m->modern.window;
	uint32_t bar = take(i, 1), offset = take(i, 2), length = take(i, 1), how = take(i, 1);
	const uint32_t words[] = {bar, offset, length > 8 ? length << 24 : length};
	static const uint8_t where[] = {4, 8, 12};

	for (unsigned n = 0; n < 3; n++) {
		access(m, EW_SPACE_PIO, EW_PCI_ADDR_PORT, 4, true,
			0x80000000u | MODERN << 8 | (at + where[n]));
		access(m, EW_SPACE_PIO, EW_PCI_DATA_PORT, n ? 4 : 1, true, words[n]);
	}
	access(m, EW_SPACE_PIO, EW_PCI_ADDR_PORT, 4, true, 0x80000000u | MODERN << 8 | (at + 16));
	if (how & 0x80)
		access(m, EW_SPACE_PIO, EW_PCI_DATA_PORT, 4, true, take(i, 4));
	else
		access(m, EW_SPACE_PIO, EW_PCI_DATA_PORT + (how >> 2 & 3), 1u << (how & 3), false,
			0);
}

static void op_mem(struct machine *m, struct input *i)
{
	uint64_t addr = MEMBASE - 8 + (take(i, 2) & 0x801f);
	uint32_t how = take(i, 1);
	bool is_write = how & 0x80;

	access(m, EW_SPACE_MMIO, addr + (how >> 4 & 7) * 0x1000u, 1 + (how & 7), is_write,
		is_write ? take(i, 4) : 0);
}

static void op_io(struct machine *m, struct input *i)
{
	uint32_t port = IOBASE - 4 + (take(i, 1) & 0x7f), how = take(i, 1);
	bool is_write = how & 0x80;

	access(m, EW_SPACE_PIO, port, 1 + (how & 7), is_write, is_write ? take(i, 4) : 0);
}

/* The device has something to say: by line, by message, or not. */
static void op_interrupt(struct machine *m, struct input *i)
{
	struct virtio_device *dev = &m->dev[take(i, 1) & 1];

	if (virtq_is_set_up(dev->queue))
		virtio_device_used(dev, dev->queue);
	virtio_device_needs_reset(dev);
}

/* A BAR: at most a size mask, whatever is written, in pieces or whole. */
static void op_bar(struct machine *m, struct input *i)
{
	uint32_t how = take(i, 1), devfn = how & 1 ? MODERN : LEGACY;
	unsigned reg = PCI_BASE_ADDRESS_0 + (how >> 1 & 31), size = 1u << (how >> 6);

	config_read(m, devfn, reg, 1);
	access(m, EW_SPACE_PIO, EW_PCI_DATA_PORT + (reg & 3), size, true, take(i, 4));
}

/* --- what must hold ----------------------------------------------------------------------------- */

static void check_function(const struct pci_function *f, const uint8_t *before)
{
	static const struct {
		uint8_t reg, len;
	} fixed[] = {{PCI_VENDOR_ID, 4}, {PCI_CLASS_REVISION, 8}, {PCI_CARDBUS_CIS, 12},
		{PCI_INTERRUPT_PIN, 3}};

	check(!f->window);
	for (unsigned n = 0; n < sizeof(fixed) / sizeof(fixed[0]); n++)
		check(!memcmp(f->cfg + fixed[n].reg, before + fixed[n].reg, fixed[n].len));
	for (unsigned n = 0; n < PCI_BARS; n++) {
		uint32_t v = pci_get32(f->cfg + PCI_BASE_ADDRESS_0 + 4 * n);

		check(v == (f->bar_base[n] | f->bar_flags[n]) ||
			v == (~(f->bar_len[n] - 1) | f->bar_flags[n]));
	}
}

static void check_capabilities(struct machine *m, unsigned devfn)
{
	unsigned at = (unsigned)config_read(m, devfn, PCI_CAPABILITY_LIST, 1), n = 0;

	for (; at; n++) {
		check(n < 48 && at >= PCI_STD_HEADER_SIZEOF && at % 4 == 0);
		check(config_read(m, devfn, at, 1) != 0);
		at = (unsigned)config_read(m, devfn, at + PCI_CAP_LIST_NEXT, 1);
	}
}

static void machine_init(struct machine *m, struct msi_sink *sink)
{
	const struct virtio_env env = {.mem = &m->mem,
		.irq = &m->irq,
		.probe = &m->probe,
		.next_request = &m->next_request,
		.stop = &m->stop};

	memset(m, 0, sizeof(*m));
	m->mem.host = calloc(1, RAM);
	check(m->mem.host != NULL);
	m->mem.size = RAM;
	m->fake.probe.emit = fuzz_emit;
	m->probe = &m->fake.probe;
	m->irq = (struct irq_line){.set = irq_set, .irq = 11};
	m->next_request = 1;
	for (unsigned n = 0; n < 2; n++) {
		m->dev[n] = (struct virtio_device){.env = env,
			.id = n + 1,
			.type = 2,
			.config = m->config,
			.config_len = sizeof(m->config),
			.queue = &m->queue[n],
			.queues = 1,
			.process = process};
		virtq_init(&m->queue[n], &m->mem, &m->probe, &m->next_request, n + 1, 0, 128);
	}
	check(!pci_host_create(&m->pci, &m->bus, &m->probe, NULL));
	check(!virtio_pci_legacy_attach(&m->legacy, &m->dev[0], "legacy", 0x1001, 0x01800000,
		m->pci, &m->bus, LEGACY, IOBASE, NULL));
	check(!virtio_pci_modern_attach(&m->modern, &m->dev[1], "modern", 0x01800001, sink, m->pci,
		&m->bus, MODERN, MEMBASE, NULL));
	memcpy(m->before[0], m->legacy.function.cfg, PCI_CFG_SIZE);
	memcpy(m->before[1], m->modern.function.cfg, PCI_CFG_SIZE);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const op[8])(struct machine *, struct input *) = {
		op_port, op_address, op_register, op_window, op_mem, op_io, op_interrupt, op_bar};
	struct input i = {data, data + size};
	struct msi_sink sink = {.send = msi_send};
	struct machine m;

	machine_init(&m, &sink);
	for (unsigned n = 0; n < MAX_OPS && i.p < i.end; n++) {
		op[take(&i, 1) & 7](&m, &i);
		check_function(&m.legacy.function, m.before[0]);
		check_function(&m.modern.function, m.before[1]);
		check(m.fake.depth == 0 && m.modern.msix.pending >> m.modern.msix.vectors == 0);
	}
	check_capabilities(&m, LEGACY);
	check_capabilities(&m, MODERN);
	pci_host_destroy(m.pci);
	free(m.mem.host);
	return 0;
}
