/* SPDX-License-Identifier: MIT */
/* The guest's own events in the path of a request: calls, whose it is, steps, who carries it. */
#include "tests/unit/derive_guest_tape.h"
#include "tracer/path.h"
#include "tui/model.h"

#define CALL_ROWS                                                                                        \
	"SELECT printf('%d %s nr %d (%s, %s) = %s, %d to %s', pid, coalesce(comm, '-'), nr, arg0, arg2," \
	" coalesce(ret, '-'), t_enter, coalesce(t_exit, '-')) FROM guest_call ORDER BY id"
#define NOT_RECORDED                                                                               \
	"SELECT printf('%d %s', stage, substr(text, 1, 40)) FROM v_step WHERE request_id = 1 AND"  \
	" evidence = 'not recorded' ORDER BY n"
#define TASKS(request)                                                                             \
	"SELECT printf('%s: %s', actor, substr(text, 1, instr(text || ',', ',') - 1)) FROM v_step" \
	" WHERE request_id = " #request " AND ts_ns > 0 AND (layer = 'guest_kernel' OR text LIKE"  \
	" 'hand-over%') AND evidence LIKE 'event%' ORDER BY n"

/* --- calls ------------------------------------------------------------------------------------- */

/* A call that was traced is a row, with what its events say; one that was marked too is not two. */
static void calls_from_events(void **state)
{
	struct tape *t = *state;

	GUEST(t, 500, WRITER, 0, SYS_ENTER, 1, 5, 0x7000, 44);
	on(t, VCPU1); /* it went to sleep there and woke up here */
	GUEST(t, 700, WRITER, 0, SYS_EXIT, 1, -11);
	GUEST(t, 800, OTHER, 0, SYS_ENTER, NR_FSYNC, 6, 0, 0);
	on(t, VCPU0);
	worker_write(t, true);
	derive(t);
	expect_lines(t, CALL_ROWS,
		"7 writer nr 1 (5, 44) = -11, 500 to 700\n"
		"8 other nr 74 (6, 0) = -, 800 to -\n"
		"7 writer nr 18 (3, 512) = 512, 1100 to 6000\n");
	expect_lines(t, CALLED, "1 writer 7 sector\n");
	assert_int_equal(
		number(t,
			"SELECT ts FROM event JOIN guest_call c ON event.id = sys_enter WHERE nr = 18"),
		1300);
	assert_int_equal(
		number(t,
			"SELECT ts FROM event JOIN guest_call c ON event.id = sys_exit WHERE nr = 18"),
		3500);
	/* What was traced and not marked has its window by its own events. */
	expect_lines(t, "SELECT text FROM v_call WHERE pid = 8", "fsync(6)\n");
}

/* The guest's time may be wrong by more than what lies between a marker and the call: it is one call still. */
static void marker_and_event_swapped(void **state)
{
	struct tape *t = *state;

	GUEST(t, 1000, WRITER, 0, SYS_ENTER, NR_PWRITE, 3, 0x40a000, 512, 4096);
	marker_of(t, 1002, EW_MARKER_ENTER, NR_PWRITE, WRITER, 0);
	run_enter(t, 1100);
	marker_of(t, 2000, EW_MARKER_EXIT, NR_PWRITE, WRITER, 512);
	GUEST(t, 2012, WRITER, 0, SYS_EXIT, NR_PWRITE, 512);
	run_enter(t, 2100);
	marker_of(t, 3000, EW_MARKER_ENTER, NR_PWRITE, WRITER, 0);
	run_enter(t, 3100);
	derive(t);
	expect_lines(t, CALL_ROWS,
		"7 writer nr 18 (3, 512) = 512, 1100 to 2000\n"
		"7 writer nr 18 (3, 512) = -, 3100 to -\n");
}

