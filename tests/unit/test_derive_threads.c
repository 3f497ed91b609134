/* SPDX-License-Identifier: MIT */
/* Correlation over several threads: carriers, hand-overs, interrupts, and the budget of each. */
#include "tests/unit/derive_threads.h"

/* vCPU 0 notifies and goes on, the I/O thread serves, vCPU 1 acknowledges, the call returns on vCPU 0. */
static void one_request(struct tape *t)
{
	enter_call(t, 1000, NR_PWRITE, 7);
	kick(t, 2000, 1, 1);
	EMIT(t, 2200, IO_SIGNAL, 1, 0, 9);
	EMIT(t, 2250, IO_SIGNAL_RET, 1, 0, 8);
	on(t, IO);
	EMIT(t, 2300, IO_WAKE, 1, 0, 1, 0, 9);
	on(t, VCPU0);
	EMIT(t, 2320, DISPATCH_END, 3, 0, 0);
	run_enter(t, 2400);
	on(t, IO);
	take(t, 2500, 1, 1, 0x9000);
	fill(t, 2530, 1);
	enter_uring(t, 2600, 1);
	EMIT(t, 2700, IO_SLEEP, 1);
	complete(t, 3000, 1);
	raise_line(t, 3030);
	EMIT(t, 3200, IO_SLEEP, 0);
	on(t, VCPU1);
	isr_exit(t, 4000);
	on(t, VCPU0);
	leave_call(t, 6000, NR_PWRITE, 7, 512);
}

static void steps_over_threads(void **state)
{
	struct tape *t = *state;

	one_request(t);
	derive(t);
	expect_lines(t,
		"SELECT printf('%d %s %s', s.stage, CASE s.what WHEN 'event' THEN k.name ELSE s.what END,"
		" v.actor) FROM step s JOIN v_step v ON v.request_id = s.request_id AND v.n = s.n LEFT"
		" JOIN event e ON e.id = s.event_id LEFT JOIN event_kind k ON k.id = e.kind WHERE"
		" s.what NOT IN ('frame', 'insn', 'absent') ORDER BY s.n",
		"1 marker vcpu0\n"
		"1 run_enter vcpu0\n"
		"4 run_exit vcpu0\n"
		"4 dispatch vcpu0\n"
		"4 snapshot vcpu0\n"
		"5 queue_notify vcpu0\n"
		"5 io_signal vcpu0\n"
		"5 io_signal_ret vcpu0\n"
		"5 handover io\n"
		"5 io_wake io\n"
		"5 dispatch_end vcpu0\n"
		"8 run_enter vcpu0\n"
		"5 queue_pop io\n"
		"5 descriptor io\n"
		"5 descriptor io\n"
		"5 request io\n"
		"6 uring_sqe io\n"
		"6 uring_enter io\n"
		"6 uring_enter_ret io\n"
		"6 uring_cqe io\n"
		"7 req_status io\n"
		"7 queue_used io\n"
		"7 isr_set io\n"
		"7 irq_line io\n"
		"7 irq_line_ret io\n"
		"9 run_exit vcpu1\n"
		"9 dispatch vcpu1\n"
		"9 isr_read vcpu1\n"
		"9 irq_line vcpu1\n"
		"9 irq_line_ret vcpu1\n"
		"9 dispatch_end vcpu1\n"
		"9 run_enter vcpu1\n"
		"9 run_exit vcpu0\n"
		"9 marker vcpu0\n");
	expect_lines(t,
		"SELECT printf('%d %d %s', ts_ns, dur_ns, evidence) FROM v_step WHERE text LIKE"
		" 'hand-over: vcpu0 told io%'",
		"2300 100 event 12 to 14\n");
	expect_lines(t,
		"SELECT n FROM v_step WHERE ts_ns < (SELECT max(v.ts_ns) FROM v_step v"
		" WHERE v.request_id = 1 AND v.n < v_step.n)",
		"");
}

