// SPDX-License-Identifier: MIT
/* Several processors as they are before the guest runs: how many, and the state firmware would leave. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "vmm/boot.h"
#include "vmm/cpus.h"

static void test_how_many(void **state)
{
	struct kvm k = {.cap = {[KVM_HAS_NR_VCPUS] = 8, [KVM_HAS_MAX_VCPUS] = 16}};
	struct err e = {""};

	(void)state;
	assert_int_equal(cpus_check(&k, 16, &e), 0);
	assert_true(cpus_check(&k, 17, &e) < 0);
	assert_non_null(strstr(e.msg, "up to 16 processors"));
	/* An old KVM that does not say so (api.rst, 4.7). */
	k.cap[KVM_HAS_MAX_VCPUS] = 0;
	assert_int_equal(cpus_check(&k, 8, &e), 0);
	assert_true(cpus_check(&k, 9, &e) < 0);
	k.cap[KVM_HAS_NR_VCPUS] = 0;
	assert_int_equal(cpus_check(&k, 4, &e), 0);
	assert_true(cpus_check(&k, 5, &e) < 0);
}

struct fixture {
	struct kvm kvm;
	struct guest_mem mem;
	struct cpus cpus;
};

static struct fixture *make(unsigned count)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct err e = {""};
	int rc;

	if (access(KVM_DEVICE, R_OK | W_OK)) {
		free(f);
		skip();
	}
	assert_non_null(f);
	cpus_init(&f->cpus);
	rc = mem_alloc(&f->mem, 32 << 20, &e);
	if (rc == 0)
		rc = kvm_open(&f->kvm, KVM_DEVICE, &e);
	if (rc == 0)
		rc = kvm_create_vm(&f->kvm, &e);
	if (rc == 0)
		rc = kvm_create_irqchip(&f->kvm, &e);
	if (rc == 0)
		rc = kvm_add_ram(&f->kvm, &f->mem, &e);
	if (rc == 0)
		rc = cpus_create(&f->cpus, &f->kvm, count, &e);
	if (rc == 0)
		rc = cpus_reset(&f->cpus, CPU_HOST, 0x100000, &e);
	if (rc)
		fail_msg("%s", e.msg);
	return f;
}

static void drop(struct fixture *f)
{
	cpus_destroy(&f->cpus);
	kvm_close(&f->kvm);
	mem_free(&f->mem);
	free(f);
}

static uint64_t msr(const struct vcpu *v, uint32_t index)
{
	struct kvm_msrs *m = calloc(1, sizeof(*m) + sizeof(m->entries[0]));
	uint64_t value;

	assert_non_null(m);
	m->nmsrs = 1;
	m->entries[0].index = index;
	assert_int_equal(ioctl(v->fd, KVM_GET_MSRS, m), 1);
	value = m->entries[0].data;
	free(m);
	return value;
}

/* SDM vol. 4: IA32_MTRR_DEF_TYPE, IA32_MISC_ENABLE; vol. 3A 12.12.4: PAT after reset; 13.3: XCR0. */
static void test_msrs(void **state)
{
	struct fixture *f = make(3);

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		const struct vcpu *v = &f->cpus.vcpu[i];
		struct kvm_xcrs x = {.nr_xcrs = 0};

		assert_int_equal(msr(v, 0x2ff), 0x806); /* enabled, write-back */
		assert_int_equal(msr(v, 0x277), 0x0007040600070406);
		assert_int_equal(msr(v, 0x1a0) & 1, 1); /* FAST_STRING */
		if (ioctl(v->fd, KVM_GET_XCRS, &x) == 0 && x.nr_xcrs)
			assert_int_equal(x.xcrs[0].value, 1);
	}
	drop(f);
}

static void test_same_tsc(void **state)
{
	struct fixture *f = make(3);
	uint64_t offset[3] = {0};

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		struct kvm_device_attr a = {
			.group = KVM_VCPU_TSC_CTRL,
			.attr = KVM_VCPU_TSC_OFFSET,
			.addr = (uintptr_t)&offset[i],
		};

		if (ioctl(f->cpus.vcpu[i].fd, KVM_GET_DEVICE_ATTR, &a)) {
			drop(f);
			skip(); /* before Linux 5.16 */
		}
	}
	assert_int_equal(offset[1], offset[0]);
	assert_int_equal(offset[2], offset[0]);
	drop(f);
}

static uint32_t lapic(const struct vcpu *v, unsigned reg)
{
	struct kvm_lapic_state s;
	uint32_t value;

	assert_int_equal(ioctl(v->fd, KVM_GET_LAPIC, &s), 0);
	memcpy(&value, s.regs + reg, sizeof(value));
	return value;
}

/* The first is wired to the 8259 and to NMI; the others are as after INIT, and wait. */
static void test_lapics(void **state)
{
	enum { ID = 0x20, LVT0 = 0x350, LVT1 = 0x360, MASKED = 0x10000 };
	struct fixture *f = make(2);
	struct kvm_mp_state mp;
	struct kvm_sregs s;

	(void)state;
	assert_int_equal(lapic(&f->cpus.vcpu[0], LVT0), 0x700);
	assert_int_equal(lapic(&f->cpus.vcpu[0], LVT1), 0x400);
	assert_int_equal(lapic(&f->cpus.vcpu[1], LVT0), MASKED);
	assert_int_equal(lapic(&f->cpus.vcpu[1], LVT1), MASKED);
	assert_int_equal(lapic(&f->cpus.vcpu[0], ID), 0);
	assert_int_equal(lapic(&f->cpus.vcpu[1], ID), 1u << 24);
	assert_int_equal(ioctl(f->cpus.vcpu[0].fd, KVM_GET_MP_STATE, &mp), 0);
	assert_int_equal(mp.mp_state, KVM_MP_STATE_RUNNABLE);
	assert_int_equal(ioctl(f->cpus.vcpu[1].fd, KVM_GET_MP_STATE, &mp), 0);
	assert_int_equal(mp.mp_state, KVM_MP_STATE_UNINITIALIZED);
	assert_int_equal(ioctl(f->cpus.vcpu[0].fd, KVM_GET_SREGS, &s), 0);
	assert_int_equal(s.cs.selector, BOOT_CS);
	assert_int_equal(ioctl(f->cpus.vcpu[1].fd, KVM_GET_SREGS, &s), 0);
	assert_int_equal(s.cr0 & 1, 0); /* real mode */
	drop(f);
}

/* What KVM_SET_CPUID2 took. */
static void test_cpuid(void **state)
{
	struct fixture *f = make(2);

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct kvm_cpuid2 *c = calloc(1, sizeof(*c) + 256 * sizeof(c->entries[0]));
		const struct kvm_cpuid_entry2 *e;

		assert_non_null(c);
		c->nent = 256;
		assert_int_equal(ioctl(f->cpus.vcpu[i].fd, KVM_GET_CPUID2, c), 0);
		e = cpuid_find(c, 1, 0);
		assert_non_null(e);
		assert_int_equal(e->ebx >> 24, i);
		assert_int_equal(e->ebx >> 16 & 255, 2);
		free(c);
	}
	drop(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_how_many),
		cmocka_unit_test(test_msrs),
		cmocka_unit_test(test_same_tsc),
		cmocka_unit_test(test_lapics),
		cmocka_unit_test(test_cpuid),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
