/* SPDX-License-Identifier: MIT */
/* The console device behind legacy PCI: a driver as Linux's sets it up, and one that does all wrong. */
#include "tests/unit/fake_machine.h"

#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>

#include "vmm/guest_abi.h"
#include "vmm/virtio_console.h"
#include "vmm/virtio_slot.h"

#define RAM 0x100000u
#define RING 0x10000u /* 0x4000 for each queue */
#define DATA 0x40000u
#define CONTROL 0x30000u /* buffers for control messages, 0x100 for each */
#define IO (EW_VIRTIO_BLK_IOBASE + VIRTIO_SLOT_GUEST_PORT * 0x80)
#define W VRING_DESC_F_WRITE
#define N VRING_DESC_F_NEXT
#define DEVICE 6
#define NAME "a.port"

struct machine {
	struct guest_mem mem;
	struct bus bus;
	struct fake_probe fake;
	struct probe keep; /* keeps what GUEST_STREAM brings, then as fake */
	struct probe *probe;
	struct fake_irq irq;
	uint64_t next_request;
	int stop;
	struct pci_host *pci;
	struct virtio_console console;
	struct virtio_console_sink sink;
	struct virtio_slot slot;
	struct fake_driver drv[VIRTIO_CONSOLE_QUEUES];
	unsigned waits;
	uint8_t bytes[0x40000];
	size_t n;
};

static void keep_emit(struct probe *p, const struct ew_rec *rec, const void *payload)
{
	struct machine *m = (struct machine *)((char *)p - offsetof(struct machine, keep));

	if (rec->kind == EW_GUEST_STREAM) {
		assert_int_equal(rec->a[0], DEVICE);
		assert_int_equal(rec->a[1], rec->payload);
		assert_int_equal(rec->a[2], m->n);
		assert_true(rec->payload <= VIRTIO_CONSOLE_PIECE);
		assert_true(m->n + rec->payload <= sizeof(m->bytes));
		memcpy(m->bytes + m->n, payload, rec->payload);
		m->n += rec->payload;
	}
	fake_emit(&m->fake.probe, rec, payload);
}

static void count_wait(struct virtio_console_sink *s)
{
	((struct machine *)((char *)s - offsetof(struct machine, sink)))->waits++;
}

static void out(struct machine *m, unsigned reg, unsigned size, uint32_t v)
{
	bus_out(&m->bus, m->probe, EW_SPACE_PIO, IO + reg, size, v);
}

static uint32_t in(struct machine *m, unsigned reg, unsigned size)
{
	return (uint32_t)bus_in(&m->bus, m->probe, EW_SPACE_PIO, IO + reg, size);
}

static int setup(void **state)
{
	struct machine *m = calloc(1, sizeof(*m));
	const struct virtio_slot_name name = {"virtio-console0", VIRTIO_TRANS_ID_CONSOLE, 0x078000};
	struct virtio_env env = {.mem = &m->mem,
		.irq = &m->irq.line,
		.probe = &m->probe,
		.next_request = &m->next_request,
		.stop = &m->stop};
	struct err e = {0};

	*state = m;
	fake_probe_init(&m->fake);
	fake_irq_init(&m->irq, virtio_slot_gsi(VIRTIO_SLOT_GUEST_PORT));
	m->keep.emit = keep_emit;
	m->probe = &m->keep;
	m->next_request = 1;
	m->sink.wait = count_wait;
	assert_int_equal(mem_alloc(&m->mem, RAM, &e), 0);
	assert_int_equal(pci_host_create(&m->pci, &m->bus, &m->probe, &e), 0);
	virtio_console_init(&m->console, DEVICE, &env, NAME, &m->sink);
	assert_int_equal(virtio_slot_attach(&m->slot, VIRTIO_SLOT_GUEST_PORT, VIRTIO_LEGACY, &name,
				 &m->console.dev, NULL, m->pci, &m->bus, &e),
		0);
	return 0;
}

static int teardown(void **state)
{
	struct machine *m = *state;

	assert_int_equal(m->next_request, 1); /* its chains are no requests of the recording */
	pci_host_destroy(m->pci);
	mem_free(&m->mem);
	free(m);
	return 0;
}