static void budget_over_threads(void **state)
{
	struct tape *t = *state;

	one_request(t);
	derive(t);
	/* vCPU 0 in the guest 900; VMM 20 + 90; 100 until the thread is awake; VMM 300; the kernel
	 * 400; VMM 40; KVM 50; vCPU 1 in the guest 910; VMM 80, KVM 20; vCPU 0 1900. */
	expect_lines(t, BUDGET(1),
		"kvm 70\nvmm 530\nhost_kernel 400\nwaiting 100\nrecorder 90\nin_kvm_run 3710\n");
	expect_lines(t, BUDGET_ERRORS, "");
	expect_lines(t,
		"SELECT printf('%d|%d %d %d|%d %d|%d %d %d|%d %d %d', kick_exit, t_kick, t_wake, t_pop,"
		" t_host, t_host_ret, t_used, t_irq, t_entry, track, exits, irq_requests) FROM request",
		"2|2000 2300 2500|2600 3000|3020 3040 2400|3 2 1\n");
	expect_lines(t, "SELECT printf('%s %s %s', call_how, kick, thread) FROM v_request",
		"only call exit io\n");
}

/* Two requests of one call at once; the later one is complete first, one interrupt is for both. */
static void out_of_order(void **state)
{
	struct tape *t = *state;

	enter_call(t, 1000, NR_PWRITE, 7);
	kick(t, 2000, 1, 2);
	signal_io(t, 2200);
	on(t, IO);
	EMIT(t, 2500, IO_WAKE, 1, 0, 1, 0, 9);
	take(t, 2550, 1, 1, 0x9000);
	fill(t, 2580, 1);
	take(t, 2600, 2, 1, 0xa000);
	fill(t, 2640, 2);
	enter_uring(t, 2700, 2);
	complete(t, 3000, 2);
	complete(t, 3100, 1);
	raise_line(t, 3200);
	on(t, VCPU0);
	isr_exit(t, 4000);
	leave_call(t, 6000, NR_PWRITE, 7, 1024);
	derive(t);
	expect_lines(t,
		"SELECT printf('%d %d-%d %d %d %d', id, t_first, t_last, t_used, t_irq, irq_requests)"
		" FROM request",
		"1 1100-6000 3120 3210 2\n2 1100-6000 3020 3210 2\n");
	/* None has the other's steps, both have the interrupt and the acknowledgement. */
	expect_lines(t,
		"SELECT s.request_id FROM step s JOIN event e ON e.id = s.event_id WHERE e.kind IN"
		" (23, 24, 25, 26, 27, 50, 53) AND e.a0 <> s.request_id",
		"");
	expect_lines(t,
		"SELECT printf('%d %d', request_id, count(*)) FROM v_step WHERE text LIKE"
		" 'ioctl(KVM_IRQ_LINE) irq 11 level 1: one interrupt for 2 requests' OR text LIKE"
		" '%guest reads ISR%' GROUP BY request_id",
		"1 2\n2 2\n");
	/* Each waits while the thread serves the other one; in the kernel both are at once. */
	expect_lines(t,
		"SELECT printf('%d %s %d', request_id, n.name, ns) FROM budget b JOIN enum_name n ON"
		" n.enum = 'layer' AND n.value = b.layer WHERE n.name IN ('waiting', 'host_kernel',"
		" 'vmm') ORDER BY request_id, b.layer",
		"1 vmm 400\n1 host_kernel 400\n1 waiting 400\n"
		"2 vmm 450\n2 host_kernel 300\n2 waiting 450\n");
	expect_lines(t, BUDGET_ERRORS, "");
	expect_lines(t, UNACCOUNTED, "");
}

