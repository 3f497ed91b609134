/* SPDX-License-Identifier: MIT */
/* A guest's events among the host's: times, edges of exits, ids, names, losses, and when they cannot be made. */
#include "derive_tape.h"

#include "tests/lib/guest_stream_maker.h"
#include "tests/lib/scratch.h"
#include "tracer/check.h"
#include "tracer/guest_events.h"

#define OFFSET 5000000 /* guest TSC = time + OFFSET: a TSC of 1 GHz that began with the clock */
#define WIDTH 40       /* of the readings: a time is wrong by at most 21 ns */

/* Evidence of the clock; every 1000 ns a reading. */
static void clock_evidence(struct tape *t, int64_t from, int64_t to)
{
	for (int64_t ts = from; ts <= to; ts += 1000)
		EMIT(t, ts, CLOCK_PAIR, ts, WIDTH);
}

static void stream(struct tape *t, int64_t ts, const struct gs *g)
{
	EMIT(t, ts, GUEST_STREAM, 1, (int64_t)g->len, 0);
	payload(t, g->bytes, g->len);
}

/* Two vCPUs; track 8 is nobody's. */
static void begin(struct tape *t)
{
	sql(t, "INSERT INTO track VALUES(2, 'vcpu', 1, 'vcpu1'), (3, 'thread', NULL, 'writer');"
	       "INSERT INTO meta VALUES('guest_trace', 'on')");
	EMIT(t, 200, TSC_OFFSET, 0, OFFSET, 1000000, 1000000);
	EMIT(t, 200, TSC_OFFSET, 1, OFFSET, 1000000, 1000000);
}

static uint64_t make(struct tape *t)
{
	struct err e = {""};
	uint64_t added = 0;

	if (guest_events_make(t->db, NULL, &added, &e))
		fail_msg("%s", e.msg);
	return added;
}

static void expect_meta(struct tape *t, const char *key, const char *value)
{
	char query[128];

	snprintf(query, sizeof(query), "SELECT value FROM meta WHERE key = '%s'", key);
	assert_string_equal(query_text(t->db, query), value);
}

/* Rows that are wrong whatever the recording has. */
static void expect_whole(struct tape *t)
{
	static const char *const wrong[] = {
		"SELECT count(*) FROM event a JOIN event b ON b.id = a.id + 1 WHERE b.ts < a.ts",
		"SELECT max(id) - count(*) FROM event",
		"SELECT count(*) FROM payload WHERE event_id NOT IN (SELECT id FROM event)",
		"SELECT count(*) FROM vm_exit x LEFT JOIN event e ON e.id = x.event_id WHERE e.kind IS NOT 2"
		" OR e.a0 <> x.id OR e.ts <> x.t_exit",
		"SELECT count(*) FROM guest_event g LEFT JOIN event e ON e.id = g.event_id WHERE e.kind IS NULL OR"
		" e.kind < 200",
		"SELECT count(*) FROM event WHERE kind >= 200 AND id NOT IN (SELECT event_id FROM guest_event)",
		"SELECT count(*) FROM sqlite_temp_schema",
	};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		if (number(t, "%s", wrong[i]))
			fail_msg("%s", wrong[i]);
}

/* Kind, time, error and task of all guest events. */
#define GUEST_LINES                                                                                \
	"SELECT printf('%s %d %d %d', kind, ts_ns, error_ns, pid) FROM v_event WHERE source ="     \
	" 'guest_tracepoint' ORDER BY id"

/* --- in order ------------------------------------------------------------------------------------- */

static void a_write(struct gs *g)
{
	gs_begin(g);
	gs_text(g, GUEST_STREAM_SYMBOLS, GUEST_STREAM_NO_CPU, gs_kallsyms);
	gs_syscall(g, 0, OFFSET + 1500, 94, true, 18, 3);
	gs_func(g, 0, OFFSET + 1800, 94, GS_VP_NOTIFY + 4, GS_QUEUE_RQ + 0xf2);
	gs_irq(g, 0, OFFSET + 3100, 94, 0x09, GS_IRQ, 25, 0);
	gs_irq(g, 0, OFFSET + 3400, 94, 0x09, GS_IRQ_RET, 25, 1);
	gs_waking(g, 1, OFFSET + 3300, 0, 0x10, 95, "other");
	gs_syscall(g, 0, OFFSET + 5000, 94, false, 18, 512);
	gs_end(g);
}

