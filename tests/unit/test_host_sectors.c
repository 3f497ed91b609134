/* SPDX-License-Identifier: MIT */
/* Which block events of the host are the VM's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tracer/host_sectors.h"

#define IN_INTERRUPT 0x08

static struct host_sectors sectors;

static int setup(void **state)
{
	(void)state;
	sectors = (struct host_sectors){{0}};
	return 0;
}

static bool keeps(enum ew_kind kind, uint64_t sector, bool ours, uint8_t flags)
{
	const struct host_event ev = {
		.rec = {.kind = (uint16_t)kind, .a = {0x800001, sector}}, .flags = flags};

	return host_sectors_keep(&sectors, &ev, ours);
}

static void by_sector(void **state)
{
	(void)state;
	assert_false(keeps(EW_BLOCK_BIO_QUEUE, 8, false, 0));
	assert_true(keeps(EW_BLOCK_BIO_QUEUE, 0, true, 0));
	assert_true(keeps(EW_BLOCK_RQ_ISSUE, 0, false, 0)); /* a kworker */
	assert_false(keeps(EW_BLOCK_RQ_COMPLETE, 8, false, IN_INTERRUPT));
	assert_true(keeps(EW_BLOCK_RQ_COMPLETE, 0, false, IN_INTERRUPT));
	assert_false(keeps(EW_BLOCK_BIO_QUEUE, 0, false, 0)); /* it is over: somebody else's */
}

/* Somebody else's request is completed while a thread of the VM runs, and its next one is issued there. */
static void interrupted(void **state)
{
	(void)state;
	assert_false(keeps(EW_BLOCK_RQ_COMPLETE, 8, true, IN_INTERRUPT));
	assert_false(keeps(EW_BLOCK_RQ_COMPLETE, 8, true, 0));
	assert_false(keeps(EW_BLOCK_RQ_ISSUE, 16, true, IN_INTERRUPT));
	assert_false(keeps(EW_BLOCK_RQ_COMPLETE, 16, false, IN_INTERRUPT));
}

/* The completion of a flush request says sector -1 (blk_rq_trace_sector()). */
static void flush(void **state)
{
	(void)state;
	assert_true(keeps(EW_BLOCK_BIO_QUEUE, 0, true, 0));
	assert_true(keeps(EW_BLOCK_RQ_ISSUE, 0, false, 0));
	assert_false(keeps(EW_BLOCK_RQ_COMPLETE, UINT64_MAX, false, IN_INTERRUPT));
	assert_true(keeps(EW_BLOCK_RQ_COMPLETE, 0, false, IN_INTERRUPT));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(by_sector, setup),
		cmocka_unit_test_setup(interrupted, setup),
		cmocka_unit_test_setup(flush, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
