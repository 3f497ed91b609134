/* SPDX-License-Identifier: MIT */
/* The host's tracepoints in the path of a request: where they stand, what they make known, whose time it is. */
#include "tests/unit/derive_tape.h"

#define TRACED "block_bio_queue block_rq_issue"

static void blocks(struct tape *t, int64_t exit_id)
{
	on(t, 1);
	HOST(t, 2250, exit_id, BLOCK_BIO_QUEUE, 1, 4096, 1, 'W');
	HOST(t, 2260, exit_id, BLOCK_RQ_ISSUE, 1, 4096, 1, 'W', 512);
	on(t, 5); /* another task's context */
	EMIT(t, 2500, BLOCK_RQ_COMPLETE, 1, 4096, 1, 'W', 0);
	EMIT(t, 2510, BLOCK_RQ_COMPLETE, 1, 8192, 1, 'W', 0); /* somebody else's */
	on(t, 1);
}

/* one_write() of the tape, as kvm_intel traces it. */
static void traced_write(struct tape *t, bool on_disk, bool functions)
{
	int64_t kick_exit, isr;

	marker(t, 1000, EW_MARKER_ENTER, 0);
	run_enter(t, 1100);
	HOST(t, 1110, 1, KVM_ENTRY, 1, 0, 0x401000);
	kick_exit = t->exit_id + 1;
	if (functions)
		HOST(t, 1900, 0, HOST_FUNC, 0x100, 0x200);
	HOST(t, 1910, kick_exit, KVM_EXIT, kick_exit, 1, 30, IOWRITE16 + 6, 0xc0100001);
	HOST(t, 1920, kick_exit, KVM_PIO, 1, 0xc010, 2, 1, 0);
	HOST(t, 1930, kick_exit, KVM_USERSPACE_EXIT, 2, 0);
	kick(t, 2000, 1, 1);
	EMIT(t, 2200, QUEUE_POP, 1, 1, 0, 0, 1, 1);
	EMIT(t, 2220, REQUEST, 1, 1, 8, 512, 3, 0x5000);
	EMIT(t, 2230, HOST_CALL, 1, 18, 5, 512, 4096, 1);
	if (on_disk)
		blocks(t, kick_exit);
	EMIT(t, 2530, HOST_RET, 1, 18, 512);
	EMIT(t, 2540, REQ_STATUS, 1, 0, 0x6000);
	EMIT(t, 2550, QUEUE_USED, 1, 1, 0, 0, 1, 1);
	EMIT(t, 2600, ISR_SET, 1, 1);
	EMIT(t, 2610, IRQ_LINE, 11, 1, 1);
	HOST(t, 2620, kick_exit, KVM_SET_IRQ, 11, 1, 0);
	EMIT(t, 2660, IRQ_LINE_RET, 11, 1, 0);
	EMIT(t, 2670, DISPATCH_END, 3, 0, 0);
	run_enter(t, 3000);
	HOST(t, 3010, kick_exit, KVM_INJ_VIRQ, 43, 0, 0);
	HOST(t, 3020, kick_exit, KVM_ENTRY, kick_exit, 0, IOWRITE16 + 8);
	isr = t->exit_id + 1;
	HOST(t, 3910, isr, KVM_EXIT, isr, 1, 30, IOREAD8, 0xc0130008);
	HOST(t, 3930, isr, KVM_USERSPACE_EXIT, 2, 0);
	run_exit(t, 4000, 0xc013, false, 1);
	EMIT(t, 4020, ISR_READ, 1, 1);
	run_enter(t, 4100);
	HOST(t, 4110, isr, KVM_ENTRY, isr, 0, IOREAD8 + 1);
	HOST(t, 5910, t->exit_id + 1, KVM_EXIT, t->exit_id + 1, 1, 30, USER_WRITE, 0xb000003);
	HOST(t, 5930, t->exit_id + 1, KVM_USERSPACE_EXIT, 2, 0);
	marker(t, 6000, EW_MARKER_EXIT, 512);
	run_enter(t, 6100);
}

static void trace_meta(struct tape *t)
{
	sql(t, "INSERT OR REPLACE INTO meta VALUES('host_trace.events', '" TRACED "')");
	sql(t, "INSERT INTO track VALUES(5, 'idle', NULL, 'swapper/0')");
}

