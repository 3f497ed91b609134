/* SPDX-License-Identifier: MIT */
/*
 * The VMM's own words and the host's tracepoints, joined by the recorder: one row of vm_exit for each exit,
 * in every order in which they can come, and what `check` says of it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <linux/kvm.h>
#include <string.h>

#include "tests/lib/scratch.h"
#include "tracer/check.h"
#include "tracer/host_trace.h"
#include "tracer/hw_exit.h"
#include "tracer/recorder.h"
#include "tracer/recorder_host.h"

#define VCPUS 2
#define TID 100 /* + the vCPU's number */
#define RIP 0xffffffff81000000u

struct tape {
	struct scratch s;
	struct recorder *recorder;
	struct recorder_host *host;
	struct probe *vcpu[VCPUS];
	uint64_t number; /* of the VMM's last exit, over all vCPUs */
	uint64_t at[VCPUS];
	struct recording rec;
	struct err e;
};

static void begin(struct tape *t)
{
	const struct recorder_opts o = {.ring_slots = 4096};

	memset(t, 0, sizeof(*t));
	scratch_make(&t->s);
	assert_int_equal(recorder_open(&t->recorder, t->s.file, &o, &t->e), 0);
	recorder_meta(t->recorder, "host_trace", "on");
	for (int i = 0; i < VCPUS; i++)
		t->vcpu[i] = recorder_track(t->recorder, "vcpu", i, "vCPU");
	assert_int_equal(recorder_host_create(&t->host, t->recorder, &t->e), 0);
	recorder_host_until(t->host, 0); /* nothing is stored before the test says */
	assert_int_equal(recorder_start(t->recorder, &t->e), 0);
	for (int i = 0; i < VCPUS; i++) {
		PROBE_AT(t->vcpu[i], 1, EW_THREAD, (uint64_t)(TID + i));
		recorder_host_task(t->host, 2, (uint32_t)(TID + i), "not this name");
	}
}

static void finish(struct tape *t)
{
	recorder_host_until(t->host, UINT64_MAX);
	if (recorder_finish(t->recorder, &t->e))
		fail_msg("%s", t->e.msg);
	recorder_free(t->recorder);
	if (recording_open(&t->rec, t->s.file, &t->e))
		fail_msg("%s", t->e.msg);
}

static void end(struct tape *t)
{
	recording_close(&t->rec);
	scratch_remove(&t->s);
}

/* --- what is said ----------------------------------------------------------------------------- */

static void host(struct tape *t, int vcpu, uint64_t ts, enum ew_kind kind, uint64_t a0, uint64_t a1,
	uint64_t a2, uint64_t a3, uint64_t a4)
{
	struct host_event ev = {
		.rec = {.ts = ts, .kind = (uint16_t)kind, .a = {a0, a1, a2, a3, a4}},
		.task = (uint32_t)(TID + vcpu),
		.vcpu = HOST_NO_VCPU,
		.present = 0x1f};

	assert_int_equal(recorder_host_event(t->host, &ev), 0);
}

static void hw_exit(struct tape *t, int vcpu, uint64_t ts, uint64_t reason, uint64_t info1)
{
	host(t, vcpu, ts, EW_KVM_EXIT, 0, HW_VMX, reason, RIP, info1);
}

static void hw_entry(struct tape *t, int vcpu, uint64_t ts)
{
	host(t, vcpu, ts, EW_KVM_ENTRY, 0, (uint64_t)vcpu, RIP, 0, 0);
}

static void says_return(struct tape *t, int vcpu, uint64_t ts, uint64_t reason, int64_t error)
{
	host(t, vcpu, ts, EW_KVM_USERSPACE_EXIT, reason, (uint64_t)error, 0, 0, 0);
}

static void pio(struct tape *t, int vcpu, uint64_t ts, uint64_t port, uint64_t size)
{
	host(t, vcpu, ts, EW_KVM_PIO, 1, port, size, 1, 0x55);
}

static void returns(struct tape *t, int vcpu, uint64_t ts, uint64_t reason, uint64_t port)
{
	/* 90: nop; 66 ef: out dx, ax */
	struct ew_exit_payload p = {.rip = RIP,
		.addr = port,
		.value = 0x55,
		.count = 1,
		.size = 2,
		.space = reason == KVM_EXIT_IO ? EW_SPACE_PIO : EW_SPACE_MAX,
		.is_write = 1,
		.insn_ok = 3,
		.insn = {0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x66, 0xef, 0x90}};

	PROBE_DATA(t->vcpu[vcpu], ts, EW_RUN_EXIT, &p, sizeof(p), ++t->number, reason);
	t->at[vcpu] = t->number;
}

