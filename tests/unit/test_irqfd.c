/* SPDX-License-Identifier: MIT */
/* irqfds as a line and as messages, and the table of routes behind them. */
#include "tests/unit/fake_vm.h"

#include <errno.h>

#include "vmm/irqfd.h"

#define DEVICE 7
#define GSI 11

static struct fake_vm vm;
static struct fake_probe fake;
static struct probe *probe;

static int setup(void **state)
{
	(void)state;
	fake_vm_init(&vm);
	fake_probe_init(&fake);
	probe = &fake.probe;
	return 0;
}

/* Every IRQFD has its IRQFD_RET right behind it. */
static void expect_pairs(void)
{
	for (unsigned i = 0; i < fake.n; i++)
		if (fake.rec[i].kind == EW_IRQFD) {
			assert_true(i + 1 < fake.n);
			assert_int_equal(fake.rec[i + 1].kind, EW_IRQFD_RET);
			assert_int_equal(fake.rec[i].a[0], fake.rec[i + 1].a[0]);
			assert_int_equal(fake.rec[i].a[1], DEVICE);
		}
}

static void test_line(void **state)
{
	struct irqfd_line l;
	uint8_t isr = 0;

	(void)state;
	assert_int_equal(irqfd_line_open(&l, &vm.vm, GSI, DEVICE, &isr, &probe, NULL), 0);
	assert_int_equal(l.line.irq, GSI);
	assert_int_equal(vm.irqfds, 1);
	assert_int_equal(vm.irqfd[0].gsi, GSI);
	assert_int_equal(vm.irqfd[0].flags, KVM_IRQFD_FLAG_RESAMPLE);
	assert_int_equal(vm.irqfd[0].fd, l.irqfd.fd);
	assert_int_equal(vm.irqfd[0].resamplefd, l.irqfd.resample_fd);

	isr = 1;
	l.line.set(&l.line, 1);
	l.line.set(&l.line, 1); /* it is up already */
	assert_int_equal(fake_vm_signals(l.irqfd.fd), 1);
	assert_int_equal(fake_last(&fake, EW_IRQFD)->a[2], l.irqfd.fd);
	isr = 0;
	l.line.set(&l.line, 0);
	assert_int_equal(fake_vm_signals(l.irqfd.fd), 0);
	irqfd_resampled(&l); /* nothing to be done for */
	assert_int_equal(fake_vm_signals(l.irqfd.fd), 0);
	assert_int_equal(fake_last(&fake, EW_IRQFD_RESAMPLE)->a[0], GSI);
	assert_int_equal(fake_last(&fake, EW_IRQFD_RESAMPLE)->a[2], 0);

	/* A new reason between the device's lowering and the end of interrupt. */
	l.line.set(&l.line, 1);
	l.line.set(&l.line, 0);
	isr = 1;
	l.line.set(&l.line, 1);
	assert_int_equal(fake_vm_signals(l.irqfd.fd), 1);
	irqfd_resampled(&l);
	assert_int_equal(fake_vm_signals(l.irqfd.fd), 1);
	assert_int_equal(fake_last(&fake, EW_IRQFD_RESAMPLE)->a[2], 1);
	assert_int_equal(fake_count(&fake, EW_IRQFD), 3);
	expect_pairs();
	irqfd_line_close(&l);
	irqfd_line_close(&l); /* once more does no harm */
}

static void test_refused(void **state)
{
	struct irqfd_messages m;
	struct kvm_routes r;
	struct irqfd_line l;
	struct err e = {""};
	uint8_t isr = 0;

	(void)state;
	vm.refuse = -EINVAL;
	assert_int_equal(irqfd_line_open(&l, &vm.vm, GSI, DEVICE, &isr, &probe, &e), -EINVAL);
	assert_non_null(strstr(e.msg, "KVM_IRQFD"));
	assert_int_equal(l.irqfd.fd, -1);
	assert_int_equal(kvm_routes_init(&r, &vm.vm, 2, NULL), 0);
	assert_int_equal(irqfd_messages_open(&m, &r, 2, DEVICE, &probe, NULL), -EINVAL);
	assert_int_equal(m.vectors, 0);
	vm.refuse = 0;
	assert_int_equal(
		irqfd_messages_open(&m, &r, IRQFD_VECTORS + 1, DEVICE, &probe, NULL), -EINVAL);
	assert_int_equal(irqfd_messages_open(&m, &r, 2, DEVICE, &probe, &e), -ENOSPC);
	kvm_routes_free(&r);
}

