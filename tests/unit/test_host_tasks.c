/* SPDX-License-Identifier: MIT */
/* Tasks, idle tasks and the buffers of CPUs, told apart. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "tracer/host_tasks.h"

static void takes(uint8_t *slot, uint32_t task)
{
	uint32_t i = host_task_slot(task);

	assert_true(i < HOST_TASK_SLOTS);
	assert_int_equal(slot[i], 0);
	slot[i] = 1;
}

/* Else one of two that share a slot is never told to the recorder, which gives up at its first event. */
static void slots_of_their_own(void **state)
{
	uint8_t *slot = calloc(1, HOST_TASK_SLOTS);

	(void)state;
	assert_non_null(slot);
	for (uint32_t task = 1; task < HOST_TASKS; task++)
		takes(slot, task);
	for (uint32_t cpu = 0; cpu < 8192; cpu++) {
		takes(slot, HOST_TASK_IDLE | cpu);
		takes(slot, HOST_TASK_CPU | cpu);
		takes(slot, HOST_TASK_CPU | 1u << 16 | cpu);
	}
	free(slot);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(slots_of_their_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