/* Another call inside a marked one is its own; its bio is that one's. */
static void call_inside_a_marked_one(void **state)
{
	struct tape *t = *state;

	marker_of(t, 1000, EW_MARKER_ENTER, NR_FSYNC, WRITER, 0);
	run_enter(t, 1100);
	GUEST(t, 1200, WRITER, 0, SYS_ENTER, NR_PWRITE, 3, 0, 512);
	GUEST(t, 1250, WRITER, 0, BIO_QUEUE, VDA, 8, 1, WS);
	issue(t, 1300, WRITER, VDA, 8, 1);
	hw_exit(t, 1900);
	serve_kick(t, 2000, 1, 8);
	handle_irq(t, 3100, WRITER, VDA, 8, 1);
	GUEST(t, 3300, WRITER, 0, SYS_EXIT, NR_PWRITE, 512);
	marker_of(t, 4000, EW_MARKER_EXIT, NR_FSYNC, WRITER, 0);
	run_enter(t, 4100);
	derive(t);
	expect_lines(t, CALL_ROWS,
		"7 writer nr 74 (3, 512) = 0, 1100 to 4000\n"
		"7 writer nr 18 (3, 512) = 512, 1200 to 3300\n");
	expect_lines(
		t, "SELECT c.nr FROM request q JOIN guest_call c ON c.id = q.guest_call", "18\n");
}

/* --- the path ---------------------------------------------------------------------------------- */

/* Everything that a request by the block layer's worker has, in order, with who did it. */
static void by_a_worker(void **state)
{
	struct tape *t = *state;

	worker_write(t, true);
	derive(t);
	expect_lines(t, TASKS(1),
		"writer[7]: sys_enter: pwrite64(fd 3\n"
		"writer[7]: vfs_write()\n"
		"writer[7]: submit_bio()\n"
		"writer[7]: block_bio_queue: 254:0 WS sector 8 + 1\n"
		"writer[7]: block_rq_insert: 254:0 WS sector 8 + 1\n"
		"writer[7]: workqueue_queue_work: blk_mq_run_work_fn for CPU 0\n"
		"writer[7]: io_schedule()\n"
		"writer[7]: sched_switch: writer ==> kworker/0:1H\n"
		"kworker/0:1H[35]: hand-over: writer[7] queued the work that kworker/0:1H[35] now begins\n"
		"kworker/0:1H[35]: workqueue_execute_start: blk_mq_run_work_fn\n"
		"kworker/0:1H[35]: blk_mq_run_work_fn()\n"
		"kworker/0:1H[35]: virtio_queue_rq()\n"
		"kworker/0:1H[35]: block_rq_issue: 254:0 WS sector 8 + 1\n"
		"kworker/0:1H[35]: virtqueue_add_sgs()\n"
		"kworker/0:1H[35]: virtqueue_kick_prepare()\n"
		"kworker/0:1H[35]: virtqueue_notify()\n"
		"kworker/0:1H[35]: vp_notify()\n"
		"interrupt on vcpu0: irq_handler_entry: irq 11\n"
		"interrupt on vcpu0: vring_interrupt()\n"
		"interrupt on vcpu0: virtblk_done()\n"
		"interrupt on vcpu0: block_rq_complete: 254:0 WS sector 8 + 1\n"
		"interrupt on vcpu0: bio_endio()\n"
		"interrupt on vcpu0: sched_waking: writer on CPU 0\n"
		"interrupt on vcpu0: irq_handler_exit: irq 11\n"
		"kworker/0:1H[35]: sched_switch: kworker/0:1H ==> writer\n"
		"writer[7]: hand-over: interrupt on vcpu0 woke writer[7]\n"
		"writer[7]: sys_exit: pwrite64 = 512\n");
	/* Where they stand among the others: the stack, which is copied at the notify, behind the functions. */
	expect_lines(t,
		"SELECT printf('%d %s', stage, substr(text, 1, 12)) FROM v_step WHERE request_id = 1 AND n"
		" BETWEEN 20 AND 27",
		"2 vp_notify(),\n"
		"2 write+0x10\n"
		"2 ksys_write+0\n"
		"2 vp_notify+0x\n"
		"2 iowrite16+0x\n"
		"2 out dx, ax (\n"
		"3 kvm_exit:  (\n"
		"4 kvm_userspac\n");
	/* Nothing of the guest's completion is missing; what is below the VMM was not traced. */
	expect_lines(t, NOT_RECORDED,
		"6 not recorded: below the host's system ca\n"
		"7 not recorded: inside KVM (kvm_set_irq, k\n");
	expect_lines(t, BUDGET_ERRORS, "");
	expect_lines(t, BUDGET(1),
		"guest_user 2580\n"  /* 1120 … 1300, 3500 … 5900 */
		"guest_kernel 630\n" /* 1300 … 1500, 1700 … 1900, 3020 … 3150, 3400 … 3500 */
		"exit_entry 100\n"
		"kvm 190\n"
		"vmm 560\n"
		"host_kernel 300\n"
		"waiting 450\n" /* 1500 … 1700: nobody yet; 3150 … 3400: woken */
		"recorder 90\n");
}

