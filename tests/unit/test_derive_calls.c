/* SPDX-License-Identifier: MIT */
/* Correlation: which system call, and which notification, a request belongs to. */
#include "tests/unit/derive_threads.h"

/* vCPU 0 notifies of the requests first … last; the I/O thread takes them, then completes them. */
static void round_trip(
	struct tape *t, int64_t ts, int64_t first, int64_t last, int64_t type, const uint64_t *gpa)
{
	on(t, VCPU0);
	kick(t, ts, first, last);
	signal_io(t, ts + 200);
	on(t, IO);
	EMIT(t, ts + 500, IO_WAKE, 1, 0, 1, 0, 9);
	for (int64_t i = first; i <= last; i++) {
		take(t, ts + 500 + 40 * (i - first), i, type, gpa[i - first]);
		fill(t, ts + 530 + 40 * (i - first), i);
	}
	enter_uring(t, ts + 700, last - first + 1);
	for (int64_t i = first; i <= last; i++)
		complete(t, ts + 800 + 30 * (i - first), i);
	raise_line(t, ts + 950);
	EMIT(t, ts + 1050, IO_SLEEP, 0);
	on(t, VCPU1);
	isr_exit(t, ts + 1100);
}

static const uint64_t PAGES[] = {0x9000, 0xa000, 0xb000, 0xc000};

/* Two processes write at once; the second one comes back on the other vCPU. */
static void by_buffer(void **state)
{
	struct tape *t = *state;

	marker_of(t, 1000, EW_MARKER_ENTER, NR_PWRITE, 7, 0);
	EMIT(t, 1020, MARKER_BUFFER, 7, 0x40a000, 0xa000, 256);
	EMIT(t, 1030, MARKER_BUFFER, 7, 0x40a100, 0xc000, 4096);
	run_enter(t, 1100);
	on(t, VCPU1);
	enter_with_buffer(t, 1200, NR_PWRITE, 8, 0x9100);
	round_trip(t, 2000, 1, 4, 1, PAGES);
	on(t, VCPU0);
	leave_call(t, 6000, NR_PWRITE, 8, 512);
	on(t, VCPU1);
	leave_call(t, 6200, NR_PWRITE, 7, 512);
	derive(t);
	/* 0xb000 is in nobody's buffer, and two calls could have caused it. */
	expect_lines(t, CALLS, "1 8 buffer\n2 7 buffer\n3 - -\n4 7 buffer\n");
	expect_lines(t,
		"SELECT printf('%d %d %d', pid, t_enter, t_exit) FROM guest_call ORDER BY id",
		"7 1100 6200\n8 1300 6000\n");
	expect_lines(t,
		"SELECT printf('%d %s', n, text) FROM v_step WHERE request_id = 4 AND text LIKE"
		" 'the buffer%'",
		"2 the buffer's bytes from 0x40a100 on: gpa 0xc000, 4096 bytes\n");
	expect_lines(t, "SELECT text FROM v_step WHERE request_id = 3 AND n = 1",
		"not attributed: several guest system calls that do this were open, and no marker_buffer"
		" tells in whose buffer the data lie\n");
	expect_lines(t, BUDGET_ERRORS, "");
	expect_lines(t, UNACCOUNTED, "");
}

/* What a call reads into is no evidence for a write; the newest of two buffers is. */
static void direction_and_age(void **state)
{
	struct tape *t = *state;

	enter_with_buffer(t, 1000, NR_PWRITE, 7, 0x9000);
	on(t, VCPU1);
	enter_with_buffer(t, 1200, NR_PWRITE, 8, 0x9000);
	on(t, VCPU0);
	enter_with_buffer(t, 1400, 0, 9, 0x9000);
	round_trip(t, 2000, 1, 1, 1, PAGES);
	round_trip(t, 4000, 2, 2, 0, PAGES);
	derive(t);
	expect_lines(t, CALLS, "1 8 buffer\n2 9 buffer\n");
}

/* With two vCPUs only a call that can do this counts; if there are several, none. */
static void by_what_is_open(void **state)
{
	struct tape *t = *state;

	enter_call(t, 1000, 257, 7); /* openat */
	round_trip(t, 2000, 1, 1, 1, PAGES);
	on(t, VCPU1);
	enter_call(t, 4000, NR_FSYNC, 8);
	round_trip(t, 5000, 2, 2, 4, PAGES);
	on(t, VCPU0);
	enter_call(t, 7000, NR_PWRITE, 9);
	round_trip(t, 8000, 3, 3, 1, PAGES);
	on(t, VCPU1);
	leave_call(t, 10000, NR_FSYNC, 8, 0);
	round_trip(t, 11000, 4, 4, 1, PAGES);
	round_trip(t, 13000, 5, 5, 0, PAGES);
	derive(t);
	expect_lines(t, CALLS, "1 - -\n2 8 only call\n3 - -\n4 9 only call\n5 - -\n");
	expect_lines(t, "SELECT request_id FROM v_step WHERE text LIKE 'not attributed%'", "3\n");
}