/* KVM writes to the eventfd, a message is the interrupt: no exit at all, and no hole. */
static void without_any_exit(void **state)
{
	struct tape *t = *state;

	sql(t, "INSERT INTO kvm_stat VALUES(0, 'exits', 10, 50), (1, 'exits', 0, 5)");
	enter_call(t, 1000, NR_PWRITE, 7);
	on(t, IO);
	EMIT(t, 2300, IO_WAKE, 1, 0, 1, 1, 9);
	EMIT(t, 2350, QUEUE_NOTIFY, 1, 0, 1, 0);
	take(t, 2400, 1, 1, 0x9000);
	EMIT(t, 2430, HOST_CALL, 1, 18, 5, 512, 4096, 1);
	EMIT(t, 2930, HOST_RET, 1, 18, 512);
	EMIT(t, 2940, REQ_STATUS, 1, 0, 0x6000);
	EMIT(t, 2950, QUEUE_USED, 1, 1, 0, 0, 1, 1);
	raise_msi(t, 2960);
	on(t, VCPU1);
	leave_call(t, 6000, NR_PWRITE, 7, 512);
	derive(t);
	expect_lines(t, ABSENT(1),
		"2 not recorded: the guest's call chain and the instruction that notified (no exit came to"
		" the VMM, so no stack was copied)\n"
		"3 handled inside KVM by ioeventfd: the exit is not recorded; needs the tracepoints"
		" kvm_exit and kvm_pio or kvm_fast_mmio (host tracefs). KVM counted 43 exits in this"
		" run that never came to the VMM\n"
		"4 handled inside KVM by ioeventfd: no return of KVM_RUN\n"
		"8 handled inside KVM by ioeventfd: KVM itself entered the guest again; needs the"
		" kvm_entry tracepoint (host tracefs)\n"
		"6 not recorded: below the host's system call (file system, block layer); needs the host's"
		" block tracepoints\n"
		"7 not recorded: inside KVM (kvm_set_irq, kvm_inj_virq); needs the host's kvm tracepoints\n"
		"9 the guest's interrupt handler: a message (MSI-X) tells it all, so it asks the device"
		" nothing and no exit shows it\n"
		"9 not recorded: the driver's completion (virtblk_done, blk_mq_end_request); no exit"
		" happens inside it\n");
	expect_lines(t, BUDGET(1), "kvm 50\nvmm 160\nhost_kernel 500\nin_kvm_run 4190\n");
	expect_lines(t, BUDGET_ERRORS, "");
	expect_lines(t,
		"SELECT printf('%s %s %d', coalesce(v.kick, '-'), coalesce(q.t_kick, '-'), v.exits) FROM"
		" v_request v JOIN request q ON q.id = v.id",
		"ioeventfd - 0\n");
	assert_int_equal(number(t, "SELECT count(DISTINCT stage) FROM step"), 9);
}

/* mmio: the handler reads the status in one exit and acknowledges in the next. */
static void status_and_acknowledgement(void **state)
{
	struct tape *t = *state;

	enter_call(t, 1000, NR_PWRITE, 7);
	kick(t, 2000, 1, 1);
	serve(t, 2200, 1, 0x9000);
	raise_irq(t, 2600);
	run_enter(t, 3000);
	run_exit(t, 4000, 0x60, false, 4);
	EMIT(t, 4020, IRQ_STATUS, 1, 1);
	run_enter(t, 4100);
	run_exit(t, 4200, 0x64, true, 4);
	EMIT(t, 4220, IRQ_ACK, 1, 1, 0);
	EMIT(t, 4230, IRQ_LINE, 11, 0, 1);
	EMIT(t, 4250, IRQ_LINE_RET, 11, 0, 0);
	run_enter(t, 4300);
	leave_call(t, 6000, NR_PWRITE, 7, 512);
	derive(t);
	expect_lines(t,
		"SELECT printf('%d %s', s.stage, k.name) FROM step s JOIN event e ON e.id = s.event_id JOIN"
		" event_kind k ON k.id = e.kind WHERE e.ts BETWEEN 4000 AND 4300 ORDER BY s.n",
		"9 run_exit\n9 irq_status\n9 run_enter\n9 run_exit\n9 irq_ack\n9 irq_line\n"
		"9 irq_line_ret\n9 run_enter\n");
	assert_int_equal(
		number(t, "SELECT count(*) FROM v_step WHERE text LIKE '%%did not read the ISR%%'"),
		0);
	expect_lines(t, UNACCOUNTED, "");
}