static void steps_of_a_traced_write(void **state)
{
	struct tape *t = *state;

	trace_meta(t);
	traced_write(t, true, false);
	derive(t);
	expect_lines(t, STEPS(1),
		"1 marker guest_user\n"
		"1 run_enter exit_entry\n"
		"8 kvm_entry kvm\n"
		"2 write guest_user\n"
		"2 ksys_write guest_kernel\n"
		"2 vp_notify guest_kernel\n"
		"2 iowrite16 guest_kernel\n"
		"2 insn guest_kernel\n"
		"3 kvm_exit kvm\n"
		"3 kvm_pio kvm\n"
		"4 kvm_userspace_exit kvm\n"
		"4 run_exit exit_entry\n"
		"4 dispatch vmm\n"
		"4 snapshot recorder\n"
		"5 queue_notify vmm\n"
		"5 queue_pop vmm\n"
		"5 request vmm\n"
		"6 host_call host_kernel\n"
		"6 block_bio_queue host_kernel\n"
		"6 block_rq_issue host_kernel\n"
		"6 block_rq_complete host_kernel\n"
		"6 host_ret host_kernel\n"
		"7 req_status vmm\n"
		"7 queue_used vmm\n"
		"7 isr_set vmm\n"
		"7 irq_line kvm\n"
		"7 kvm_set_irq kvm\n"
		"7 irq_line_ret kvm\n"
		"7 dispatch_end vmm\n"
		"8 run_enter exit_entry\n"
		"8 kvm_inj_virq kvm\n"
		"8 kvm_entry kvm\n"
		"9 kvm_exit kvm\n"
		"9 kvm_userspace_exit kvm\n"
		"9 run_exit exit_entry\n"
		"9 isr_read vmm\n"
		"9 run_enter exit_entry\n"
		"9 kvm_entry kvm\n"
		"9 kvm_exit kvm\n"
		"9 kvm_userspace_exit kvm\n"
		"9 absent guest_kernel\n"
		"9 run_exit exit_entry\n"
		"9 marker guest_user\n");
	expect_lines(t, BUDGET_ERRORS, "");
	expect_lines(t, BUDGET(1),
		"exit_entry 210\n" /* kvm_userspace_exit … run_exit: three times 70 */
		"kvm 150\n" /* run_enter … kvm_entry, kvm_exit … kvm_userspace_exit, KVM_IRQ_LINE */
		"vmm 660\n"
		"host_kernel 300\n"
		"recorder 90\n"
		"guest 3490\n");
}

/* Where nothing went below the page cache the path says that, and not that it was not recorded. */
static void nothing_below(void **state)
{
	struct tape *t = *state;

	trace_meta(t);
	traced_write(t, false, false);
	derive(t);
	expect_lines(t,
		"SELECT substr(text, 1, 44) FROM v_step WHERE request_id = 1 AND evidence = 'not recorded' AND stage = 6",
		"nothing below the host's system call: no blo\n");
	expect_lines(t,
		"SELECT count(*) FROM v_step WHERE request_id = 1 AND evidence = 'not recorded' AND stage IN (3, 7, 8)",
		"0\n");
}

/* The function in which kvm_exit fires begins before it: the guest's side stands in front of both. */
static void functions_lead(void **state)
{
	struct tape *t = *state;

	trace_meta(t);
	sql(t, "INSERT INTO enum_name(enum, value, name) VALUES('host_func', 256, 'vmx_handle_exit'), ('host_func', 512, 'vcpu_run')");
	traced_write(t, false, true);
	derive(t);
	expect_lines(t, "SELECT text FROM v_step WHERE request_id = 1 AND n BETWEEN 8 AND 9",
		"out dx, ax (66 ef) at iowrite16+0x6, rip 0xffffffff80001006\n"
		"vmx_handle_exit(), called by vcpu_run\n");
	expect_lines(t, "SELECT stage FROM step WHERE request_id = 1 AND n = 9", "3\n");
	expect_lines(t, BUDGET_ERRORS, "");
}

