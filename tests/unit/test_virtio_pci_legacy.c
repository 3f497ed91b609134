/* SPDX-License-Identifier: MIT */
/* The legacy virtio PCI registers: identity, reset, queue set-up, ISR and line, I/O decoding. */
#include "tests/unit/blk_machine.h"

static void test_identity(void **state)
{
	struct machine *m = *state;
	uint64_t capacity = 0;

	bus_out(&m->bus, NULL, EW_SPACE_PIO, 0xcf8, 4, 0x80000000 | EW_VIRTIO_BLK_DEVFN << 8);
	assert_int_equal(bus_in(&m->bus, NULL, EW_SPACE_PIO, 0xcfc, 4), 0x10011af4);
	assert_int_equal(in(m, VIRTIO_PCI_HOST_FEATURES, 4),
		1 << VIRTIO_BLK_F_SEG_MAX | 1 << VIRTIO_BLK_F_BLK_SIZE | 1 << VIRTIO_BLK_F_FLUSH);
	assert_int_equal(in(m, VIRTIO_PCI_QUEUE_NUM, 2), 128);
	for (unsigned i = 0; i < 8; i++) /* as Linux reads it */
		capacity |= (uint64_t)in(m, 20 + i, 1) << 8 * i;
	assert_int_equal(capacity, SECTORS);
	assert_int_equal(in(m, 20, 4), SECTORS);
	assert_int_equal(in(m, 20 + 12, 4), 126); /* seg_max */
	assert_int_equal(in(m, 20 + 20, 4), 512); /* blk_size */
	assert_int_equal(in(m, 20 + 13, 4), 0);   /* unaligned */
	assert_int_equal(in(m, 20 + sizeof(struct virtio_blk_config) - 1, 4), 0);
	assert_int_equal(in(m, 124, 4), 0);
	out(m, 20, 4, 0xffffffff); /* read-only */
	assert_int_equal(in(m, 20, 4), SECTORS);
	assert_int_equal(fake_count(&m->fake, EW_GUEST_ERROR), 0);
	assert_int_equal(in(m, 126, 4), 0xffffffff); /* beyond the BAR */
	assert_int_equal(in(m, VIRTIO_PCI_HOST_FEATURES, 2), 0xffff);
	assert_int_equal(in(m, VIRTIO_PCI_STATUS, 2), 0xffff);
	assert_int_equal(fake_errors(&m->fake, EW_GERR_BAD_SIZE), 2);
}

static void test_reset(void **state)
{
	struct machine *m = *state;
	uint32_t used;

	assert_int_equal(in(m, VIRTIO_PCI_STATUS, 1), 7);
	assert_int_equal(in(m, VIRTIO_PCI_QUEUE_PFN, 4), 1);
	out(m, VIRTIO_PCI_GUEST_FEATURES, 4, 0xffffffff);
	assert_int_equal(in(m, VIRTIO_PCI_GUEST_FEATURES, 4), in(m, VIRTIO_PCI_HOST_FEATURES, 4));
	request(m, VIRTIO_BLK_T_FLUSH, 0, 0, false, &used);
	assert_int_equal(m->irq.level, 1);
	out(m, VIRTIO_PCI_QUEUE_SEL, 2, 9);
	m->fake.n = 0;
	out(m, VIRTIO_PCI_STATUS, 1, 0);
	assert_int_equal(fake_last(&m->fake, EW_DRIVER_STATUS)->a[1], 0);
	assert_int_equal(m->irq.level, 0);
	assert_int_equal(in(m, VIRTIO_PCI_STATUS, 1), 0);
	assert_int_equal(in(m, VIRTIO_PCI_GUEST_FEATURES, 4), 0);
	assert_int_equal(in(m, VIRTIO_PCI_QUEUE_SEL, 2), 0);
	assert_int_equal(in(m, VIRTIO_PCI_QUEUE_PFN, 4), 0);
	assert_int_equal(in(m, VIRTIO_PCI_ISR, 1), 0);
	out(m, VIRTIO_PCI_QUEUE_NOTIFY, 2, 0);
	assert_int_equal(fake_errors(&m->fake, EW_GERR_NOTIFY_DISABLED), 1);
	assert_int_equal(fake_count(&m->fake, EW_QUEUE_NOTIFY), 0);
	/* And again, from index 0. */
	driver_init(m);
	assert_int_equal(request(m, VIRTIO_BLK_T_FLUSH, 0, 0, false, &used), VIRTIO_BLK_S_OK);
}