/* EVENT_IDX: the second request came while the device was at work; no interrupt is wanted for it. */
static void suppressed_on_both_sides(void **state)
{
	struct tape *t = *state;

	enter_call(t, 1000, NR_PWRITE, 7);
	kick(t, 2000, 1, 1);
	serve(t, 2200, 1, 0x9000);
	serve(t, 2600, 2, 0x9000);
	EMIT(t, 2960, NOTIFY_SUPPRESSED, 1, 0, 1, 1, 2);
	EMIT(t, 2970, IRQ_SUPPRESSED, 1, 0, 2, 1, 9, 0);
	EMIT(t, 2980, DISPATCH_END, 3, 0, 0);
	run_enter(t, 3000);
	leave_call(t, 6000, NR_PWRITE, 7, 512);
	derive(t);
	expect_lines(t,
		"SELECT printf('%d %d %d', id, coalesce(kick_exit, -1), irq_event IS NULL) FROM request",
		"1 2 1\n2 -1 1\n");
	expect_lines(t,
		"SELECT printf('%d %s', s.stage, k.name) FROM step s JOIN event e ON e.id = s.event_id JOIN"
		" event_kind k ON k.id = e.kind WHERE s.request_id = 2 AND k.name LIKE"
		" '%suppressed' ORDER BY s.n",
		"5 notify_suppressed\n7 irq_suppressed\n");
	expect_lines(t,
		"SELECT printf('%d %s', stage, substr(text, 1, 50)) FROM v_step WHERE request_id = 2 AND"
		" evidence = 'not recorded' AND stage IN (2, 3, 4, 8, 9) ORDER BY n LIMIT 5",
		"2 taken without a notification of its own: the devic\n"
		"3 no exit: there was no notification that could have\n"
		"4 no exit: there was no notification that could have\n"
		"8 no exit: there was no notification that could have\n"
		"9 no interrupt: the driver wanted none, and finds th\n");
	expect_lines(t, UNACCOUNTED, "");
}

/* irqfd: KVM raises the line inside the write, and says later that it is over. */
static void irqfd_with_resample(void **state)
{
	struct tape *t = *state;

	enter_call(t, 1000, NR_PWRITE, 7);
	kick(t, 2000, 1, 1);
	signal_io(t, 2200);
	on(t, IO);
	EMIT(t, 2500, IO_WAKE, 1, 0, 1, 0, 9);
	take(t, 2550, 1, 1, 0x9000);
	fill(t, 2580, 1);
	enter_uring(t, 2600, 1);
	complete(t, 3000, 1);
	EMIT(t, 3030, ISR_SET, 1, 1);
	EMIT(t, 3040, IRQFD, 11, 1, 12);
	on(t, VCPU1);
	/* The guest is in its handler before the thread's system call returns. */
	run_exit(t, 3060, 0xc013, false, 1);
	on(t, IO);
	EMIT(t, 3080, IRQFD_RET, 11, 1, 8);
	on(t, VCPU1);
	EMIT(t, 3100, LOCK_WAIT, 3070);
	EMIT(t, 3110, ISR_READ, 1, 1);
	run_enter(t, 3150);
	on(t, IO);
	EMIT(t, 3200, IRQFD_RESAMPLE, 1, 11, 0);
	EMIT(t, 3210, IO_SLEEP, 0);
	on(t, VCPU0);
	leave_call(t, 6000, NR_PWRITE, 7, 512);
	derive(t);
	/* KVM 3040-3060, then vCPU 1: VMM 10, waiting for the devices 30, VMM 50. */
	expect_lines(t, BUDGET(1),
		"kvm 20\nvmm 310\nhost_kernel 400\nwaiting 330\nrecorder 90\nin_kvm_run 3750\n");
	expect_lines(t, BUDGET_ERRORS, "");
}