/* A timer's tick while the writer's kernel works is an aside; what brings the interrupt is not. */
static void exits_that_pass(void **state)
{
	struct tape *t = *state;
	int64_t tick;

	sql(t, "INSERT INTO enum_name(enum, value, name) VALUES('host_func', 256, 'svm_handle_exit')");
	entry(t, 1120, 0);
	GUEST(t, 1300, WRITER, 0, SYS_ENTER, NR_PWRITE, 3, 0x40a000, 512, 4096);
	tick = ++t->exit_id; /* KVM serves it */
	HOST(t, 1310, 0, HOST_FUNC, 256, 0);
	HOST(t, 1311, tick, KVM_EXIT, tick, 2, 0x60, USER_WRITE);
	HOST(t, 1312, tick, KVM_APIC_ACCEPT_IRQ, 0, 0, 0, 236);
	HOST(t, 1313, tick, KVM_INJ_VIRQ, 236);
	HOST(t, 1314, tick, HOST_FUNC, 256, 0);
	entry(t, 1320, tick);
	GUEST(t, 1330, WRITER, HARDIRQ, IRQ, 4); /* another device's */
	GUEST(t, 1360, WRITER, 0, BIO_QUEUE, VDA, 8, 1, WS);
	issue(t, 1400, WRITER, VDA, 8, 1);
	notify_device(t, 1500, WRITER);
	HOST(t, 1890, 0, HOST_FUNC, 256, 0);
	hw_exit(t, 1900);
	kick(t, 2000, 1, 1);
	EMIT(t, 2200, QUEUE_POP, 1, 1, 0, 0, 1, 1);
	EMIT(t, 2220, REQUEST, 1, 1, 8, 512, 3, 0x5000);
	EMIT(t, 2550, QUEUE_USED, 1, 1, 0, 0, 1, 1);
	raise_msi(t, 2600);
	run_enter(t, 3000);
	HOST(t, 3010, t->exit_id, KVM_INJ_VIRQ, 33);
	entry(t, 3020, t->exit_id);
	handle_irq(t, 3100, WRITER, VDA, 8, 1);
	GUEST(t, 3500, WRITER, 0, SYS_EXIT, NR_PWRITE, 512);
	derive(t);
	expect_lines(t,
		"SELECT printf('%d %d %s %s', ts_ns, stage, coalesce(aside, '-'), substr(text, 1, 15)) FROM v_step"
		" WHERE layer = 'kvm' AND (ts_ns < 2000 OR ts_ns > 3000) AND evidence LIKE 'event%'",
		"1310 1 1 svm_handle_exit\n"
		"1311 1 1 kvm_exit: , rip\n"
		"1312 1 1 kvm_apic_accept\n"
		"1313 1 1 kvm_inj_virq: v\n"
		"1314 1 1 svm_handle_exit\n"
		"1320 1 1 kvm_entry: vCPU\n"
		"1890 3 - svm_handle_exit\n"
		"1900 3 - kvm_exit:  (por\n"
		"1950 4 - kvm_userspace_e\n"
		"3010 8 - kvm_inj_virq: v\n"
		"3020 8 - kvm_entry: vCPU\n");
	expect_lines(t,
		"SELECT group_concat(coalesce(aside, '-'), ' ') FROM v_step WHERE text LIKE 'irq_handler_entry%'",
		"1 -\n");
	expect_lines(t, "SELECT text FROM v_aside WHERE request_id = 1",
		"1 exit: reason not recorded; 7 steps\n");
	expect_lines(t, BUDGET_ERRORS, "");
	expect_lines(t, UNACCOUNTED, "");
}

