// SPDX-License-Identifier: MIT
/*
 * The machine with guests of a few bytes: what the vCPU loop does with string I/O, MMIO, markers,
 * HLT, triple faults and instructions that KVM cannot emulate. Skipped where /dev/kvm cannot be used.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "tests/unit/kvm_guest.h"
#include "vmm/diag.h"
#include "vmm/guest_abi.h"
#include "vmm/layout.h"

static void test_exit_status(void **state)
{
	struct fixture *f = make(EXIT, 5);
	const struct ew_exit_payload *x;

	(void)state;
	assert_int_equal(run(f), EW_STOP_GUEST_EXIT);
	assert_int_equal(f->m.cpus.stop.status, 7);
	assert_int_equal(f->m.cpus.exits, 1);
	x = nth_exit(f, 0);
	assert_int_equal(x->space, EW_SPACE_PIO);
	assert_int_equal(x->addr, EW_EXIT_PORT);
	assert_int_equal(x->is_write, 1);
	assert_int_equal(x->value, 7);
	assert_int_equal(x->insn_ok, 3);
	/* RIP is at the OUT or behind it, and the bytes are those of the guest's memory. */
	assert_in_range(x->rip, CODE + 2, CODE + 4);
	assert_memory_equal(x->insn, f->m.mem.host + x->rip - 8, 24);
	assert_int_equal(nth(f, EW_GUEST_EXIT, 0)->a[0], 7);
	assert_int_equal(nth(f, EW_MACHINE_STOP, 0)->a[0], EW_STOP_GUEST_EXIT);
	drop(f);
}

/* Without KVM_CAP_SYNC_REGS the same is recorded, by system calls. */
static void test_without_sync_regs(void **state)
{
	struct fixture *f = make(EXIT, 5);
	const struct ew_exit_payload *x;

	(void)state;
	f->m.cpus.vcpu[0].sync_regs = 0;
	assert_int_equal(run(f), EW_STOP_GUEST_EXIT);
	x = nth_exit(f, 0);
	assert_in_range(x->rip, CODE + 2, CODE + 4);
	assert_int_equal(x->insn_ok, 3);
	assert_memory_equal(x->insn, f->m.mem.host + x->rip - 8, 24);
	drop(f);
}

/*
 * One kernel address, two page tables, two pages of code. The guest makes so many exits with the first
 * that CR3 no longer comes along, then loads the second without an exit: the bytes recorded must be
 * those that were executed, not those that stood there before.
 */
enum { TABLES = 0x200000, PAGES = 0x220000, HIGH_OUT = 0x100, LOOPS = 100 };

static void map_high(struct guest_mem *m, uint64_t tables, uint64_t page)
{
	uint64_t *t = (uint64_t *)(m->host + tables);

	/* PML4 511 → PDPT 510 → PD 0 → PT 0, and the machine's identity map below. */
	memset(t, 0, 4 * 4096);
	t[0] = LAYOUT_PDPT | 3;
	t[511] = (tables + 0x1000) | 3;
	t[512 + 510] = (tables + 0x2000) | 3;
	t[1024] = (tables + 0x3000) | 3;
	t[1536] = page | 3;
}