static void driver_init(struct machine *m)
{
	out(m, VIRTIO_PCI_STATUS, 1, 0);
	out(m, VIRTIO_PCI_STATUS, 1, VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER);
	assert_int_equal(in(m, VIRTIO_PCI_HOST_FEATURES, 4), 1 << VIRTIO_CONSOLE_F_MULTIPORT);
	out(m, VIRTIO_PCI_GUEST_FEATURES, 4, 1 << VIRTIO_CONSOLE_F_MULTIPORT);
	assert_int_equal(in(m, 20 + offsetof(struct virtio_console_config, max_nr_ports), 4), 1);
	for (unsigned i = 0; i < VIRTIO_CONSOLE_QUEUES; i++) {
		uint32_t ring = RING + i * 0x4000;

		out(m, VIRTIO_PCI_QUEUE_SEL, 2, i);
		fake_driver_init(&m->drv[i], m->mem.host + ring, in(m, VIRTIO_PCI_QUEUE_NUM, 2));
		out(m, VIRTIO_PCI_QUEUE_PFN, 4, ring >> VIRTIO_PCI_QUEUE_ADDR_SHIFT);
	}
	/* As Linux: it looks for what it has sent by itself. */
	m->drv[VIRTIO_CONSOLE_PORT_TX].vr.avail->flags = VRING_AVAIL_F_NO_INTERRUPT;
	m->drv[VIRTIO_CONSOLE_CONTROL_TX].vr.avail->flags = VRING_AVAIL_F_NO_INTERRUPT;
	out(m, VIRTIO_PCI_QUEUE_SEL, 2, VIRTIO_CONSOLE_QUEUES);
	assert_int_equal(in(m, VIRTIO_PCI_QUEUE_NUM, 2), 0); /* there are no more */
	out(m, VIRTIO_PCI_STATUS, 1, 7);
	m->fake.n = 0;
}

static void offer(struct machine *m, enum virtio_console_queue q, uint16_t head)
{
	fake_avail(&m->drv[q], head);
	out(m, VIRTIO_PCI_QUEUE_NOTIFY, 2, q);
}

static uint16_t used(const struct machine *m, enum virtio_console_queue q)
{
	return m->drv[q].vr.used->idx;
}

/* Buffer n for a control message. */
static void offer_control(struct machine *m, uint16_t n, uint32_t len)
{
	fake_desc(&m->drv[VIRTIO_CONSOLE_CONTROL_RX], n, CONTROL + n * 0x100u, len, W, 0);
	offer(m, VIRTIO_CONSOLE_CONTROL_RX, n);
}

static void say(struct machine *m, uint32_t id, uint16_t event, uint16_t value)
{
	struct virtio_console_control c = {.id = id, .event = event, .value = value};

	memcpy(m->mem.host + DATA, &c, sizeof(c));
	fake_desc(&m->drv[VIRTIO_CONSOLE_CONTROL_TX], 0, DATA, sizeof(c), 0, 0);
	offer(m, VIRTIO_CONSOLE_CONTROL_TX, 0);
	assert_int_equal(
		used(m, VIRTIO_CONSOLE_CONTROL_TX), m->drv[VIRTIO_CONSOLE_CONTROL_TX].avail_idx);
}

/* The n-th control message that came, into buffer `head`. */
static void told(struct machine *m, uint16_t n, uint16_t head, uint16_t event, const char *name)
{
	const struct vring_used_elem *u = &m->drv[VIRTIO_CONSOLE_CONTROL_RX].vr.used->ring[n];
	struct virtio_console_control c;

	memcpy(&c, m->mem.host + CONTROL + head * 0x100u, sizeof(c));
	assert_int_equal(u->id, head);
	assert_int_equal(u->len, sizeof(c) + strlen(name));
	assert_int_equal(c.id, 0);
	assert_int_equal(c.event, event);
	assert_int_equal(c.value, 1);
	assert_memory_equal(m->mem.host + CONTROL + head * 0x100u + sizeof(c), name, strlen(name));
}

static void open_port(struct machine *m)
{
	driver_init(m);
	for (uint16_t i = 0; i < 4; i++)
		offer_control(m, i, 0x100);
	say(m, VIRTIO_CONSOLE_BAD_ID, VIRTIO_CONSOLE_DEVICE_READY, 1);
	say(m, 0, VIRTIO_CONSOLE_PORT_READY, 1);
	say(m, 0, VIRTIO_CONSOLE_PORT_OPEN, 1);
	assert_int_equal(fake_count(&m->fake, EW_GUEST_ERROR), 0);
}