static void merged(void **state)
{
	struct tape *t = *state;
	struct gs g = {0};
	int64_t events, snapshots, payloads;

	begin(t);
	clock_evidence(t, 500, 500);
	one_write(t, 0, 1);
	clock_evidence(t, 6500, 8500);
	a_write(&g);
	stream(t, 9000, &g);
	events = number(t, "SELECT count(*) FROM event");
	snapshots = number(t,
		"SELECT sum(length(data)) FROM payload WHERE event_id IN (SELECT id FROM event"
		" WHERE kind = %d)",
		EW_SNAPSHOT);
	payloads = number(t, "SELECT count(*) FROM payload");
	assert_int_equal(make(t), 6);
	expect_whole(t);
	assert_int_equal(number(t, "SELECT count(*) FROM event"), events + 6);
	assert_int_equal(number(t, "SELECT count(*) FROM payload"), payloads - 1);
	assert_int_equal(
		number(t,
			"SELECT sum(length(data)) FROM payload WHERE event_id IN (SELECT id FROM event"
			" WHERE kind = %d)",
			EW_SNAPSHOT),
		snapshots);
	expect_lines(t, GUEST_LINES,
		"guest_sys_enter 1500 22 94\nguest_func 1800 22 94\nguest_irq 3100 22 94\nguest_waking 3300 22 0\n"
		"guest_irq_ret 3400 22 94\nguest_sys_exit 5000 22 94\n");
	expect_lines(t, "SELECT text FROM v_event WHERE kind = 'guest_func'",
		"vp_notify(), called by virtio_queue_rq+0xf2\n");
	expect_lines(t, "SELECT text FROM v_event WHERE kind = 'guest_waking'",
		"sched_waking: other on CPU 1\n");
	expect_lines(t,
		"SELECT kind || ' ' || dur_ns FROM v_event WHERE dur_ns IS NOT NULL AND source ="
		" 'guest_tracepoint'",
		"guest_irq_ret 300\nguest_sys_exit 3500\n");
	expect_lines(t,
		"SELECT track || ' ' || flags FROM guest_event g JOIN event e ON e.id = g.event_id WHERE"
		" kind IN (211, 212)",
		"1 1\n2 2\n");
	expect_meta(t, "guest_trace", "merged");
	expect_meta(t, "guest_trace.events", "6");
	expect_meta(t, "guest_trace.error_max_ns", "22");
	expect_meta(t, "guest_trace.moved", "");
	assert_int_equal(number(t, "SELECT count(*) FROM loss"), 0);
	/* Once is enough. */
	assert_int_equal(make(t), 0);
	derive(t);
	assert_int_equal(number(t, "SELECT count(*) FROM event"), events + 6);
	gs_free(&g);
}

/* derive_all() makes them too, in a recording that was cut off. */
static void cut_off(void **state)
{
	struct tape *t = *state;
	struct gs g = {0};

	begin(t);
	clock_evidence(t, 500, 2500);
	a_write(&g);
	stream(t, 9000, &g);
	derive(t);
	expect_whole(t);
	assert_int_equal(number(t, "SELECT count(*) FROM guest_event"), 6);
	/* The last reading of the clock is far: the bound says so. */
	assert_true(number(t, "SELECT max(error) FROM guest_event") >
		    number(t, "SELECT min(error) FROM guest_event"));
	gs_free(&g);
}

/* --- exits ----------------------------------------------------------------------------------------- */

