/* SPDX-License-Identifier: MIT */
/*
 * libFuzzer target: a hostile driver against the console port behind virtio-mmio. The input is a program of
 * operations (the op_ functions). Whatever it is, the bytes of the port come in order and none twice.
 *
 * sources: vmm/bus.c vmm/mem.c vmm/virtq.c vmm/virtio_device.c vmm/virtio_console.c vmm/virtio_v1.c vmm/virtio_mmio.c
 */
#include "fuzz.h"

#include <string.h>
#include <linux/virtio_mmio.h>
#include <linux/virtio_ring.h>

#include "vmm/bus.h"
#include "vmm/virtio_console.h"
#include "vmm/virtio_mmio.h"

#define DEVICE 6
#define BASE 0xe0000000u
/* Where the driver places the ring of each queue; it may be told other places. */
#define RING 0x1000u
#define RING_DRIVER 0x400u
#define RING_DEVICE 0x800u
#define MESSAGE 0x8000u

struct machine {
	struct guest_mem mem;
	struct bus bus;
	struct fuzz_probe fake;
	struct probe keep;
	struct probe *probe;
	struct irq_line irq;
	uint64_t next_request, position;
	int stop;
	struct virtio_console console;
	uint16_t avail_idx[4];
};

static void keep_emit(struct probe *p, const struct ew_rec *rec, const void *payload)
{
	struct machine *m = (struct machine *)((char *)p - offsetof(struct machine, keep));
	static volatile uint8_t sum;

	if (rec->kind == EW_GUEST_STREAM) {
		check(rec->a[0] == DEVICE && rec->a[1] == rec->payload && rec->payload);
		check(rec->a[2] == m->position && rec->payload <= VIRTIO_CONSOLE_PIECE);
		for (uint32_t i = 0; i < rec->payload; i++)
			sum = (uint8_t)(sum + ((const uint8_t *)payload)[i]);
		m->position += rec->payload;
	}
	fuzz_emit(&m->fake.probe, rec, payload);
}

static void out(struct machine *m, unsigned reg, uint32_t v)
{
	uint64_t value = v;

	bus_access(&m->bus, m->probe, EW_SPACE_MMIO, BASE + reg, 4, true, &value);
}

static void poke(struct machine *m, uint32_t gpa, const void *data, size_t len)
{
	void *p = mem_ptr(&m->mem, gpa, len);

	if (p)
		memcpy(p, data, len);
}

static void op_out(struct machine *m, struct input *i)
{
	uint32_t reg = take(i, 2) & 0x21f, size = 1u << (take(i, 1) & 3);
	uint64_t v = take(i, 4);

	bus_access(&m->bus, m->probe, EW_SPACE_MMIO, BASE + reg, size, true, &v);
}

static void op_in(struct machine *m, struct input *i)
{
	uint32_t reg = take(i, 2) & 0x21f;
	uint64_t v = 0;

	bus_access(&m->bus, m->probe, EW_SPACE_MMIO, BASE + reg, 1 + (take(i, 1) & 7), false, &v);
}

/* A proper start, but for the sizes and the features. */
static void op_init(struct machine *m, struct input *i)
{
	uint32_t features = take(i, 1);

	memset(m->avail_idx, 0, sizeof(m->avail_idx));
	out(m, VIRTIO_MMIO_STATUS, 0);
	check(m->console.dev.status || (!m->console.open && !m->console.pending));
	out(m, VIRTIO_MMIO_STATUS, 3);
	out(m, VIRTIO_MMIO_DRIVER_FEATURES_SEL, 0);
	out(m, VIRTIO_MMIO_DRIVER_FEATURES, features & 0x7f);
	out(m, VIRTIO_MMIO_DRIVER_FEATURES_SEL, 1);
	out(m, VIRTIO_MMIO_DRIVER_FEATURES, features & 0x80 ? 0 : 1);
	out(m, VIRTIO_MMIO_STATUS, 11);
	for (unsigned q = 0; q < VIRTIO_CONSOLE_QUEUES; q++) {
		out(m, VIRTIO_MMIO_QUEUE_SEL, q);
		out(m, VIRTIO_MMIO_QUEUE_NUM, 64);
		out(m, VIRTIO_MMIO_QUEUE_DESC_LOW, RING * (q + 1));
		out(m, VIRTIO_MMIO_QUEUE_AVAIL_LOW, RING * (q + 1) + RING_DRIVER);
		out(m, VIRTIO_MMIO_QUEUE_USED_LOW, RING * (q + 1) + RING_DEVICE);
		out(m, VIRTIO_MMIO_QUEUE_READY, 1);
	}
	out(m, VIRTIO_MMIO_STATUS, 15);
}