/* As kvm_amd has it: what ran the guest returns in front of kvm_exit, and then on, call by call and back. */
static void call_by_call(void **state)
{
	struct tape *t = *state;
	int64_t kick_exit;

	trace_meta(t);
	sql(t, "INSERT INTO enum_name(enum, value, name) VALUES('host_func', 1, 'kvm_vcpu_ioctl'), ('host_func', 2, 'svm_vcpu_run'), ('host_func', 3, 'svm_handle_exit')");
	marker(t, 1000, EW_MARKER_ENTER, 0);
	run_enter(t, 1100);
	HOST(t, 1102, 1, HOST_FUNC, 1, 9, 0);
	HOST(t, 1105, 1, HOST_FUNC, 2, 1, 1);
	HOST(t, 1110, 1, KVM_ENTRY, 1, 0, 0x401000);
	kick_exit = t->exit_id + 1;
	HOST(t, 1900, 0, HOST_FUNC_EXIT, 2, 1, 1105, 1900);
	HOST(t, 1905, 0, HOST_FUNC, 3, 1, 1);
	HOST(t, 1910, kick_exit, KVM_EXIT, kick_exit, 2, 123, IOWRITE16 + 6, 0xc0100020);
	HOST(t, 1920, kick_exit, HOST_FUNC_EXIT, 3, 1, 1905, 1920);
	HOST(t, 1930, kick_exit, KVM_USERSPACE_EXIT, 2, 0);
	HOST(t, 1940, kick_exit, HOST_FUNC_EXIT, 1, 0, 1102, 1940);
	kick(t, 2000, 1, 1);
	serve(t, 2200, 1, 0x9000);
	raise_irq(t, 2600);
	run_enter(t, 3000);
	HOST(t, 3020, kick_exit, KVM_ENTRY, kick_exit, 0, IOWRITE16 + 8);
	HOST(t, 3900, 0, HOST_FUNC_EXIT, 2, 1, 3010, 3900);
	isr_exit(t, 4000);
	marker(t, 6000, EW_MARKER_EXIT, 512);
	derive(t);
	expect_lines(t,
		"SELECT stage || text FROM v_step WHERE request_id = 1 AND coalesce(ts_ns, 0) < 2010 AND (text LIKE '%()%' OR text GLOB 'kvm_[ue]*' OR text LIKE 'out dx%')",
		"1kvm_vcpu_ioctl(), called by unknown 9\n"
		"1 svm_vcpu_run(), called by kvm_vcpu_ioctl\n"
		"8kvm_entry: vCPU 0, rip 0x401000\n"
		"2out dx, ax (66 ef) at iowrite16+0x6, rip 0xffffffff80001006\n"
		"3 svm_vcpu_run() returns\n"
		"3 svm_handle_exit(), called by kvm_vcpu_ioctl\n"
		"3kvm_exit:  (port 0xc010, OUT, size 2), rip 0xffffffff80001006, info1 0xc0100020, info2 0x0\n"
		"3 svm_handle_exit() returns\n"
		"4kvm_userspace_exit: KVM_EXIT_IO, errno 0\n"
		"4kvm_vcpu_ioctl() returns\n");
	expect_lines(t, BUDGET_ERRORS, "");
	/* A function's time is no layer's beside that of its thread: the guest's ends where what ran it returns. */
	expect_lines(t,
		"SELECT sum(ns) = (SELECT t_last - t_first FROM request) FROM budget WHERE request_id = 1",
		"1\n");
	expect_lines(t,
		"SELECT ns FROM budget WHERE request_id = 1 AND layer = (SELECT value FROM"
		" enum_name WHERE enum = 'layer' AND name = 'guest')",
		"1670\n");
}

/* A vCPU that is taken from its CPU waits, in the guest's time and in the VMM's. */
static void no_cpu(void **state)
{
	struct tape *t = *state;
	int64_t kick_exit;

	trace_meta(t);
	marker(t, 1000, EW_MARKER_ENTER, 0);
	run_enter(t, 1100);
	HOST(t, 1110, 1, KVM_ENTRY, 1, 0, 0x401000);
	kick_exit = t->exit_id + 1;
	HOST(t, 1910, kick_exit, KVM_EXIT, kick_exit, 1, 30, IOWRITE16 + 6, 0xc0100001);
	HOST(t, 1930, kick_exit, KVM_USERSPACE_EXIT, 2, 0);
	kick(t, 2000, 1, 1);
	HOST(t, 2150, kick_exit, SCHED_SWITCH, 1, 0, 5);
	on(t, 5);
	EMIT(t, 2180, SCHED_SWITCH, 5, 0, 1);
	on(t, 1);
	serve(t, 2200, 1, 0x9000);
	raise_irq(t, 2600);
	run_enter(t, 3000);
	HOST(t, 3020, kick_exit, KVM_ENTRY, kick_exit, 0, IOWRITE16 + 8);
	isr_exit(t, 4000);
	marker(t, 6000, EW_MARKER_EXIT, 512);
	run_enter(t, 6100);
	derive(t);
	expect_lines(t, BUDGET_ERRORS, "");
	expect_lines(t, "SELECT ns FROM budget WHERE request_id = 1 AND layer = 7", "30\n");
	expect_lines(t,
		"SELECT count(*) FROM v_step WHERE request_id = 1 AND text LIKE 'sched_switch%'",
		"2\n");
}