/* The same without markers: from sys_enter to sys_exit, each once. */
static void not_marked(void **state)
{
	struct tape *t = *state;

	worker_write(t, false);
	derive(t);
	expect_lines(t, CALLED, "1 writer 7 sector\n");
	expect_lines(t, "SELECT printf('%d-%d', t_first, t_last) FROM request", "1300-3500\n");
	expect_lines(t,
		"SELECT printf('%d %d %s', n = (SELECT max(n) FROM step), stage, text) FROM v_step"
		" WHERE text LIKE 'sys_%'",
		"0 1 sys_enter: pwrite64(fd 3, 0x40a000, 512 bytes, offset 4096)\n"
		"1 9 sys_exit: pwrite64 = 512\n");
	expect_lines(t, BUDGET(1),
		"guest_kernel 630\n"
		"exit_entry 50\n"
		"kvm 120\n"
		"vmm 560\n"
		"host_kernel 300\n"
		"waiting 450\n"
		"recorder 90\n");
	expect_lines(t, BUDGET_ERRORS, "");
}

/* The task that makes the call issues the request too: no hand-over, and it waits for the interrupt. */
static void by_the_caller(void **state)
{
	struct tape *t = *state;

	entry(t, 1120, 0);
	GUEST(t, 1300, WRITER, 0, SYS_ENTER, NR_PWRITE, 3, 0x40a000, 512, 4096);
	FUNC(t, 1340, WRITER, 0, submit_bio);
	GUEST(t, 1360, WRITER, 0, BIO_QUEUE, VDA + 1, 8, 1, WS); /* the partition's number */
	issue(t, 1400, WRITER, VDA, 8, 1);
	notify_device(t, 1500, WRITER);
	hw_exit(t, 1900);
	serve_kick(t, 2000, 1, 8);
	handle_irq(t, 3100, WRITER, VDA, 8, 1);
	GUEST(t, 3500, WRITER, 0, SYS_EXIT, NR_PWRITE, 512);
	derive(t);
	expect_lines(t, CALLED, "1 writer 7 sector\n");
	expect_lines(t, "SELECT count(*) FROM v_step WHERE text LIKE 'hand-over%'", "0\n");
	expect_lines(t,
		"SELECT count(*) FROM v_step WHERE layer = 'guest_kernel' AND actor LIKE 'writer%'",
		"10\n");
	expect_lines(t,
		"SELECT printf('%s %d', n.name, ns) FROM budget b JOIN enum_name n ON n.enum ="
		" 'layer' AND n.value = b.layer WHERE ns <> 0 AND layer IN (1, 2, 7, 10, 11)",
		"guest_kernel 1080\n");
}

