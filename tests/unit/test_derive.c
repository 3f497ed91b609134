/* SPDX-License-Identifier: MIT */
/* Correlation: synthetic timelines in, exact requests, steps and budgets out. */
#include "tests/unit/derive_tape.h"

static void steps_of_a_write(void **state)
{
	struct tape *t = *state;

	one_write(t, 0, 1);
	derive(t);
	expect_lines(t, STEPS(1),
		"1 marker guest_user\n"
		"1 run_enter exit_entry\n"
		"2 write guest_user\n"
		"2 ksys_write guest_kernel\n"
		"2 vp_notify guest_kernel\n"
		"2 iowrite16 guest_kernel\n"
		"2 insn guest_kernel\n"
		"3 absent kvm\n"
		"4 run_exit exit_entry\n"
		"4 dispatch vmm\n"
		"4 snapshot recorder\n"
		"5 queue_notify vmm\n"
		"5 queue_pop vmm\n"
		"5 descriptor vmm\n"
		"5 request vmm\n"
		"6 host_call host_kernel\n"
		"6 host_ret host_kernel\n"
		"6 absent host_kernel\n"
		"7 req_status vmm\n"
		"7 queue_used vmm\n"
		"7 isr_set vmm\n"
		"7 irq_line kvm\n"
		"7 irq_line_ret kvm\n"
		"7 dispatch_end vmm\n"
		"7 absent kvm\n"
		"8 run_enter exit_entry\n"
		"8 absent kvm\n"
		"9 run_exit exit_entry\n"
		"9 dispatch vmm\n"
		"9 isr_read vmm\n"
		"9 irq_line kvm\n"
		"9 irq_line_ret kvm\n"
		"9 dispatch_end vmm\n"
		"9 run_enter exit_entry\n"
		"9 absent guest_kernel\n"
		"9 run_exit exit_entry\n"
		"9 marker guest_user\n");
	expect_lines(t, "SELECT n FROM step WHERE request_id = 1 AND n NOT BETWEEN 1 AND 37", "");
}

static void texts_of_a_write(void **state)
{
	struct tape *t = *state;

	one_write(t, 0, 1);
	derive(t);
	expect_lines(t,
		"SELECT text FROM v_step WHERE request_id = 1 AND (stage < 4 AND evidence <>"
		" 'not recorded' OR evidence LIKE 'event%' AND stage IN (4, 9) AND (text LIKE"
		" 'KVM_RUN returns%' OR text LIKE 'write%')) ORDER BY n",
		"write(3, 0x40a000, 512)  pid 7 writer /data\n"
		"KVM_RUN\n"
		"write+0x10\n"
		"ksys_write+0x30\n"
		"vp_notify+0x20\n"
		"iowrite16+0x6\n"
		"out dx, ax (66 ef) at iowrite16+0x6, rip 0xffffffff80001006\n"
		"KVM_RUN returns: KVM_EXIT_IO, 2-byte write to port 0xc010, value 0x0, rip"
		" 0xffffffff80001006\n"
		"KVM_RUN returns: KVM_EXIT_IO, 1-byte read from port 0xc013, value 0x0, rip"
		" 0xffffffff80001006\n"
		"KVM_RUN returns: KVM_EXIT_IO, 4-byte write to port 0xb00, value 0x0, rip"
		" 0xffffffff80001006\n"
		"write = 512\n");
	/* What is absent depends on the backend. */
	expect_lines(t, "SELECT text FROM v_step WHERE request_id = 1 AND stage = 3",
		"not recorded: hardware exit reason and KVM's handler; the kvm_exit tracepoint "
		"never"
		" fires on kvm_pvm\n");
}

static void row_of_a_write(void **state)
{
	struct tape *t = *state;

	one_write(t, 0, 1);
	derive(t);
	expect_lines(t,
		"SELECT printf('%d %d %d %d|%d %d %d %d|%d %d|%d %d %d %d %d %d %d %d %d|%d', "
		"device,"
		" queue, head, type, sector, bytes, descriptors, status, guest_call, kick_exit,"
		" t_first, t_kick, t_pop, t_host, t_host_ret, t_used, t_irq, t_entry, t_last, "
		"exits)"
		" FROM request",
		"1 0 0 1|8 512 3 0|1 2|1100 2000 2200 2230 2530 2550 2610 3000 6000|2\n");
	expect_lines(t,
		"SELECT printf('%d %d %s %d %s %d %d-%d', id, pid, comm, nr, path, ret, t_enter, "
		"t_exit)"
		" FROM guest_call",
		"1 7 writer 1 /data 512 1100-6000\n");
}

