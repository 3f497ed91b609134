/* SPDX-License-Identifier: MIT */
/* The tape of a machine with two vCPUs and an I/O thread: who says what when a request is handed on. */
#ifndef EXITWALK_TESTS_DERIVE_THREADS_H
#define EXITWALK_TESTS_DERIVE_THREADS_H

#include "tests/unit/derive_tape.h"

#define VCPU0 1
#define VCPU1 2
#define IO 3
#define NR_PWRITE 18
#define NR_FSYNC 74
#define NR_IO_SUBMIT 209
#define NR_IO_GETEVENTS 208
#define WRITE_FLAG 2 /* VRING_DESC_F_WRITE */

/* Both vCPUs are in the guest, the I/O thread sleeps. */
static inline int open_threads(void **state)
{
	int ret = open_tape(state);
	struct tape *t = *state;

	if (ret)
		return ret;
	sql(t, "INSERT INTO track VALUES(2, 'vcpu', 1, 'vcpu1'), (3, 'thread', NULL, 'io')");
	on(t, VCPU1);
	run_enter(t, 150);
	on(t, IO);
	EMIT(t, 200, IO_SLEEP, 0);
	on(t, VCPU0);
	return 0;
}

#define THREADS_TEST(f) cmocka_unit_test_setup_teardown(f, open_threads, close_tape)

/* A call whose buffer of 512 bytes lies at gpa; 0: nobody looked. */
static inline void enter_with_buffer(
	struct tape *t, int64_t ts, unsigned nr, unsigned pid, int64_t gpa)
{
	marker_of(t, ts, EW_MARKER_ENTER, nr, pid, 0);
	if (gpa)
		EMIT(t, ts + 20, MARKER_BUFFER, pid, 0x40a000, gpa, 512);
	run_enter(t, ts + 100);
}

static inline void enter_call(struct tape *t, int64_t ts, unsigned nr, unsigned pid)
{
	enter_with_buffer(t, ts, nr, pid, 0);
}

static inline void leave_call(struct tape *t, int64_t ts, unsigned nr, unsigned pid, int64_t ret)
{
	marker_of(t, ts, EW_MARKER_EXIT, nr, pid, ret);
	run_enter(t, ts + 100);
}

/* The eventfd is written to and the vCPU goes on: 250 ns. */
static inline void signal_io(struct tape *t, int64_t ts)
{
	EMIT(t, ts, IO_SIGNAL, 1, 0, 9);
	EMIT(t, ts + 50, IO_SIGNAL_RET, 1, 0, 8);
	EMIT(t, ts + 100, DISPATCH_END, 3, 0, 0);
	run_enter(t, ts + 200);
}

/* The thread takes a request: 20 ns. Its data lie at gpa. */
static inline void take(struct tape *t, int64_t ts, int64_t request, int64_t type, uint64_t gpa)
{
	EMIT(t, ts, QUEUE_POP, request, 1, 0, 0, request & 0xffff, request & 0xffff);
	EMIT(t, ts + 5, DESCRIPTOR, request, 0, 0x5000, 16, 1, 1);
	EMIT(t, ts + 10, DESCRIPTOR, request, 1, (int64_t)gpa, 512, type ? 1 : 1 | WRITE_FLAG, 2);
	EMIT(t, ts + 20, REQUEST, request, type, request * 8, 512, 3, 0x5000);
}

static inline void enter_uring(struct tape *t, int64_t ts, int64_t n)
{
	EMIT(t, ts, URING_ENTER, n, 5);
	EMIT(t, ts + 50, URING_ENTER_RET, n);
}

static inline void fill(struct tape *t, int64_t ts, int64_t request)
{
	EMIT(t, ts, URING_SQE, request, 23, 5, 512, request * 4096, 1);
}

/* Completion without its interrupt: 20 ns. */
static inline void complete(struct tape *t, int64_t ts, int64_t request)
{
	EMIT(t, ts, URING_CQE, request, 23, 512);
	EMIT(t, ts + 10, REQ_STATUS, request, 0, 0x6000);
	EMIT(t, ts + 20, QUEUE_USED, request, 1, 0, 0, 1, request & 0xffff);
}

/* The level-triggered interrupt: 60 ns. */
static inline void raise_line(struct tape *t, int64_t ts)
{
	EMIT(t, ts, ISR_SET, 1, 1);
	EMIT(t, ts + 10, IRQ_LINE, 11, 1, 1);
	EMIT(t, ts + 60, IRQ_LINE_RET, 11, 1, 0);
}

static inline void raise_msi(struct tape *t, int64_t ts)
{
	EMIT(t, ts, MSI, 0xfee00000, 0x4021, 1);
	EMIT(t, ts + 50, MSI_RET, 0xfee00000, 0x4021, 1);
}

#define ABSENT(request)                                                                            \
	"SELECT printf('%d %s', stage, text) FROM v_step WHERE request_id = " #request             \
	" AND evidence = 'not recorded' ORDER BY n"
#define UNACCOUNTED                                                                                \
	"SELECT printf('request %d: %d ns', request_id, ns) FROM budget WHERE layer = 10 AND ns <> 0"
#define CALLS                                                                                      \
	"SELECT printf('%d %s %s', q.id, coalesce(c.pid, '-'), coalesce(q.call_how, '-')) FROM"    \
	" request q LEFT JOIN guest_call c ON c.id = q.guest_call ORDER BY q.id"

#endif