/* A kworker on vCPU 1 notifies for the process on vCPU 0, which returns on vCPU 1. */
static void another_vcpu_notifies(void **state)
{
	struct tape *t = *state;

	enter_call(t, 1000, NR_PWRITE, 7);
	run_exit(t, 1200, 0x80, true, 1);
	run_enter(t, 1300);
	on(t, VCPU1);
	run_exit(t, 1500, 0x80, true, 1); /* a timer's, before it has to do with the request */
	run_enter(t, 1600);
	kick(t, 2000, 1, 1);
	serve(t, 2200, 1, 0x9000);
	raise_irq(t, 2600);
	run_enter(t, 3000);
	on(t, VCPU0);
	isr_exit(t, 4000);
	on(t, VCPU1);
	leave_call(t, 6000, NR_PWRITE, 7, 512);
	derive(t);
	/* vCPU 0 carries it up to 1600, with its exit, and again from the interrupt on; vCPU 1's at
	 * 1500 is nobody's. */
	expect_lines(t,
		"SELECT e.ts FROM step s JOIN event e ON e.id = s.event_id WHERE s.what = 'event' AND e.kind"
		" = 2 ORDER BY s.n",
		"1200\n2000\n4000\n6000\n");
	expect_lines(
		t, BUDGET(1), "kvm 70\nvmm 400\nhost_kernel 300\nrecorder 90\nin_kvm_run 4040\n");
	expect_lines(t, BUDGET_ERRORS, "");
	assert_int_equal(number(t, "SELECT exits FROM request"), 3);
}

/* The I/O thread has another process's request before this one: that is waiting. */
static void behind_another_request(void **state)
{
	struct tape *t = *state;

	enter_with_buffer(t, 1000, NR_PWRITE, 7, 0x9000);
	on(t, VCPU1);
	enter_with_buffer(t, 1200, NR_PWRITE, 8, 0xa000);
	kick(t, 2000, 1, 2); /* one kick for both, by whoever came first */
	signal_io(t, 2200);
	on(t, IO);
	EMIT(t, 2500, IO_WAKE, 1, 0, 1, 0, 9);
	serve(t, 2550, 1, 0x9000);
	serve(t, 2950, 2, 0xa000);
	raise_line(t, 3310);
	on(t, VCPU0);
	isr_exit(t, 4000);
	leave_call(t, 6000, NR_PWRITE, 7, 512);
	on(t, VCPU1);
	leave_call(t, 6200, NR_PWRITE, 8, 512);
	derive(t);
	expect_lines(t,
		"SELECT printf('%d %d', request_id, ns) FROM budget WHERE layer = 7 ORDER BY request_id",
		"1 660\n2 700\n");
	expect_lines(t, BUDGET_ERRORS, "");
	expect_lines(t, UNACCOUNTED, "");
}

/* What the I/O thread lost is unaccounted, and nothing else is. */
static void loss_on_the_thread(void **state)
{
	struct tape *t = *state;

	one_request(t);
	sql(t, "INSERT INTO loss VALUES(1, 3, 2610, 2710, 4), (2, 2, 2000, 3000, 9)");
	derive(t);
	assert_int_equal(
		number(t, "SELECT ns FROM budget WHERE layer = %d", EW_LAYER_UNACCOUNTED), 100);
	expect_lines(t, BUDGET_ERRORS, "");
	/* The notification is lost: nobody says that there was none. */
	sql(t, "DELETE FROM event WHERE kind = %d", EW_QUEUE_NOTIFY);
	derive(t);
	expect_lines(t, "SELECT text FROM v_step WHERE stage = 2 AND evidence = 'not recorded'",
		"the driver's notification: no exit to the VMM was recorded for it\n");
	expect_lines(t, BUDGET_ERRORS, "");
}

/* An asynchronous call returns behind the interrupt and in front of its acknowledgement. */
static void acknowledged_after_the_return(void **state)
{
	struct tape *t = *state;

	enter_call(t, 1000, NR_IO_SUBMIT, 7);
	kick(t, 2000, 1, 1);
	signal_io(t, 2200);
	on(t, IO);
	EMIT(t, 2500, IO_WAKE, 1, 0, 1, 0, 9);
	take(t, 2550, 1, 1, 0x9000);
	fill(t, 2580, 1);
	enter_uring(t, 2600, 1);
	complete(t, 3000, 1);
	raise_line(t, 3030);
	on(t, VCPU0);
	leave_call(t, 3500, NR_IO_SUBMIT, 7, 1);
	on(t, VCPU1);
	isr_exit(t, 4000);
	derive(t);
	expect_lines(t, "SELECT printf('%d-%d', t_first, t_last) FROM request", "1100-4100\n");
	expect_lines(t,
		"SELECT printf('%d %d', stage, ts_ns) FROM v_step WHERE text LIKE 'io_submit =%' OR text"
		" LIKE '%guest reads ISR%'",
		"1 3510\n9 4020\n");
	expect_lines(t, UNACCOUNTED, "");
	expect_lines(t, BUDGET_ERRORS, "");
}