static void test_queue_registers(void **state)
{
	struct machine *m = *state;
	const struct ew_rec *r;

	for (unsigned sel = 0xffff; sel; sel >>= 1) { /* down to 1, the end of the list */
		out(m, VIRTIO_PCI_QUEUE_SEL, 2, sel);
		assert_int_equal(in(m, VIRTIO_PCI_QUEUE_NUM, 2), 0);
		assert_int_equal(in(m, VIRTIO_PCI_QUEUE_PFN, 4), 0);
		assert_int_equal(in(m, VIRTIO_PCI_QUEUE_SEL, 2), sel);
	}
	assert_int_equal(fake_count(&m->fake, EW_GUEST_ERROR), 0);
	out(m, VIRTIO_PCI_QUEUE_PFN, 4, 5);
	out(m, VIRTIO_PCI_QUEUE_NOTIFY, 2, 1);
	out(m, VIRTIO_PCI_QUEUE_NOTIFY, 2, 0xffff);
	assert_int_equal(fake_errors(&m->fake, EW_GERR_BAD_QUEUE), 3);
	assert_int_equal(fake_last(&m->fake, EW_GUEST_ERROR)->a[2], 0xffff);
	assert_int_equal(fake_last(&m->fake, EW_GUEST_ERROR)->a[3], 1);
	/* The layout that follows from one page number. */
	out(m, VIRTIO_PCI_QUEUE_SEL, 2, 0);
	out(m, VIRTIO_PCI_QUEUE_PFN, 4, 2);
	r = fake_last(&m->fake, EW_QUEUE_SETUP);
	assert_int_equal(r->a[2], 128);
	assert_int_equal(r->a[3], 0x2000);
	assert_int_equal(r->a[4], 0x2800);
	assert_int_equal(r->a[5], 0x3000);
	out(m, VIRTIO_PCI_QUEUE_PFN, 4, 0);
	assert_int_equal(fake_last(&m->fake, EW_QUEUE_SETUP)->a[3], 0);
	assert_int_equal(in(m, VIRTIO_PCI_QUEUE_PFN, 4), 0);
	/* Far outside memory: refused, and nothing happens until it is set up properly. */
	out(m, VIRTIO_PCI_QUEUE_PFN, 4, 0xffffffff);
	assert_true(fake_errors(&m->fake, EW_GERR_RING_OUT_OF_RAM) > 0);
	out(m, VIRTIO_PCI_QUEUE_NOTIFY, 2, 0);
	assert_int_equal(fake_count(&m->fake, EW_QUEUE_POP), 0);
	/* The used ring alone is outside. */
	out(m, VIRTIO_PCI_QUEUE_PFN, 4, (RAM >> 12) - 1);
	assert_int_equal(fake_last(&m->fake, EW_GUEST_ERROR)->a[0], EW_GERR_USED_OUT_OF_RAM);
}

static void test_broken_ring(void **state)
{
	struct machine *m = *state;
	uint32_t used;

	m->drv.vr.avail->idx = 1000;
	out(m, VIRTIO_PCI_QUEUE_NOTIFY, 2, 0);
	assert_int_equal(fake_errors(&m->fake, EW_GERR_AVAIL_IDX_JUMP), 1);
	m->drv.vr.avail->idx = 0;
	header(m, VIRTIO_BLK_T_FLUSH, 0);
	fake_desc(&m->drv, 0, HDR, 16, N, 2);
	fake_desc(&m->drv, 2, STATUS, 1, W, 0);
	kick(m, 0);
	assert_int_equal(m->drv.vr.used->idx, 0);
	assert_int_equal(m->irq.raised, 0);
	driver_init(m);
	assert_int_equal(request(m, VIRTIO_BLK_T_FLUSH, 0, 0, false, &used), VIRTIO_BLK_S_OK);
}