/* Two requests of one kick: the exit is each one's, what was done for the first is not the second's. */
static void one_exit_for_two(void **state)
{
	struct tape *t = *state;
	int64_t kick_exit;

	trace_meta(t);
	run_enter(t, 1100);
	HOST(t, 1110, 0, KVM_ENTRY, 0, 0, 0x401000);
	kick_exit = t->exit_id + 1;
	HOST(t, 1900, 0, HOST_FUNC, 0x100, 0x200);
	HOST(t, 1910, kick_exit, KVM_EXIT, kick_exit, 1, 30, IOWRITE16 + 6, 0xc0100001);
	HOST(t, 1920, kick_exit, HOST_FUNC, 0x300, 0x200);
	HOST(t, 1925, kick_exit, KVM_PIO, 1, 0xc010, 2, 1, 0);
	HOST(t, 1930, kick_exit, KVM_USERSPACE_EXIT, 2, 0);
	kick(t, 2000, 1, 2);
	sql(t, "UPDATE vm_exit SET event_id = (SELECT id FROM event WHERE ts = 1910) WHERE id = %d",
		(int)kick_exit);
	HOST(t, 2190, kick_exit, KVM_SET_IRQ, 4, 0, 0); /* in the first one's time */
	serve(t, 2200, 1, 0x9000);
	serve(t, 2600, 2, 0xa000);
	raise_irq(t, 3000);
	run_enter(t, 3400);
	HOST(t, 3410, kick_exit, KVM_ENTRY, kick_exit, 0, IOWRITE16 + 8);
	isr_exit(t, 4000);
	derive(t);
	expect_lines(t, "SELECT t_first FROM request", "1100\n2550\n");
	expect_lines(t,
		"SELECT substr(text, 1, 18) FROM v_step WHERE request_id = 2 AND (stage IN (3, 4)"
		" OR text LIKE 'out dx%' OR text LIKE 'kvm_set_irq%') ORDER BY n",
		"out dx, ax (66 ef)\n"
		"kvm_exit:  (port 0\n"
		"unknown 768(), cal\n"
		"kvm_pio: write of \n"
		"kvm_userspace_exit\n"
		"KVM_RUN returns: K\n"
		"port 0xc010 is vir\n"
		"512 bytes of guest\n");
	expect_lines(t, BUDGET_ERRORS, "");
}

/* The guest's timer comes in the middle of a write: no part of the completion, which has not begun. */
static void a_timer_in_between(void **state)
{
	struct tape *t = *state;
	int64_t at = t->exit_id + 2, kick_exit = at + 1;

	trace_meta(t);
	marker(t, 1000, EW_MARKER_ENTER, 0);
	run_enter(t, 1100);
	HOST(t, 1110, 1, KVM_ENTRY, 1, 0, 0x401000);
	t->exit_id = at; /* KVM serves it itself */
	HOST(t, 1200, at, KVM_EXIT, at, 1, 1, IOWRITE16, 0);
	HOST(t, 1210, at, KVM_APIC_ACCEPT_IRQ, 0, 0, 0, 236);
	HOST(t, 1220, at, KVM_INJ_VIRQ, 236, 0, 0);
	HOST(t, 1230, at, KVM_ENTRY, at, 0, IOWRITE16);
	HOST(t, 1910, kick_exit, KVM_EXIT, kick_exit, 1, 30, IOWRITE16 + 6, 0xc0100001);
	HOST(t, 1915, kick_exit, KVM_EOI, 0, 236); /* by memory: KVM finds it now */
	HOST(t, 1930, kick_exit, KVM_USERSPACE_EXIT, 2, 0);
	kick(t, 2000, 1, 1);
	serve(t, 2200, 1, 0x9000);
	raise_irq(t, 2600);
	run_enter(t, 3000);
	HOST(t, 3010, kick_exit, KVM_INJ_VIRQ, 43, 0, 0);
	HOST(t, 3020, kick_exit, KVM_ENTRY, kick_exit, 0, IOWRITE16 + 8);
	HOST(t, 3100, 0, KVM_EOI, 0, 43);
	isr_exit(t, 4000);
	marker(t, 6000, EW_MARKER_EXIT, 512);
	derive(t);
	expect_lines(t,
		"SELECT stage || ' ' || text FROM v_step WHERE request_id = 1 AND text LIKE 'kvm_%vector%' ORDER BY n",
		"8 kvm_apic_accept_irq: APIC 0, vector 236\n"
		"8 kvm_inj_virq: vector 236\n"
		"3 kvm_eoi: APIC 0, vector 236\n"
		"8 kvm_inj_virq: vector 43\n"
		"9 kvm_eoi: APIC 0, vector 43\n");
	expect_lines(t,
		"SELECT group_concat(DISTINCT stage) FROM v_step WHERE request_id = 1 AND ts_ns BETWEEN 1910 AND 2530",
		"3,4,5,6\n");
	expect_lines(t,
		"SELECT count(*) FROM v_step WHERE request_id = 1 AND text LIKE 'no host system call%'",
		"0\n");
	expect_lines(t, BUDGET_ERRORS, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TAPE_TEST(steps_of_a_traced_write),
		TAPE_TEST(nothing_below),
		TAPE_TEST(functions_lead),
		TAPE_TEST(call_by_call),
		TAPE_TEST(one_exit_for_two),
		TAPE_TEST(no_cpu),
		TAPE_TEST(a_timer_in_between),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
