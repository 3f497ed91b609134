/* SPDX-License-Identifier: MIT */
/* A made-up recording in memory: the events of guest, device and host calls, one after the other. */
#ifndef EXITWALK_TESTS_DERIVE_TAPE_H
#define EXITWALK_TESTS_DERIVE_TAPE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "schema/schema.h"
#include "tracer/probe.h"
#include "tracer/recording.h"
#include "vmm/guest_abi.h"

#define TRACKS 8 /* 1: the only vCPU, unless a test says otherwise */
#define STACK 0xffffffff80100000u
#define IOWRITE16 0xffffffff80001000u
#define IOREAD8 0xffffffff80001800u
#define VP_NOTIFY 0xffffffff80002000u
#define KSYS_WRITE 0xffffffff80003000u
#define USER_WRITE 0x401000u

/* A recording that is being made up. */
struct tape {
	sqlite3 *db;
	int64_t event, exit_id;
	int track; /* whose events are written: see on() */
	int64_t in_exit[TRACKS];
};

/* From here on, what is emitted is this track's. */
static inline void on(struct tape *t, int track)
{
	t->track = track;
}

static inline void sql(struct tape *t, const char *fmt, ...)
{
	va_list ap;
	char *text;

	va_start(ap, fmt);
	text = sqlite3_vmprintf(fmt, ap);
	va_end(ap);
	if (sqlite3_exec(t->db, text, NULL, NULL, NULL) != SQLITE_OK)
		fail_msg("%s: %s", sqlite3_errmsg(t->db), text);
	sqlite3_free(text);
}

static inline int64_t number(struct tape *t, const char *fmt, ...)
{
	sqlite3_stmt *stmt;
	int64_t value = -1;
	va_list ap;
	char *text;

	va_start(ap, fmt);
	text = sqlite3_vmprintf(fmt, ap);
	va_end(ap);
	assert_int_equal(sqlite3_prepare_v2(t->db, text, -1, &stmt, NULL), SQLITE_OK);
	if (sqlite3_step(stmt) == SQLITE_ROW)
		value = sqlite3_column_int64(stmt, 0);
	sqlite3_finalize(stmt);
	sqlite3_free(text);
	return value;
}

/* The first column of all rows, joined by line breaks. */
static inline char *lines(struct tape *t, const char *query)
{
	sqlite3_stmt *stmt;
	char *text;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	assert_int_equal(sqlite3_prepare_v2(t->db, query, -1, &stmt, NULL), SQLITE_OK);
	while (sqlite3_step(stmt) == SQLITE_ROW)
		fprintf(f, "%s\n", (const char *)sqlite3_column_text(stmt, 0));
	sqlite3_finalize(stmt);
	fclose(f);
	return text;
}

static inline void expect_lines(struct tape *t, const char *query, const char *want)
{
	char *got = lines(t, query);

	assert_string_equal(got, want);
	free(got);
}

static inline void emit(struct tape *t, int64_t ts, int kind, const int64_t a[6])
{
	char exit_id[24] = "NULL";

	if (t->in_exit[t->track])
		snprintf(exit_id, sizeof(exit_id), "%d", (int)t->in_exit[t->track]);
	sql(t,
		"INSERT INTO event VALUES(%lld, %lld, NULL, %d, %d, %s, %lld, %lld, %lld, %lld, "
		"%lld,"
		" %lld)",
		(long long)++t->event, (long long)ts, kind, t->track, exit_id, (long long)a[0],
		(long long)a[1], (long long)a[2], (long long)a[3], (long long)a[4],
		(long long)a[5]);
}

#define EMIT(t, ts, kind, ...) emit(t, ts, EW_##kind, (int64_t[6]){__VA_ARGS__})

/* An event of the host's tracepoints, in that exit (0: none). */
#define HOST(t, ts, exit_id, kind, ...)                                                            \
	do {                                                                                       \
		int64_t in = (t)->in_exit[(t)->track];                                             \
                                                                                                   \
		(t)->in_exit[(t)->track] = exit_id;                                                \
		EMIT(t, ts, kind, __VA_ARGS__);                                                    \
		(t)->in_exit[(t)->track] = in;                                                     \
	} while (0)

static inline void run_enter(struct tape *t, int64_t ts)
{
	int64_t ended = t->in_exit[t->track];

	EMIT(t, ts, RUN_ENTER, ended);
	if (ended)
		sql(t, "UPDATE vm_exit SET t_entry = %lld WHERE id = %lld", (long long)ts,
			(long long)ended);
	t->in_exit[t->track] = 0;
}

static inline void run_exit(struct tape *t, int64_t ts, unsigned port, bool is_write, unsigned size)
{
	t->in_exit[t->track] = ++t->exit_id;
	EMIT(t, ts, RUN_EXIT, t->exit_id, 2);
	sql(t,
		"INSERT INTO vm_exit(id, event_id, track, kvm_reason, space, addr, size, count,"
		" is_write, value, rip, t_exit) VALUES(%lld, %lld, %d, 2, 0, %u, %u, 1, %d, 0, "
		"%lld,"
		" %lld)",
		(long long)t->exit_id, (long long)t->event, t->track, port, size, is_write,
		(long long)(IOWRITE16 + 6), (long long)ts);
}

