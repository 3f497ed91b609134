/* SPDX-License-Identifier: MIT */
/* The tape of a guest whose kernel traces itself, on a host that traces KVM: one vCPU or two. */
#ifndef EXITWALK_TESTS_DERIVE_GUEST_TAPE_H
#define EXITWALK_TESTS_DERIVE_GUEST_TAPE_H

#include "tests/unit/derive_threads.h"

#define VDA (254 << 20)
#define VDB (254 << 20 | 16)
#define WRITER 7
#define OTHER 8
#define KWORKER 35
#define JBD2 60
#define HARDIRQ 1
#define SOFTIRQ 2
#define ERROR_NS 5
#define WS ('W' | 'S' << 8)
#define FF ('F' | 'F' << 8)
#define FWS ('F' | 'W' << 8 | 'S' << 16)

/* Functions of the guest's kernel, by number. */
#define GUEST_FUNCTIONS(X)                                                                         \
	X(vfs_write)                                                                               \
	X(submit_bio)                                                                              \
	X(io_schedule)                                                                             \
	X(blk_mq_run_work_fn)                                                                      \
	X(virtio_queue_rq)                                                                         \
	X(virtqueue_add_sgs)                                                                       \
	X(virtqueue_kick_prepare)                                                                  \
	X(virtqueue_notify)                                                                        \
	X(vp_notify)                                                                               \
	X(vring_interrupt)                                                                         \
	X(virtblk_done)                                                                            \
	X(bio_endio)                                                                               \
	X(kfree)
enum guest_function {
	FN_NONE = 0x1000,
#define X(name) FN_##name,
	GUEST_FUNCTIONS(X)
#undef X
};

static inline void guest(
	struct tape *t, int64_t ts, int pid, int flags, int kind, const int64_t a[6])
{
	int64_t was = t->in_exit[t->track];

	t->in_exit[t->track] = 0;
	emit(t, ts, kind, a);
	t->in_exit[t->track] = was;
	sql(t, "INSERT INTO guest_event VALUES(%lld, %d, %d, %lld, %d)", (long long)t->event, pid,
		flags, (long long)ts, ERROR_NS);
}