static void op_poke(struct machine *m, struct input *i)
{
	uint32_t gpa = take(i, 2), len = take(i, 1);

	if (len > (size_t)(i->end - i->p))
		len = (uint32_t)(i->end - i->p);
	poke(m, gpa, i->p, len);
	i->p += len;
}

static void op_desc(struct machine *m, struct input *i)
{
	uint32_t q = take(i, 1) & 3, n = take(i, 1) & 63;
	struct vring_desc d = {.addr = take(i, 2), .len = take(i, 2)};

	d.flags = (uint16_t)take(i, 1);
	d.next = (uint16_t)take(i, 1);
	if (d.flags & 0x80) /* far out */
		d.addr |= 0xffffffffffff0000ull;
	if (d.flags & 0x40)
		d.len |= 0xffff0000u;
	poke(m, RING * (q + 1) + n * 16, &d, sizeof(d));
}

static void op_kick(struct machine *m, struct input *i)
{
	uint32_t q = take(i, 1) & 3;
	uint16_t head = (uint16_t)take(i, 1);
	uint32_t driver = RING * (q + 1) + RING_DRIVER;

	poke(m, driver + 4 + 2 * (m->avail_idx[q]++ % 64u), &head, sizeof(head));
	poke(m, driver + 2, &m->avail_idx[q], 2);
	out(m, VIRTIO_MMIO_QUEUE_NOTIFY, q);
}

/* A control message as a driver sends it. */
static void op_say(struct machine *m, struct input *i)
{
	struct virtio_console_control c = {.id = take(i, 1)};
	const struct vring_desc d = {.addr = MESSAGE, .len = sizeof(c)};
	uint32_t driver = RING * (VIRTIO_CONSOLE_CONTROL_TX + 1) + RING_DRIVER;
	uint16_t *idx = &m->avail_idx[VIRTIO_CONSOLE_CONTROL_TX], head = 0;

	c.event = (uint16_t)(take(i, 1) & 15);
	c.value = (uint16_t)take(i, 1);
	poke(m, MESSAGE, &c, sizeof(c));
	poke(m, RING * (VIRTIO_CONSOLE_CONTROL_TX + 1), &d, sizeof(d));
	poke(m, driver + 4 + 2 * (*idx % 64u), &head, sizeof(head));
	(*idx)++;
	poke(m, driver + 2, idx, sizeof(*idx));
	out(m, VIRTIO_MMIO_QUEUE_NOTIFY, VIRTIO_CONSOLE_CONTROL_TX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const op[8])(struct machine *, struct input *) = {
		op_init, op_out, op_in, op_poke, op_desc, op_kick, op_say, op_kick};
	struct input i = {data, data + size};
	struct virtio_mmio t;
	struct machine m = {.keep.emit = keep_emit, .next_request = 1};
	struct virtio_env env = {.mem = &m.mem,
		.irq = &m.irq,
		.probe = &m.probe,
		.next_request = &m.next_request,
		.stop = &m.stop};

	/* A heap block, so that ASan sees what lies outside. */
	m.mem.host = aligned_alloc(4096, RAM);
	check(m.mem.host != NULL);
	memset(m.mem.host, 0, RAM);
	m.mem.size = RAM;
	m.probe = &m.keep;
	m.irq = (struct irq_line){.set = irq_set, .irq = 10};
	virtio_console_init(&m.console, DEVICE, &env, "a.port", NULL);
	check(!virtio_mmio_attach(&t, &m.console.dev, "virtio-console0", &m.bus, BASE, NULL));
	for (unsigned n = 0; n < MAX_OPS && i.p < i.end && m.fake.records < MAX_RECORDS; n++)
		op[take(&i, 1) & 7](&m, &i);
	check(m.position == m.console.position && m.next_request == 1);
	check(m.fake.pops == 0 && m.fake.useds == 0 && m.fake.depth == 0);
	free(m.mem.host);
	return 0;
}
