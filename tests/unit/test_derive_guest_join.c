/* SPDX-License-Identifier: MIT */
/* Which request of the guest's block layer one of ours is, and whose it is by that. */
#include "tests/unit/derive_guest_tape.h"
#include "tracer/check.h"

/* --- whose it is ------------------------------------------------------------------------------- */

/* A request of `sectors` that some task queues, issues and has completed; its pop is at ts + 400. */
static void small_request(struct tape *t, int64_t ts, int pid, int64_t dev, int64_t request,
	int64_t device, int64_t sector, int64_t type)
{
	int64_t rwbs = type == 4 ? FF : WS, sectors = type == 4 ? 0 : 1;

	if (pid)
		GUEST(t, ts, pid, 0, BIO_QUEUE, dev, type == 4 ? 0 : sector, sectors,
			type == 4 ? FWS : WS);
	GUEST(t, ts + 100, KWORKER, 0, RQ_ISSUE, dev, sectors ? sector : 0, sectors, rwbs, 512);
	EMIT(t, ts + 400, QUEUE_POP, request, device, 0, 0, request, request);
	EMIT(t, ts + 410, DESCRIPTOR, request, 1, 0x9000, 512, 1, 2);
	EMIT(t, ts + 420, REQUEST, request, type, sectors ? sector : 0, 512 * sectors, 3, 0x5000);
	EMIT(t, ts + 500, QUEUE_USED, request, device, 0, 0, 1, request);
	GUEST(t, ts + 600, KWORKER, HARDIRQ, RQ_COMPLETE, dev, sectors ? sector : 0, sectors, rwbs,
		0);
}

#define JOINED                                                                                       \
	"SELECT printf('%d %d', q.id, coalesce(e.ts, 0)) FROM request q LEFT JOIN event e ON e.id =" \
	" q.guest_issue ORDER BY q.id"

/* Which of two disks a device is: a request that fits on one of them only tells; then the others too. */
static void two_disks(void **state)
{
	struct tape *t = *state;

	sql(t, "INSERT INTO device VALUES(2, 'virtio-blk1', 'virtio-blk')");
	/* The same sector of both, at the same time. */
	GUEST(t, 1000, KWORKER, 0, RQ_ISSUE, VDB, 0, 1, WS, 512);
	small_request(t, 1000, 0, VDA, 1, 1, 0, 1);
	EMIT(t, 1700, QUEUE_POP, 2, 2, 0, 0, 1, 1);
	EMIT(t, 1710, REQUEST, 2, 1, 0, 512, 3, 0x5000);
	EMIT(t, 1720, QUEUE_USED, 2, 2, 0, 0, 1, 1);
	GUEST(t, 1800, KWORKER, HARDIRQ, RQ_COMPLETE, VDB, 0, 1, WS, 0);
	derive(t);
	expect_lines(t, JOINED,
		"1 0\n2 1000\n"); /* the second one fits on vdb only: vda's was complete */
	small_request(t, 2000, 0, VDA, 3, 1, 40, 1);
	small_request(t, 3000, 0, VDB, 4, 2, 48, 1);
	derive(t);
	expect_lines(t, JOINED, "1 1100\n2 1000\n3 2100\n4 3100\n");
}

/* Nothing tells which disk it is: then it is none. */
static void ambiguous_disk(void **state)
{
	struct tape *t = *state;

	GUEST(t, 1000, KWORKER, 0, RQ_ISSUE, VDB, 0, 1, WS, 512);
	small_request(t, 1000, WRITER, VDA, 1, 1, 0, 1);
	derive(t);
	expect_lines(t, JOINED, "1 0\n");
}