#define GUEST(t, ts, pid, flags, kind, ...)                                                        \
	guest(t, ts, pid, flags, EW_GUEST_##kind, (int64_t[6]){__VA_ARGS__})
#define FUNC(t, ts, pid, flags, name) GUEST(t, ts, pid, flags, FUNC, FN_##name, FN_NONE)

static inline int open_guest(void **state)
{
	int ret = open_threads(state);
	struct tape *t = *state;

	if (ret)
		return ret;
	sql(t, "INSERT INTO enum_name(enum, value, name) VALUES('guest_pid', 7, 'writer'),"
	       " ('guest_pid', 8, 'other'), ('guest_pid', 35, 'kworker/0:1H'),"
	       " ('guest_pid', 60, 'jbd2/vda-8')");
#define X(name)                                                                                    \
	sql(t, "INSERT INTO enum_name(enum, value, name) VALUES('guest_func', %d, '" #name "')",   \
		FN_##name);
	GUEST_FUNCTIONS(X)
#undef X
	return 0;
}

#define GUEST_TEST(f) cmocka_unit_test_setup_teardown(f, open_guest, close_tape)

/* KVM lets the guest run after a run_enter at ts - 20 that ended that exit. */
static inline void entry(struct tape *t, int64_t ts, int64_t exit_id)
{
	HOST(t, ts, exit_id, KVM_ENTRY, exit_id, 0, USER_WRITE);
}

/* The exit that is about to return, 100 ns before it does. */
static inline void hw_exit(struct tape *t, int64_t ts)
{
	int64_t id = t->exit_id + 1;

	HOST(t, ts, id, KVM_EXIT, id, 1, 30, IOWRITE16 + 6, 0xc0100001);
	HOST(t, ts + 50, id, KVM_USERSPACE_EXIT, 2, 0);
}

/* The driver puts a request of `sectors` into the ring and notifies: 100 ns, from `ts` on. */
static inline void issue(
	struct tape *t, int64_t ts, int pid, int64_t dev, int64_t sector, int64_t sectors)
{
	FUNC(t, ts, pid, 0, virtio_queue_rq);
	GUEST(t, ts + 20, pid, 0, RQ_ISSUE, dev, sector, sectors, WS, 512 * sectors);
	FUNC(t, ts + 40, pid, 0, virtqueue_add_sgs);
}

static inline void notify_device(struct tape *t, int64_t ts, int pid)
{
	FUNC(t, ts, pid, 0, virtqueue_kick_prepare);
	FUNC(t, ts + 10, pid, 0, virtqueue_notify);
	FUNC(t, ts + 20, pid, 0, vp_notify);
}

/* The work by which the block layer hands a request to its worker, who gets the CPU. */
static inline void hand_to_worker(struct tape *t, int64_t ts, int pid)
{
	GUEST(t, ts, pid, 0, WORK_QUEUE, 0x5000, FN_blk_mq_run_work_fn, 0);
	FUNC(t, ts + 50, pid, 0, io_schedule);
	GUEST(t, ts + 100, pid, 0, SWITCH, pid, 2, KWORKER);
	GUEST(t, ts + 300, KWORKER, 0, WORK_START, 0x5000, FN_blk_mq_run_work_fn);
}

/* The interrupt's handler, on the CPU of that task: 60 ns. */
static inline void handle_irq(
	struct tape *t, int64_t ts, int pid, int64_t dev, int64_t sector, int64_t sectors)
{
	GUEST(t, ts, pid, HARDIRQ, IRQ, 11);
	FUNC(t, ts + 10, pid, HARDIRQ, vring_interrupt);
	FUNC(t, ts + 20, pid, HARDIRQ, virtblk_done);
	GUEST(t, ts + 30, pid, HARDIRQ, RQ_COMPLETE, dev, sector, sectors, WS, 0);
	FUNC(t, ts + 40, pid, HARDIRQ, bio_endio);
	GUEST(t, ts + 50, pid, HARDIRQ, WAKING, WRITER, 0);
	GUEST(t, ts + 60, pid, HARDIRQ, IRQ_RET, 11, 1);
}

/* The device serves a notify exit, whose run_exit is at ts, on the vCPU's thread: to ts + 1000. */
static inline void serve_kick(struct tape *t, int64_t ts, int64_t request, int64_t sector)
{
	kick(t, ts, request, request);
	EMIT(t, ts + 200, QUEUE_POP, request, 1, 0, 0, request & 0xffff, request & 0xffff);
	EMIT(t, ts + 210, DESCRIPTOR, request, 1, 0x9000, 512, 1, 2);
	EMIT(t, ts + 220, REQUEST, request, 1, sector, 512, 3, 0x5000);
	EMIT(t, ts + 230, HOST_CALL, request, 18, 5, 512, 512 * sector, 1);
	EMIT(t, ts + 530, HOST_RET, request, 18, 512);
	EMIT(t, ts + 540, REQ_STATUS, request, 0, 0x6000);
	EMIT(t, ts + 550, QUEUE_USED, request, 1, 0, 0, 1, request);
	EMIT(t, ts + 600, MSI, 0xfee00000, 0x4021, 1);
	EMIT(t, ts + 650, MSI_RET, 0xfee00000, 0x4021, 1);
	run_enter(t, ts + 1000);
	entry(t, ts + 1020, t->exit_id);
}

/*
 * One O_DIRECT write of 512 bytes, which the block layer's worker issues: 1000 … 7000.
 * marked: by the process too.
 */
static inline void worker_write(struct tape *t, bool marked)
{
	if (marked) {
		marker_of(t, 1000, EW_MARKER_ENTER, NR_PWRITE, WRITER, 0);
		run_enter(t, 1100);
	}
	entry(t, 1120, marked ? t->exit_id : 0);
	GUEST(t, 1300, WRITER, 0, SYS_ENTER, NR_PWRITE, 3, 0x40a000, 512, 4096);
	FUNC(t, 1320, WRITER, 0, vfs_write);
	FUNC(t, 1340, WRITER, 0, submit_bio);
	GUEST(t, 1360, WRITER, 0, BIO_QUEUE, VDA, 8, 1, WS);
	GUEST(t, 1380, WRITER, 0, RQ_INSERT, VDA, 8, 1, WS, 512);
	hand_to_worker(t, 1400, WRITER);
	FUNC(t, 1710, KWORKER, 0, blk_mq_run_work_fn);
	issue(t, 1720, KWORKER, VDA, 8, 1);
	notify_device(t, 1780, KWORKER);
	hw_exit(t, 1900);
	serve_kick(t, 2000, 1, 8);
	handle_irq(t, 3100, KWORKER, VDA, 8, 1);
	FUNC(t, 3200, KWORKER, 0, kfree);
	GUEST(t, 3250, KWORKER, 0, WORK_END, 0x5000, FN_blk_mq_run_work_fn);
	GUEST(t, 3400, KWORKER, 0, SWITCH, KWORKER, 1, WRITER);
	GUEST(t, 3500, WRITER, 0, SYS_EXIT, NR_PWRITE, 512);
	if (marked) {
		hw_exit(t, 5900);
		marker_of(t, 6000, EW_MARKER_EXIT, NR_PWRITE, WRITER, 512);
		run_enter(t, 6100);
	}
}

#define ACTORS(request)                                                                            \
	"SELECT printf('%d %s: %s', stage, actor, text) FROM v_step WHERE request_id = " #request  \
	" AND actor IS NOT NULL AND (actor LIKE '%[%' OR actor LIKE '%interrupt on%') ORDER BY n"
#define CALLED                                                                                     \
	"SELECT printf('%d %s %s %s', q.id, coalesce(c.comm, '-'), coalesce(c.pid, '-'),"          \
	" coalesce(q.call_how, '-')) FROM request q LEFT JOIN guest_call c ON c.id = q.guest_call" \
	" ORDER BY q.id"

#endif