static void test_interrupt(void **state)
{
	struct machine *m = *state;
	uint32_t used;

	request(m, VIRTIO_BLK_T_FLUSH, 0, 0, false, &used);
	assert_int_equal(m->irq.raised, 1);
	assert_int_equal(m->irq.level, 1);
	assert_int_equal(m->irq.lowered, 0);
	m->fake.n = 0;
	assert_int_equal(in(m, VIRTIO_PCI_ISR, 1), 1);
	assert_int_equal(fake_last(&m->fake, EW_ISR_READ)->a[1], 1);
	assert_int_equal(m->irq.level, 0);
	assert_int_equal(in(m, VIRTIO_PCI_ISR, 1), 0);
	assert_int_equal(m->irq.lowered, 1);
	/* A notify that finds nothing, and a driver that does not want one. */
	out(m, VIRTIO_PCI_QUEUE_NOTIFY, 2, 0);
	assert_int_equal(m->irq.raised, 1);
	m->drv.vr.avail->flags = VRING_AVAIL_F_NO_INTERRUPT;
	request(m, VIRTIO_BLK_T_FLUSH, 0, 0, false, &used);
	assert_int_equal(m->irq.raised, 1);
	assert_int_equal(in(m, VIRTIO_PCI_ISR, 1), 0);
	m->drv.vr.avail->flags = 0;
	/* Several chains, one notify, one interrupt. */
	header(m, VIRTIO_BLK_T_FLUSH, 0);
	for (uint16_t i = 0; i < 100; i += 2) {
		fake_desc(&m->drv, i, HDR, 16, N, (uint16_t)(i + 1));
		fake_desc(&m->drv, i + 1u, STATUS, 1, W, 0);
		fake_avail(&m->drv, i);
	}
	out(m, VIRTIO_PCI_QUEUE_NOTIFY, 2, 0);
	assert_int_equal(used_len(m, 98), 1);
	assert_int_equal(m->irq.raised, 2);
	/* Snapshots: at the notify, at the ISR read, at nothing else. */
	assert_int_equal(m->snapshots[EW_SNAPSHOT_NOTIFY], 4);
	assert_int_equal(m->snapshots[EW_SNAPSHOT_ISR_READ], 3);
}

/* With I/O decoding off the function is not there; its configuration space is. */
static void test_command_io(void **state)
{
	struct machine *m = *state;

	bus_out(&m->bus, NULL, EW_SPACE_PIO, 0xcf8, 4,
		0x80000000 | EW_VIRTIO_BLK_DEVFN << 8 | PCI_COMMAND);
	bus_out(&m->bus, NULL, EW_SPACE_PIO, 0xcfc, 2, 0);
	m->fake.n = 0;
	assert_int_equal(in(m, VIRTIO_PCI_STATUS, 1), 0xff);
	out(m, VIRTIO_PCI_STATUS, 1, 0);
	out(m, VIRTIO_PCI_QUEUE_NOTIFY, 2, 0);
	assert_int_equal(fake_errors(&m->fake, EW_GERR_UNCLAIMED), 3);
	assert_int_equal(m->snapshots[EW_SNAPSHOT_NOTIFY], 0);
	bus_out(&m->bus, NULL, EW_SPACE_PIO, 0xcfc, 2, PCI_COMMAND_IO);
	assert_int_equal(in(m, VIRTIO_PCI_STATUS, 1), 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_identity),
		T(test_reset),
		T(test_queue_registers),
		T(test_broken_ring),
		T(test_interrupt),
		T(test_command_io),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