/* Another length, direction or time is another request. */
static void what_does_not_fit(void **state)
{
	struct tape *t = *state;

	small_request(t, 1000, 0, VDA, 1, 1, 8, 1);
	GUEST(t, 2000, KWORKER, 0, RQ_ISSUE, VDA, 8, 1, 'R', 512);
	GUEST(t, 2010, KWORKER, 0, RQ_ISSUE, VDA, 8, 2, WS, 1024);
	EMIT(t, 2100, QUEUE_POP, 2, 1, 0, 0, 2, 2);
	EMIT(t, 2110, REQUEST, 2, 1, 8, 512, 3, 0x5000);
	EMIT(t, 2150, QUEUE_USED, 2, 1, 0, 0, 1, 2);
	GUEST(t, 2200, KWORKER, 0, RQ_ISSUE, VDA, 8, 1, WS, 512); /* later */
	derive(t);
	expect_lines(t, JOINED, "1 1100\n2 0\n");
}

/* Two in flight at the same sector: in the order of the ring. */
static void same_sector_twice(void **state)
{
	struct tape *t = *state;

	GUEST(t, 900, OTHER, 0, SYS_ENTER, NR_PWRITE, 3, 0, 512);
	GUEST(t, 910, WRITER, 0, SYS_ENTER, NR_PWRITE, 3, 0, 512);
	GUEST(t, 1000, WRITER, 0, BIO_QUEUE, VDA, 8, 1, WS);
	GUEST(t, 1010, WRITER, 0, RQ_ISSUE, VDA, 8, 1, WS, 512);
	GUEST(t, 1020, OTHER, 0, RQ_ISSUE, VDA, 8, 1, WS, 512);
	for (int i = 1; i <= 2; i++) {
		EMIT(t, 1100 + 100 * i, QUEUE_POP, i, 1, 0, 0, 2, i);
		EMIT(t, 1120 + 100 * i, REQUEST, i, 1, 8, 512, 3, 0x5000);
	}
	for (int i = 1; i <= 2; i++)
		EMIT(t, 1400 + 50 * i, QUEUE_USED, i, 1, 0, 0, 1, i);
	GUEST(t, 1600, 0, HARDIRQ, RQ_COMPLETE, VDA, 8, 1, WS, 0);
	GUEST(t, 1610, 0, HARDIRQ, RQ_COMPLETE, VDA, 8, 1, WS, 0);
	derive(t);
	expect_lines(t, JOINED, "1 1010\n2 1020\n");
}

/* The journal's thread queues it: that is no system call, though one is open that could have. */
static void of_a_kernel_thread(void **state)
{
	struct tape *t = *state;

	GUEST(t, 900, WRITER, 0, SYS_ENTER, NR_FSYNC, 3);
	small_request(t, 1000, JBD2, VDA, 1, 1, 8, 1);
	small_request(t, 2000, WRITER, VDA, 2, 1, 0, 4);
	GUEST(t, 3000, WRITER, 0, SYS_EXIT, NR_FSYNC, 0);
	derive(t);
	expect_lines(t, CALLED, "1 - - -\n2 writer 7 sector\n");
	expect_lines(t,
		"SELECT printf('%d %s', request_id, substr(text, 1, 60)) FROM v_step WHERE stage = 1 AND evidence = 'not recorded'",
		"1 no guest system call: a task that was in none has queued it,\n");
	/* It stands for itself: from its bio to its completion. */
	expect_lines(t, "SELECT printf('%d-%d', t_first, t_last) FROM request WHERE id = 1",
		"1000-1600\n");
	expect_lines(t, BUDGET_ERRORS, "");
}