static inline void payload(struct tape *t, const void *data, size_t len)
{
	sqlite3_stmt *stmt;

	assert_int_equal(
		sqlite3_prepare_v2(t->db, "INSERT INTO payload VALUES(?1, ?2)", -1, &stmt, NULL),
		SQLITE_OK);
	sqlite3_bind_int64(stmt, 1, t->event);
	sqlite3_bind_blob(stmt, 2, data, (int)len, SQLITE_STATIC);
	assert_int_equal(sqlite3_step(stmt), SQLITE_DONE);
	sqlite3_finalize(stmt);
}

static inline void marker_of(
	struct tape *t, int64_t ts, unsigned phase, unsigned nr, unsigned pid, int64_t ret)
{
	const struct ew_marker m = {.magic = EW_MARKER_MAGIC,
		.version = 1,
		.phase = (uint16_t)phase,
		.nr = nr,
		.pid = pid,
		.args = {3, 0x40a000, 512},
		.ret = ret,
		.comm = "writer",
		.path = "/data"};

	run_exit(t, ts, EW_MARKER_PORT, true, 4);
	EMIT(t, ts + 10, MARKER, phase, nr, pid, ret, 3, 512);
	payload(t, &m, sizeof(m));
}

static inline void marker(struct tape *t, int64_t ts, unsigned phase, int64_t ret)
{
	marker_of(t, ts, phase, 1, 7, ret);
}

/* ring 3 → entry → ksys_write → vp_notify → iowrite16 */
static inline void snapshot(struct tape *t, int64_t ts, int64_t cost)
{
	struct {
		struct ew_regs regs;
		uint64_t stack[64];
	} s = {.regs = {.rip = IOWRITE16 + 8, .rsp = STACK, .rbp = STACK}};

	s.stack[0] = STACK + 16;
	s.stack[1] = VP_NOTIFY + 0x20;
	s.stack[2] = (STACK + 32) | 1;
	s.stack[3] = KSYS_WRITE + 0x30;
	s.stack[4 + 4] = 0;                  /* pt_regs.rbp */
	s.stack[4 + 16] = USER_WRITE + 0x10; /* pt_regs.rip */
	s.stack[4 + 17] = 0x33;              /* pt_regs.cs: ring 3 */
	EMIT(t, ts, SNAPSHOT, EW_SNAPSHOT_NOTIFY, 0x1000, STACK, sizeof(s.stack));
	sql(t, "UPDATE event SET dur = %lld WHERE id = %lld", (long long)cost, (long long)t->event);
	payload(t, &s, sizeof(s));
}

/* The handler, entered from iowrite16, which the chain of stage 2 had called. */
static inline void interrupt_snapshot(struct tape *t, int64_t ts)
{
	struct {
		struct ew_regs regs;
		uint64_t stack[64];
	} s = {.regs = {.rip = IOREAD8, .rsp = STACK, .rbp = STACK | 1}};

	s.stack[4] = STACK + 8 * 30; /* pt_regs.rbp */
	s.stack[16] = IOWRITE16 + 8; /* pt_regs.rip */
	s.stack[17] = 0x10;          /* pt_regs.cs: ring 0 */
	s.stack[31] = VP_NOTIFY + 0x20;
	EMIT(t, ts, SNAPSHOT, EW_SNAPSHOT_ISR_READ, 0x1000, STACK, sizeof(s.stack));
	payload(t, &s, sizeof(s));
}

static inline int open_tape(void **state)
{
	struct tape *t = calloc(1, sizeof(*t));

	*state = t;
	if (!t || sqlite3_open(":memory:", &t->db) != SQLITE_OK ||
		sqlite3_exec(t->db, schema_sql, NULL, NULL, NULL))
		return -1;
	sql(t,
		"INSERT INTO track VALUES(1, 'vcpu', 0, 'vcpu0');"
		"INSERT INTO device VALUES(1, 'virtio-blk0', 'virtio-blk');"
		"INSERT INTO region VALUES(3, 0, 49152, 64, 1, 'virtio-blk0');"
		"INSERT INTO symbol VALUES(1, %lld, 16, 'iowrite16', 'g');"
		"INSERT INTO symbol VALUES(5, -2147477504, 16, 'ioread8', 'g');"
		"INSERT INTO symbol VALUES(2, %lld, 64, 'vp_notify', 'g');"
		"INSERT INTO symbol VALUES(3, %lld, 48, 'ksys_write', 'g');"
		"INSERT INTO symbol VALUES(4, %lld, 64, 'write', 'g');"
		"INSERT OR REPLACE INTO meta VALUES('kvm_backend', 'kvm_pvm')",
		(long long)IOWRITE16, (long long)VP_NOTIFY, (long long)KSYS_WRITE,
		(long long)USER_WRITE);
	on(t, 1);
	EMIT(t, 0, MACHINE_START, 0);
	run_enter(t, 100);
	return 0;
}