static void enters(struct tape *t, int vcpu, uint64_t ts)
{
	PROBE_AT(t->vcpu[vcpu], ts, EW_RUN_ENTER, t->at[vcpu]);
}

/* --- what came of it -------------------------------------------------------------------------- */

#define ROWS                                                                                       \
	"SELECT group_concat(printf('%d:%s:%s:%d-%s', id, ifnull(hw_reason, '-'), "                \
	"ifnull(kvm_reason, '-'), t_exit, ifnull(t_entry, '')), ' ') FROM (SELECT * FROM vm_exit " \
	"ORDER BY id)"

static void expect_rows(struct tape *t, const char *rows)
{
	assert_string_equal(query_text(t->rec.db, ROWS), rows);
}

/* Everything that check_joined_events() says, in one text. */
static unsigned checked(struct tape *t, char *text, size_t size)
{
	FILE *f = fmemopen(text, size, "w");
	struct textout out = {.f = f, .ascii = true};
	struct check c = {.db = t->rec.db, .recording = &t->rec, .out = &out};

	assert_true(host_trace_joined(t->rec.db));
	assert_int_equal(check_joined_events(&c, &t->e), 0);
	fclose(f);
	return c.failures;
}

static void expect_whole(struct tape *t)
{
	char text[4096];

	if (checked(t, text, sizeof(text)))
		fail_msg("%s", text);
}

static void expect_failure(struct tape *t, const char *words)
{
	char text[4096];

	if (!checked(t, text, sizeof(text)) || !strstr(text, words))
		fail_msg("no '%s' in: %s", words, text);
}

/* vCPU 0 runs its guest. */
static void begin_in_guest(struct tape *t)
{
	begin(t);
	enters(t, 0, 10);
	hw_entry(t, 0, 11);
}

/* The guest's OUT. */
static void traps(struct tape *t, int vcpu, uint64_t ts)
{
	hw_exit(t, vcpu, ts, HW_VMX_IO, 0xc0100001);
	pio(t, vcpu, ts + 1, 0xc010, 2);
}

/* And served by the VMM. */
static void notify(struct tape *t, int vcpu, uint64_t ts)
{
	traps(t, vcpu, ts);
	says_return(t, vcpu, ts + 2, KVM_EXIT_IO, 0);
	returns(t, vcpu, ts + 3, KVM_EXIT_IO, 0xc010);
	PROBE_AT(t->vcpu[vcpu], ts + 4, EW_DISPATCH, EW_SPACE_PIO, 0xc010, 7, 0, 2, 1);
	PROBE_AT(t->vcpu[vcpu], ts + 5, EW_DISPATCH_END, 7, 0, 0x55);
	enters(t, vcpu, ts + 6);
	hw_entry(t, vcpu, ts + 7);
}

static void one_row_of_both(void **state)
{
	struct tape t;

	(void)state;
	begin_in_guest(&t);
	notify(&t, 0, 100);
	hw_exit(&t, 0, 200, 1, 0); /* an interrupt of the host: KVM serves it */
	hw_entry(&t, 0, 210);
	notify(&t, 0, 300);
	finish(&t);
	expect_rows(&t, "1:30:2:100-107 2:1:-:200-210 3:30:2:300-307");
	assert_int_equal(
		query_int(t.rec.db,
			"SELECT count(*) FROM vm_exit WHERE isa = 1 AND hw_qual = 0xc0100001 AND rip = "
			"0xffffffff81000000 AND insn_rip = rip AND hex(insn) = '66EF' AND space = 0 AND addr = "
			"0xc010 AND size = 2 AND value = 0x55 AND region = 7 AND result = 0 AND t_dispatch = t_exit "
			"+ 4 AND t_done = t_exit + 5 AND track = 1"),
		2);
	/* run_exit and run_enter name the exit by its new number; everything between is in it. */
	assert_string_equal(
		query_text(t.rec.db, "SELECT group_concat(exit_id) FROM event WHERE ts BETWEEN "
				     "300 AND 307"),
		"3,3,3,3,3,3,3,3");
	assert_string_equal(
		query_text(t.rec.db, "SELECT group_concat(a0) FROM event WHERE kind IN (1, 2)"),
		"0,1,1,3,3");
	assert_int_equal(query_int(t.rec.db, "SELECT count(*) FROM track"), VCPUS);
	expect_whole(&t);
	end(&t);
}