/* The handler's frames end at the context that it interrupted: stage 2 has the rest. */
static void frames_of_the_handler(void **state)
{
	struct tape *t = *state;

	kick(t, 2000, 1, 1);
	serve(t, 2200, 1, 0x9000);
	raise_irq(t, 2600);
	run_enter(t, 3000);
	run_exit(t, 4000, 0xc013, false, 1);
	interrupt_snapshot(t, 4010);
	EMIT(t, 4020, ISR_READ, 1, 1);
	run_enter(t, 4100);
	derive(t);
	assert_int_equal(
		number(t, "SELECT count(*) FROM frame WHERE event_id = (SELECT max(event_id)"
			  " FROM payload)"),
		3);
	expect_lines(t,
		"SELECT text FROM v_step WHERE stage = 9 AND evidence LIKE 'stack%' ORDER BY n",
		"iowrite16+0x8\nioread8+0x0\n");
	sql(t, "DELETE FROM symbol WHERE name = 'ioread8'");
	derive(t);
	assert_int_equal(
		number(t, "SELECT count(*) FROM v_step WHERE text = '0xffffffff80001800'"), 1);
}

static void budget_of_a_write(void **state)
{
	struct tape *t = *state;

	one_write(t, 0, 1);
	derive(t);
	/* In KVM_RUN: 1100-2000, 3000-4000, 4100-6000. */
	expect_lines(
		t, BUDGET(1), "kvm 70\nvmm 640\nhost_kernel 300\nrecorder 90\nin_kvm_run 3800\n");
	expect_lines(t, BUDGET_ERRORS, "");
	assert_int_equal(number(t, "SELECT count(*) FROM budget"), EW_LAYER_IN_VMM - 1);
}

/* A loss takes its time range out of whatever layer it would have been. */
static void loss_is_unaccounted(void **state)
{
	struct tape *t = *state;

	one_write(t, 0, 1);
	sql(t, "INSERT INTO loss VALUES(1, 1, 500, 900, 3), (2, 1, 2300, 2400, 5),"
	       " (3, 2, 2000, 3000, 9), (4, 1, 3900, 4050, 1)");
	derive(t);
	expect_lines(t, BUDGET(1),
		"kvm 50\nvmm 610\nhost_kernel 200\nrecorder 90\nin_kvm_run 3700\nunaccounted "
		"250\n");
	expect_lines(t, BUDGET_ERRORS, "");
}

/* The run_enter was lost: until the next record nobody knows who ran. */
static void unknown_after_a_loss(void **state)
{
	struct tape *t = *state;

	one_write(t, 0, 1);
	sql(t, "UPDATE event SET kind = %d WHERE ts = 3000", EW_LOST);
	sql(t, "INSERT INTO loss VALUES(1, 1, 2980, 3000, 1)");
	derive(t);
	assert_int_equal(
		number(t, "SELECT ns FROM budget WHERE layer = %d", EW_LAYER_UNACCOUNTED), 1020);
	expect_lines(t, BUDGET_ERRORS, "");
}

/* Two requests, one after the other, in one system call share its time between them. */
static void two_requests_in_one_call(void **state)
{
	struct tape *t = *state;

	marker(t, 1000, EW_MARKER_ENTER, 0);
	run_enter(t, 1100);
	for (int i = 0; i < 2; i++) {
		kick(t, 2000 + 3000 * i, i + 1, i + 1);
		serve(t, 2200 + 3000 * i, i + 1, 0x9000);
		raise_irq(t, 2600 + 3000 * i);
		run_enter(t, 3000 + 3000 * i);
		isr_exit(t, 4000 + 3000 * i);
	}
	marker(t, 9000, EW_MARKER_EXIT, 1024);
	run_enter(t, 9100);
	derive(t);
	expect_lines(t, "SELECT printf('%d-%d %d', t_first, t_last, exits) FROM request",
		"1100-4100 2\n4100-9000 2\n");
	expect_lines(t, BUDGET_ERRORS, "");
	expect_lines(t,
		"SELECT printf('%d %s', request_id, text) FROM v_step WHERE text LIKE 'write%=%' "
		"ORDER"
		" BY request_id",
		"1 write = 1024\n2 write = 1024\n");
}