/* The worker has two requests: each has what is about it, and both have the notification. */
static void one_of_a_batch(void **state)
{
	struct tape *t = *state;

	on(t, VCPU1);
	GUEST(t, 1000, OTHER, 0, SYS_ENTER, NR_PWRITE, 4, 0x40a000, 512, 8192);
	GUEST(t, 1010, OTHER, 0, BIO_QUEUE, VDA, 16, 1, WS);
	GUEST(t, 1020, OTHER, 0, RQ_INSERT, VDA, 16, 1, WS, 512);
	on(t, VCPU0);
	entry(t, 1120, 0);
	GUEST(t, 1300, WRITER, 0, SYS_ENTER, NR_PWRITE, 3, 0x40a000, 512, 4096);
	GUEST(t, 1360, WRITER, 0, BIO_QUEUE, VDA, 8, 1, WS);
	GUEST(t, 1380, WRITER, 0, RQ_INSERT, VDA, 8, 1, WS, 512);
	hand_to_worker(t, 1400, WRITER);
	issue(t, 1720, KWORKER, VDA, 16, 1);
	FUNC(t, 1765, KWORKER, 0, kfree);
	issue(t, 1780, KWORKER, VDA, 8, 1);
	notify_device(t, 1830, KWORKER);
	hw_exit(t, 1900);
	kick(t, 2000, 1, 2);
	for (int i = 1; i <= 2; i++) {
		EMIT(t, 2100 + 100 * i, QUEUE_POP, i, 1, 0, 0, 2, i);
		EMIT(t, 2120 + 100 * i, REQUEST, i, 1, i == 1 ? 16 : 8, 512, 3, 0x5000);
		EMIT(t, 2150 + 100 * i, QUEUE_USED, i, 1, 0, 0, 1, i);
	}
	raise_msi(t, 2400);
	run_enter(t, 3000);
	entry(t, 3020, t->exit_id);
	GUEST(t, 3100, KWORKER, HARDIRQ, IRQ, 11);
	FUNC(t, 3110, KWORKER, HARDIRQ, virtblk_done);
	GUEST(t, 3130, KWORKER, HARDIRQ, RQ_COMPLETE, VDA, 16, 1, WS, 0);
	FUNC(t, 3140, KWORKER, HARDIRQ, bio_endio);
	GUEST(t, 3150, KWORKER, HARDIRQ, WAKING, OTHER, 0);
	GUEST(t, 3230, KWORKER, HARDIRQ, RQ_COMPLETE, VDA, 8, 1, WS, 0);
	FUNC(t, 3240, KWORKER, HARDIRQ, bio_endio);
	GUEST(t, 3250, KWORKER, HARDIRQ, WAKING, WRITER, 0);
	GUEST(t, 3260, KWORKER, HARDIRQ, IRQ_RET, 11, 1);
	GUEST(t, 3400, KWORKER, 0, SWITCH, KWORKER, 1, WRITER);
	GUEST(t, 3500, WRITER, 0, SYS_EXIT, NR_PWRITE, 512);
	on(t, VCPU1);
	GUEST(t, 3600, OTHER, 0, SYS_EXIT, NR_PWRITE, 512);
	derive(t);
	expect_lines(t, CALLED, "1 other 8 sector\n2 writer 7 sector\n");
	expect_lines(t,
		"SELECT printf('%d: %s', request_id, group_concat(ts_ns, ' ')) FROM v_step WHERE layer ="
		" 'guest_kernel' AND ts_ns > 1400 AND evidence LIKE 'event%' GROUP BY request_id",
		"1: 1700 1720 1740 1760 1765 1830 1840 1850 3100 3110 3130 3140 3150 3260 3600\n"
		"2: 1450 1500 1700 1780 1800 1820 1830 1840 1850 3100 3110 3230 3240 3250 3260 3400 3500\n");
	/* Nobody has queued the work for the other one: its request was in the queue that the worker went through. */
	expect_lines(t,
		"SELECT printf('%d %s', request_id, text) FROM v_step WHERE text LIKE 'hand-over%' AND stage = 2",
		"1 hand-over: other[8] put the request into a queue, and kworker/0:1H[35] takes it on\n"
		"2 hand-over: writer[7] queued the work that kworker/0:1H[35] now begins\n");
	expect_lines(t, BUDGET_ERRORS, "");
	expect_lines(t, UNACCOUNTED, "");
}