/* By their clock these are between exit (2000) and entry (3000) of vCPU 0, where no guest runs. */
static void edges(void **state)
{
	struct tape *t = *state;
	struct gs g = {0};

	begin(t);
	clock_evidence(t, 500, 500);
	run_exit(t, 2000, 0xc010, true, 2);
	EMIT(t, 2500, DISPATCH, 0, 0xc010, 3, 0x10, 2, 1);
	run_enter(t, 3000);
	clock_evidence(t, 3500, 5500);
	gs_begin(&g);
	gs_func(&g, 0, OFFSET + 1990, 1, GS_VP_NOTIFY, 0);
	gs_func(&g, 0, OFFSET + 2010, 2, GS_VP_NOTIFY, 0); /* 10 ns late: in front of the exit */
	gs_func(&g, 0, OFFSET + 2500, 3, GS_VP_NOTIFY, 0); /* no error explains it */
	gs_func(&g, 0, OFFSET + 2985, 4, GS_VP_NOTIFY, 0); /* 15 ns early: behind the entry */
	gs_func(&g, 0, OFFSET + 3001, 5, GS_VP_NOTIFY, 0);
	gs_func(&g, 1, OFFSET + 2010, 6, GS_VP_NOTIFY, 0); /* vCPU 1 is in the guest */
	gs_end(&g);
	stream(t, 9000, &g);
	assert_int_equal(make(t), 6);
	expect_whole(t);
	expect_lines(t,
		"SELECT CASE WHEN e.kind = 200 THEN 'pid ' || g.pid || ' ' || e.ts || ' ' || g.error ELSE (SELECT"
		" name FROM event_kind WHERE id = e.kind) END FROM event e LEFT JOIN guest_event g ON g.event_id"
		" = e.id WHERE e.ts BETWEEN 1900 AND 3100",
		"pid 1 1990 22\npid 2 2000 32\nrun_exit\npid 6 2010 22\ndispatch\npid 3 2500 22\nrun_enter\n"
		"pid 4 3000 37\npid 5 3001 22\n");
	expect_meta(t, "guest_trace.moved", "2");
	expect_meta(t, "guest_trace.inside_exits", "1");
	gs_free(&g);
}

/* Where the hardware's exits are recorded, a return of KVM_RUN is only a part of one. */
static void edges_of_hardware(void **state)
{
	struct tape *t = *state;
	struct gs g = {0};

	begin(t);
	clock_evidence(t, 500, 500);
	EMIT(t, 2000, KVM_EXIT, 1, 2, 0x7b, 0);
	EMIT(t, 2200, KVM_ENTRY, 1, 0, 0, 0);
	EMIT(t, 2500, KVM_EXIT, 2, 2, 0x7b, 0);
	run_exit(t, 2600, 0xc010, true, 2);
	run_enter(t, 2900);
	EMIT(t, 3000, KVM_ENTRY, 2, 0, 0, 0);
	clock_evidence(t, 3500, 5500);
	gs_begin(&g);
	gs_func(&g, 0, OFFSET + 2190, 1, GS_VP_NOTIFY, 0);
	gs_func(&g, 0, OFFSET + 2300, 2, GS_VP_NOTIFY, 0);
	gs_func(&g, 0, OFFSET + 2505, 3, GS_VP_NOTIFY, 0);
	gs_func(&g, 0, OFFSET + 2990, 4, GS_VP_NOTIFY, 0);
	gs_end(&g);
	stream(t, 9000, &g);
	assert_int_equal(make(t), 4);
	expect_lines(t, GUEST_LINES,
		"guest_func 2200 32 1\nguest_func 2300 22 2\nguest_func 2500 27 3\nguest_func 3000 32 4\n");
	expect_meta(t, "guest_trace.moved", "3");
	expect_meta(t, "guest_trace.inside_exits", "");
	gs_free(&g);
}

