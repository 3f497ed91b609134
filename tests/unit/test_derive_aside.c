/* SPDX-License-Identifier: MIT */
/* Which exits are asides of a request's path, which are not, and what is printed of them. */
#include "tests/unit/derive_tape.h"
#include "tracer/path.h"

#define ASIDES "SELECT printf('%d..%d %s', t0_ns, t1_ns, text) FROM v_aside WHERE request_id = 1"
#define IS_ASIDE(what)                                                                             \
	"SELECT group_concat(coalesce(aside, '-'), ' ') FROM v_step WHERE request_id = 1 AND " what

/* An exit that KVM serves itself, for a timer of the guest: vCPU 0 leaves at ts and is back 40 ns later. */
static void timer(struct tape *t, int64_t ts, int64_t vector)
{
	int64_t at = ++t->exit_id;

	HOST(t, ts, 0, HOST_FUNC, 0x100, 0x200);
	sql(t,
		"INSERT INTO vm_exit(id, event_id, track, isa, hw_reason, rip, t_exit) VALUES(%d, %d, 1, 2,"
		" 96, 1, %d)",
		(int)at, (int)t->event + 1, (int)ts + 1);
	HOST(t, ts + 1, at, KVM_EXIT, at, 2, 96, IOWRITE16, 0);
	HOST(t, ts + 10, at, KVM_APIC_ACCEPT_IRQ, 0, 0, 0, vector);
	HOST(t, ts + 20, at, SCHED_SWITCH, 1, 0, 5);
	on(t, 5);
	EMIT(t, ts + 25, SCHED_SWITCH, 5, 0, 1);
	on(t, 1);
	HOST(t, ts + 30, at, KVM_INJ_VIRQ, vector, 0, 0);
	HOST(t, ts + 40, at, KVM_ENTRY, at, 0, IOWRITE16);
}

static void begin(struct tape *t)
{
	sql(t, "INSERT INTO track VALUES(5, 'thread', NULL, 'other')");
	marker(t, 1000, EW_MARKER_ENTER, 0);
	run_enter(t, 1100);
	HOST(t, 1110, 1, KVM_ENTRY, 1, 0, 0x401000);
}

static void traced_kick(struct tape *t, int64_t ts)
{
	int64_t at = t->exit_id + 1;

	HOST(t, ts - 90, at, KVM_EXIT, at, 2, 123, IOWRITE16 + 6, 0xc0100020);
	HOST(t, ts - 70, at, KVM_USERSPACE_EXIT, 2, 0);
	kick(t, ts, 1, 1);
	serve(t, ts + 200, 1, 0x9000);
	EMIT(t, ts + 600, ISR_SET, 1, 1);
	EMIT(t, ts + 610, IRQ_LINE, 11, 1, 1);
	HOST(t, ts + 620, at, KVM_APIC_ACCEPT_IRQ, 0, 0, 0, 34);
	EMIT(t, ts + 660, IRQ_LINE_RET, 11, 1, 0);
	EMIT(t, ts + 670, DISPATCH_END, 3, 0, 0);
	run_enter(t, ts + 1000);
	HOST(t, ts + 1020, at, KVM_ENTRY, at, 0, IOWRITE16 + 8);
}

static void traced_end(struct tape *t)
{
	int64_t at = t->exit_id + 1;

	HOST(t, 6910, at, KVM_EXIT, at, 2, 123, IOREAD8, 0xc0130011);
	HOST(t, 6930, at, KVM_USERSPACE_EXIT, 2, 0);
	isr_exit(t, 7000);
	HOST(t, 7110, at, KVM_ENTRY, at, 0, IOREAD8 + 1);
	HOST(t, 7910, at + 1, KVM_EXIT, at + 1, 2, 123, USER_WRITE, 0xb000040);
	HOST(t, 7930, at + 1, KVM_USERSPACE_EXIT, 2, 0);
	marker(t, 8000, EW_MARKER_EXIT, 512);
	run_enter(t, 8100);
}

/* Two timers in a row are one aside, a third one behind the kick another; the path's stage stays. */
static void timers(void **state)
{
	struct tape *t = *state;

	begin(t);
	timer(t, 1200, 236);
	timer(t, 1300, 236);
	traced_kick(t, 2000);
	timer(t, 4000, 236);
	traced_end(t);
	derive(t);
	expect_lines(t, ASIDES,
		"1200..1340 2 exits: 2 SVM_EXIT_INTR; 14 steps\n"
		"4000..4040 1 exit: SVM_EXIT_INTR; 7 steps\n");
	expect_lines(t, "SELECT DISTINCT printf('%d %d', aside, stage) FROM v_step WHERE aside",
		"1 8\n2 8\n");
	/* All else is the request's. */
	expect_lines(t,
		"SELECT count(*) FROM v_step WHERE aside IS NOT NULL AND (ts_ns NOT BETWEEN 1200 AND 1340"
		" AND ts_ns NOT BETWEEN 4000 AND 4040 OR ts_ns IS NULL)",
		"0\n");
	expect_lines(t,
		"SELECT evidence = printf('event %d to %d', min(e.event_id), max(e.event_id))"
		" FROM v_aside a JOIN step e USING(request_id, aside) GROUP BY aside",
		"1\n1\n");
	expect_lines(t, BUDGET_ERRORS, "");
}