static void test_cr3_changes(void **state)
{
	static const char low[] = "\xb8\x00\x00\x20\x00"         /* mov $TABLES, %eax */
				  "\x0f\x22\xd8"                 /* mov %rax, %cr3 */
				  "\xb9\x64\x00\x00\x00"         /* mov $LOOPS, %ecx */
				  "\x48\xc7\xc3\x00\x00\x00\x80" /* mov $0xffffffff80000000, %rbx */
				  "\xff\xe3"                     /* jmp *%rbx */
				  /* CODE + 22, back from the first page: */
				  "\xb8\x00\x40\x20\x00"         /* mov $TABLES + 0x4000, %eax */
				  "\x0f\x22\xd8"                 /* mov %rax, %cr3 */
				  "\x48\x81\xc3\x00\x01\x00\x00" /* add $HIGH_OUT, %rbx */
				  "\xff\xe3";                    /* jmp *%rbx */
	static const char loop[] = "\xe6\x80"                    /* out %al, $0x80 */
				   "\xff\xc9\x75\xfa"            /* dec %ecx; jnz loop */
				   "\xb8\x16\x00\x10\x00"        /* mov $CODE + 22, %eax */
				   "\xff\xe0";                   /* jmp *%rax */
	const struct ew_exit_payload *x;
	struct fixture *f;

	(void)state;
	f = make(low, sizeof(low));
	map_high(&f->m.mem, TABLES, PAGES);
	map_high(&f->m.mem, TABLES + 0x4000, PAGES + 0x1000);
	memset(f->m.mem.host + PAGES, 0x90, 0x2000);
	memcpy(f->m.mem.host + PAGES, loop, sizeof(loop) - 1);
	memcpy(f->m.mem.host + PAGES + 0x1000 + HIGH_OUT, EXIT, 5);
	assert_int_equal(run(f), EW_STOP_GUEST_EXIT);
	assert_int_equal(f->m.cpus.exits, LOOPS + 1);
	for (unsigned i = 0; i <= LOOPS; i++) {
		uint64_t page = i < LOOPS ? PAGES : PAGES + 0x1000;

		x = nth_exit(f, i);
		if (x->insn_ok & 1)
			assert_memory_equal(
				x->insn, f->m.mem.host + page + (x->rip & 0xfff) - 8, 8);
		assert_int_equal(x->insn_ok & 2, 2);
		assert_memory_equal(x->insn + 8, f->m.mem.host + page + (x->rip & 0xfff), 16);
	}
	/* The guess was indeed stale at the last exit, or this has tested nothing. */
	assert_int_equal(f->m.cpus.vcpu[0].cr3, TABLES + 0x4000);
	drop(f);
}

/* rep outsb of 5 bytes: one exit or several, but five dispatches with the bytes in order. */
static void test_string_io(void **state)
{
	static const char code[] = "\xbe\x80\x00\x10\x00" /* mov $DATA, %esi */
				   "\xb9\x05\x00\x00\x00" /* mov $5, %ecx */
				   "\x66\xba\x80\x00"     /* mov $0x80, %dx */
				   "\xf3\x6e" EXIT;       /* rep outsb */
	struct fixture *f;
	uint64_t repetitions = 0;

	(void)state;
	f = make(code, sizeof(code));
	memcpy(f->m.mem.host + DATA, "hello", 5);
	assert_int_equal(run(f), EW_STOP_GUEST_EXIT);
	for (unsigned i = 0; nth_exit(f, i); i++)
		if (nth_exit(f, i)->addr == EW_POST_PORT)
			repetitions += nth_exit(f, i)->count;
	assert_int_equal(repetitions, 5);
	for (unsigned i = 0; i < 5; i++) {
		assert_int_equal(nth(f, EW_DISPATCH, i)->a[1], EW_POST_PORT);
		assert_int_equal(nth(f, EW_DISPATCH_END, i)->a[2], "hello"[i]);
	}
	assert_int_equal(nth(f, EW_DISPATCH, 5)->a[1], EW_EXIT_PORT);
	assert_null(nth(f, EW_DISPATCH, 6));
	drop(f);
}

/* rep insb from a port that nobody has: all ones arrive at each place, and no more. */
static void test_string_in(void **state)
{
	static const char code[] = "\xbf\x80\x00\x10\x00" /* mov $DATA, %edi */
				   "\xb9\x03\x00\x00\x00" /* mov $3, %ecx */
				   "\x66\xba\x34\x12"     /* mov $0x1234, %dx */
				   "\xf3\x6c" EXIT;       /* rep insb */
	struct fixture *f;

	(void)state;
	f = make(code, sizeof(code));
	memset(f->m.mem.host + DATA, 0, 8);
	assert_int_equal(run(f), EW_STOP_GUEST_EXIT);
	assert_memory_equal(f->m.mem.host + DATA, "\xff\xff\xff\0\0", 5);
	assert_int_equal(nth(f, EW_GUEST_ERROR, 2)->a[0], EW_GERR_UNCLAIMED);
	drop(f);
}

