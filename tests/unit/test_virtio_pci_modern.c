/* SPDX-License-Identifier: MIT */
/* The virtio 1.x PCI transport as a driver finds and uses it, and as no driver should. */
#include "tests/unit/modern_driver.h"
#include "tests/unit/wrong_orders.h"

#define NO_VECTOR VIRTIO_MSI_NO_VECTOR
#define CLASS_REV 0x01800001u

static int machine_init(void **state, bool msix)
{
	struct machine *m = machine_new();

	*state = m;
	assert_int_equal(pci_host_create(&m->pci, &m->bus, &m->probe, NULL), 0);
	assert_int_equal(virtio_pci_modern_attach(&m->modern, &m->blk.dev, "virtio-blk0", CLASS_REV,
				 msix ? &m->msi.sink : NULL, m->pci, &m->bus, DEVFN, BASE, NULL),
		0);
	return 0;
}

static int setup(void **state)
{
	return machine_init(state, true);
}

static int setup_without_msix(void **state)
{
	return machine_init(state, false);
}

static void test_identity(void **state)
{
	struct machine *m = *state;
	unsigned at;

	assert_int_equal(cfg_read(m, PCI_VENDOR_ID, 4), 0x10421af4);
	assert_int_equal(cfg_read(m, PCI_CLASS_REVISION, 4), CLASS_REV);
	assert_true(cfg_read(m, PCI_SUBSYSTEM_ID, 2) >= 0x40);
	assert_int_equal(cfg_read(m, PCI_BASE_ADDRESS_0, 4), BASE);
	assert_int_equal(cfg_read(m, PCI_INTERRUPT_PIN, 1), 1);
	assert_int_equal(cfg_read(m, PCI_INTERRUPT_LINE, 1), 10);
	assert_int_equal(offered(m), V1 | VIRTIO_FEATURE(VIRTIO_BLK_F_SEG_MAX) |
					     VIRTIO_FEATURE(VIRTIO_BLK_F_BLK_SIZE) |
					     VIRTIO_FEATURE(VIRTIO_BLK_F_FLUSH) |
					     VIRTIO_FEATURE(VIRTIO_RING_F_INDIRECT_DESC) |
					     VIRTIO_FEATURE(VIRTIO_RING_F_EVENT_IDX));
	assert_int_equal(in(m, VIRTIO_PCI_COMMON_NUMQ, 2), 1);
	assert_int_equal(in(m, VIRTIO_PCI_COMMON_MSIX, 2), NO_VECTOR);
	assert_int_equal(in(m, VIRTIO_PCI_COMMON_Q_MSIX, 2), NO_VECTOR);
	at = find(m, VIRTIO_PCI_CAP_DEVICE_CFG);
	assert_int_equal(mem_in(m, at, 8), SECTORS);
	assert_int_equal(mem_in(m, at + 20, 4), 512);
	mem_out(m, at, 8, 0); /* read-only */
	assert_int_equal(mem_in(m, at, 4), SECTORS);
	assert_int_equal(virtio_pci_modern_notify_address(&m->modern, 0),
		BASE + find(m, VIRTIO_PCI_CAP_NOTIFY_CFG));
	assert_int_equal(fake_count(&m->fake, EW_GUEST_ERROR), 0);
	assert_true(find_cap(m, 0));
}