/* Bios of two calls in one request: neither of them is it. */
static void merged(void **state)
{
	struct tape *t = *state;

	GUEST(t, 900, OTHER, 0, SYS_ENTER, NR_PWRITE, 3, 0, 512);
	GUEST(t, 910, WRITER, 0, SYS_ENTER, NR_PWRITE, 3, 0, 512);
	for (int i = 0; i < 2; i++)
		GUEST(t, 1000 + i, i ? OTHER : WRITER, 0, BIO_QUEUE, VDA, 8 + i, 1, WS);
	GUEST(t, 1010, KWORKER, 0, RQ_ISSUE, VDA, 8, 2, WS, 1024);
	EMIT(t, 1100, QUEUE_POP, 1, 1, 0, 0, 1, 1);
	EMIT(t, 1120, REQUEST, 1, 1, 8, 1024, 3, 0x5000);
	EMIT(t, 1150, QUEUE_USED, 1, 1, 0, 0, 1, 1);
	GUEST(t, 1600, 0, HARDIRQ, RQ_COMPLETE, VDA, 8, 2, WS, 0);
	/* Two of one call. */
	for (int i = 0; i < 2; i++)
		GUEST(t, 2000 + i, WRITER, 0, BIO_QUEUE, VDA, 8 + i, 1, WS);
	GUEST(t, 2010, KWORKER, 0, RQ_ISSUE, VDA, 8, 2, WS, 1024);
	EMIT(t, 2100, QUEUE_POP, 2, 1, 0, 0, 2, 2);
	EMIT(t, 2120, REQUEST, 2, 1, 8, 1024, 3, 0x5000);
	derive(t);
	expect_lines(t, CALLED, "1 - - -\n2 writer 7 sector\n");
	expect_lines(t,
		"SELECT count(*) FROM v_step WHERE request_id = 1 AND text LIKE 'of several: its bios%'",
		"1\n");
	expect_lines(t,
		"SELECT count(*) FROM v_step WHERE request_id = 2 AND text LIKE 'block_bio_queue%'",
		"2\n");
}

/* Where the buffer names another call than the bio does, both are kept: check says so. */
static void buffer_disagrees(void **state)
{
	struct tape *t = *state;

	enter_with_buffer(t, 500, NR_PWRITE, OTHER, 0x9000);
	GUEST(t, 910, WRITER, 0, SYS_ENTER, NR_PWRITE, 3, 0, 512);
	small_request(t, 1000, WRITER, VDA, 1, 1, 8, 1);
	GUEST(t, 1900, WRITER, 0, SYS_EXIT, NR_PWRITE, 512);
	small_request(t, 2000, OTHER, VDA, 2, 1, 16, 1);
	small_request(t, 3000, JBD2, VDA, 3, 1, 24, 1);
	derive(t);
	expect_lines(t, CALLED, "1 writer 7 sector\n2 writer 8 sector\n3 writer 8 buffer\n");
	expect_lines(t,
		"SELECT printf('%d %d', id, call_conflict) FROM request WHERE call_conflict NOTNULL",
		"1 1\n");
}

/* check fails where bios and buffer name different calls. */
static void check_says_so(void **state)
{
	struct tape *t = *state;
	struct recording r = {.db = t->db};
	struct textout o;
	struct err e = {0};
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);
	struct check c = {.db = t->db, .recording = &r, .out = &o};

	textout_init(&o, f, true);
	enter_with_buffer(t, 500, NR_PWRITE, OTHER, 0x9000);
	GUEST(t, 910, WRITER, 0, SYS_ENTER, NR_PWRITE, 3, 0, 512);
	small_request(t, 1000, WRITER, VDA, 1, 1, 8, 1);
	derive(t);
	assert_int_equal(check_requests(&c, &e), 0);
	assert_int_equal(c.failures, 1);
	sql(t, "UPDATE request SET call_conflict = NULL");
	assert_int_equal(check_requests(&c, &e), 0);
	assert_int_equal(c.failures, 1);
	fclose(f);
	assert_non_null(strstr(
		text, "1 requests belong to one call by their bios and to another by their data"));
	assert_non_null(strstr(text, "1 are known to the guest's block layer, and no buffer"));
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		GUEST_TEST(two_disks),
		GUEST_TEST(ambiguous_disk),
		GUEST_TEST(what_does_not_fit),
		GUEST_TEST(same_sector_twice),
		GUEST_TEST(of_a_kernel_thread),
		GUEST_TEST(merged),
		GUEST_TEST(buffer_disagrees),
		GUEST_TEST(check_says_so),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