/* Two vCPUs: the worker on one, the interrupt and its soft one on the other, where the writer wakes up. */
static void across_cpus(void **state)
{
	struct tape *t = *state;

	entry(t, 1120, 0);
	GUEST(t, 1300, WRITER, 0, SYS_ENTER, NR_PWRITE, 3, 0x40a000, 512, 4096);
	GUEST(t, 1360, WRITER, 0, BIO_QUEUE, VDA, 8, 1, WS);
	GUEST(t, 1380, WRITER, 0, RQ_INSERT, VDA, 8, 1, WS, 512);
	GUEST(t, 1400, WRITER, 0, WORK_QUEUE, 0x5000, FN_blk_mq_run_work_fn, 1);
	on(t, VCPU1);
	entry(t, 1410, 0);
	GUEST(t, 1450, 0, 0, SWITCH, 0, 0, KWORKER);
	GUEST(t, 1500, KWORKER, 0, WORK_START, 0x5000, FN_blk_mq_run_work_fn);
	on(t, VCPU0);
	FUNC(t, 1550, WRITER, 0, io_schedule); /* still on its CPU */
	GUEST(t, 1600, WRITER, 0, SWITCH, WRITER, 2, 0);
	on(t, VCPU1);
	issue(t, 1720, KWORKER, VDA, 8, 1);
	notify_device(t, 1780, KWORKER);
	hw_exit(t, 1900);
	serve_kick(t, 2000, 1, 8);
	on(t, VCPU0);
	GUEST(t, 3100, 0, HARDIRQ, IRQ, 11);
	FUNC(t, 3110, 0, HARDIRQ, vring_interrupt);
	FUNC(t, 3120, 0, HARDIRQ, virtblk_done);
	GUEST(t, 3130, 0, HARDIRQ, IRQ_RET, 11, 1);
	GUEST(t, 3140, 0, SOFTIRQ, SOFTIRQ, 4);
	GUEST(t, 3150, 0, SOFTIRQ, RQ_COMPLETE, VDA, 8, 1, WS, 0);
	FUNC(t, 3160, 0, SOFTIRQ, bio_endio);
	GUEST(t, 3170, 0, SOFTIRQ, WAKING, WRITER, 1);
	GUEST(t, 3180, 0, SOFTIRQ, SOFTIRQ_RET, 4);
	on(t, VCPU1);
	GUEST(t, 3400, KWORKER, 0, SWITCH, KWORKER, 1, WRITER);
	GUEST(t, 3500, WRITER, 0, SYS_EXIT, NR_PWRITE, 512);
	derive(t);
	expect_lines(t, CALLED, "1 writer 7 sector\n");
	expect_lines(t,
		"SELECT printf('%d %d %s', ts_ns, stage, actor) FROM v_step WHERE layer = 'guest_kernel' AND"
		" ts_ns > 1400 AND evidence LIKE 'event%'",
		"1500 2 kworker/0:1H[35]\n"
		"1550 2 writer[7]\n"
		"1600 2 writer[7]\n"
		"1720 2 kworker/0:1H[35]\n"
		"1740 2 kworker/0:1H[35]\n"
		"1760 2 kworker/0:1H[35]\n"
		"1780 2 kworker/0:1H[35]\n"
		"1790 2 kworker/0:1H[35]\n"
		"1800 2 kworker/0:1H[35]\n"
		"3100 9 interrupt on vcpu0\n"
		"3110 9 interrupt on vcpu0\n"
		"3120 9 interrupt on vcpu0\n"
		"3130 9 interrupt on vcpu0\n"
		"3140 9 soft interrupt on vcpu0\n"
		"3150 9 soft interrupt on vcpu0\n"
		"3160 9 soft interrupt on vcpu0\n"
		"3170 9 soft interrupt on vcpu0\n"
		"3180 9 soft interrupt on vcpu0\n"
		"3400 9 kworker/0:1H[35]\n"
		"3500 9 writer[7]\n");
	expect_lines(t, "SELECT text FROM v_step WHERE text LIKE 'hand-over%'",
		"hand-over: writer[7] queued the work that kworker/0:1H[35] now begins\n"
		"hand-over: soft interrupt on vcpu0 woke writer[7], which runs now\n");
	/* 1300 … 1500 the writer; … 1900 the worker; 2650 … 3170 the interrupt; 3400 … 3500 the writer. */
	expect_lines(t, "SELECT ns FROM budget WHERE layer = 2", "1220\n");
	expect_lines(t, "SELECT ns FROM budget WHERE layer = 7", "230\n");
	expect_lines(t, BUDGET_ERRORS, "");
	expect_lines(t, UNACCOUNTED, "");
}

/* --- windows ----------------------------------------------------------------------------------- */

/* One call, two requests in turn: the second one's bio stands in front of its window, which begins at the first one's
 * completion, while the task sleeps. */
static void two_of_one_call(void **state)
{
	struct tape *t = *state;

	entry(t, 1120, 0);
	GUEST(t, 1300, WRITER, 0, SYS_ENTER, NR_FSYNC, 3);
	for (int i = 0; i < 2; i++) {
		FUNC(t, 1350 + 20 * i, WRITER, 0, submit_bio);
		GUEST(t, 1360 + 20 * i, WRITER, 0, BIO_QUEUE, VDA, 8 + 8 * i, 1, WS);
	}
	GUEST(t, 1450, WRITER, 0, SWITCH, WRITER, 2, KWORKER);
	for (int i = 0; i < 2; i++) {
		int64_t ts = 2000 + 2000 * i;

		issue(t, ts - 300, KWORKER, VDA, 8 + 8 * i, 1);
		notify_device(t, ts - 200, KWORKER);
		hw_exit(t, ts - 100);
		serve_kick(t, ts, 1 + i, 8 + 8 * i);
		handle_irq(t, ts + 1100, KWORKER, VDA, 8 + 8 * i, 1);
	}
	GUEST(t, 5200, KWORKER, 0, SWITCH, KWORKER, 1, WRITER);
	GUEST(t, 5300, WRITER, 0, SYS_EXIT, NR_FSYNC, 0);
	derive(t);
	expect_lines(t, CALLED, "1 writer 7 sector\n2 writer 7 sector\n");
	expect_lines(t, "SELECT printf('%d-%d', t_first, t_last) FROM request",
		"1300-3130\n3130-5300\n");
	expect_lines(t,
		"SELECT printf('%d: %s', request_id, group_concat(ts_ns, ' ')) FROM v_step WHERE layer ="
		" 'guest_kernel' AND evidence LIKE 'event%' GROUP BY request_id",
		"1: 1300 1350 1360 1450 1700 1720 1740 1800 1810 1820 3100 3110 3120 3130 5300\n"
		"2: 1300 1380 3700 3720 3740 3800 3810 3820 5100 5110 5120 5130 5140 5150 5160 5200"
		" 5300\n");
	expect_lines(t, "SELECT ns FROM budget WHERE layer = 7", "250\n620\n");
	expect_lines(t, BUDGET_ERRORS, "");
	expect_lines(t, UNACCOUNTED, "");
}