/* The vCPU that notified is still in its exit when the call returns on the other one. */
static void still_in_the_exit(void **state)
{
	struct tape *t = *state;

	on(t, VCPU1);
	enter_call(t, 1000, NR_PWRITE, 7);
	on(t, VCPU0);
	kick(t, 2000, 1, 1);
	EMIT(t, 2200, IO_SIGNAL, 1, 0, 9);
	on(t, IO);
	EMIT(t, 2500, IO_WAKE, 1, 0, 1, 0, 9);
	take(t, 2550, 1, 1, 0x9000);
	fill(t, 2580, 1);
	enter_uring(t, 2600, 1);
	complete(t, 3000, 1);
	raise_line(t, 3030);
	on(t, VCPU1);
	isr_exit(t, 4000);
	leave_call(t, 6000, NR_PWRITE, 7, 512);
	on(t, VCPU0);
	EMIT(t, 7000, IO_SIGNAL_RET, 1, 0, 8);
	run_enter(t, 7100);
	derive(t);
	expect_lines(t, "SELECT printf('%d %s', stage, text) FROM v_step WHERE stage = 8",
		"8 the vCPU that notified: no entry into the guest was recorded in this window\n");
	/* The process goes on after its marker: on vCPU 1, which does not notify. */
	expect_lines(t, "SELECT printf('%d %d %s', n, stage, actor) FROM v_step WHERE ts_ns = 1100",
		"2 1 vcpu1\n");
	expect_lines(t, UNACCOUNTED, "");
	expect_lines(t, BUDGET_ERRORS, "");
}

/* No call is open, a message tells of the completion: the window ends when the guest goes on. */
static void without_a_call(void **state)
{
	struct tape *t = *state;

	kick(t, 2000, 1, 1);
	EMIT(t, 2200, IO_SIGNAL, 1, 0, 9);
	on(t, IO);
	EMIT(t, 2500, IO_WAKE, 1, 0, 1, 0, 9);
	take(t, 2550, 1, 1, 0x9000);
	fill(t, 2580, 1);
	enter_uring(t, 2600, 1);
	complete(t, 3000, 1);
	raise_msi(t, 3030);
	on(t, VCPU0);
	EMIT(t, 3500, IO_SIGNAL_RET, 1, 0, 8);
	run_enter(t, 3600);
	derive(t);
	expect_lines(t, "SELECT printf('%d-%d', t_first, t_last) FROM request", "100-3600\n");
	/* From the message on the vCPU carries it, which comes out of its system call: 420 and 100. */
	expect_lines(t, BUDGET(1),
		"kvm 50\nvmm 340\nhost_kernel 820\nwaiting 300\nrecorder 90\nin_kvm_run 1900\n");
	expect_lines(t, BUDGET_ERRORS, "");
}