static inline int close_tape(void **state)
{
	struct tape *t = *state;

	sqlite3_close(t->db);
	free(t);
	return 0;
}

static inline void derive(struct tape *t)
{
	struct err e = {0};

	if (derive_all(t->db, &e))
		fail_msg("%s", e.msg);
}

/* A notify exit at ts for the requests first … last; 1000 ns in all, ends before run_enter. */
static inline void kick(struct tape *t, int64_t ts, int64_t first, int64_t last)
{
	run_exit(t, ts, 0xc010, true, 2);
	sql(t, "UPDATE vm_exit SET insn_rip = %lld, insn = x'66ef' WHERE id = %lld",
		(long long)(IOWRITE16 + 6), (long long)t->exit_id);
	EMIT(t, ts + 10, DISPATCH, 0, 0xc010, 3, 0x10, 2, 1);
	snapshot(t, ts + 20, 90);
	EMIT(t, ts + 120, QUEUE_NOTIFY, 1, 0, last & 0xffff, (first - 1) & 0xffff);
}

/* The device takes and serves a request whose 512 bytes lie at gpa: 350 ns. */
static inline void serve(struct tape *t, int64_t ts, int64_t request, int64_t gpa)
{
	EMIT(t, ts, QUEUE_POP, request, 1, 0, 0, request & 0xffff, request & 0xffff);
	EMIT(t, ts + 10, DESCRIPTOR, request, 1, gpa, 512, 1, 2);
	EMIT(t, ts + 20, REQUEST, request, 1, 8, 512, 3, 0x5000);
	EMIT(t, ts + 30, HOST_CALL, request, 18, 5, 512, 4096, 1);
	EMIT(t, ts + 330, HOST_RET, request, 18, 512);
	EMIT(t, ts + 340, REQ_STATUS, request, 0, 0x6000);
	EMIT(t, ts + 350, QUEUE_USED, request, 1, 0, 0, 1, request);
}

static inline void raise_irq(struct tape *t, int64_t ts)
{
	EMIT(t, ts, ISR_SET, 1, 1);
	EMIT(t, ts + 10, IRQ_LINE, 11, 1, 1);
	EMIT(t, ts + 60, IRQ_LINE_RET, 11, 1, 0);
	EMIT(t, ts + 70, DISPATCH_END, 3, 0, 0);
}

static inline void isr_exit(struct tape *t, int64_t ts)
{
	run_exit(t, ts, 0xc013, false, 1);
	EMIT(t, ts + 10, DISPATCH, 0, 0xc013, 3, 0x13, 1, 0);
	EMIT(t, ts + 20, ISR_READ, 1, 1);
	EMIT(t, ts + 30, IRQ_LINE, 11, 0, 1);
	EMIT(t, ts + 50, IRQ_LINE_RET, 11, 0, 0);
	EMIT(t, ts + 60, DISPATCH_END, 3, 0, 1);
	run_enter(t, ts + 100);
}

/* One whole write: 1000 marker, 2000 kick, 4000 ISR read, 6000 marker. */
static inline void one_write(struct tape *t, int64_t t0, int64_t request)
{
	marker(t, t0 + 1000, EW_MARKER_ENTER, 0);
	run_enter(t, t0 + 1100);
	kick(t, t0 + 2000, request, request);
	serve(t, t0 + 2200, request, 0x9000);
	raise_irq(t, t0 + 2600);
	run_enter(t, t0 + 3000);
	isr_exit(t, t0 + 4000);
	marker(t, t0 + 6000, EW_MARKER_EXIT, 512);
	run_enter(t, t0 + 6100);
}

#define STEPS(request)                                                                             \
	"SELECT printf('%d %s %s', s.stage, CASE s.what WHEN 'event' THEN k.name WHEN 'frame' "    \
	"THEN"                                                                                     \
	" (SELECT coalesce(y.name, '?') FROM frame f LEFT JOIN symbol y ON y.id = f.symbol WHERE"  \
	" f.event_id = s.event_id AND f.n = s.frame) ELSE s.what END,"                             \
	" (SELECT name FROM enum_name WHERE enum = 'layer' AND value = s.layer))"                  \
	" FROM step s LEFT JOIN event e ON e.id = s.event_id LEFT JOIN event_kind k ON"            \
	" k.id = e.kind WHERE s.request_id = " #request " ORDER BY s.n"

#define BUDGET(request)                                                                            \
	"SELECT printf('%s %d', n.name, b.ns) FROM budget b JOIN enum_name n ON n.enum = 'layer' " \
	"AND"                                                                                      \
	" n.value = b.layer WHERE b.ns <> 0 AND b.request_id = " #request " ORDER BY b.layer"
#define BUDGET_ERRORS                                                                              \
	"SELECT id FROM request q WHERE t_last - t_first IS NOT (SELECT sum(ns) FROM budget b"     \
	" WHERE b.request_id = q.id)"

#define TAPE_TEST(f) cmocka_unit_test_setup_teardown(f, open_tape, close_tape)

#endif