/* A store and a load beyond memory: MMIO that nobody claims. */
static void test_mmio(void **state)
{
	static const char code[] = "\xbf\x00\x00\x00\xd0"  /* mov $0xd0000000, %edi */
				   "\xb8\x78\x56\x34\x12"  /* mov $0x12345678, %eax */
				   "\x89\x07"              /* mov %eax, (%rdi) */
				   "\x8b\x1f"              /* mov (%rdi), %ebx */
				   "\x89\xd8\xe6\xf4\xf4"; /* mov %ebx, %eax; out %al, $0xf4; hlt */
	struct fixture *f = make(code, sizeof(code));
	const struct ew_exit_payload *x;

	(void)state;
	assert_int_equal(run(f), EW_STOP_GUEST_EXIT);
	assert_int_equal(f->m.cpus.stop.status, 0xff);
	x = nth_exit(f, 0);
	assert_int_equal(x->space, EW_SPACE_MMIO);
	assert_int_equal(x->addr, 0xd0000000);
	assert_int_equal(x->size, 4);
	assert_int_equal(x->value, 0x12345678);
	x = nth_exit(f, 1);
	assert_int_equal(x->space, EW_SPACE_MMIO);
	assert_int_equal(x->is_write, 0);
	drop(f);
}

/* Markers by address: a good one, one outside memory, one without the magic. */
static void test_markers(void **state)
{
	static const char code[] = "\x66\xba\x00\x0b"     /* mov $EW_MARKER_PORT, %dx */
				   "\xb8\x80\x00\x10\x00" /* mov $DATA, %eax */
				   "\xef"                 /* out %eax, %dx */
				   "\xb8\x00\x00\x00\xf0" /* mov $0xf0000000, %eax */
				   "\xef"
				   "\xb8\x00\x00\x10\x00" /* mov $CODE, %eax */
				   "\xef"
				   "\xee" EXIT; /* out %al, %dx: the wrong size */
	struct ew_marker marker = {
		.magic = EW_MARKER_MAGIC,
		.version = 1,
		.phase = EW_MARKER_EXIT,
		.nr = 18,
		.pid = 5,
		.args = {3, 0, 512},
		.ret = -5,
	};
	const struct ew_rec *r;
	struct fixture *f;

	(void)state;
	memset(marker.comm, 'c', sizeof(marker.comm)); /* no NUL: the machine ends it */
	f = make(code, sizeof(code));
	memcpy(f->m.mem.host + DATA, &marker, sizeof(marker));
	assert_int_equal(run(f), EW_STOP_GUEST_EXIT);
	r = nth(f, EW_MARKER, 0);
	assert_int_equal(r->a[0], EW_MARKER_EXIT);
	assert_int_equal(r->a[1], 18);
	assert_int_equal((int64_t)r->a[3], -5);
	assert_int_equal(r->a[5], 512);
	assert_int_equal(f->tape.marker.pid, 5);
	assert_string_equal(f->tape.marker.comm, "ccccccccccccccc");
	assert_null(nth(f, EW_MARKER, 1));
	assert_int_equal(nth(f, EW_GUEST_ERROR, 0)->a[0], EW_GERR_MARKER_ADDRESS);
	assert_int_equal(nth(f, EW_GUEST_ERROR, 0)->a[2], 0xf0000000);
	assert_int_equal(nth(f, EW_GUEST_ERROR, 1)->a[0], EW_GERR_MARKER_MAGIC);
	assert_int_equal(nth(f, EW_GUEST_ERROR, 2)->a[0], EW_GERR_BAD_SIZE);
	drop(f);
}

/* What diag_print says. */
static char *explanation(struct fixture *f)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	assert_non_null(out);
	diag_print(out, &f->m.cpus);
	fclose(out);
	return text;
}

static void assert_says(const char *text, const char *what)
{
	if (!strstr(text, what))
		fail_msg("'%s' is missing in:\n%s", what, text);
}