static void test_port(void **state)
{
	struct machine *m = *state;

	driver_init(m);
	for (uint16_t i = 0; i < 4; i++)
		offer_control(m, i, 0x100);
	assert_int_equal(used(m, VIRTIO_CONSOLE_CONTROL_RX), 0);
	say(m, VIRTIO_CONSOLE_BAD_ID, VIRTIO_CONSOLE_DEVICE_READY, 1);
	assert_int_equal(used(m, VIRTIO_CONSOLE_CONTROL_RX), 1);
	assert_int_equal(m->irq.level, 1);
	assert_int_equal(in(m, VIRTIO_PCI_ISR, 1), VIRTIO_ISR_QUEUE);
	told(m, 0, 0, VIRTIO_CONSOLE_PORT_ADD, "");
	say(m, 0, VIRTIO_CONSOLE_PORT_READY, 1);
	assert_int_equal(used(m, VIRTIO_CONSOLE_CONTROL_RX), 3);
	told(m, 1, 1, VIRTIO_CONSOLE_PORT_OPEN, "");
	told(m, 2, 2, VIRTIO_CONSOLE_PORT_NAME, NAME);
	assert_int_equal(fake_count(&m->fake, EW_GUEST_ERROR), 0);
	/* A reset forgets all of it. */
	open_port(m);
	out(m, VIRTIO_PCI_STATUS, 1, 0);
	driver_init(m);
	offer_control(m, 0, 0x100);
	assert_int_equal(used(m, VIRTIO_CONSOLE_CONTROL_RX), 0);
	fake_desc(&m->drv[VIRTIO_CONSOLE_PORT_TX], 0, DATA, 8, 0, 0);
	offer(m, VIRTIO_CONSOLE_PORT_TX, 0);
	assert_int_equal(fake_errors(&m->fake, EW_GERR_PORT_CLOSED), 1);
}

/* The messages wait until the driver has buffers, and for buffers that are large enough. */
static void test_waiting(void **state)
{
	struct machine *m = *state;

	driver_init(m);
	say(m, VIRTIO_CONSOLE_BAD_ID, VIRTIO_CONSOLE_DEVICE_READY, 1);
	say(m, 0, VIRTIO_CONSOLE_PORT_READY, 1);
	assert_int_equal(m->irq.raised, 0);
	offer_control(m, 0, 8);
	told(m, 0, 0, VIRTIO_CONSOLE_PORT_ADD, "");
	offer_control(m, 1, 7);
	assert_int_equal(fake_errors(&m->fake, EW_GERR_CONTROL_LENGTH), 1);
	assert_int_equal(m->drv[VIRTIO_CONSOLE_CONTROL_RX].vr.used->ring[1].len, 0);
	offer_control(m, 2, 8);
	told(m, 2, 2, VIRTIO_CONSOLE_PORT_OPEN, "");
	offer_control(m, 3, 13); /* the name is one byte longer */
	assert_int_equal(fake_errors(&m->fake, EW_GERR_CONTROL_LENGTH), 2);
	/* In two pieces, behind something that the device may only read. */
	fake_desc(&m->drv[VIRTIO_CONSOLE_CONTROL_RX], 4, DATA, 16, N, 5);
	fake_desc(&m->drv[VIRTIO_CONSOLE_CONTROL_RX], 5, CONTROL + 0x400, 9, W | N, 6);
	fake_desc(&m->drv[VIRTIO_CONSOLE_CONTROL_RX], 6, CONTROL + 0x409, 5, W, 0);
	offer(m, VIRTIO_CONSOLE_CONTROL_RX, 4);
	told(m, 4, 4, VIRTIO_CONSOLE_PORT_NAME, NAME);
	assert_int_equal(fake_count(&m->fake, EW_GUEST_ERROR), 2);
}