/* The exit at whose end the request's own interrupt is injected belongs to it; its vector is known by the APIC. */
static void own_interrupt(void **state)
{
	struct tape *t = *state;

	begin(t);
	traced_kick(t, 2000);
	timer(t, 4000, 236);
	timer(t, 5000, 34);
	timer(t, 6000, 236);
	traced_end(t);
	derive(t);
	expect_lines(t, IS_ASIDE("text LIKE 'kvm_inj_virq%'"), "1 - 2\n");
	expect_lines(t, IS_ASIDE("ts_ns BETWEEN 5000 AND 5040"), "- - - - - - -\n");
}

/* Nobody saw the vector: any interrupt may be the request's until it is acknowledged. */
static void unknown_vector(void **state)
{
	struct tape *t = *state;

	begin(t);
	timer(t, 1200, 236);
	traced_kick(t, 2000);
	timer(t, 4000, 236);
	traced_end(t);
	sql(t, "DELETE FROM event WHERE ts = 2620");
	derive(t);
	expect_lines(t, ASIDES, "1200..1240 1 exit: SVM_EXIT_INTR; 7 steps\n");
}

/* A lost kvm_entry: the next exit is one of its own. */
static void lost_entry(void **state)
{
	struct tape *t = *state;

	begin(t);
	timer(t, 1200, 236);
	sql(t, "DELETE FROM event WHERE ts = 1240");
	traced_kick(t, 2000);
	traced_end(t);
	derive(t);
	expect_lines(t, ASIDES, "1200..1230 1 exit: SVM_EXIT_INTR; 6 steps\n");
}

/* Without the host's tracepoints: exits for another device, which the VMM serves. */
static void another_device(void **state)
{
	struct tape *t = *state;

	sql(t, "INSERT INTO region VALUES(2, 0, 1016, 8, 2, 'COM1')");
	marker(t, 1000, EW_MARKER_ENTER, 0);
	run_enter(t, 1100);
	for (int i = 0; i < 2; i++) {
		run_exit(t, 1500 + i * 200, 0x3f8, true, 1);
		sql(t, "UPDATE vm_exit SET region = 2 WHERE id = %d", (int)t->exit_id);
		EMIT(t, 1510 + i * 200, DISPATCH, 0, 0x3f8, 2, 0, 1, 1);
		EMIT(t, 1520 + i * 200, DISPATCH_END, 2, 0, 0);
		run_enter(t, 1600 + i * 200);
	}
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
	expect_lines(t, ASIDES,
		"1500..1800 2 exits: 2 KVM_EXIT_IO (COM1); 8 steps\n"
		"3500..3600 1 exit: KVM_EXIT_IO; 2 steps\n");
	expect_lines(t, BUDGET_ERRORS, "");
}

static void none(void **state)
{
	struct tape *t = *state;

	one_write(t, 0, 1);
	derive(t);
	expect_lines(t, "SELECT count(*) FROM v_step WHERE aside IS NOT NULL", "0\n");
	expect_lines(t, "SELECT count(*) FROM v_aside", "0\n");
}

static char *path(struct tape *t, bool asides)
{
	struct err e = {0};
	struct textout o;
	char *text;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	textout_init(&o, f, true);
	if (path_text(t->db, &o, 1, asides, &e))
		fail_msg("%s", e.msg);
	fclose(f);
	return text;
}

/* One line, with the times of both ends in it; or every step. */
static void as_text(void **state)
{
	struct tape *t = *state;
	char *folded, *all;

	begin(t);
	timer(t, 1200, 236);
	timer(t, 1300, 236);
	traced_kick(t, 2000);
	traced_end(t);
	derive(t);
	folded = path(t, false);
	all = path(t, true);
	assert_non_null(strstr(folded,
		"\n       0.100     +0.090  aside         2 exits: 2 SVM_EXIT_INTR; 14 steps,"));
	assert_non_null(strstr(folded, "steps, 0.140 us"));
	assert_non_null(strstr(folded, "(--asides shows them)\n"));
	assert_null(strstr(folded, "vector 236"));
	assert_null(strstr(folded, "sched_switch"));
	/* The step behind it counts from its end. */
	assert_non_null(strstr(folded, "       0.810     +0.570  KVM           kvm_exit:"));
	assert_null(strstr(all, "aside"));
	assert_non_null(strstr(all, "kvm_inj_virq: vector 236"));
	assert_true(strlen(all) > strlen(folded));
	free(folded);
	free(all);
}

static void as_json(void **state)
{
	struct tape *t = *state;
	struct err e = {0};
	struct json j;
	char *text, *at;
	size_t len;
	FILE *f = open_memstream(&text, &len);
	int steps = 0;

	begin(t);
	timer(t, 1200, 236);
	traced_kick(t, 2000);
	traced_end(t);
	derive(t);
	json_init(&j, f);
	assert_int_equal(path_json(t->db, &j, 1, &e), 0);
	fclose(f);
	for (at = text; (at = strstr(at, "\"aside\": 1")); at++)
		steps++;
	assert_int_equal(steps, 7 + 1);
	assert_non_null(strstr(text, "\"text\": \"1 exit: SVM_EXIT_INTR; 7 steps\""));
	assert_non_null(strstr(text, "\"aside\": null"));
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TAPE_TEST(timers),
		TAPE_TEST(own_interrupt),
		TAPE_TEST(unknown_vector),
		TAPE_TEST(lost_entry),
		TAPE_TEST(another_device),
		TAPE_TEST(none),
		TAPE_TEST(as_text),
		TAPE_TEST(as_json),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
