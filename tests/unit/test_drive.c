/* SPDX-License-Identifier: MIT */
/* Disks put together without KVM: addresses, doorbells, and the words that contradict each other. */
#include "tests/unit/fake_vm.h"

#include <errno.h>
#include <linux/pci_regs.h>

#include "vmm/drive.h"
#include "vmm/drive_options.h"

#define RAM 0x40000u

static struct {
	struct fake_vm vm;
	struct fake_probe fake;
	struct probe *probe;
	struct guest_mem mem;
	struct bus bus;
	struct turn turn;
	uint64_t next_request;
	int stop;
	struct pci_host *pci;
	struct kvm_routes routes;
	struct io_engine engine;
	struct io_thread thread;
	struct drive_choice choice;
	struct virtio_env env;
	struct drive_shared shared;
	struct drive drive[DRIVES_MAX];
	char path[DRIVES_MAX][64];
} f;

static int setup(void **state)
{
	(void)state;
	memset(&f, 0, sizeof(f));
	fake_vm_init(&f.vm);
	fake_probe_init(&f.fake);
	f.probe = &f.fake.probe;
	f.env = (struct virtio_env){
		.mem = &f.mem, .probe = &f.probe, .next_request = &f.next_request, .stop = &f.stop};
	turn_init(&f.turn);
	assert_int_equal(mem_alloc(&f.mem, RAM, NULL), 0);
	assert_int_equal(pci_host_create(&f.pci, &f.bus, &f.probe, NULL), 0);
	assert_int_equal(kvm_routes_init(&f.routes, &f.vm.vm, 64, NULL), 0);
	assert_int_equal(io_engine_init(&f.engine, true, NULL), 0);
	assert_int_equal(io_thread_init(&f.thread, &f.turn, &f.engine, NULL), 0);
	for (unsigned i = 0; i < DRIVES_MAX; i++)
		snprintf(f.path[i], sizeof(f.path[i]), "/tmp/exitwalk-drive-%d-%u", getpid(), i);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	for (unsigned i = 0; i < DRIVES_MAX; i++) {
		unlink(f.path[i]);
		if (f.drive[i].disk.sectors)
			drive_close(&f.drive[i]);
	}
	io_thread_destroy(&f.thread);
	io_engine_destroy(&f.engine);
	kvm_routes_free(&f.routes);
	pci_host_destroy(f.pci);
	mem_free(&f.mem);
	turn_destroy(&f.turn);
	return 0;
}

static int add(unsigned i, struct err *e)
{
	const struct drive_image image = {.path = f.path[i], .create = 65536};

	f.shared = (struct drive_shared){.choice = &f.choice,
		.env = &f.env,
		.pci = f.pci,
		.bus = &f.bus,
		.vm = &f.vm.vm,
		.routes = &f.routes,
		.engine = f.choice.io != DRIVE_IO_VCPU ? &f.engine : NULL,
		.thread = &f.thread,
		.next_device = 6};
	assert_int_equal(drive_open(&f.drive[i], i, &image, NULL), 0);
	return drive_attach(&f.drive[i], &f.shared, e);
}

/* All eight of them, in each transport with most regions: nothing overlaps, and numbers have no gap. */
static void test_eight(void **state)
{
	enum virtio_transport transport = *(enum virtio_transport *)*state;
	struct acpi_config acpi = {0};

	setup(NULL);
	f.choice = (struct drive_choice){.transport = transport,
		.irq = DRIVE_IRQ_IRQFD,
		.kick = DRIVE_KICK_IOEVENTFD,
		.io = DRIVE_IO_THREAD_PLAIN};
	for (unsigned i = 0; i < DRIVES_MAX; i++) {
		assert_int_equal(add(i, NULL), 0);
		assert_int_equal(f.drive[i].device, i ? 5 + i : 1);
		virtio_slot_acpi(i, transport, &acpi);
	}
	assert_int_equal(f.vm.ioeventfds, DRIVES_MAX);
	for (unsigned i = 0; i < DRIVES_MAX; i++) {
		const struct kvm_ioeventfd *k = &f.vm.ioeventfd[i];
		bool pio = k->flags & KVM_IOEVENTFD_FLAG_PIO;
		const struct bus_region *r = bus_find(
			&f.bus, pio ? EW_SPACE_PIO : EW_SPACE_MMIO, k->addr, k->len);
		unsigned gsi = transport == VIRTIO_MMIO ? acpi.mmio[i].gsi : acpi.pci_gsi[i + 1];

		/* KVM watches just what the device itself takes for a notify. */
		assert_non_null(r);
		assert_int_equal(r->device, f.drive[i].device);
		assert_int_equal(
			r->snapshot(r->opaque, k->addr - r->base, true), EW_SNAPSHOT_NOTIFY);
		assert_int_equal(k->len, transport == VIRTIO_MMIO ? 4 : 2);
		assert_int_equal(k->flags & KVM_IOEVENTFD_FLAG_DATAMATCH ? 1 : 0,
			transport != VIRTIO_MODERN);
		assert_int_equal(k->datamatch, 0);
		assert_int_equal(k->fd, f.drive[i].kick.fd[EW_KICK_VIA_IOEVENTFD]);
		assert_int_equal(f.drive[i].irqfd_line.irqfd.gsi, gsi);
		for (unsigned j = 0; j < i; j++)
			assert_int_not_equal(f.drive[j].irqfd_line.irqfd.gsi, gsi);
		assert_true(gsi && gsi < 24);
	}
	teardown(NULL);
}

static void cfg_out(unsigned reg, unsigned size, uint32_t v)
{
	bus_out(&f.bus, f.probe, EW_SPACE_PCI, (1 << 3 << 8) + reg, size, v);
}