/* The kernel's buffer of a CPU lost the entry at 2200 and the exit at 2600, which nobody knows the times of. */
static void lost_entries(void **state)
{
	struct tape *t = *state;
	struct gs g = {0};

	begin(t);
	sql(t, "INSERT INTO track VALUES(4, 'cpu', NULL, 'CPU 0')");
	clock_evidence(t, 500, 500);
	EMIT(t, 1000, KVM_EXIT, 1, 2, 0x7b, 0);
	EMIT(t, 1100, KVM_ENTRY, 1, 0, 0, 0);
	EMIT(t, 2000, KVM_EXIT, 2, 2, 0x7b, 0);
	EMIT(t, 2700, KVM_ENTRY, 2, 0, 0, 0); /* of the exit at 2600, on another CPU */
	on(t, 4);
	EMIT(t, 2900, LOST, 2);
	sql(t, "UPDATE event SET dur = 800 WHERE kind = 62");
	on(t, 1);
	EMIT(t, 3000, KVM_EXIT, 3, 2, 0x7b, 0);
	EMIT(t, 3100, KVM_ENTRY, 3, 0, 0, 0);
	clock_evidence(t, 3500, 5500);
	gs_begin(&g);
	gs_func(&g, 0, OFFSET + 1005, 1, GS_VP_NOTIFY, 0);
	gs_func(&g, 0, OFFSET + 2300, 2, GS_VP_NOTIFY, 0);
	gs_func(&g, 0, OFFSET + 3050, 3, GS_VP_NOTIFY, 0); /* no error explains it */
	gs_end(&g);
	stream(t, 9000, &g);
	assert_int_equal(make(t), 3);
	expect_lines(t, GUEST_LINES,
		"guest_func 1000 27 1\nguest_func 2300 22 2\nguest_func 3050 22 3\n");
	expect_meta(t, "guest_trace.moved", "1");
	expect_meta(t, "guest_trace.inside_exits", "1");
	gs_free(&g);
}

/* --- what is missing -------------------------------------------------------------------------------- */

static void losses(void **state)
{
	struct tape *t = *state;
	struct gs g = {0};

	begin(t);
	clock_evidence(t, 500, 5500);
	gs_begin(&g);
	gs_syscall(&g, 0, OFFSET + 1000, 7, true, 1, 3);
	g.cpu[0].missing = 5;
	gs_syscall(&g, 0, OFFSET + 2000, 7, false, 1, 512);
	gs_pages(&g);
	stream(t, 9000, &g);
	assert_int_equal(make(t), 2);
	expect_whole(t);
	expect_lines(t,
		"SELECT source || ' ' || ts0_ns || ' ' || ts1_ns || ' ' || coalesce(n, '?') FROM v_loss",
		"trace buffer of the guest's CPU 0 1000 2000 5\n"
		"trace buffer of the guest's CPU 0 2000 9000 ?\n"); /* no END: up to the last event */
	expect_meta(t, "guest_trace.lost", "5");
	expect_meta(t, "guest_trace.gaps_uncounted", "1");
	/* Behind a gap an end has no beginning. */
	assert_int_equal(
		number(t, "SELECT count(*) FROM event WHERE kind >= 200 AND dur IS NOT NULL"), 0);
	gs_free(&g);
}

/* A guest CPU that the machine does not have. */
static void no_such_cpu(void **state)
{
	struct tape *t = *state;
	struct gs g = {0};

	begin(t);
	clock_evidence(t, 500, 5500);
	gs_begin(&g);
	gs_func(&g, 3, OFFSET + 1000, 7, GS_VP_NOTIFY, 0);
	gs_func(&g, 0, OFFSET + 1000, 7, GS_VP_NOTIFY, 0);
	gs_end(&g);
	stream(t, 9000, &g);
	assert_int_equal(make(t), 1);
	expect_whole(t);
	expect_meta(t, "guest_trace.unplaced", "1");
	gs_free(&g);
}

static bool name(void *ctx, uint64_t addr, bool place, char *buf, size_t size)
{
	(void)ctx;
	snprintf(buf, size, "%s", place ? "caller+0x1" : "from_memory");
	return addr == GS_VP_NOTIFY;
}

/* The agent left the symbols out: then it is what the guest's memory said, or the address. */
static void names_from_elsewhere(void **state)
{
	struct tape *t = *state;
	const struct guest_namer namer = {name, NULL};
	struct err e = {""};
	struct gs g = {0};

	begin(t);
	clock_evidence(t, 500, 5500);
	gs_begin(&g);
	gs_func(&g, 0, OFFSET + 1000, 7, GS_VP_NOTIFY, GS_VP_NOTIFY);
	gs_func(&g, 0, OFFSET + 1001, 7, 0x1234, 0);
	gs_end(&g);
	stream(t, 9000, &g);
	assert_int_equal(guest_events_make(t->db, &namer, NULL, &e), 0);
	expect_lines(t, "SELECT text FROM v_event WHERE kind = 'guest_func'",
		"from_memory(), called by caller+0x1\n0x1234(), called by a function that is not known\n");
	expect_meta(t, "guest_trace.addresses_without_name", "1");
	gs_free(&g);
}