/* HLT with interrupts off stays in KVM for ever: only the watch ends it. */
static void test_halt_for_ever(void **state)
{
	struct fixture *f = make("\xfa\xf4\xeb\xfd", 4); /* cli; hlt; jmp to the hlt */
	char *text;

	(void)state;
	assert_int_equal(run(f), EW_STOP_TIMEOUT);
	assert_int_equal(f->m.cpus.exits, 1);
	assert_int_equal(nth(f, EW_RUN_EXIT, 0)->a[1], KVM_EXIT_INTR);
	text = explanation(f);
	assert_says(text, "jmp 0x0000000000100001");
	assert_says(text, "KVM_EXIT_INTR");
	free(text);
	drop(f);
}

static void test_triple_fault(void **state)
{
	struct fixture *f = make("\xe6\x80\x0f\x0b", 4); /* out %al, $0x80; ud2, without an IDT */
	char *text;

	(void)state;
	assert_int_equal(run(f), EW_STOP_SHUTDOWN);
	text = explanation(f);
	assert_says(text, "triple fault");
	assert_says(text, "2 KVM_EXIT_SHUTDOWN");
	assert_says(text, "1 KVM_EXIT_IO write to port 0x80, 1 byte, rip 0x10000");
	free(text);
	drop(f);
}

/* Code fetched from an address that is no memory: every KVM gives up with INTERNAL_ERROR. */
static void test_internal_error(void **state)
{
	struct fixture *f = make(
		"\xb8\x00\x00\x00\xd0\xff\xe0", 7); /* mov $0xd0000000, %eax; jmp *%rax */
	char *text;

	(void)state;
	assert_int_equal(run(f), EW_STOP_INTERNAL_ERROR);
	text = explanation(f);
	assert_says(text, "KVM_EXIT_INTERNAL_ERROR");
	assert_says(text, "suberror 1 (KVM_INTERNAL_ERROR_EMULATION");
	assert_says(text, "rip    00000000d0000000");
	assert_says(text, "rip is not in mapped memory");
	free(text);
	drop(f);
}

/* KVM_RUN fails: the exit that is recorded for it must not be the one before it once more. */
static void test_run_fails(void **state)
{
	struct fixture *f = make(EXIT, 5);
	struct vcpu *v = &f->m.cpus.vcpu[0];
	int vcpu_fd = v->fd;

	(void)state;
	v->fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	v->run->exit_reason = KVM_EXIT_IO;
	v->run->io.port = EW_EXIT_PORT;
	assert_int_equal(run(f), EW_STOP_RUN_FAILED);
	assert_int_equal(f->m.cpus.stop.status, ENOTTY);
	assert_int_equal(nth(f, EW_RUN_EXIT, 0)->a[1], KVM_EXIT_UNKNOWN);
	assert_int_equal(nth_exit(f, 0)->space, EW_SPACE_MAX);
	assert_int_equal(v->history[1].reason, KVM_EXIT_UNKNOWN);
	close(v->fd);
	v->fd = vcpu_fd;
	drop(f);
}

/* The first reason wins, and a stop before the first KVM_RUN keeps the guest from running. */
static void test_stop_before_start(void **state)
{
	struct fixture *f = make(EXIT, 5);

	(void)state;
	stop_ask(&f->m.cpus.stop, EW_STOP_SIGNAL, 0, STOP_NO_VCPU);
	stop_ask(&f->m.cpus.stop, EW_STOP_TIMEOUT, 0, STOP_NO_VCPU);
	assert_int_equal(run(f), EW_STOP_SIGNAL);
	assert_int_equal(f->m.cpus.exits, 0);
	assert_int_equal(nth(f, EW_MACHINE_STOP, 0)->a[0], EW_STOP_SIGNAL);
	drop(f);
}