/* Numbers are given in the order of time, over all vCPUs. */
static void two_vcpus(void **state)
{
	struct tape t;

	(void)state;
	begin(&t);
	for (int i = 0; i < VCPUS; i++)
		enters(&t, i, 10u + (unsigned)i);
	hw_exit(&t, 0, 100, HW_VMX_IO, 0xc0100001);
	hw_exit(&t, 1, 101, 10, 0);
	pio(&t, 0, 102, 0xc010, 2);
	says_return(&t, 0, 103, KVM_EXIT_IO, 0);
	returns(&t, 0, 104, KVM_EXIT_IO, 0xc010);
	hw_entry(&t, 1, 105);
	hw_exit(&t, 1, 106, HW_VMX_IO, 0xc0100001);
	pio(&t, 1, 107, 0xc010, 2);
	says_return(&t, 1, 108, KVM_EXIT_IO, 0);
	returns(&t, 1, 109, KVM_EXIT_IO, 0xc010);
	enters(&t, 1, 110);
	hw_entry(&t, 1, 111);
	enters(&t, 0, 112);
	hw_entry(&t, 0, 113);
	finish(&t);
	expect_rows(&t, "1:30:2:100-113 2:10:-:101-105 3:30:2:106-111");
	expect_whole(&t);
	end(&t);
}

/* A string instruction to a device in the kernel: the row is of the first access, and counts all. */
static void several_accesses(void **state)
{
	struct tape t;

	(void)state;
	begin(&t);
	enters(&t, 0, 10);
	hw_entry(&t, 0, 11);
	hw_exit(&t, 0, 100, HW_VMX_IO, 0x00400030);
	for (unsigned i = 0; i < 3; i++)
		host(&t, 0, 101 + i, EW_KVM_PIO, 1, 0x40, 1, 1, 0x55 + i);
	hw_entry(&t, 0, 110);
	finish(&t);
	expect_rows(&t, "1:30:-:100-110");
	assert_string_equal(
		query_text(t.rec.db,
			"SELECT printf('0x%x %d %d 0x%x', addr, size, count, value) FROM vm_exit"),
		"0x40 1 3 0x55");
	end(&t);
}

/* One exit, several returns: the pieces of a string instruction, a signal before the entry. */
static void several_returns(void **state)
{
	struct tape t;

	(void)state;
	begin_in_guest(&t);
	traps(&t, 0, 100);
	for (uint64_t ts = 110; ts < 140; ts += 10) {
		says_return(&t, 0, ts, KVM_EXIT_IO, 0);
		returns(&t, 0, ts + 1, KVM_EXIT_IO, 0xc010);
		enters(&t, 0, ts + 2);
	}
	says_return(&t, 0, 150, KVM_EXIT_IO, -4); /* stale reason, EINTR */
	returns(&t, 0, 151, KVM_EXIT_INTR, 0);
	enters(&t, 0, 152);
	hw_entry(&t, 0, 160);
	finish(&t);
	expect_rows(&t, "1:30:2:100-160 2:-:2:121-122 3:-:2:131-132 4:-:10:151-152");
	expect_whole(&t);
	end(&t);
}

/* A signal ends KVM_RUN in an exit that has no reason for user space. */
static void interrupted(void **state)
{
	struct tape t;

	(void)state;
	begin_in_guest(&t);
	hw_exit(&t, 0, 100, 1, 0);
	says_return(&t, 0, 101, KVM_EXIT_IO, -4);
	returns(&t, 0, 102, KVM_EXIT_INTR, 0);
	enters(&t, 0, 103);
	hw_entry(&t, 0, 104);
	hw_exit(&t, 0, 200, 48, 0);
	finish(&t);
	expect_rows(&t, "1:1:10:100-104 2:48:-:200-");
	expect_whole(&t);
	end(&t);
}

/* kvm_pvm: nothing says when the hardware exits, the returns are rows as ever. */
static void no_kvm_exit(void **state)
{
	struct tape t;

	(void)state;
	begin(&t);
	enters(&t, 0, 10);
	for (uint64_t ts = 100; ts < 300; ts += 100) {
		pio(&t, 0, ts, 0xc010, 2);
		says_return(&t, 0, ts + 1, KVM_EXIT_IO, 0);
		returns(&t, 0, ts + 2, KVM_EXIT_IO, 0xc010);
		host(&t, 0, ts + 3, EW_KVM_SET_IRQ, 11, 1, 0, 0, 0);
		enters(&t, 0, ts + 4);
	}
	finish(&t);
	expect_rows(&t, "1:-:2:102-104 2:-:2:202-204");
	assert_string_equal(
		query_text(t.rec.db,
			"SELECT group_concat(ifnull(exit_id, 0)) FROM event WHERE ts BETWEEN 200 AND 204"),
		"0,0,2,2,2");
	expect_whole(&t);
	end(&t);
}