/* With one vCPU the only open call is what the guest does, whatever it is. */
static void with_one_vcpu(void **state)
{
	struct tape *t = *state;

	sql(t, "DELETE FROM track WHERE id = 2");
	enter_call(t, 1000, 257, 7);
	kick(t, 2000, 1, 1);
	serve(t, 2200, 1, 0x9000);
	raise_irq(t, 2600);
	run_enter(t, 3000);
	derive(t);
	expect_lines(t, CALLS, "1 7 only call\n");
}

/* io_submit returns while its requests are under way, and owns them until io_getevents has them. */
static void asynchronous(void **state)
{
	struct tape *t = *state;

	enter_call(t, 1000, NR_IO_SUBMIT, 7);
	kick(t, 2000, 1, 1);
	signal_io(t, 2200);
	leave_call(t, 2600, NR_IO_SUBMIT, 7, 2);
	on(t, IO);
	EMIT(t, 3000, IO_WAKE, 1, 0, 1, 0, 9);
	take(t, 3010, 1, 1, 0x9000);
	fill(t, 3040, 1);
	enter_uring(t, 3050, 1);
	complete(t, 3500, 1);
	raise_line(t, 3550);
	on(t, VCPU1);
	isr_exit(t, 4000);
	on(t, VCPU0);
	enter_call(t, 5000, NR_IO_GETEVENTS, 7);
	round_trip(t, 6000, 2, 2, 1, PAGES);
	on(t, VCPU0);
	leave_call(t, 8000, NR_IO_GETEVENTS, 7, 1);
	round_trip(t, 9000, 3, 3, 1, PAGES);
	on(t, VCPU0);
	enter_call(t, 11000, NR_IO_GETEVENTS, 7);
	leave_call(t, 12000, NR_IO_GETEVENTS, 7, 1);
	round_trip(t, 13000, 4, 4, 1, PAGES);
	derive(t);
	expect_lines(t, CALLS, "1 7 only call\n2 7 only call\n3 7 only call\n4 - -\n");
	expect_lines(t, "SELECT printf('%d %d %d', id, nr, t_exit) FROM guest_call ORDER BY id",
		"1 209 2600\n2 208 8000\n3 208 12000\n");
	/* The window goes on to the acknowledgement; the return stands where it was. */
	expect_lines(t, "SELECT printf('%d-%d', t_first, t_last) FROM request WHERE id = 1",
		"1100-4100\n");
	expect_lines(t,
		"SELECT printf('%d %d %s', stage, ts_ns, text) FROM v_step WHERE request_id = 1 AND text"
		" LIKE 'io_submit =%'",
		"1 2610 io_submit = 2\n");
	expect_lines(t, BUDGET_ERRORS, "");
	expect_lines(t, UNACCOUNTED, "");
}

/* A process that enters a call again never returned from the one before. */
static void never_returned(void **state)
{
	struct tape *t = *state;

	enter_call(t, 1000, NR_PWRITE, 7);
	enter_call(t, 2000, NR_PWRITE, 7);
	round_trip(t, 3000, 1, 1, 1, PAGES);
	on(t, VCPU0);
	leave_call(t, 6000, NR_PWRITE, 7, 512);
	derive(t);
	expect_lines(t,
		"SELECT printf('%d %s %s', c.id, coalesce(c.ret, '-'), coalesce(q.id, '-')) FROM"
		" guest_call c LEFT JOIN request q ON q.guest_call = c.id ORDER BY c.id",
		"1 - -\n2 512 1\n");
}

/* More processes than are looked at enter a call and never leave it: the newest count. */
static void calls_without_end(void **state)
{
	struct tape *t = *state;

	sql(t, "BEGIN");
	for (int pid = 1; pid <= 1100; pid++)
		enter_call(t, 1000 * pid, 39, (unsigned)pid);
	enter_call(t, 1200000, NR_PWRITE, 5000);
	round_trip(t, 1210000, 1, 1, 1, PAGES);
	sql(t, "COMMIT");
	derive(t);
	assert_int_equal(number(t, "SELECT count(*) FROM guest_call"), 1101);
	expect_lines(t, CALLS, "1 5000 only call\n");
}

/* --- notifications ----------------------------------------------------------------------------- */

#define KICKS                                                                                          \
	"SELECT printf('%d %s', q.id, coalesce(e.ts, '-')) FROM request q LEFT JOIN event e ON e.id =" \
	" q.notify_event ORDER BY q.id"

/* avail idx has 16 bits: 65535, 0, 1. */
static void wrap_around(void **state)
{
	struct tape *t = *state;

	round_trip(t, 2000, 65535, 65537, 1, PAGES);
	round_trip(t, 4000, 65538, 65538, 1, PAGES);
	derive(t);
	expect_lines(t, KICKS, "65535 2120\n65536 2120\n65537 2120\n65538 4120\n");
	expect_lines(t, UNACCOUNTED, "");
}