/* One call, requests in flight four at a time for long: windows do not grow with their number. */
static void pipeline_in_one_call(void **state)
{
	struct tape *t = *state;

	sql(t, "BEGIN");
	enter_call(t, 1000, NR_PWRITE, 7);
	kick(t, 2000, 1, 500);
	signal_io(t, 2200);
	on(t, IO);
	EMIT(t, 2500, IO_WAKE, 1, 0, 1, 0, 9);
	for (int i = 1; i <= 503; i++) {
		if (i <= 500) {
			take(t, 2000 + 1000 * i, i, 1, 0x9000);
			fill(t, 2100 + 1000 * i, i);
			enter_uring(t, 2200 + 1000 * i, 1);
		}
		if (i > 3) {
			complete(t, 2500 + 1000 * i, i - 3);
			raise_msi(t, 2600 + 1000 * i);
		}
	}
	on(t, VCPU0);
	leave_call(t, 600000, NR_PWRITE, 7, 512);
	sql(t, "COMMIT");
	derive(t);
	expect_lines(t,
		"SELECT printf('%d: %d', id, t_last - t_first) FROM request WHERE id < 497 AND t_last -"
		" t_first > 10000",
		"");
	assert_int_equal(number(t, "SELECT max(t_last) FROM request"), 600000);
	assert_int_equal(
		number(t, "SELECT count(*) FROM request a JOIN request b ON b.id = a.id + 1"
			  " WHERE a.t_last <= b.t_first"),
		0);
	expect_lines(t, UNACCOUNTED, "");
	expect_lines(t, BUDGET_ERRORS, "");
}

static void thousand_writes(struct tape *t, int in_flight)
{
	int64_t ts = 1000;

	for (int64_t first = 1; first <= 1000; first += in_flight, ts += 20000) {
		on(t, first & 1 ? VCPU0 : VCPU1);
		enter_call(t, ts, NR_PWRITE, 7);
		kick(t, ts + 1000, first, first + in_flight - 1);
		signal_io(t, ts + 1200);
		on(t, IO);
		EMIT(t, ts + 1500, IO_WAKE, 1, 0, 1, 0, 9);
		for (int i = 0; i < in_flight; i++) {
			take(t, ts + 2000 + 100 * i, first + i, 1, 0x9000);
			fill(t, ts + 2050 + 100 * i, first + i);
		}
		enter_uring(t, ts + 4000, in_flight);
		for (int i = in_flight; i-- > 0;)
			complete(t, ts + 8000 - 100 * i, first + i);
		raise_line(t, ts + 9000);
		EMIT(t, ts + 9100, IO_SLEEP, 0);
		on(t, first & 2 ? VCPU0 : VCPU1);
		isr_exit(t, ts + 10000);
		leave_call(t, ts + 12000, NR_PWRITE, 7, 512);
	}
}

static void thousand_requests(void **state)
{
	struct tape *t = *state;

	sql(t, "BEGIN");
	thousand_writes(t, 8);
	sql(t, "COMMIT");
	derive(t);
	assert_int_equal(number(t, "SELECT count(*) FROM request"), 1000);
	assert_int_equal(number(t, "SELECT count(*) FROM request WHERE call_how = 'only call' AND"
				   " guest_call = 1 + (id - 1) / 8 AND irq_requests = 8"),
		1000);
	expect_lines(t, BUDGET_ERRORS, "");
	expect_lines(t, UNACCOUNTED, "");
	/* Each has the stages, its own twelve events and nobody else's. */
	expect_lines(t,
		"SELECT request_id FROM step GROUP BY request_id HAVING count(DISTINCT stage) <> 9",
		"");
	expect_lines(t,
		"SELECT s.request_id FROM step s JOIN event e ON e.id = s.event_id WHERE e.kind IN"
		" (23, 24, 25, 26, 27, 50, 53) GROUP BY s.request_id HAVING count(*) <> 8 OR min(e.a0)"
		" <> s.request_id OR max(e.a0) <> s.request_id",
		"");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		THREADS_TEST(steps_over_threads),
		THREADS_TEST(budget_over_threads),
		THREADS_TEST(out_of_order),
		THREADS_TEST(without_any_exit),
		THREADS_TEST(status_and_acknowledgement),
		THREADS_TEST(suppressed_on_both_sides),
		THREADS_TEST(irqfd_with_resample),
		THREADS_TEST(another_vcpu_notifies),
		THREADS_TEST(behind_another_request),
		THREADS_TEST(loss_on_the_thread),
		THREADS_TEST(acknowledged_after_the_return),
		THREADS_TEST(still_in_the_exit),
		THREADS_TEST(without_a_call),
		THREADS_TEST(pipeline_in_one_call),
		THREADS_TEST(thousand_requests),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