/* After a loss nobody knows whether an entry was in it; what the VMM has goes on. */
static void records_lost(void **state)
{
	struct tape t;

	(void)state;
	begin_in_guest(&t);
	traps(&t, 0, 100);
	says_return(&t, 0, 102, KVM_EXIT_IO, 0);
	returns(&t, 0, 103, KVM_EXIT_IO, 0xc010);
	recorder_host_task(t.host, 110, HOST_TASK_CPU, "CPU 0");
	recorder_host_lost(t.host, HOST_TASK_CPU, 104, 110, 17); /* the VMM has the exit */
	enters(&t, 0, 120);
	hw_entry(&t, 0, 121);
	traps(&t, 0, 130);
	says_return(&t, 0, 132, KVM_EXIT_IO, 0);
	returns(&t, 0, 133, KVM_EXIT_IO, 0xc010);
	enters(&t, 0, 140);
	/* kvm_entry, an exit and its kvm_userspace_exit are lost */
	recorder_host_lost(t.host, HOST_TASK_CPU, 134, 150, 0);
	returns(&t, 0, 160, KVM_EXIT_IO, 0xc010);
	enters(&t, 0, 161);
	hw_entry(&t, 0, 162);
	notify(&t, 0, 200);
	finish(&t);
	expect_rows(&t, "1:30:2:100-120 2:30:2:130-140 3:-:2:160-161 4:30:2:200-207");
	assert_string_equal(
		query_text(t.rec.db,
			"SELECT group_concat(track || ' ' || ts0 || '-' || ts1 || ' ' || ifnull(n, '?')) FROM loss"),
		"3 104-110 17,3 134-150 ?");
	expect_whole(&t);
	end(&t);
}

/* A commit that comes in the middle of an exit leaves it as far as it is known. */
static void cut_off(void **state)
{
	struct tape t;

	(void)state;
	begin_in_guest(&t);
	traps(&t, 0, 100);
	says_return(&t, 0, 102, KVM_EXIT_IO, 0);
	returns(&t, 0, 103, KVM_EXIT_IO, 0xc010);
	PROBE_AT(t.vcpu[0], 104, EW_DISPATCH, EW_SPACE_PIO, 0xc010, 7, 0, 2, 1);
	recorder_host_until(t.host, UINT64_MAX);
	assert_int_equal(recorder_stop(t.recorder, &t.e), 0);
	recorder_free(t.recorder);
	assert_int_equal(recording_open(&t.rec, t.s.file, &t.e), 0);
	expect_rows(&t, "1:30:2:100-");
	assert_int_equal(
		query_int(t.rec.db, "SELECT t_dispatch FROM vm_exit WHERE region = 7"), 104);
	expect_whole(&t);
	end(&t);
}

/* --- disagreement ----------------------------------------------------------------------------- */

static void not_told(void **state)
{
	struct tape t;

	(void)state;
	begin_in_guest(&t);
	traps(&t, 0, 100);
	returns(&t, 0, 103, KVM_EXIT_IO, 0xc010);
	finish(&t);
	expect_failure(&t, "no kvm_userspace_exit says so");
	end(&t);
}

static void another_reason(void **state)
{
	struct tape t;

	(void)state;
	begin_in_guest(&t);
	hw_exit(&t, 0, 100, 12, 0);
	says_return(&t, 0, 101, KVM_EXIT_HLT, 0);
	returns(&t, 0, 103, KVM_EXIT_SHUTDOWN, 0);
	finish(&t);
	expect_failure(&t, "KVM_RUN returned with reason 8, kvm_userspace_exit said 5");
	end(&t);
}

static void another_port(void **state)
{
	struct tape t;

	(void)state;
	begin_in_guest(&t);
	traps(&t, 0, 100);
	says_return(&t, 0, 102, KVM_EXIT_IO, 0);
	returns(&t, 0, 103, KVM_EXIT_IO, 0xc012);
	finish(&t);
	expect_failure(&t, "KVM_RUN said port 0xc012, 2 bytes, kvm_pio 0xc010, 2");
	end(&t);
}

static void another_row(void **state)
{
	struct tape t;

	(void)state;
	begin_in_guest(&t);
	notify(&t, 0, 100);
	finish(&t);
	recording_close(&t.rec);
	assert_int_equal(sqlite3_open(t.s.file, &t.rec.db), SQLITE_OK);
	assert_int_equal(
		sqlite3_exec(t.rec.db, "UPDATE vm_exit SET hw_reason = 31", NULL, NULL, NULL), 0);
	expect_failure(&t, "vm_exit 1: hw_reason is 31, its events say 30");
	end(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_row_of_both),
		cmocka_unit_test(two_vcpus),
		cmocka_unit_test(several_accesses),
		cmocka_unit_test(several_returns),
		cmocka_unit_test(interrupted),
		cmocka_unit_test(no_kvm_exit),
		cmocka_unit_test(records_lost),
		cmocka_unit_test(cut_off),
		cmocka_unit_test(not_told),
		cmocka_unit_test(another_reason),
		cmocka_unit_test(another_port),
		cmocka_unit_test(another_row),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