/* Two requests of one kick: the first one ends at its used entry and says who has the interrupt. */
static void two_requests_of_one_kick(void **state)
{
	struct tape *t = *state;

	marker(t, 1000, EW_MARKER_ENTER, 0);
	run_enter(t, 1100);
	kick(t, 2000, 1, 2);
	serve(t, 2200, 1, 0x9000);
	serve(t, 2600, 2, 0x9000);
	raise_irq(t, 3000);
	run_enter(t, 3400);
	isr_exit(t, 4000);
	marker(t, 6000, EW_MARKER_EXIT, 512);
	run_enter(t, 6100);
	derive(t);
	expect_lines(t,
		"SELECT printf('%d-%d %d %d', t_first, t_last, t_irq, t_entry) FROM request",
		"1100-2550 3010 3400\n2550-6000 3010 3400\n");
	expect_lines(t, BUDGET_ERRORS, "");
	/* Both have the kick with its frames; only the second has the interrupt. */
	expect_lines(t,
		"SELECT printf('%d %d', request_id, sum(what = 'frame')) FROM step GROUP BY "
		"request_id",
		"1 4\n2 4\n");
	expect_lines(t,
		"SELECT DISTINCT s.request_id FROM step s JOIN event e ON e.id = s.event_id WHERE"
		" e.kind = 42",
		"2\n");
	expect_lines(t, "SELECT request_id FROM v_step WHERE text LIKE '%later request%'", "1\n");
}

/* Without a call the window runs from the run_enter before the kick to that after the ISR. */
static void request_without_a_call(void **state)
{
	struct tape *t = *state;

	kick(t, 2000, 1, 1);
	serve(t, 2200, 1, 0x9000);
	raise_irq(t, 2600);
	run_enter(t, 3000);
	isr_exit(t, 4000);
	run_exit(t, 5000, 0x80, true, 1);
	run_enter(t, 5100);
	derive(t);
	expect_lines(t, "SELECT printf('%d-%d %d', t_first, t_last, exits) FROM request",
		"100-4100 2\n");
	expect_lines(t, BUDGET_ERRORS, "");
	assert_int_equal(number(t, "SELECT count(*) FROM request WHERE guest_call IS NULL"), 1);
	expect_lines(t, "SELECT text FROM v_step WHERE n = 1",
		"no guest system call was open that does this: the guest kernel did it for itself\n");
}

/* A serial write in front of the kick and a timer's exit behind it stay visible, as steps of their
 * own. */
static void other_exits_in_the_window(void **state)
{
	struct tape *t = *state;

	marker(t, 1000, EW_MARKER_ENTER, 0);
	run_enter(t, 1100);
	run_exit(t, 1500, 0x3f8, true, 1);
	EMIT(t, 1510, DISPATCH, 0, 0x3f8, 2, 0, 1, 1);
	EMIT(t, 1520, DISPATCH_END, 2, 0, 0);
	run_enter(t, 1600);
	kick(t, 2000, 1, 1);
	serve(t, 2200, 1, 0x9000);
	raise_irq(t, 2600);
	run_enter(t, 3000);
	run_exit(t, 3500, 0x20, true, 1);
	run_enter(t, 3600);
	isr_exit(t, 4000);
	marker(t, 6000, EW_MARKER_EXIT, 512);
	run_enter(t, 6100);
	derive(t);
	assert_int_equal(number(t, "SELECT exits FROM request"), 4);
	expect_lines(t,
		"SELECT printf('%d %s %d', s.stage, k.name, e.ts) FROM step s JOIN event e ON e.id "
		"="
		" s.event_id JOIN event_kind k ON k.id = e.kind WHERE s.what = 'event' AND"
		" (e.ts BETWEEN 1200 AND 1700 OR e.ts BETWEEN 3100 AND 3700) ORDER BY s.n",
		"1 run_exit 1500\n1 dispatch 1510\n1 dispatch_end 1520\n1 run_enter 1600\n"
		"8 run_exit 3500\n8 run_enter 3600\n");
	/* Every event of the window is a step. */
	expect_lines(t,
		"SELECT e.id FROM event e, request q WHERE e.ts BETWEEN q.t_first AND q.t_last AND "
		"e.id"
		" NOT IN (SELECT event_id FROM step WHERE event_id IS NOT NULL)",
		"");
	expect_lines(t, BUDGET_ERRORS, "");
}

