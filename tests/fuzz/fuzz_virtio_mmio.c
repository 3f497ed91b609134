/* SPDX-License-Identifier: MIT */
/*
 * libFuzzer target: a hostile driver against virtio-blk behind virtio-mmio. The input is a program of
 * operations (the op_ functions); what must hold all the same is in virtio.h.
 *
 * sources: vmm/bus.c vmm/mem.c vmm/disk.c vmm/virtq.c vmm/virtio_device.c vmm/virtio_blk.c vmm/virtio_v1.c vmm/virtio_mmio.c
 */
#include "tests/fuzz/virtio.h"

#include <linux/virtio_mmio.h>

#include "vmm/virtio_mmio.h"

static void out(struct machine *m, unsigned reg, uint32_t v)
{
	write_at(m, EW_SPACE_MMIO, BASE + reg, 4, v);
}

static void op_out(struct machine *m, struct input *i)
{
	uint32_t reg = take(i, 2) & 0x21f, size = 1u << (take(i, 1) & 3);

	write_at(m, EW_SPACE_MMIO, BASE + reg, size, take(i, 4));
}

static void op_in(struct machine *m, struct input *i)
{
	uint32_t reg = take(i, 2) & 0x21f;

	read_at(m, EW_SPACE_MMIO, BASE + reg, 1 + (take(i, 1) & 7));
}

/* A proper start, but for the size and the features. */
static void op_init(struct machine *m, struct input *i)
{
	uint32_t size = take(i, 1), features = take(i, 1);

	m->avail_idx = 0;
	out(m, VIRTIO_MMIO_STATUS, 0);
	check_reset(m);
	out(m, VIRTIO_MMIO_STATUS, 3);
	out(m, VIRTIO_MMIO_DRIVER_FEATURES_SEL, 0);
	out(m, VIRTIO_MMIO_DRIVER_FEATURES, (features & 3) << VIRTIO_RING_F_INDIRECT_DESC);
	out(m, VIRTIO_MMIO_DRIVER_FEATURES_SEL, 1);
	out(m, VIRTIO_MMIO_DRIVER_FEATURES, features & 4 ? 0 : 1);
	out(m, VIRTIO_MMIO_STATUS, 11);
	out(m, VIRTIO_MMIO_QUEUE_SEL, 0);
	out(m, VIRTIO_MMIO_QUEUE_NUM, size);
	out(m, VIRTIO_MMIO_QUEUE_DESC_LOW, RING_DESC);
	out(m, VIRTIO_MMIO_QUEUE_AVAIL_LOW, RING_DRIVER);
	out(m, VIRTIO_MMIO_QUEUE_USED_LOW, RING_DEVICE);
	out(m, VIRTIO_MMIO_QUEUE_READY, 1);
	out(m, VIRTIO_MMIO_STATUS, 15);
}

static void op_kick(struct machine *m, struct input *i)
{
	op_avail(m, i);
	out(m, VIRTIO_MMIO_QUEUE_NOTIFY, 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const op[8])(struct machine *, struct input *) = {
		op_init, op_out, op_in, op_poke, op_desc, op_avail, op_header, op_kick};
	struct input i = {data, data + size};
	struct virtio_mmio t;
	struct machine m;

	machine_init(&m);
	check(!virtio_mmio_attach(&t, &m.blk.dev, "virtio-blk0", &m.bus, BASE, NULL));
	machine_run(&m, op, &i);
	return 0;
}