/* Two notifications before the thread comes; a request that it finds before its own notification. */
static void first_that_covers(void **state)
{
	struct tape *t = *state;

	kick(t, 2000, 1, 1);
	signal_io(t, 2200);
	on(t, VCPU1);
	kick(t, 2500, 1, 2);
	signal_io(t, 2700);
	on(t, IO);
	EMIT(t, 3000, IO_WAKE, 1, 0, 2, 0, 9);
	for (int i = 1; i <= 3; i++) {
		take(t, 2950 + 100 * i, i, 1, 0x9000);
		fill(t, 2980 + 100 * i, i);
	}
	on(t, VCPU0);
	kick(t, 3300, 4, 3); /* it is there already */
	signal_io(t, 3500);
	on(t, IO);
	enter_uring(t, 3800, 3);
	for (int i = 1; i <= 3; i++)
		complete(t, 3900 + 50 * i, i);
	derive(t);
	expect_lines(t, KICKS, "1 2120\n2 2620\n3 -\n");
	expect_lines(t,
		"SELECT printf('%d %d', id, kick_exit) FROM request WHERE kick_exit NOTNULL",
		"1 1\n2 2\n");
	/* Both hand-overs end with the one wake-up. */
	expect_lines(t,
		"SELECT printf('%d %d', request_id, dur_ns) FROM v_step WHERE text LIKE 'hand-over%'",
		"1 800\n2 300\n");
	expect_lines(t,
		"SELECT DISTINCT request_id FROM v_step WHERE text LIKE 'taken without a notif%'",
		"3\n");
	expect_lines(t, BUDGET_ERRORS, "");
}

/* After a reset indexes count from 0: what was notified before says nothing. */
static void reset_of_the_device(void **state)
{
	struct tape *t = *state;

	kick(t, 2000, 1, 9);
	signal_io(t, 2200);
	EMIT(t, 2500, DRIVER_STATUS, 1, 0);
	EMIT(t, 2600, QUEUE_SETUP, 1, 0, 128, 0x1000, 0x2000, 0x3000);
	round_trip(t, 3000, 1, 1, 1, PAGES);
	derive(t);
	expect_lines(t, KICKS, "1 3120\n");
}

/* A vCPU that serves the queue itself takes in its exit what it notified of there, or nothing. */
static void notified_in_another_exit(void **state)
{
	struct tape *t = *state;

	kick(t, 2000, 1, 1);
	run_enter(t, 2300);
	run_exit(t, 3000, 0x80, true, 1);
	serve(t, 3100, 1, 0x9000);
	run_enter(t, 3600);
	derive(t);
	expect_lines(t, KICKS, "1 -\n");
}

/* One call, two requests in turn by ioeventfd: in the second one's window its vCPU says nothing. */
static void in_turn_without_an_exit(void **state)
{
	struct tape *t = *state;

	enter_call(t, 1000, NR_FSYNC, 7);
	on(t, IO);
	for (int i = 1; i <= 3; i++) {
		EMIT(t, 1000 + 1000 * i, IO_WAKE, 1, 0, 1, 1, 9);
		EMIT(t, 1050 + 1000 * i, QUEUE_NOTIFY, 1, 0, i, i - 1);
		take(t, 1100 + 1000 * i, i, 1, 0x9000);
		fill(t, 1150 + 1000 * i, i);
		enter_uring(t, 1200 + 1000 * i, 1);
		complete(t, 1400 + 1000 * i, i);
		raise_msi(t, 1450 + 1000 * i);
		EMIT(t, 1550 + 1000 * i, IO_SLEEP, 0);
	}
	on(t, VCPU0);
	leave_call(t, 6000, NR_FSYNC, 7, 0);
	derive(t);
	expect_lines(t, "SELECT printf('%d-%d', t_first, t_last) FROM request",
		"1100-2500\n2500-3500\n3500-6000\n");
	expect_lines(t, BUDGET(2), "kvm 50\nvmm 250\nhost_kernel 200\nin_kvm_run 500\n");
	expect_lines(t, UNACCOUNTED, "");
	expect_lines(t, BUDGET_ERRORS, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		THREADS_TEST(by_buffer),
		THREADS_TEST(direction_and_age),
		THREADS_TEST(by_what_is_open),
		THREADS_TEST(with_one_vcpu),
		THREADS_TEST(asynchronous),
		THREADS_TEST(never_returned),
		THREADS_TEST(calls_without_end),
		THREADS_TEST(wrap_around),
		THREADS_TEST(first_that_covers),
		THREADS_TEST(reset_of_the_device),
		THREADS_TEST(notified_in_another_exit),
		THREADS_TEST(in_turn_without_an_exit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