/* While the function does not answer at its BARs, nobody else may for it. */
static void test_decoding(void **state)
{
	enum virtio_transport transport = *(enum virtio_transport *)*state;
	unsigned bit = transport == VIRTIO_LEGACY ? PCI_COMMAND_IO : PCI_COMMAND_MEMORY;

	setup(NULL);
	f.choice = (struct drive_choice){
		.transport = transport, .kick = DRIVE_KICK_IOEVENTFD, .io = DRIVE_IO_THREAD_PLAIN};
	assert_int_equal(add(0, NULL), 0);
	assert_int_equal(f.vm.ioeventfds, 1);
	cfg_out(PCI_COMMAND, 2, PCI_COMMAND_MASTER | bit); /* no change */
	cfg_out(PCI_BASE_ADDRESS_0, 4, UINT32_MAX);        /* sizing and moving are none either */
	cfg_out(PCI_BASE_ADDRESS_0, 4, 0xd0000000);
	assert_int_equal(f.vm.ioeventfds, 1);
	cfg_out(PCI_COMMAND, 2, PCI_COMMAND_MASTER);
	assert_int_equal(f.vm.ioeventfds, 2);
	assert_true(f.vm.ioeventfd[1].flags & KVM_IOEVENTFD_FLAG_DEASSIGN);
	assert_int_equal(f.vm.ioeventfd[1].addr, f.vm.ioeventfd[0].addr);
	assert_int_equal(f.vm.ioeventfd[1].fd, f.vm.ioeventfd[0].fd);
	cfg_out(PCI_COMMAND, 1, bit);
	assert_int_equal(f.vm.ioeventfds, 3);
	assert_memory_equal(&f.vm.ioeventfd[2], &f.vm.ioeventfd[0], sizeof(f.vm.ioeventfd[0]));
	teardown(NULL);
}

static void test_kvm_refuses(void **state)
{
	struct err e = {""};

	(void)state;
	f.choice = (struct drive_choice){.kick = DRIVE_KICK_IOEVENTFD, .io = DRIVE_IO_THREAD_PLAIN};
	f.vm.refuse = -ENOSPC;
	assert_int_equal(add(0, &e), -ENOSPC);
	assert_non_null(strstr(e.msg, "use --kick exit"));
}

static void test_features(void **state)
{
	(void)state;
	assert_int_equal(add(0, NULL), 0);
	assert_int_equal(f.drive[0].blk.dev.offered >> VIRTIO_RING_F_INDIRECT_DESC & 3, 0);
	f.choice.event_idx = f.choice.indirect = true;
	assert_int_equal(add(1, NULL), 0);
	assert_int_equal(f.drive[1].blk.dev.offered >> VIRTIO_RING_F_INDIRECT_DESC & 3, 3);
	assert_null(f.drive[0].blk.dev.env.io);
}

/* virtio, kick, irq, io; NULL: not given. The result, or a word of the sentence. */
static void test_words(void **state)
{
	static const struct {
		const char *word[4];
		bool is_linux;
		const char *refused;
		struct drive_choice choice;
	} cases[] = {
		{{0}, false, NULL, {.io = DRIVE_IO_VCPU}},
		{{"modern"}, false, "built-in guest", {0}},
		{{"mmio"}, false, "built-in guest", {0}},
		{{"modern"}, true, NULL, {.transport = VIRTIO_MODERN, .irq = DRIVE_IRQ_MSIX}},
		{{"modern", NULL, "line"}, true, NULL, {.transport = VIRTIO_MODERN}},
		{{"legacy", NULL, "msix"}, true, "--virtio modern", {0}},
		{{"mmio", NULL, "msix"}, true, "--virtio modern", {0}},
		{{NULL, "ioeventfd"}, false, NULL,
			{.kick = DRIVE_KICK_IOEVENTFD, .io = DRIVE_IO_THREAD}},
		{{NULL, "ioeventfd", NULL, "vcpu"}, false, "--io vcpu", {0}},
		{{NULL, "ioeventfd", "irqfd", "thread,pwrite"}, false, NULL,
			{.kick = DRIVE_KICK_IOEVENTFD,
				.irq = DRIVE_IRQ_IRQFD,
				.io = DRIVE_IO_THREAD_PLAIN}},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		static const char *(*const set[4])(struct drive_options *, const char *) = {
			drive_option_virtio, drive_option_kick, drive_option_irq, drive_option_io};
		struct drive_options o = {0};
		const char *sentence;

		for (unsigned n = 0; n < 4; n++) {
			if (cases[i].word[n])
				assert_null(set[n](&o, cases[i].word[n]));
			assert_non_null(set[n](&o, "nonsense"));
		}
		sentence = drive_options_finish(&o, cases[i].is_linux);
		if (cases[i].refused) {
			assert_non_null(sentence);
			assert_non_null(strstr(sentence, cases[i].refused));
		} else {
			assert_null(sentence);
			assert_memory_equal(&o.choice, &cases[i].choice, sizeof(o.choice));
		}
	}
}

static enum virtio_transport legacy = VIRTIO_LEGACY, modern = VIRTIO_MODERN, mmio = VIRTIO_MMIO;

int main(void)
{
	const struct CMUnitTest tests[] = {
		{"test_eight legacy", test_eight, NULL, NULL, &legacy},
		{"test_eight modern", test_eight, NULL, NULL, &modern},
		{"test_eight mmio", test_eight, NULL, NULL, &mmio},
		{"test_decoding legacy", test_decoding, NULL, NULL, &legacy},
		{"test_decoding modern", test_decoding, NULL, NULL, &modern},
		cmocka_unit_test_setup_teardown(test_kvm_refuses, setup, teardown),
		cmocka_unit_test_setup_teardown(test_features, setup, teardown),
		cmocka_unit_test(test_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
