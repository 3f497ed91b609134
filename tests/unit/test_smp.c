// SPDX-License-Identifier: MIT
/* Several processors with guests of a few bytes: how one starts another, waits, and what ends the run. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dlfcn.h>
#include <errno.h>

#include "tests/unit/kvm_guest.h"

/*
 * Two processors: the first sends INIT and SIPI (SDM vol. 3A 9.4) and halts; the second starts in real
 * mode, reads a port, and ends the run. What it met is on its own track, with numbers of the machine's.
 */
static void test_second_processor(void **state)
{
	static const char first[] = "\xbf\x00\x03\xe0\xfe"         /* mov $0xfee00300, %edi: ICR */
				    "\xc7\x47\x10\x00\x00\x00\x01" /* movl $1 << 24, 0x10(%rdi) */
				    "\xc7\x07\x00\x45\x00\x00"     /* movl $0x4500, (%rdi): INIT */
				    "\xe6\x80"                     /* out %al, $0x80 */
				    "\xc7\x07\x10\x46\x00\x00"     /* movl $0x4610, (%rdi): SIPI */
				    "\xfa\xf4\xeb\xfd";            /* cli; hlt; jmp to the hlt */
	static const char second[] = "\xe4\x80" EXIT;              /* in $0x80, %al */
	struct fixture *f = make_cpus(2, first, sizeof(first) - 1);
	const struct ew_rec *io = NULL, *r;
	uint64_t last = 0;

	(void)state;
	memcpy(f->m.mem.host + 0x10000, second, sizeof(second) - 1);
	assert_int_equal(run(f), EW_STOP_GUEST_EXIT);
	assert_int_equal(f->m.cpus.stop.status, 7);
	assert_int_equal(f->m.cpus.stop.vcpu, 1);
	for (unsigned i = 0; (r = nth_of(&f->second, EW_RUN_EXIT, i)); i++) {
		assert_true(r->a[0] > last);
		last = r->a[0];
		if (r->a[1] == KVM_EXIT_IO && !io)
			io = r;
	}
	assert_non_null(io);
	/* No page tables in real mode: no bytes of code rather than wrong ones. */
	assert_int_equal(f->second.exit[io - f->second.rec].insn_ok, 0);
	assert_int_equal(nth_of(&f->second, EW_GUEST_EXIT, 0)->a[0], 7);
	assert_null(nth(f, EW_GUEST_EXIT, 0));
	/* Each number once; the end of the machine is told by the first. */
	assert_int_equal(f->m.cpus.exits, f->m.cpus.vcpu[0].exits + f->m.cpus.vcpu[1].exits);
	assert_int_equal(nth(f, EW_MACHINE_STOP, 0)->a[0], EW_STOP_GUEST_EXIT);
	assert_null(nth_of(&f->second, EW_MACHINE_STOP, 0));
	drop(f);
}

/*
 * An NMI for a processor that waits for INIT wakes it up, cannot be delivered, and wakes it up again: KVM_RUN
 * fails with EAGAIN for ever. The run goes on all the same, and the recording is not filled with that.
 */
static void test_processor_cannot_sleep(void **state)
{
	static const char code[] = "\xbf\x00\x03\xe0\xfe"         /* mov $0xfee00300, %edi: ICR */
				   "\xc7\x47\x10\x00\x00\x00\x01" /* movl $1 << 24, 0x10(%rdi) */
				   "\xc7\x07\x00\x44\x00\x00"     /* movl $0x4400, (%rdi): NMI */
				   "\xfa\xf4\xeb\xfd";            /* cli; hlt; jmp to the hlt */
	struct fixture *f = make_cpus(2, code, sizeof(code) - 1);

	(void)state;
	assert_int_equal(run(f), EW_STOP_TIMEOUT);
	/* A hundred at once, then a hundred a second; hundreds of thousands a second without that. */
	assert_true(f->m.cpus.vcpu[1].exits < 10000);
	assert_int_equal(f->m.cpus.exits, f->m.cpus.vcpu[0].exits + f->m.cpus.vcpu[1].exits);
	drop(f);
}

/* A processor that is never started waits in KVM_RUN: it must not spin, and the end must reach it. */
static void test_processor_waits(void **state)
{
	struct fixture *f = make_cpus(2, EXIT, 5);
	const struct ew_rec *r;

	(void)state;
	assert_int_equal(run(f), EW_STOP_GUEST_EXIT);
	assert_int_equal(f->m.cpus.stop.vcpu, 0);
	assert_true(f->m.cpus.vcpu[1].exits <= 1);
	r = nth_of(&f->second, EW_RUN_ENTER, 0);
	assert_true(!r || r->a[0] == 0);
	drop(f);
}

/* A host without room for another thread. */
static bool no_threads;

int pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*start)(void *), void *arg)
{
	int (*create)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);

	if (no_threads)
		return EAGAIN;
	*(void **)&create = dlsym(RTLD_NEXT, "pthread_create");
	return create(thread, attr, start, arg);
}

/* Two of three get no thread: the guest does not run, and the machine says which and why. */
static void test_no_thread(void **state)
{
	struct fixture *f = make_cpus(3, EXIT, 5);

	(void)state;
	no_threads = true;
	assert_int_equal(machine_run(&f->m), EW_STOP_NO_THREAD);
	no_threads = false;
	assert_int_equal(f->m.cpus.stop.status, EAGAIN);
	assert_int_equal(f->m.cpus.stop.vcpu, 1);
	assert_int_equal(f->m.cpus.exits, 0);
	assert_int_equal(nth(f, EW_MACHINE_STOP, 0)->a[0], EW_STOP_NO_THREAD);
	drop(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_second_processor),
		cmocka_unit_test(test_processor_waits),
		cmocka_unit_test(test_processor_cannot_sleep),
		cmocka_unit_test(test_no_thread),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