/* --- when they cannot be made ------------------------------------------------------------------------- */

static void not_decoded(struct tape *t, const char *why)
{
	int64_t events = number(t, "SELECT count(*) FROM event");
	int64_t payloads = number(t, "SELECT count(*) FROM payload");

	assert_int_equal(make(t), 0);
	assert_non_null(
		strstr(query_text(t->db, "SELECT value FROM meta WHERE key = 'guest_trace'"), why));
	assert_int_equal(number(t, "SELECT count(*) FROM event"), events);
	/* What came stays. */
	assert_int_equal(number(t, "SELECT count(*) FROM payload"), payloads);
	expect_whole(t);
}

static void no_offset(void **state)
{
	struct tape *t = *state;
	struct gs g = {0};

	sql(t, "INSERT INTO meta VALUES('guest_trace', 'on')");
	clock_evidence(t, 500, 5500);
	a_write(&g);
	stream(t, 9000, &g);
	not_decoded(t, "KVM_VCPU_TSC_OFFSET");
	gs_free(&g);
}

static void other_clock(void **state)
{
	struct tape *t = *state;
	struct gs g = {0};

	begin(t);
	clock_evidence(t, 500, 5500);
	gs_hello(&g, "local");
	gs_end(&g);
	stream(t, 9000, &g);
	not_decoded(t, "x86-tsc");
	expect_meta(t, "guest_trace.trace_clock", "local");
	gs_free(&g);
}

static void nothing_came(void **state)
{
	struct tape *t = *state;

	begin(t);
	clock_evidence(t, 500, 5500);
	not_decoded(t, "nothing came");
}

static void garbage_came(void **state)
{
	struct tape *t = *state;
	struct gs g = {0};

	begin(t);
	clock_evidence(t, 500, 5500);
	for (int i = 0; i < 1000; i++)
		gs_bytes(&g, "what is this", 13);
	stream(t, 9000, &g);
	not_decoded(t, "no beginning");
	gs_free(&g);
}

/* A format that libtraceevent cannot bear, or nearly: the recording is made whatever happens. */
static void hostile_format(void **state)
{
	struct tape *t = *state;
	struct gs g = {0};

	begin(t);
	clock_evidence(t, 500, 5500);
	gs_hello(&g, "x86-tsc");
	gs_text(&g, GUEST_STREAM_FORMAT, GUEST_STREAM_NO_CPU,
		"ftrace/function\nname: function\nID: 1\nformat:\n"
		"\tfield:unsigned short common_type;\toffset:2000000000;\tsize:2;\tsigned:0;\n"
		"\tfield:int common_pid;\toffset:2000000000;\tsize:4;\tsigned:1;\n\n"
		"\tfield:unsigned long ip;\toffset:8;\tsize:8;\tsigned:0;\n\nprint fmt: \"%d\", REC->ip\n");
	gs_func(&g, 0, OFFSET + 1000, 7, GS_VP_NOTIFY, 0);
	gs_end(&g);
	stream(t, 9000, &g);
	make(t);
	expect_whole(t);
	gs_free(&g);
}

/* The agent read the TSC at 2000, and its word came at 1500: something in the conversion is wrong. */
static void clock_ahead(void **state)
{
	struct tape *t = *state;
	struct gs g = {0};

	begin(t);
	gs_begin(&g);
	gs_mark(&g, 0, OFFSET + 2000);
	gs_func(&g, 0, OFFSET + 1000, 7, GS_VP_NOTIFY, 0);
	gs_end(&g);
	clock_evidence(t, 500, 500);
	stream(t, 1500, &g);
	clock_evidence(t, 2500, 5500);
	make(t);
	assert_in_range(
		number(t, "SELECT value FROM meta WHERE key = 'guest_trace.clock_ahead_ns'"), 450,
		500);
	gs_free(&g);
}

/* --- exitwalk check ------------------------------------------------------------------------------------ */

