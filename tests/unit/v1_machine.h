/* SPDX-License-Identifier: MIT */
/* A machine with one virtio-blk that waits for a virtio 1.x transport, and a driver's three rings. */
#ifndef EXITWALK_TESTS_UNIT_V1_MACHINE_H
#define EXITWALK_TESTS_UNIT_V1_MACHINE_H

#include "tests/unit/fake_machine.h"

#include <errno.h>
#include <sys/mman.h>
#include <linux/virtio_config.h>

#include "vmm/msi.h"
#include "vmm/pci.h"
#include "vmm/virtio_blk.h"
#include "vmm/virtio_mmio.h"
#include "vmm/virtio_pci_modern.h"

#define RAM 0x40000u
#define RING_DESC 0x1000u /* the three parts need not be neighbours in virtio 1.x */
#define RING_DRIVER 0x2802u
#define RING_DEVICE 0x3004u
#define RING_END 0x4000u
#define HDR 0x5000u
#define STATUS 0x5100u
#define DATA 0x10000u
#define SECTORS 256u
#define DEVICE 3
#define DEVFN (2 << 3)
#define BASE 0xe0008000u
#define MSGS 16
#define W VRING_DESC_F_WRITE
#define N VRING_DESC_F_NEXT

#define S_DRIVER (VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER)
#define S_FEATURES (S_DRIVER | VIRTIO_CONFIG_S_FEATURES_OK)
#define S_RUNS (S_FEATURES | VIRTIO_CONFIG_S_DRIVER_OK)
#define V1 VIRTIO_FEATURE(VIRTIO_F_VERSION_1)

struct fake_msi {
	struct msi_sink sink; /* first: send() gets a pointer to it */
	unsigned n;
	uint64_t addr[MSGS];
	uint32_t data[MSGS];
};

struct machine {
	struct guest_mem mem;
	struct bus bus;
	struct fake_probe fake;
	struct probe *probe;
	struct fake_irq irq;
	struct fake_msi msi;
	uint64_t next_request;
	int stop;
	struct disk disk;
	struct virtio_blk blk;
	struct pci_host *pci;
	struct virtio_pci_modern modern;
	struct virtio_mmio mmio;
	struct fake_driver drv;
	unsigned snapshots[3];
};

static inline int fake_msi_send(
	struct msi_sink *sink, unsigned vector, uint64_t addr, uint32_t data)
{
	struct fake_msi *f = (struct fake_msi *)sink;

	(void)vector;
	assert_true(f->n < MSGS);
	f->addr[f->n] = addr;
	f->data[f->n++] = data;
	return 0;
}

static inline void mem_out(struct machine *m, uint64_t reg, unsigned size, uint64_t v)
{
	bus_out(&m->bus, m->probe, EW_SPACE_MMIO, BASE + reg, size, v);
}

static inline uint64_t mem_in(struct machine *m, uint64_t reg, unsigned size)
{
	return bus_in(&m->bus, m->probe, EW_SPACE_MMIO, BASE + reg, size);
}

static inline void on_snapshot(void *ctx, enum ew_snapshot_why why)
{
	((struct machine *)ctx)->snapshots[why]++;
}

/* All but the transport. Offers INDIRECT and EVENT_IDX. */
static inline struct machine *machine_new(void)
{
	struct machine *m = calloc(1, sizeof(*m));
	struct virtio_env env;

	assert_non_null(m);
	env = (struct virtio_env){.mem = &m->mem,
		.irq = &m->irq.line,
		.probe = &m->probe,
		.next_request = &m->next_request,
		.stop = &m->stop};
	fake_probe_init(&m->fake);
	fake_irq_init(&m->irq, 10);
	m->msi.sink.send = fake_msi_send;
	m->probe = &m->fake.probe;
	m->next_request = 1;
	m->bus.on_snapshot = on_snapshot;
	m->bus.snapshot_ctx = m;
	m->disk = (struct disk){.fd = memfd_create("disk", MFD_CLOEXEC), .sectors = SECTORS};
	assert_true(m->disk.fd >= 0);
	assert_int_equal(ftruncate(m->disk.fd, SECTORS * 512), 0);
	assert_int_equal(mem_alloc(&m->mem, RAM, NULL), 0);
	virtio_blk_init(&m->blk, DEVICE, &env, &m->disk);
	virtio_device_offer(&m->blk.dev, VIRTIO_FEATURE(VIRTIO_RING_F_INDIRECT_DESC) |
						 VIRTIO_FEATURE(VIRTIO_RING_F_EVENT_IDX));
	return m;
}

static inline int teardown(void **state)
{
	struct machine *m = *state;

	pci_host_destroy(m->pci);
	close(m->disk.fd);
	mem_free(&m->mem);
	free(m);
	return 0;
}

/* The driver's view of its rings: three parts where the test put them. */
static inline void driver_rings(struct machine *m, unsigned size)
{
	memset(m->mem.host + RING_DESC, 0, RING_END - RING_DESC);
	m->drv.vr = (struct vring){.num = size,
		.desc = (void *)(m->mem.host + RING_DESC),
		.avail = (void *)(m->mem.host + RING_DRIVER),
		.used = (void *)(m->mem.host + RING_DEVICE)};
	m->drv.avail_idx = 0;
}

/* Offers header, data, status as descriptors 0 to 2; the test then notifies. */
static inline void offer(
	struct machine *m, uint32_t type, uint64_t sector, uint32_t len, bool device_writes)
{
	struct virtio_blk_outhdr h = {.type = type, .sector = sector};

	memcpy(m->mem.host + HDR, &h, sizeof(h));
	m->mem.host[STATUS] = 0xee;
	fake_desc(&m->drv, 0, HDR, sizeof(h), N, len ? 1 : 2);
	fake_desc(&m->drv, 1, DATA, len, N | (device_writes ? W : 0), 2);
	fake_desc(&m->drv, 2, STATUS, 1, W, 0);
	fake_avail(&m->drv, 0);
}

/* Writes 1024 bytes to sector 5 through `notify`, and finds them in the image. */
static inline void write_works(struct machine *m, void (*notify)(struct machine *, unsigned))
{
	uint16_t used = m->drv.vr.used->idx;
	uint8_t image[1024];

	for (unsigned i = 0; i < sizeof(image); i++)
		m->mem.host[DATA + i] = (uint8_t)(i * 7 + used + 1);
	offer(m, VIRTIO_BLK_T_OUT, 5, sizeof(image), false);
	notify(m, 0);
	assert_int_equal((uint16_t)(m->drv.vr.used->idx - used), 1);
	assert_int_equal(m->drv.vr.used->ring[used % m->drv.vr.num].id, 0);
	assert_int_equal(m->mem.host[STATUS], VIRTIO_BLK_S_OK);
	assert_int_equal(pread(m->disk.fd, image, sizeof(image), 5 * 512), sizeof(image));
	assert_memory_equal(image, m->mem.host + DATA, sizeof(image));
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#endif