static void test_bad_accesses(void **state)
{
	struct machine *m = *state;
	unsigned config = find(m, VIRTIO_PCI_CAP_DEVICE_CFG);
	unsigned notifies = find(m, VIRTIO_PCI_CAP_NOTIFY_CFG);

	/* As wide as the field, and where it begins. */
	in(m, VIRTIO_PCI_COMMON_STATUS, 2);
	in(m, VIRTIO_PCI_COMMON_Q_SIZE, 1);
	in(m, VIRTIO_PCI_COMMON_Q_DESCLO, 8);
	in(m, VIRTIO_PCI_COMMON_DF + 2, 2);
	out(m, VIRTIO_PCI_COMMON_STATUS, 4, 0xffffffff);
	mem_out(m, notifies, 4, 0);
	mem_out(m, notifies + 2, 2, 0);
	mem_out(m, notifies, 1, 0);
	assert_int_equal(fake_errors(&m->fake, EW_GERR_BAD_SIZE), 8);
	assert_int_equal(in(m, VIRTIO_PCI_COMMON_STATUS, 1), 0);
	/* Between the structures there is nothing. */
	m->fake.n = 0;
	assert_int_equal(in(m, VIRTIO_PCI_COMMON_Q_USEDHI + 4, 2), 0xffff);
	assert_int_equal(mem_in(m, notifies + 4, 2), 0xffff);
	assert_int_equal(mem_in(m, find(m, VIRTIO_PCI_CAP_ISR_CFG), 4), 0xffffffff);
	assert_int_equal(mem_in(m, config + m->blk.dev.config_len, 1), 0xff);
	assert_int_equal(mem_in(m, config + m->blk.dev.config_len - 2, 4), 0xffffffff);
	mem_out(m, VIRTIO_PCI_MODERN_BAR_LEN - 4, 4, 0);
	assert_int_equal(fake_errors(&m->fake, EW_GERR_UNCLAIMED), 6);
	/* With memory decoding off there is nothing anywhere; reads of the write-only are 0. */
	assert_int_equal(mem_in(m, notifies, 2), 0);
	cfg_write(m, PCI_COMMAND, 2, 0);
	m->fake.n = 0;
	m->snapshots[EW_SNAPSHOT_NOTIFY] = 0;
	assert_int_equal(in(m, VIRTIO_PCI_COMMON_STATUS, 1), 0xff);
	assert_int_equal(mem_in(m, config, 4), 0xffffffff);
	assert_int_equal(read_isr(m), 0xff);
	mem_out(m, notifies, 2, 0);
	assert_int_equal(fake_errors(&m->fake, EW_GERR_UNCLAIMED), 4);
	assert_int_equal(m->snapshots[EW_SNAPSHOT_NOTIFY], 0);
	assert_int_equal(m->snapshots[EW_SNAPSHOT_ISR_READ], 0);
}

static void test_write_intx(void **state)
{
	struct machine *m = *state;

	driver_init(m, V1, NO_VECTOR);
	write_works(m, notify);
	assert_int_equal(m->irq.level, 1);
	assert_int_equal(read_isr(m), 1);
	assert_int_equal(m->irq.level, 0);
	assert_int_equal(read_isr(m), 0);
	write_works(m, notify);
	assert_int_equal(m->irq.raised, 2);
	assert_int_equal(m->msi.n, 0);
	assert_int_equal(m->snapshots[EW_SNAPSHOT_NOTIFY], 2);
	assert_int_equal(m->snapshots[EW_SNAPSHOT_ISR_READ], 2);
	assert_int_equal(fake_count(&m->fake, EW_GUEST_ERROR), 0);
}

static void test_write_without_msix(void **state)
{
	struct machine *m = *state;

	assert_int_equal(find_cap(m, 0), 0);
	driver_init(m, V1, NO_VECTOR);
	write_works(m, notify);
	assert_int_equal(m->irq.level, 1);
	out(m, VIRTIO_PCI_COMMON_Q_MSIX, 2, 0);
	assert_int_equal(fake_errors(&m->fake, EW_GERR_MSIX_VECTOR), 1);
	assert_int_equal(in(m, VIRTIO_PCI_COMMON_Q_MSIX, 2), NO_VECTOR);
	assert_int_equal(fake_last(&m->fake, EW_GUEST_ERROR)->a[3], 0);
}