/* No exit comes to the VMM: the functions are there, the instruction is not; then the I/O thread has it. */
static void by_ioeventfd(void **state)
{
	struct tape *t = *state;

	GUEST(t, 1300, WRITER, 0, SYS_ENTER, NR_PWRITE, 3, 0x40a000, 512, 4096);
	GUEST(t, 1360, WRITER, 0, BIO_QUEUE, VDA, 8, 1, WS);
	hand_to_worker(t, 1400, WRITER);
	issue(t, 1720, KWORKER, VDA, 8, 1);
	notify_device(t, 1780, KWORKER);
	on(t, IO);
	EMIT(t, 1900, IO_WAKE, 1, 0, 1, 1, 9);
	EMIT(t, 1910, QUEUE_NOTIFY, 1, 0, 1, 0);
	take(t, 2000, 1, 1, 0x9000);
	fill(t, 2050, 1);
	enter_uring(t, 2060, 1);
	complete(t, 2500, 1);
	raise_msi(t, 2550);
	EMIT(t, 2700, IO_SLEEP, 0);
	on(t, VCPU0);
	GUEST(t, 2750, KWORKER, 0, WORK_END, 0x5000,
		FN_blk_mq_run_work_fn); /* the device has it long since */
	handle_irq(t, 2800, KWORKER, VDA, 8, 1);
	GUEST(t, 3400, KWORKER, 0, SWITCH, KWORKER, 1, WRITER);
	GUEST(t, 3500, WRITER, 0, SYS_EXIT, NR_PWRITE, 512);
	derive(t);
	expect_lines(t, CALLED, "1 writer 7 sector\n");
	expect_lines(t, "SELECT text FROM v_step WHERE text LIKE 'workqueue%end%'", "");
	expect_lines(t, NOT_RECORDED,
		"2 not recorded: the instruction that notif\n"
		"3 handled inside KVM by ioeventfd: the exi\n"
		"4 handled inside KVM by ioeventfd: no retu\n"
		"8 handled inside KVM by ioeventfd: KVM its\n"
		"6 not recorded: below the host's system ca\n"
		"7 not recorded: inside KVM (kvm_set_irq, k\n");
	expect_lines(t, BUDGET_ERRORS, "");
	expect_lines(t, UNACCOUNTED, "");
}

/* --- order ------------------------------------------------------------------------------------- */

/* A step is marked where the error of the guest's time reaches to the one in front of it. */
static void uncertain_order(void **state)
{
	struct tape *t = *state;

	entry(t, 1120, 0);
	GUEST(t, 1300, WRITER, 0, SYS_ENTER, NR_PWRITE, 3, 0x40a000, 512, 4096);
	GUEST(t, 1360, WRITER, 0, BIO_QUEUE, VDA, 8, 1, WS);
	issue(t, 1400, WRITER, VDA, 8, 1);
	FUNC(t, 1896, WRITER, 0, vp_notify);
	hw_exit(t, 1900);
	serve_kick(t, 2000, 1, 8);
	handle_irq(t, 3026, WRITER, VDA, 8, 1);
	GUEST(t, 3500, WRITER, 0, SYS_EXIT, NR_PWRITE, 512);
	derive(t);
	expect_lines(t,
		"SELECT printf('%d %d', ts_ns, coalesce(error_ns, -1)) FROM v_step WHERE uncertain",
		"1900 -1\n");
	sql(t, "UPDATE guest_event SET error = NULL WHERE event_id = (SELECT event_id FROM v_step s JOIN"
	       " step USING(request_id, n) WHERE s.ts_ns = 3026)");
	derive(t);
	expect_lines(t,
		"SELECT printf('%d %d', ts_ns, coalesce(error_ns, -1)) FROM v_step WHERE uncertain",
		"1900 -1\n3026 -1\n");
}