static void test_data(void **state)
{
	struct machine *m = *state;
	struct fake_driver *tx = &m->drv[VIRTIO_CONSOLE_PORT_TX];

	open_port(m);
	for (size_t i = 0; i < 0x20000; i++)
		m->mem.host[DATA + i] = (uint8_t)(i * 7 + (i >> 9));
	m->fake.n = 0;
	fake_desc(tx, 0, DATA, 5, N, 1);
	fake_desc(tx, 1, DATA + 5, 2 * VIRTIO_CONSOLE_PIECE + 1, N, 2);
	fake_desc(tx, 2, DATA + 6 + 2 * VIRTIO_CONSOLE_PIECE, 100, 0, 0);
	offer(m, VIRTIO_CONSOLE_PORT_TX, 0);
	assert_int_equal(m->n, 106 + 2 * VIRTIO_CONSOLE_PIECE);
	assert_memory_equal(m->bytes, m->mem.host + DATA, m->n);
	assert_int_equal(fake_count(&m->fake, EW_GUEST_STREAM), 5);
	assert_int_equal(m->waits, 5);
	assert_int_equal(used(m, VIRTIO_CONSOLE_PORT_TX), 1);
	assert_int_equal(tx->vr.used->ring[0].len, 0);
	/* The notify is recorded, the ring's chains are not. */
	assert_int_equal(fake_count(&m->fake, EW_QUEUE_NOTIFY), 1);
	assert_int_equal(fake_count(&m->fake, EW_QUEUE_POP), 0);
	assert_int_equal(fake_count(&m->fake, EW_DESCRIPTOR), 0);
	assert_int_equal(fake_count(&m->fake, EW_QUEUE_USED), 0);
	/* Until somebody in the guest closes the port. */
	say(m, 0, VIRTIO_CONSOLE_PORT_OPEN, 0);
	offer(m, VIRTIO_CONSOLE_PORT_TX, 0);
	assert_int_equal(fake_errors(&m->fake, EW_GERR_PORT_CLOSED), 1);
	assert_int_equal(fake_last(&m->fake, EW_GUEST_ERROR)->a[3], m->n);
	assert_int_equal(used(m, VIRTIO_CONSOLE_PORT_TX), 2);
	/* A machine that is not recorded takes it all the same, and one that stops takes nothing more. */
	say(m, 0, VIRTIO_CONSOLE_PORT_OPEN, 1);
	m->probe = NULL;
	offer(m, VIRTIO_CONSOLE_PORT_TX, 0);
	assert_int_equal(used(m, VIRTIO_CONSOLE_PORT_TX), 3);
	m->probe = &m->keep;
	m->stop = 1;
	offer(m, VIRTIO_CONSOLE_PORT_TX, 0);
	assert_int_equal(used(m, VIRTIO_CONSOLE_PORT_TX), 3);
}

/* A guest that sends without end: what is recorded of it has an end, and the guest goes on. */
static void test_flood(void **state)
{
	struct machine *m = *state;
	struct fake_driver *tx = &m->drv[VIRTIO_CONSOLE_PORT_TX];

	open_port(m);
	assert_int_equal(m->console.room, VIRTIO_CONSOLE_ROOM);
	m->console.room = VIRTIO_CONSOLE_PIECE + 2 * VIRTIO_CONSOLE_LEAST + 1;
	m->fake.n = 0;
	fake_desc(tx, 0, DATA, VIRTIO_CONSOLE_PIECE, N, 1);
	fake_desc(tx, 1, DATA, 1, N, 2);
	fake_desc(tx, 2, DATA, 2, N, 3);
	fake_desc(tx, 3, DATA, 3, 0, 0);
	for (int i = 1; i < 4; i++) {
		offer(m, VIRTIO_CONSOLE_PORT_TX, 0);
		assert_int_equal(used(m, VIRTIO_CONSOLE_PORT_TX), i);
		assert_int_equal(fake_count(&m->fake, EW_GUEST_STREAM), 3);
		assert_int_equal(fake_errors(&m->fake, EW_GERR_PORT_FULL), 1);
	}
	assert_int_equal(m->waits, 3);
	assert_int_equal(fake_last(&m->fake, EW_GUEST_ERROR)->a[3], VIRTIO_CONSOLE_PIECE + 3);
	assert_int_equal(m->console.position, 3 * (VIRTIO_CONSOLE_PIECE + 6));
}