/* What check_guest() says; the caller frees it. */
static char *checked(struct tape *t, unsigned *failures)
{
	struct textout o;
	struct check c = {.db = t->db, .out = &o};
	struct err e = {""};
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);

	textout_init(&o, f, false);
	if (check_guest(&c, &e))
		fail_msg("%s", e.msg);
	fclose(f);
	*failures = c.failures;
	return text;
}

static void expect_says(struct tape *t, unsigned failures, const char *line)
{
	unsigned n;
	char *text = checked(t, &n);

	if (n != failures || !strstr(text, line))
		fail_msg("%u failures, no '%s' in:\n%s", n, line, text);
	free(text);
}

/* Events at 1500 (in the guest) and 2010 (10 ns behind the exit), then something is wrong with them. */
static void checks(void **state)
{
	static const struct {
		const char *damage, *line;
		unsigned failures;
	} damage[] = {
		{"SELECT 1", "none of 2 events of the guest's kernel lies between an exit", 0},
		{"SELECT 1", "1 events stand at the edge of an exit", 0},
		{"SELECT 1", "the TSC offset of no vCPU changed", 0},
		{"UPDATE event SET ts = 2400 WHERE kind = 200 AND ts = 2000",
			"is 400 ns inside an exit of its vCPU", 1},
		{"UPDATE guest_event SET error = 500 WHERE error = 32; UPDATE event SET ts = 2400 WHERE kind = 200"
		 " AND ts = 2000",
			"1 events lie inside exits by less than their times may be wrong", 0},
		{"UPDATE guest_event SET error = NULL",
			"nobody can say by how much the times of 2 events", 0},
		{"UPDATE guest_event SET tsc = 5 WHERE error = 32", "has an earlier TSC than event",
			1},
		{"DELETE FROM guest_event WHERE error = 32", "is missing", 1},
		{"UPDATE guest_event SET event_id = 1 WHERE error = 32",
			"belongs to no event of a guest's kernel", 3},
		{"UPDATE event SET a1 = 77 WHERE kind = 65 AND id = (SELECT max(id) FROM event WHERE kind = 65)",
			"the TSC offset of vCPU 0 is 77 now, before it was 5000000", 0},
		{"INSERT INTO meta VALUES('guest_trace.clock_ahead_ns', 470)",
			"470 ns are between the arrival", 1},
		{"INSERT OR REPLACE INTO meta VALUES('guest_trace.end', 'missing: the run was ended')",
			"the end of the guest's trace is missing: the run was ended", 0},
		{"UPDATE meta SET value = 'not decoded: no clock' WHERE key = 'guest_trace'",
			"the guest's own trace is not decoded: no clock", 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(damage) / sizeof(damage[0]); i++) {
		struct gs g = {0};
		struct tape *t;

		open_tape((void **)&t);
		begin(t);
		clock_evidence(t, 500, 500);
		run_exit(t, 2000, 0xc010, true, 2);
		run_enter(t, 3000);
		EMIT(t, 3200, TSC_OFFSET, 0, OFFSET, 1000000, 1000000);
		clock_evidence(t, 3500, 5500);
		gs_begin(&g);
		gs_func(&g, 0, OFFSET + 1500, 1, GS_VP_NOTIFY, 0);
		gs_func(&g, 0, OFFSET + 2010, 2, GS_VP_NOTIFY, 0);
		gs_end(&g);
		stream(t, 9000, &g);
		assert_int_equal(make(t), 2);
		sql(t, "%s", damage[i].damage);
		expect_says(t, damage[i].failures, damage[i].line);
		gs_free(&g);
		close_tape((void **)&t);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TAPE_TEST(merged),
		TAPE_TEST(cut_off),
		TAPE_TEST(edges),
		TAPE_TEST(edges_of_hardware),
		TAPE_TEST(lost_entries),
		TAPE_TEST(losses),
		TAPE_TEST(no_such_cpu),
		TAPE_TEST(names_from_elsewhere),
		TAPE_TEST(no_offset),
		TAPE_TEST(other_clock),
		TAPE_TEST(nothing_came),
		TAPE_TEST(garbage_came),
		TAPE_TEST(hostile_format),
		TAPE_TEST(clock_ahead),
		cmocka_unit_test(checks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