/* The path as text: who does what, and the sign. */
static void as_text(void **state)
{
	struct tape *t = *state;
	struct textout o;
	struct err e = {0};
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	worker_write(t, false);
	sql(t, "UPDATE guest_event SET error = 150 WHERE event_id IN (SELECT id FROM event WHERE ts = 1800)");
	derive(t);
	textout_init(&o, f, true);
	assert_int_equal(path_text(t->db, &o, 1, false, &e), 0);
	fclose(f);
	assert_non_null(strstr(text, "pwrite64(3, 0x40a000, 512, 4096) = 512   pid 7 writer \n"));
	assert_non_null(strstr(text, "  > writer[7]\n"));
	assert_non_null(strstr(text, "  > kworker/0:1H[35]\n"));
	assert_non_null(strstr(text, "  > interrupt on vcpu0\n"));
	assert_non_null(strstr(text, "\n~      0.600     +0.100  KVM           kvm_exit:"));
	assert_non_null(strstr(text, "\n~ may have happened before the step above"));
	free(text);
}

/* The row of the model's list around the cursor whose text begins like that. */
static const struct row *row_of(const struct model *m, const char *text)
{
	for (int rel = -64; rel < 64; rel++) {
		const struct row *r = model_row(m, rel);

		if (r && !strncmp(r->text, text, strlen(text)))
			return r;
	}
	fail_msg("no row '%s'", text);
	return NULL;
}

static const char *value_of(const struct lines *l, const char *key)
{
	for (unsigned i = 0; i < l->n; i++)
		if (!strcmp(l->line[i].key, key))
			return l->line[i].value;
	fail_msg("no line '%s'", key);
	return NULL;
}

/* The UI's model names the tasks, knows what is not certain, and says how good a guest's time is. */
static void in_the_model(void **state)
{
	static struct lines lines;
	struct tape *t = *state;
	struct recording r = {.db = t->db};
	struct err e = {0};
	struct model *m;

	worker_write(t, true);
	sql(t, "UPDATE guest_event SET error = 150 WHERE event_id IN (SELECT id FROM event WHERE ts = 1800)");
	derive(t);
	assert_int_equal(model_open(&m, &r, "tape", &e), 0);
	model_span(m, 64);
	assert_true(model_several(m));
	assert_string_equal(row_of(m, "vp_notify()")->actor, "kworker/0:1H[35]");
	assert_string_equal(row_of(m, "vp_notify()")->track, "vcpu0");
	assert_string_equal(row_of(m, "hand-over: interrupt")->actor, "writer[7]");
	assert_string_equal(row_of(m, "virtblk_done()")->actor, "interrupt on vcpu0");
	assert_false(row_of(m, "vp_notify()")->uncertain);
	assert_true(row_of(m, "kvm_exit: ")->uncertain);
	while (model_row(m, 0) != row_of(m, "vp_notify()"))
		assert_true(model_move(m, 1));
	model_pane(m, PANE_STEP, &lines);
	assert_string_equal(value_of(&lines, "time may be wrong by"), "±150 ns");
	assert_string_equal(value_of(&lines, "who"), "kworker/0:1H[35]");
	while (strncmp(model_row(m, 0)->text, "512 bytes of guest stack", 24) != 0)
		assert_true(model_move(m, 1));
	model_pane(m, PANE_STEP, &lines);
	assert_string_equal(value_of(&lines, "why"), "notify (1)");
	model_close(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		GUEST_TEST(calls_from_events),
		GUEST_TEST(marker_and_event_swapped),
		GUEST_TEST(call_inside_a_marked_one),
		GUEST_TEST(by_a_worker),
		GUEST_TEST(exits_that_pass),
		GUEST_TEST(not_marked),
		GUEST_TEST(by_the_caller),
		GUEST_TEST(one_of_a_batch),
		GUEST_TEST(across_cpus),
		GUEST_TEST(two_of_one_call),
		GUEST_TEST(by_ioeventfd),
		GUEST_TEST(uncertain_order),
		GUEST_TEST(as_text),
		GUEST_TEST(in_the_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
