/* SPDX-License-Identifier: MIT */
/*
 * libFuzzer target: records of the host's tracepoints, of any content, order and length, through the
 * decoder into rows, requests and steps. Whatever they say: ids have no gap, times do not go back, a budget
 * is its request's time, and steps name events that are there.
 *
 * sources: tracer/host_decode.c tracer/host_rows.c tracer/host_gather.c tracer/host_gather_rows.c tracer/host_join.c tracer/host_legs.c tracer/host_steps.c tracer/host_requests.c tracer/host_budget.c @BUILD@/libexitwalk.a
 * libs: -I/usr/include/traceevent -lsqlite3 -ltraceevent -lZydis -lelf
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "schema/schema.h"
#include "tests/lib/trace_dat.h"
#include "tracer/host_decode.h"
#include "tracer/host_rows.h"
#include "tracer/host_trace.h"

#define EVENTS_MAX 512

struct input {
	const uint8_t *p, *end;
};

static struct tep_handle *tep;
static struct store store;

static void check(int ok)
{
	if (!ok)
		abort();
}

static uint64_t take(struct input *i, unsigned n)
{
	uint64_t v = 0;

	for (; n && i->p < i->end; n--)
		v = v << 8 | *i->p++;
	return v;
}

/* What must hold of the tables whatever was in them: each counts rows that are wrong. */
static const char *const wrong[] = {
	"SELECT count(*) FROM event a JOIN event b ON b.id = a.id + 1 WHERE b.ts < a.ts",
	"SELECT count(*) FROM request q WHERE (SELECT sum(ns) FROM budget WHERE request_id = q.id) <>"
	" q.t_last - q.t_first OR q.t_last < q.t_first",
	"SELECT count(*) FROM budget WHERE ns < 0",
	"SELECT count(*) FROM step WHERE what <> 'absent' AND event_id NOT IN (SELECT id FROM event)",
	"SELECT max(id) - count(*) FROM event",
	"SELECT max(id) - count(*) FROM vm_exit",
};

#define WRONG (sizeof(wrong) / sizeof(wrong[0]))

static sqlite3_stmt *stmt[WRONG];
static struct host_decoder *decoder;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	tep = tep_alloc();
	for (size_t i = 0; i < TD_FORMATS; i++) {
		char *text = td_format_text(&td_formats[i]);

		check(tep_parse_event(tep, text, strlen(text), td_formats[i].system) == 0);
		free(text);
	}
	check(sqlite3_open(":memory:", &store.db) == SQLITE_OK);
	check(sqlite3_exec(store.db, schema_sql, NULL, NULL, NULL) == SQLITE_OK);
	for (int i = 0; i < STMT_MAX; i++)
		check(sqlite3_prepare_v2(store.db, store_sql(i), -1, &store.stmt[i], NULL) ==
			SQLITE_OK);
	for (size_t i = 0; i < WRONG; i++)
		check(sqlite3_prepare_v2(store.db, wrong[i], -1, &stmt[i], NULL) == SQLITE_OK);
	check(host_decoder_create(&decoder, tep, NULL) == 0);
	sqlite3_exec(store.db, "INSERT INTO meta VALUES('import.file', 'x')", NULL, NULL, NULL);
	return 0;
}

/* Values that lead somewhere, mostly: a kind's own, or a small number. */
static uint64_t value_of(struct input *i)
{
	static const uint64_t likely[] = {0, 1, 2, 16, 18, 17, 75, 202, 426, 0x7b, 30, 0xae80,
		0x4020aea5, 0xc010, 0xc0100020, 0x62100001, 512, 0xfee00000, 0x26, 0xfebf3000,
		(uint64_t)-4, 0x80000021};
	unsigned c = (unsigned)take(i, 1);

	if (c < sizeof(likely) / sizeof(likely[0]))
		return likely[c];
	return c < 200 ? take(i, 1) : take(i, 8);
}

static void tasks(struct host_rows *r, const struct host_event *ev)
{
	bool names = ev->rec.kind == EW_SCHED_SWITCH || ev->rec.kind == EW_SCHED_WAKING;

	check(host_rows_task(r, ev->task, "vmm-1", NULL) == 0);
	if (names)
		check(host_rows_task(r, (uint32_t)ev->rec.a[0], "vmm-2", NULL) == 0);
	if (ev->rec.kind == EW_SCHED_SWITCH)
		check(host_rows_task(r, (uint32_t)ev->rec.a[2], "vmm-3", NULL) == 0);
}

static void one_record(
	struct host_rows *r, struct host_decoder *d, struct input *i, uint64_t *ts, unsigned *cpu)
{
	uint8_t what = (uint8_t)take(i, 1), data[112];
	struct tep_record record = {.cpu = what & 3, .data = data};
	struct host_event ev;
	uint64_t value[9];
	int pid;

	*ts += take(i, 1) * 100;
	if (what >= 250) { /* a gap */
		*cpu = what & 3;
		check(host_rows_task(r, HOST_TASK_CPU | *cpu, "CPU", NULL) == 0);
		check(host_rows_lost(
			      r, HOST_TASK_CPU | *cpu, *ts, *ts + 50, what & 4 ? 7 : 0, NULL) == 0);
		return;
	}
	pid = 100 + (int)(take(i, 1) & 7);
	for (int k = 0; k < 9; k++)
		value[k] = value_of(i);
	record.size = (int)td_record(data, pid, TD_ENTRY + what % (unsigned)TD_FORMATS, value);
	record.ts = *ts - (what >= 240 ? 5000 : 0); /* late */
	if (what >= 230 && what < 240)
		record.size = (int)take(i, 1) % 112; /* too short for its format */
	if (!host_decode(d, &record, &ev))
		return;
	tasks(r, &ev);
	check(host_rows_add(r, &ev, 0, NULL) == 0);
}

static void invariants(void)
{
	for (size_t i = 0; i < WRONG; i++) {
		check(sqlite3_step(stmt[i]) == SQLITE_ROW);
		check(sqlite3_column_int64(stmt[i], 0) == 0);
		sqlite3_reset(stmt[i]);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input i = {data, data + size};
	struct derive derive = {.db = store.db};
	struct rows_counts counts = {0};
	struct host_rows r;
	uint64_t ts = 1000000;
	unsigned cpu = 0;

	sqlite3_exec(store.db, "BEGIN", NULL, NULL, NULL);
	host_rows_init(&r, &store, &counts, 0);
	for (int n = 0; n < EVENTS_MAX && i.p < i.end; n++)
		one_record(&r, decoder, &i, &ts, &cpu);
	check(host_rows_flush(&r, NULL) == 0);
	check(host_derive(&derive) == 0);
	invariants();
	host_rows_destroy(&r);
	sqlite3_exec(store.db, "ROLLBACK", NULL, NULL, NULL);
	return 0;
}