static void test_hostile_control(void **state)
{
	struct machine *m = *state;
	struct fake_driver *tx = &m->drv[VIRTIO_CONSOLE_CONTROL_TX];

	open_port(m);
	m->fake.n = 0;
	say(m, 1, VIRTIO_CONSOLE_PORT_OPEN, 1);
	say(m, VIRTIO_CONSOLE_BAD_ID, VIRTIO_CONSOLE_PORT_READY, 1);
	assert_int_equal(fake_errors(&m->fake, EW_GERR_CONTROL_PORT), 2);
	say(m, 0, VIRTIO_CONSOLE_PORT_NAME, 1);
	say(m, 0, 0xffff, 1);
	assert_int_equal(fake_errors(&m->fake, EW_GERR_CONTROL_EVENT), 2);
	fake_desc(tx, 0, DATA, 7, 0, 0);
	offer(m, VIRTIO_CONSOLE_CONTROL_TX, 0);
	fake_desc(tx, 0, DATA, 8, W, 0); /* nothing that the device may read */
	offer(m, VIRTIO_CONSOLE_CONTROL_TX, 0);
	assert_int_equal(fake_errors(&m->fake, EW_GERR_CONTROL_LENGTH), 2);
	fake_desc(tx, 0, UINT64_MAX - 3, 8, 0, 0);
	offer(m, VIRTIO_CONSOLE_CONTROL_TX, 0);
	assert_int_equal(fake_errors(&m->fake, EW_GERR_DESC_OUT_OF_RAM), 1);
	/* Byte by byte it is as good as in one piece, and what follows is not looked at. */
	memcpy(m->mem.host + DATA,
		&(struct virtio_console_control){.event = VIRTIO_CONSOLE_PORT_OPEN}, 8);
	for (uint16_t i = 0; i < 9; i++)
		fake_desc(tx, i, DATA + i, 1, i < 8 ? N : 0, (uint16_t)(i + 1));
	assert_true(m->console.open);
	offer(m, VIRTIO_CONSOLE_CONTROL_TX, 0);
	assert_false(m->console.open);
	assert_int_equal(fake_count(&m->fake, EW_GUEST_ERROR), 7);
	assert_int_equal(used(m, VIRTIO_CONSOLE_CONTROL_TX), tx->avail_idx);
}

static void test_hostile_rings(void **state)
{
	struct machine *m = *state;
	struct fake_driver *tx = &m->drv[VIRTIO_CONSOLE_PORT_TX];

	open_port(m);
	m->fake.n = 0;
	/* A chain with a fault gives nothing, not even what was right of it. */
	fake_desc(tx, 0, DATA, 16, N, 1);
	fake_desc(tx, 1, RAM - 8, 16, 0, 0);
	offer(m, VIRTIO_CONSOLE_PORT_TX, 0);
	fake_desc(tx, 1, DATA, 16, N, 0);
	offer(m, VIRTIO_CONSOLE_PORT_TX, 0);
	assert_int_equal(fake_errors(&m->fake, EW_GERR_DESC_LOOP), 1);
	assert_int_equal(used(m, VIRTIO_CONSOLE_PORT_TX), 2);
	/* Buffers for the port's data wait for ever; queues that are not there, indexes that jump. */
	fake_desc(&m->drv[VIRTIO_CONSOLE_PORT_RX], 0, DATA, 16, W, 0);
	offer(m, VIRTIO_CONSOLE_PORT_RX, 0);
	assert_int_equal(used(m, VIRTIO_CONSOLE_PORT_RX), 0);
	out(m, VIRTIO_PCI_QUEUE_NOTIFY, 2, VIRTIO_CONSOLE_QUEUES);
	assert_int_equal(fake_errors(&m->fake, EW_GERR_BAD_QUEUE), 1);
	tx->vr.avail->idx = (uint16_t)(tx->avail_idx + 1000);
	out(m, VIRTIO_PCI_QUEUE_NOTIFY, 2, VIRTIO_CONSOLE_PORT_TX);
	assert_int_equal(fake_errors(&m->fake, EW_GERR_AVAIL_IDX_JUMP), 1);
	/* A driver that takes the control queue away is told nothing, and says what it likes. */
	out(m, VIRTIO_PCI_QUEUE_SEL, 2, VIRTIO_CONSOLE_CONTROL_RX);
	out(m, VIRTIO_PCI_QUEUE_PFN, 4, 0);
	say(m, VIRTIO_CONSOLE_BAD_ID, VIRTIO_CONSOLE_DEVICE_READY, 1);
	assert_int_equal(m->n, 0);
	assert_int_equal(fake_count(&m->fake, EW_GUEST_ERROR), 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_port, setup, teardown),
		cmocka_unit_test_setup_teardown(test_waiting, setup, teardown),
		cmocka_unit_test_setup_teardown(test_data, setup, teardown),
		cmocka_unit_test_setup_teardown(test_flood, setup, teardown),
		cmocka_unit_test_setup_teardown(test_hostile_control, setup, teardown),
		cmocka_unit_test_setup_teardown(test_hostile_rings, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