/* The routes that KVM_CREATE_IRQCHIP makes must all be there again. */
static void expect_controllers(void)
{
	unsigned pic = 0, ioapic = 0;

	for (unsigned i = 0; i < vm.routes; i++) {
		const struct kvm_irq_routing_entry *r = &vm.route[i];

		if (r->type != KVM_IRQ_ROUTING_IRQCHIP)
			continue;
		if (r->u.irqchip.irqchip == KVM_IRQCHIP_IOAPIC) {
			assert_int_equal(r->gsi, r->u.irqchip.pin);
			ioapic |= 1u << r->gsi;
		} else {
			assert_int_equal(r->gsi,
				r->u.irqchip.pin +
					(r->u.irqchip.irqchip == KVM_IRQCHIP_PIC_SLAVE ? 8 : 0));
			pic |= 1u << r->gsi;
		}
	}
	assert_int_equal(pic, 0xffff);
	assert_int_equal(ioapic, 0xffffff);
}

static void test_messages(void **state)
{
	struct irqfd_messages m;
	struct kvm_routes r;
	const struct kvm_irq_routing_entry *last;

	(void)state;
	assert_int_equal(kvm_routes_init(&r, &vm.vm, 4, NULL), 0);
	assert_int_equal(irqfd_messages_open(&m, &r, 2, DEVICE, &probe, NULL), 0);
	assert_int_equal(vm.irqfds, 2);
	assert_int_equal(vm.irqfd[0].flags, 0);
	assert_int_equal(vm.irqfd[0].gsi, 24);
	assert_int_equal(vm.irqfd[1].gsi, 25);
	assert_int_equal(vm.routings, 0);

	assert_int_equal(m.sink.send(&m.sink, 1, 0x1fee00000, 0x41), 0);
	assert_int_equal(vm.routings, 1);
	assert_int_equal(vm.routes, 41);
	expect_controllers();
	last = &vm.route[40];
	assert_int_equal(last->gsi, 25);
	assert_int_equal(last->type, KVM_IRQ_ROUTING_MSI);
	assert_int_equal(last->u.msi.address_lo, 0xfee00000);
	assert_int_equal(last->u.msi.address_hi, 1);
	assert_int_equal(last->u.msi.data, 0x41);
	assert_int_equal(fake_vm_signals(m.vector[1].irqfd.fd), 1);
	assert_int_equal(fake_vm_signals(m.vector[0].irqfd.fd), 0);

	/* The same message needs no new route; another one does, in its place. */
	assert_int_equal(m.sink.send(&m.sink, 1, 0x1fee00000, 0x41), 0);
	assert_int_equal(vm.routings, 1);
	assert_int_equal(m.sink.send(&m.sink, 0, 0xfee01000, 0x50), 0);
	assert_int_equal(m.sink.send(&m.sink, 1, 0xfee01000, 0x42), 0);
	assert_int_equal(vm.routings, 3);
	assert_int_equal(vm.routes, 42);
	expect_controllers();
	assert_int_equal(vm.route[40].u.msi.data, 0x42);
	assert_int_equal(vm.route[41].gsi, 24);
	assert_int_equal(fake_vm_signals(m.vector[1].irqfd.fd), 2);
	expect_pairs();

	/* A route that KVM refuses: the message is lost, and the old route stays. */
	vm.refuse = -EINVAL;
	assert_int_equal(m.sink.send(&m.sink, 1, 0xff00000000, 0x43), -EINVAL);
	assert_int_equal(fake_vm_signals(m.vector[1].irqfd.fd), 0);
	assert_int_equal((int64_t)fake_last(&fake, EW_IRQFD_RET)->a[2], -EINVAL);
	vm.refuse = 0;
	assert_int_equal(m.sink.send(&m.sink, 0, 0xfee01000, 0x51), 0);
	assert_int_equal(vm.route[40].u.msi.data, 0x42);
	expect_pairs();
	irqfd_messages_close(&m);
	kvm_routes_free(&r);
}

#define T(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_line),
		T(test_refused),
		T(test_messages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