static void test_port_io_bytes(void **state)
{
	static const struct {
		const char *bytes;
		unsigned ok;
		bool is;
	} t[] = {
		{"\x90\x90\x90\x90\x90\x90\x66\xef\xc3", 3, true}, /* out %ax, %dx right before */
		{"\x90\x90\x90\x90\x90\x90\x90\x90\x66\xef", 3, true}, /* at rip, with a prefix */
		{"\x90\x90\x90\x90\x90\x90\xe6\x80\x90", 3, true},
		{"\x90\x90\x90\x90\x90\x90\x90\x90\xf3\x48\x6e", 3, true},
		{"\x90\x90\x90\x90\x90\x90\x90\x90\x90\xef", 3, false}, /* one later */
		{"\x90\x90\x90\x90\x90\x90\x90\xef\x90", 2, false},     /* the half is not there */
		{"\x90\x90\x90\x90\x90\x90\x90\x90\xef", 1, false},
		{"\x66\x66\x66\x66\x66\x66\x66\x66\x66", 3, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		uint8_t insn[24] = {0};

		memcpy(insn, t[i].bytes, strlen(t[i].bytes));
		assert_int_equal(insn_is_port_io(insn, t[i].ok), t[i].is);
	}
}

/* Before the first KVM_RUN and after the last: the guest runs only between. */
static void test_tsc_offset(void **state)
{
	struct fixture *f = make(EXIT, 5);
	const struct ew_rec *first = &f->tape.rec[2], *last;
	uint64_t offset = 0;
	const struct kvm_device_attr attr = {.group = KVM_VCPU_TSC_CTRL,
		.attr = KVM_VCPU_TSC_OFFSET,
		.addr = (uintptr_t)&offset};

	(void)state;
	if (ioctl(f->m.cpus.vcpu[0].fd, KVM_GET_DEVICE_ATTR, &attr)) {
		drop(f);
		skip(); /* before Linux 5.16 */
	}
	machine_record_tsc(&f->m);
	assert_int_equal(run(f), EW_STOP_GUEST_EXIT);
	assert_int_equal(first->kind, EW_TSC_OFFSET); /* behind machine_start and thread */
	assert_int_equal(first[1].kind, EW_RUN_ENTER);
	last = &f->tape.rec[f->tape.n - 2];
	assert_int_equal(last->kind, EW_TSC_OFFSET);
	assert_int_equal(last[1].kind, EW_MACHINE_STOP);
	assert_int_equal(first->a[0], 0);
	assert_true(first->a[1] == offset && last->a[1] == offset);
	assert_true(first->a[2] > 0);
	drop(f);
}

/* Who does not ask for it has no such events. */
static void test_no_tsc_offset(void **state)
{
	struct fixture *f = make(EXIT, 5);

	(void)state;
	assert_int_equal(run(f), EW_STOP_GUEST_EXIT);
	for (unsigned i = 0; i < f->tape.n; i++)
		assert_int_not_equal(f->tape.rec[i].kind, EW_TSC_OFFSET);
	drop(f);
}

static void test_exit_names(void **state)
{
	(void)state;
	assert_string_equal(exit_name(KVM_EXIT_IO), "KVM_EXIT_IO");
	assert_string_equal(exit_name(KVM_EXIT_INTERNAL_ERROR), "KVM_EXIT_INTERNAL_ERROR");
	assert_string_equal(exit_name(0xffffffff), "unknown exit reason");
	assert_string_equal(stop_text(EW_STOP_TIMEOUT), "--timeout ran out");
	assert_string_equal(stop_text((enum ew_stop)0), "unknown reason");
	assert_string_equal(stop_text(EW_STOP_MAX), "unknown reason");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_exit_status),
		cmocka_unit_test(test_without_sync_regs),
		cmocka_unit_test(test_cr3_changes),
		cmocka_unit_test(test_string_io),
		cmocka_unit_test(test_string_in),
		cmocka_unit_test(test_mmio),
		cmocka_unit_test(test_markers),
		cmocka_unit_test(test_halt_for_ever),
		cmocka_unit_test(test_triple_fault),
		cmocka_unit_test(test_internal_error),
		cmocka_unit_test(test_run_fails),
		cmocka_unit_test(test_stop_before_start),
		cmocka_unit_test(test_port_io_bytes),
		cmocka_unit_test(test_tsc_offset),
		cmocka_unit_test(test_no_tsc_offset),
		cmocka_unit_test(test_exit_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