static void test_write_msix(void **state)
{
	struct machine *m = *state;
	unsigned cap = find_cap(m, 0);

	msix_on(m);
	driver_init(m, V1, 1);
	write_works(m, notify);
	assert_int_equal(m->msi.n, 1);
	assert_true(m->msi.addr[0] == 0xfee00000);
	assert_int_equal(m->msi.data[0], 0x41);
	assert_int_equal(m->irq.raised, 0);
	assert_int_equal(read_isr(m), 0);
	assert_int_equal(fake_count(&m->fake, EW_ISR_SET), 0);
	/* Masked: the message waits. */
	cfg_write(m, cap + PCI_MSIX_FLAGS, 2, PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
	write_works(m, notify);
	assert_int_equal(m->msi.n, 1);
	cfg_write(m, cap + PCI_MSIX_FLAGS, 2, PCI_MSIX_FLAGS_ENABLE);
	assert_int_equal(m->msi.n, 2);
	/* Without a vector there is no interrupt at all. */
	out(m, VIRTIO_PCI_COMMON_Q_MSIX, 2, NO_VECTOR);
	write_works(m, notify);
	assert_int_equal(m->msi.n, 2);
	assert_int_equal(m->irq.raised, 0);
	/* A broken ring is a change of the configuration, with a vector of its own, and in the ISR. */
	out(m, VIRTIO_PCI_COMMON_MSIX, 2, 0);
	m->drv.vr.avail->idx = 1000;
	notify(m, 0);
	assert_int_equal(m->msi.n, 3);
	assert_int_equal(m->msi.data[2], 0x40);
	assert_true(in(m, VIRTIO_PCI_COMMON_STATUS, 1) & VIRTIO_CONFIG_S_NEEDS_RESET);
	/* The line takes over what the ISR has when messages are switched off, and gives it back. */
	cfg_write(m, cap + PCI_MSIX_FLAGS, 2, 0);
	assert_int_equal(m->irq.level, 1);
	cfg_write(m, cap + PCI_MSIX_FLAGS, 2, PCI_MSIX_FLAGS_ENABLE);
	assert_int_equal(m->irq.level, 0);
	assert_int_equal(read_isr(m), VIRTIO_PCI_ISR_CONFIG);
}

static void test_vectors(void **state)
{
	struct machine *m = *state;
	const uint16_t bad[] = {2, 3, 63, 64, 0x7ff, 0xfffe};

	driver_init(m, V1, 1);
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		m->fake.n = 0;
		out(m, VIRTIO_PCI_COMMON_Q_MSIX, 2, bad[i]);
		assert_int_equal(in(m, VIRTIO_PCI_COMMON_Q_MSIX, 2), NO_VECTOR);
		out(m, VIRTIO_PCI_COMMON_MSIX, 2, bad[i]);
		assert_int_equal(in(m, VIRTIO_PCI_COMMON_MSIX, 2), NO_VECTOR);
		assert_int_equal(fake_errors(&m->fake, EW_GERR_MSIX_VECTOR), 2);
		assert_int_equal(fake_last(&m->fake, EW_GUEST_ERROR)->a[2], bad[i]);
	}
	m->fake.n = 0;
	out(m, VIRTIO_PCI_COMMON_MSIX, 2, 1);
	out(m, VIRTIO_PCI_COMMON_MSIX, 2, NO_VECTOR);
	assert_int_equal(fake_count(&m->fake, EW_GUEST_ERROR), 0);
	/* A reset takes the vectors and what is pending, not the table or the enable bit. */
	msix_on(m);
	out(m, VIRTIO_PCI_COMMON_Q_MSIX, 2, 1);
	cfg_write(m, find_cap(m, 0) + PCI_MSIX_FLAGS, 2,
		PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
	write_works(m, notify);
	out(m, VIRTIO_PCI_COMMON_STATUS, 1, 0);
	assert_int_equal(in(m, VIRTIO_PCI_COMMON_Q_MSIX, 2), NO_VECTOR);
	cfg_write(m, find_cap(m, 0) + PCI_MSIX_FLAGS, 2, PCI_MSIX_FLAGS_ENABLE);
	assert_int_equal(m->msi.n, 0);
	driver_init(m, V1, 0);
	write_works(m, notify);
	assert_int_equal(m->msi.n, 1);
	assert_int_equal(m->msi.data[0], 0x40);
}

static void test_features(void **state)
{
	struct machine *m = *state;

	out(m, VIRTIO_PCI_COMMON_STATUS, 1, S_DRIVER);
	accept_features(m, V1 | VIRTIO_FEATURE(VIRTIO_BLK_F_RO));
	out(m, VIRTIO_PCI_COMMON_STATUS, 1, S_FEATURES);
	assert_int_equal(in(m, VIRTIO_PCI_COMMON_STATUS, 1), S_DRIVER);
	accept_features(m, VIRTIO_FEATURE(VIRTIO_BLK_F_FLUSH));
	out(m, VIRTIO_PCI_COMMON_STATUS, 1, S_FEATURES);
	assert_int_equal(in(m, VIRTIO_PCI_COMMON_STATUS, 1), S_DRIVER);
	assert_int_equal(fake_errors(&m->fake, EW_GERR_FEATURES), 2);
	out(m, VIRTIO_PCI_COMMON_DFSELECT, 4, UINT32_MAX);
	assert_int_equal(in(m, VIRTIO_PCI_COMMON_DF, 4), 0);
	assert_int_equal(in(m, VIRTIO_PCI_COMMON_DFSELECT, 4), UINT32_MAX);
	out(m, VIRTIO_PCI_COMMON_GFSELECT, 4, 2);
	assert_int_equal(in(m, VIRTIO_PCI_COMMON_GF, 4), 0);
	m->fake.n = 0;
	driver_init(m, V1 | VIRTIO_FEATURE(VIRTIO_RING_F_INDIRECT_DESC), NO_VECTOR);
	assert_true(m->blk.queue.indirect);
	assert_false(m->blk.queue.event_idx);
	out(m, VIRTIO_PCI_COMMON_STATUS, 1, 0);
	assert_false(m->blk.queue.indirect);
	/* Before DRIVER_OK a device does nothing. */
	driver_init(m, V1, NO_VECTOR);
	out(m, VIRTIO_PCI_COMMON_STATUS, 1, S_FEATURES);
	offer(m, VIRTIO_BLK_T_FLUSH, 0, 0, false);
	notify(m, 0);
	assert_int_equal(fake_errors(&m->fake, EW_GERR_DRIVER_NOT_OK), 1);
	assert_int_equal(m->drv.vr.used->idx, 0);
	out(m, VIRTIO_PCI_COMMON_STATUS, 1, S_RUNS);
	notify(m, 0);
	assert_int_equal(m->drv.vr.used->idx, 1);
}

/* Header, data and status in one indirect table. */
static void test_indirect(void **state)
{
	struct machine *m = *state;
	const struct virtio_blk_outhdr h = {.type = VIRTIO_BLK_T_OUT, .sector = 9};
	struct vring_desc *t = (void *)(m->mem.host + 0x6000);
	uint8_t image[512];

	driver_init(m, V1 | VIRTIO_FEATURE(VIRTIO_RING_F_INDIRECT_DESC), NO_VECTOR);
	memcpy(m->mem.host + HDR, &h, sizeof(h));
	memset(m->mem.host + DATA, 0x3c, sizeof(image));
	t[0] = (struct vring_desc){HDR, sizeof(h), N, 1};
	t[1] = (struct vring_desc){DATA, sizeof(image), N, 2};
	t[2] = (struct vring_desc){STATUS, 1, W, 0};
	fake_desc(&m->drv, 7, 0x6000, 3 * sizeof(*t), VRING_DESC_F_INDIRECT, 0);
	fake_avail(&m->drv, 7);
	notify(m, 0);
	assert_int_equal(m->drv.vr.used->ring[0].id, 7);
	assert_int_equal(m->mem.host[STATUS], VIRTIO_BLK_S_OK);
	assert_int_equal(pread(m->disk.fd, image, sizeof(image), 9 * 512), sizeof(image));
	assert_memory_equal(image, m->mem.host + DATA, sizeof(image));
	assert_int_equal(fake_last(&m->fake, EW_REQUEST)->a[4], 4);
	assert_int_equal(fake_count(&m->fake, EW_GUEST_ERROR), 0);
}

/* What is offered while the device works comes without a notify; used_event spares its interrupt. */
static struct machine *busy;
static bool (*busy_process)(struct virtio_device *dev, struct virtq *q);

static bool process_while_driver_offers(struct virtio_device *dev, struct virtq *q)
{
	bool all = busy_process(dev, q);

	if (busy->drv.avail_idx < 5)
		offer(busy, VIRTIO_BLK_T_FLUSH, 0, 0, false);
	return all;
}

static void test_notify_suppressed(void **state)
{
	struct machine *m = *state;

	busy = m;
	busy_process = m->blk.dev.process;
	m->blk.dev.process = process_while_driver_offers;
	driver_init(m, V1 | VIRTIO_FEATURE(VIRTIO_RING_F_EVENT_IDX), NO_VECTOR);
	offer(m, VIRTIO_BLK_T_FLUSH, 0, 0, false);
	notify(m, 0);
	assert_int_equal(m->drv.vr.used->idx, 5);
	assert_int_equal(vring_avail_event(&m->drv.vr), 5);
	assert_int_equal(fake_count(&m->fake, EW_QUEUE_NOTIFY), 1);
	assert_int_equal(fake_last(&m->fake, EW_NOTIFY_SUPPRESSED)->a[2], 4);
	assert_int_equal(fake_last(&m->fake, EW_NOTIFY_SUPPRESSED)->a[3], 1);
	assert_int_equal(m->irq.raised, 1);
	/* Without the feature each needs its own. */
	driver_init(m, V1, NO_VECTOR);
	offer(m, VIRTIO_BLK_T_FLUSH, 0, 0, false);
	notify(m, 0);
	assert_int_equal(m->drv.vr.used->idx, 1);
	assert_int_equal(fake_count(&m->fake, EW_NOTIFY_SUPPRESSED), 0);
}

static void test_queue_registers(void **state)
{
	struct machine *m = *state;
	const uint16_t sizes[] = {0, 3, 100, 129, 256, 0x8000, 0xffff};
	const uint64_t bad[][3] = {
		{RAM - 16, RING_DRIVER, RING_DEVICE},
		{RING_DESC + 1, RING_DRIVER, RING_DEVICE},
		{RING_DESC, RING_DRIVER + 1, RING_DEVICE},
		{RING_DESC, RING_DRIVER, RING_DEVICE + 2},
		{UINT64_MAX - 15, RING_DRIVER, RING_DEVICE},
		{RING_DESC, RING_DRIVER, 1ull << 32 | RING_DEVICE},
	};

	negotiate(m, V1);
	for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		out(m, VIRTIO_PCI_COMMON_Q_SIZE, 2, sizes[i]);
		assert_int_equal(fake_errors(&m->fake, EW_GERR_QUEUE_SIZE), i + 1);
		assert_int_equal(in(m, VIRTIO_PCI_COMMON_Q_SIZE, 2), 128);
	}
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		m->fake.n = 0;
		negotiate(m, V1);
		place(m, bad[i][0], bad[i][1], bad[i][2]);
		assert_int_equal(in(m, VIRTIO_PCI_COMMON_Q_DESCHI, 4), (uint32_t)(bad[i][0] >> 32));
		assert_int_equal(in(m, VIRTIO_PCI_COMMON_Q_AVAILLO, 4), (uint32_t)bad[i][1]);
		out(m, VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
		assert_int_equal(fake_count(&m->fake, EW_GUEST_ERROR), 1);
		assert_int_equal(in(m, VIRTIO_PCI_COMMON_Q_ENABLE, 2), 0);
		assert_true(in(m, VIRTIO_PCI_COMMON_STATUS, 1) & VIRTIO_CONFIG_S_NEEDS_RESET);
		notify(m, 0);
		assert_int_equal(fake_errors(&m->fake, EW_GERR_NOTIFY_DISABLED), 1);
	}
	/* A queue that is not there: reads as nothing, and every write is an error. */
	m->fake.n = 0;
	out(m, VIRTIO_PCI_COMMON_Q_SELECT, 2, 0xffff);
	for (unsigned reg = VIRTIO_PCI_COMMON_Q_SIZE; reg < VIRTIO_PCI_COMMON_Q_NOFF; reg += 2)
		assert_int_equal(in(m, reg, 2), reg == VIRTIO_PCI_COMMON_Q_MSIX ? NO_VECTOR : 0);
	assert_int_equal(in(m, VIRTIO_PCI_COMMON_Q_USEDLO, 4), 0);
	assert_int_equal(fake_count(&m->fake, EW_GUEST_ERROR), 0);
	for (unsigned reg = VIRTIO_PCI_COMMON_Q_SIZE; reg < VIRTIO_PCI_COMMON_Q_NOFF; reg += 2)
		out(m, reg, 2, 1);
	place(m, 0, 0, 0);
	assert_int_equal(fake_errors(&m->fake, EW_GERR_BAD_QUEUE), 9);
}

