/* SPDX-License-Identifier: MIT */
/* A machine with one virtio-blk behind legacy PCI on a temporary image, and a driver for it. */
#ifndef EXITWALK_TESTS_UNIT_BLK_MACHINE_H
#define EXITWALK_TESTS_UNIT_BLK_MACHINE_H

#include "tests/unit/fake_machine.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <linux/pci_regs.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>

#include "vmm/guest_abi.h"
#include "vmm/pci.h"
#include "vmm/virtio_blk.h"
#include "vmm/virtio_pci_legacy.h"

#define RAM 0x40000u
#define RING 0x1000u /* three pages */
#define HDR 0x5000u
#define STATUS 0x5100u
#define DATA 0x10000u
#define SECTORS 256u
#define IO EW_VIRTIO_BLK_IOBASE
#define W VRING_DESC_F_WRITE
#define N VRING_DESC_F_NEXT
#define DEVICE 3

struct machine {
	struct guest_mem mem;
	struct bus bus;
	struct fake_probe fake;
	struct probe *probe;
	struct fake_irq irq;
	uint64_t next_request;
	int stop;
	struct disk disk;
	char path[64];
	struct pci_host *pci;
	struct virtio_blk blk;
	struct virtio_pci_legacy legacy;
	struct fake_driver drv;
	unsigned snapshots[3];
};

static inline void out(struct machine *m, unsigned reg, unsigned size, uint32_t v)
{
	bus_out(&m->bus, m->probe, EW_SPACE_PIO, IO + reg, size, v);
}

static inline uint32_t in(struct machine *m, unsigned reg, unsigned size)
{
	return (uint32_t)bus_in(&m->bus, m->probe, EW_SPACE_PIO, IO + reg, size);
}

static inline void on_snapshot(void *ctx, enum ew_snapshot_why why)
{
	((struct machine *)ctx)->snapshots[why]++;
}

static inline void driver_init(struct machine *m)
{
	unsigned n;

	out(m, VIRTIO_PCI_STATUS, 1, 0);
	out(m, VIRTIO_PCI_STATUS, 1, VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER);
	out(m, VIRTIO_PCI_QUEUE_SEL, 2, 0);
	n = in(m, VIRTIO_PCI_QUEUE_NUM, 2);
	fake_driver_init(&m->drv, m->mem.host + RING, n);
	out(m, VIRTIO_PCI_QUEUE_PFN, 4, RING >> VIRTIO_PCI_QUEUE_ADDR_SHIFT);
	out(m, VIRTIO_PCI_STATUS, 1, 7);
}

static inline int machine_init(void **state, bool read_only)
{
	struct machine *m = calloc(1, sizeof(*m));
	struct virtio_env env = {.mem = &m->mem,
		.irq = &m->irq.line,
		.probe = &m->probe,
		.next_request = &m->next_request,
		.stop = &m->stop};
	struct err e = {0};
	int fd;

	*state = m;
	fake_probe_init(&m->fake);
	fake_irq_init(&m->irq, EW_VIRTIO_BLK_IRQ);
	m->probe = &m->fake.probe;
	m->next_request = 1;
	m->bus.on_snapshot = on_snapshot;
	m->bus.snapshot_ctx = m;
	strcpy(m->path, "/tmp/exitwalk-blk-XXXXXX");
	fd = mkstemp(m->path);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, SECTORS * 512), 0);
	close(fd);
	assert_int_equal(mem_alloc(&m->mem, RAM, &e), 0);
	assert_int_equal(
		disk_open(&m->disk, m->path, read_only ? DISK_READ_ONLY : DISK_READ_WRITE, 0, &e),
		0);
	assert_int_equal(pci_host_create(&m->pci, &m->bus, &m->probe, &e), 0);
	virtio_blk_init(&m->blk, DEVICE, &env, &m->disk);
	assert_int_equal(virtio_pci_legacy_attach(&m->legacy, &m->blk.dev, "virtio-blk0",
				 VIRTIO_TRANS_ID_BLOCK, 0x01800000, m->pci, &m->bus,
				 EW_VIRTIO_BLK_DEVFN, IO, &e),
		0);
	driver_init(m);
	m->fake.n = 0;
	return 0;
}

static inline int setup(void **state)
{
	return machine_init(state, false);
}

static inline int setup_read_only(void **state)
{
	return machine_init(state, true);
}

static inline int teardown(void **state)
{
	struct machine *m = *state;

	virtio_blk_destroy(&m->blk);
	pci_host_destroy(m->pci);
	disk_close(&m->disk);
	unlink(m->path);
	mem_free(&m->mem);
	free(m);
	return 0;
}

static inline void header(struct machine *m, uint32_t type, uint64_t sector)
{
	struct virtio_blk_outhdr h = {.type = type, .sector = sector};

	memcpy(m->mem.host + HDR, &h, sizeof(h));
	m->mem.host[STATUS] = 0xee;
}

static inline void kick(struct machine *m, uint16_t head)
{
	fake_avail(&m->drv, head);
	out(m, VIRTIO_PCI_QUEUE_NOTIFY, 2, 0);
}

/* The last used entry: exactly one more than before, for this head. Returns its length. */
static inline uint32_t used_len(struct machine *m, uint16_t head)
{
	uint16_t idx = m->drv.vr.used->idx;

	assert_int_equal(idx, m->drv.avail_idx);
	assert_int_equal(m->drv.vr.used->ring[(uint16_t)(idx - 1) % m->drv.vr.num].id, head);
	return m->drv.vr.used->ring[(uint16_t)(idx - 1) % m->drv.vr.num].len;
}

/* Header, data (len 0: none), status. Returns the status byte; *used its used.len. */
static inline uint8_t request(struct machine *m, uint32_t type, uint64_t sector, uint32_t len,
	bool device_writes, uint32_t *used)
{
	header(m, type, sector);
	fake_desc(&m->drv, 0, HDR, 16, N, len ? 1 : 2);
	fake_desc(&m->drv, 1, DATA, len, N | (device_writes ? W : 0), 2);
	fake_desc(&m->drv, 2, STATUS, 1, W, 0);
	kick(m, 0);
	*used = used_len(m, 0);
	return m->mem.host[STATUS];
}

static inline void fill(struct machine *m, uint64_t gpa, size_t len, unsigned seed)
{
	for (size_t i = 0; i < len; i++)
		m->mem.host[gpa + i] = (uint8_t)(seed + i * 7 + (i >> 8));
}

static inline void expect_image(struct machine *m, uint64_t offset, const void *bytes, size_t len)
{
	uint8_t *buf = malloc(len);

	assert_non_null(buf);
	assert_int_equal(pread(m->disk.fd, buf, len, (off_t)offset), (ssize_t)len);
	assert_memory_equal(buf, bytes, len);
	free(buf);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#endif