/* The recording was cut off inside the device: what is there is shown, nothing is made up. */
static void cut_off_in_the_middle(void **state)
{
	struct tape *t = *state;

	marker(t, 1000, EW_MARKER_ENTER, 0);
	run_enter(t, 1100);
	kick(t, 2000, 1, 1);
	EMIT(t, 2200, QUEUE_POP, 1, 1, 0, 0, 1, 1);
	EMIT(t, 2230, HOST_CALL, 1, 18, 5, 512, 4096, 1);
	derive(t);
	expect_lines(t,
		"SELECT printf('%d-%d', t_first, t_last) FROM request WHERE status IS NULL AND "
		"t_used"
		" IS NULL AND type IS NULL",
		"1100-2230\n");
	expect_lines(
		t, "SELECT id FROM guest_call WHERE ret IS NULL AND exit_event IS NULL", "1\n");
	expect_lines(t, "SELECT text FROM v_step ORDER BY n DESC LIMIT 1",
		"the system call had not returned when the recording ended\n");
	expect_lines(t, BUDGET_ERRORS, "");
}

/* A request whose pop was lost, the same number twice, a marker's end without beginning. */
static void damaged_timelines(void **state)
{
	struct tape *t = *state;

	marker(t, 500, EW_MARKER_EXIT, 0);
	run_enter(t, 600);
	EMIT(t, 700, HOST_CALL, 99, 18, 5, 512, 0, 1);
	EMIT(t, 700, QUEUE_USED, 99, 1, 0, 0, 1, 1);
	one_write(t, 0, 1);
	one_write(t, 10000, 1);
	derive(t);
	assert_int_equal(number(t, "SELECT count(*) FROM request"), 1);
	assert_int_equal(number(t, "SELECT count(*) FROM guest_call"), 2);
	expect_lines(t, BUDGET_ERRORS, "");
}

static void deriving_again_changes_nothing(void **state)
{
	struct tape *t = *state;
	static const char *const all =
		"SELECT printf('%d %d %d %s %d %d %d', request_id, n, stage, what, event_id, frame,"
		" absent) FROM step UNION ALL SELECT printf('%d %d %d', request_id, layer, ns) FROM"
		" budget UNION ALL SELECT printf('%d %d %d %d', event_id, n, ip, symbol) FROM "
		"frame";
	char *once, *twice;

	one_write(t, 0, 1);
	one_write(t, 10000, 2);
	derive(t);
	once = lines(t, all);
	derive(t);
	twice = lines(t, all);
	assert_string_equal(once, twice);
	free(once);
	free(twice);
}

static void empty_recording(void **state)
{
	struct tape *t = *state;

	sql(t, "DELETE FROM event");
	derive(t);
	assert_int_equal(number(t, "SELECT count(*) FROM request"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TAPE_TEST(steps_of_a_write),
		TAPE_TEST(texts_of_a_write),
		TAPE_TEST(row_of_a_write),
		TAPE_TEST(frames_of_the_handler),
		TAPE_TEST(budget_of_a_write),
		TAPE_TEST(loss_is_unaccounted),
		TAPE_TEST(unknown_after_a_loss),
		TAPE_TEST(two_requests_in_one_call),
		TAPE_TEST(two_requests_of_one_kick),
		TAPE_TEST(request_without_a_call),
		TAPE_TEST(other_exits_in_the_window),
		TAPE_TEST(cut_off_in_the_middle),
		TAPE_TEST(damaged_timelines),
		TAPE_TEST(deriving_again_changes_nothing),
		TAPE_TEST(empty_recording),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