static void test_double_setup(void **state)
{
	struct machine *m = *state;

	driver_init(m, V1, NO_VECTOR);
	write_works(m, notify);
	out(m, VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
	out(m, VIRTIO_PCI_COMMON_Q_SIZE, 2, 8);
	out(m, VIRTIO_PCI_COMMON_Q_USEDHI, 4, 8);
	assert_int_equal(fake_errors(&m->fake, EW_GERR_QUEUE_LIVE), 3);
	out(m, VIRTIO_PCI_COMMON_Q_ENABLE, 2, 0);
	out(m, VIRTIO_PCI_COMMON_Q_ENABLE, 2, 2);
	assert_int_equal(fake_errors(&m->fake, EW_GERR_QUEUE_ENABLE), 2);
	assert_int_equal(in(m, VIRTIO_PCI_COMMON_Q_SIZE, 2), 64);
	write_works(m, notify);
	/* A reset in the middle, with an interrupt and a request on their way. */
	offer(m, VIRTIO_BLK_T_FLUSH, 0, 0, false);
	assert_int_equal(m->irq.level, 1);
	out(m, VIRTIO_PCI_COMMON_STATUS, 1, 0);
	assert_int_equal(m->irq.level, 0);
	assert_int_equal(read_isr(m), 0);
	assert_int_equal(in(m, VIRTIO_PCI_COMMON_Q_ENABLE, 2), 0);
	assert_int_equal(in(m, VIRTIO_PCI_COMMON_Q_SIZE, 2), 128);
	assert_int_equal(in(m, VIRTIO_PCI_COMMON_Q_DESCLO, 4), 0);
	assert_int_equal(in(m, VIRTIO_PCI_COMMON_GF, 4), 0);
	notify(m, 0);
	assert_int_equal(m->drv.vr.used->idx, 2);
	m->fake.n = 0;
	driver_init(m, V1, NO_VECTOR);
	write_works(m, notify);
}

static void order_status(struct machine *m, uint8_t status)
{
	mem_out(m, VIRTIO_PCI_COMMON_STATUS, 1, status);
}

static uint8_t order_read_status(struct machine *m)
{
	return (uint8_t)mem_in(m, VIRTIO_PCI_COMMON_STATUS, 1);
}

static void order_accept(struct machine *m, uint64_t features)
{
	for (unsigned i = 0; i < 2; i++) {
		mem_out(m, VIRTIO_PCI_COMMON_GFSELECT, 4, i);
		mem_out(m, VIRTIO_PCI_COMMON_GF, 4, (uint32_t)(features >> 32 * i));
	}
}

static void order_enable(struct machine *m)
{
	const uint32_t part[] = {RING_DESC, RING_DRIVER, RING_DEVICE};

	for (unsigned i = 0; i < 3; i++)
		mem_out(m, VIRTIO_PCI_COMMON_Q_DESCLO + 8 * i, 4, part[i]);
	mem_out(m, VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
}

static bool order_enabled(struct machine *m)
{
	return mem_in(m, VIRTIO_PCI_COMMON_Q_ENABLE, 2);
}

static void order_notify(struct machine *m, unsigned queue)
{
	mem_out(m, VIRTIO_PCI_MODERN_NOTIFY * 0x1000, 2, queue);
}

static void test_wrong_orders(void **state)
{
	static const struct wrong_orders o = {order_status, order_read_status, order_accept,
		order_enable, order_enabled, order_notify};
	struct machine *m = *state;

	/* The tests above look up where the structures are; here it is known. */
	assert_int_equal(find(m, VIRTIO_PCI_CAP_COMMON_CFG), 0);
	assert_int_equal(find(m, VIRTIO_PCI_CAP_NOTIFY_CFG), VIRTIO_PCI_MODERN_NOTIFY * 0x1000);
	assert_int_equal(wrong_orders(m, &o), 9 * 9 * 9 * 9 * 9);
	driver_init(m, V1, NO_VECTOR);
	write_works(m, notify);
}

static void window(struct machine *m, uint32_t bar, uint32_t offset, uint32_t len)
{
	unsigned cap = find_cap(m, VIRTIO_PCI_CAP_PCI_CFG);

	cfg_write(m, cap + VIRTIO_PCI_CAP_BAR, 1, bar);
	cfg_write(m, cap + VIRTIO_PCI_CAP_OFFSET, 4, offset);
	cfg_write(m, cap + VIRTIO_PCI_CAP_LENGTH, 4, len);
}

static void test_config_window(void **state)
{
	struct machine *m = *state;
	unsigned data = find_cap(m, VIRTIO_PCI_CAP_PCI_CFG) + sizeof(struct virtio_pci_cap);
	unsigned common = find(m, VIRTIO_PCI_CAP_COMMON_CFG);
	const uint32_t bad[][3] = {{1, 0, 4}, {0, VIRTIO_PCI_MODERN_BAR_LEN, 1},
		{0, VIRTIO_PCI_MODERN_BAR_LEN - 2, 4}, {0, 0, 0}, {0, 0, 3}, {0, 0, 8}, {0, 1, 2},
		{0, 0xfffffffe, 2}, {0, 0xfffffffc, 4}, {0, 0, 0x80000000}, {5, 0, 1}};

	/* Without memory decoding too. */
	cfg_write(m, PCI_COMMAND, 2, 0);
	window(m, 0, common + VIRTIO_PCI_COMMON_STATUS, 1);
	cfg_write(m, data, 4, 0x12345600 | S_DRIVER);
	assert_int_equal(m->blk.dev.status, S_DRIVER);
	cfg_write(m, data, 4, 0x12345600 | VIRTIO_CONFIG_S_ACKNOWLEDGE);
	assert_int_equal(cfg_read(m, data, 1), VIRTIO_CONFIG_S_ACKNOWLEDGE);
	window(m, 0, find(m, VIRTIO_PCI_CAP_DEVICE_CFG), 4);
	assert_int_equal(cfg_read(m, data, 4), SECTORS);
	assert_int_equal(cfg_read(m, data + 1, 1), SECTORS >> 8);
	assert_int_equal(fake_count(&m->fake, EW_GUEST_ERROR), 0);
	/* The access is recorded as one of the structure. */
	assert_int_equal(fake_last(&m->fake, EW_DISPATCH)->a[0], EW_SPACE_MMIO);
	cfg_write(m, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	driver_init(m, V1, NO_VECTOR);
	offer(m, VIRTIO_BLK_T_FLUSH, 0, 0, false);
	window(m, 0, find(m, VIRTIO_PCI_CAP_NOTIFY_CFG), 2);
	cfg_write(m, data, 2, 0);
	assert_int_equal(m->drv.vr.used->idx, 1);
	/* It does not leave the BAR. */
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		window(m, bad[i][0], bad[i][1], bad[i][2]);
		m->fake.n = 0;
		cfg_write(m, data, 4, 0);
		cfg_read(m, data, 4);
		assert_int_equal(fake_errors(&m->fake, EW_GERR_CFG_WINDOW), 2);
		assert_int_equal(
			fake_count(&m->fake, EW_DISPATCH), 6); /* ports and function only */
	}
	/* What is in no structure, and sizes that the target refuses. */
	window(m, 0, VIRTIO_PCI_MODERN_BAR_LEN - 4, 4);
	assert_int_equal(cfg_read(m, data, 4), 0xffffffff);
	window(m, 0, common + VIRTIO_PCI_COMMON_STATUS, 2);
	assert_int_equal(fake_errors(&m->fake, EW_GERR_UNCLAIMED), 1);
	window(m, 0, common + VIRTIO_PCI_COMMON_STATUS, 4);
	cfg_write(m, data, 4, 0);
	assert_int_equal(fake_errors(&m->fake, EW_GERR_BAD_SIZE), 1);
}

static void test_attach_refuses(void **state)
{
	struct machine *m = *state;
	struct err e = {0};

	assert_int_equal(virtio_pci_modern_attach(&m->modern, &m->blk.dev, "twin", CLASS_REV,
				 &m->msi.sink, m->pci, &m->bus, DEVFN, BASE + 0x10000, &e),
		-EEXIST);
	assert_non_null(strstr(e.msg, "twin"));
	m->blk.dev.queues = VIRTIO_V1_QUEUES + 1;
	assert_int_equal(virtio_pci_modern_attach(&m->modern, &m->blk.dev, "many", CLASS_REV, NULL,
				 m->pci, &m->bus, DEVFN + 8, BASE + 0x20000, NULL),
		-EINVAL);
	m->blk.dev.queues = 1;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_identity),
		T(test_bad_accesses),
		T(test_write_intx),
		cmocka_unit_test_setup_teardown(
			test_write_without_msix, setup_without_msix, teardown),
		T(test_write_msix),
		T(test_vectors),
		T(test_features),
		T(test_indirect),
		T(test_notify_suppressed),
		T(test_queue_registers),
		T(test_double_setup),
		T(test_wrong_orders),
		T(test_config_window),
		T(test_attach_refuses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
