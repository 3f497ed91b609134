/* SPDX-License-Identifier: MIT */
/* How long the derivation takes: many requests, few or many of them in flight at a time. */
#include <time.h>

#include "tests/unit/derive_threads.h"

static void writes(struct tape *t, int n, int in_flight)
{
	int64_t ts = 1000;

	for (int64_t first = 1; first <= n; first += in_flight, ts += 20000 + 300 * in_flight) {
		int64_t at = ts + 2000;

		on(t, first & 1 ? VCPU0 : VCPU1);
		enter_call(t, ts, NR_PWRITE, 7);
		kick(t, ts + 1000, first, first + in_flight - 1);
		signal_io(t, ts + 1200);
		on(t, IO);
		EMIT(t, ts + 1500, IO_WAKE, 1, 0, 1, 0, 9);
		for (int i = 0; i < in_flight; i++, at += 100) {
			take(t, at, first + i, 1, 0x9000);
			fill(t, at + 50, first + i);
		}
		enter_uring(t, at, in_flight);
		for (int i = in_flight; i-- > 0; at += 100)
			complete(t, at + 1000, first + i);
		raise_line(t, at + 2000);
		EMIT(t, at + 2100, IO_SLEEP, 0);
		on(t, first & 2 ? VCPU0 : VCPU1);
		isr_exit(t, at + 3000);
		leave_call(t, at + 5000, NR_PWRITE, 7, 512);
	}
}

/* s of processor time. */
static double took(int n, int in_flight)
{
	struct timespec a, b;
	void *state = NULL;

	if (open_threads(&state))
		exit(1);
	sql(state, "BEGIN");
	writes(state, n, in_flight);
	sql(state, "COMMIT");
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &a);
	derive(state);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &b);
	if (number(state, "SELECT count(*) FROM request") != n)
		exit(1);
	close_tape(&state);
	return (double)(b.tv_sec - a.tv_sec) + (double)(b.tv_nsec - a.tv_nsec) / 1e9;
}

int main(int argc, char **argv)
{
	int n = argc > 1 ? atoi(argv[1]) : 2048;
	double one, deep;

	if (n < 256)
		return 64;
	one = took(n, 1);
	deep = took(n, 256);
	printf("derive: %d requests, one after the other %.0f ms, 256 in flight %.0f ms, ratio %.2f\n",
		n, one * 1e3, deep * 1e3, deep / one);
	printf("derive: 256 in flight, %d requests : %d requests %.2f\n", 2 * n, n,
		took(2 * n, 256) / deep);
	return 0;
}
