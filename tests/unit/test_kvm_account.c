/* SPDX-License-Identifier: MIT */
/* Where KVM's exits went, and what `exitwalk check` says where the counts contradict one another. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "schema/schema.h"
#include "tests/lib/scratch.h"
#include "tracer/check.h"
#include "tracer/kvm_account.h"
#include "tracer/probe.h"

static void run(sqlite3 *db, const char *fmt, ...)
{
	va_list ap;
	char *sql;

	va_start(ap, fmt);
	sql = sqlite3_vmprintf(fmt, ap);
	va_end(ap);
	if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
		fail_msg("%s: %s", sqlite3_errmsg(db), sql);
	sqlite3_free(sql);
}

static void moved(sqlite3 *db, int vcpu, const char *name, int by)
{
	run(db, "INSERT OR REPLACE INTO kvm_stat VALUES(%d, '%s', 1000, %d)", vcpu, name,
		1000 + by);
}

static void returns(sqlite3 *db, int track, int reason, int n)
{
	run(db,
		"WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < %d)"
		" INSERT INTO vm_exit(event_id, track, kvm_reason, count, t_exit) SELECT 1, %d, %d, 1,"
		" 0 FROM c",
		n, track, reason);
}

/* One vCPU as on VT-x: 40 IN and OUT of which 30 come here, 8 MMIO of which 2 are first touches. */
static void one_vcpu(sqlite3 *db, int vcpu)
{
	int track = vcpu + 1;

	run(db, "INSERT INTO track VALUES(%d, 'vcpu', %d, 'vCPU %d')", track, vcpu, vcpu);
	moved(db, vcpu, "exits", 200);
	moved(db, vcpu, "fpu_reload", 41);
	moved(db, vcpu, "io_exits", 40);
	moved(db, vcpu, "mmio_exits", 8);
	moved(db, vcpu, "pf_taken", 100);
	moved(db, vcpu, "pf_emulate", 2);
	moved(db, vcpu, "irq_exits", 10);
	moved(db, vcpu, "irq_window_exits", 5);
	moved(db, vcpu, "nmi_window_exits", 0);
	moved(db, vcpu, "halt_exits", 4);
	moved(db, vcpu, "hypercalls", 1);
	moved(db, vcpu, "signal_exits", 2);
	moved(db, vcpu, "request_irq_exits", 0);
	moved(db, vcpu, "insn_emulation", 12345); /* overlaps with others, so not asked */
	returns(db, track, 2, 30);
	returns(db, track, 6, 8);
	returns(db, track, 10, 3); /* one of them by immediate_exit */
}

static int setup(void **state)
{
	sqlite3 *db;

	assert_int_equal(sqlite3_open(":memory:", &db), SQLITE_OK);
	run(db, "%s", schema_sql);
	one_vcpu(db, 0);
	*state = db;
	return 0;
}

static int teardown(void **state)
{
	sqlite3_close(*state);
	return 0;
}

/* What `check` says of KVM, as JSON; *failures counts. The caller frees. */
static char *says(sqlite3 *db, unsigned *failures)
{
	struct recording rec = {.db = db};
	struct check c = {.db = db, .recording = &rec};
	struct err e = {""};
	struct json j;
	char *text;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	json_init(&j, f);
	c.json = &j;
	json_array(&j, NULL);
	if (check_kvm_stats(&c, &e))
		fail_msg("%s", e.msg);
	json_end_array(&j);
	fclose(f);
	*failures = c.failures;
	return text;
}

static void expect(sqlite3 *db, unsigned failures, const char *words)
{
	unsigned n;
	char *text = says(db, &n);

	if (n != failures || !strstr(text, words))
		fail_msg("%u failures, wanted %u and '%s' in: %s", n, failures, words, text);
	free(text);
}

static int keep(void *ctx, const struct kvm_account *a)
{
	*(struct kvm_account *)ctx = *a;
	return 0;
}

static struct kvm_account last(sqlite3 *db)
{
	struct kvm_account a = {0};
	struct err e = {""};

	if (kvm_account_each(db, keep, &a, &e))
		fail_msg("%s", e.msg);
	return a;
}

static void sums(void **state)
{
	struct kvm_account a = last(*state);

	assert_int_equal(a.rows, 41);
	assert_int_equal(kvm_account_mmio(&a), 6);
	/* 200 - 40 - 100 - 10 - 5 - 4 - 1 - 6 */
	assert_int_equal(kvm_account_rest(&a), 34);
	expect(*state, 0,
		"KVM counts 41 returns of KVM_RUN (fpu_reload), and so many are recorded");
	expect(*state, 0, "        34    not counted apart: CPUID");
	expect(*state, 0, "        40    io_exits: IN and OUT; 30 returned to the VMM");
	expect(*state, 0, "         6    mmio_exits: ");
	expect(*state, 0, "         3    KVM_EXIT_INTR: ");
}

struct line {
	int64_t vcpu, count;
	char name[32];
	bool part;
};
struct lines {
	struct line line[64];
	size_t n;
};

static int keep_line(void *ctx, const struct kvm_line *l)
{
	struct lines *all = ctx;

	assert_true(all->n < 64);
	all->line[all->n] = (struct line){.vcpu = l->vcpu, .count = l->count, .part = l->part};
	snprintf(all->line[all->n++].name, sizeof(all->line->name), "%s", l->name);
	return 0;
}

/* In the table the parts add up to the line above them, for exits and for returns. */
static void parts_add_up(void **state)
{
	struct lines all = {.n = 0};
	struct err e = {""};
	int64_t left = 0;

	one_vcpu(*state, 1);
	one_vcpu(*state, 2);
	assert_int_equal(kvm_account_lines(*state, keep_line, &all, &e), 0);
	for (size_t i = 0; i < all.n; i++) {
		if (!all.line[i].part) {
			assert_int_equal(left, 0);
			left = all.line[i].count;
		} else {
			left -= all.line[i].count;
		}
	}
	assert_int_equal(left, 0);
	assert_int_equal(all.line[all.n - 1].vcpu, 2);
}

static void several_vcpus(void **state)
{
	one_vcpu(*state, 1);
	expect(*state, 0, "KVM counts 82 returns of KVM_RUN (fpu_reload) over all vCPUs, and so");
	expect(*state, 0, "vCPU 1        34    not counted apart");
	/* One too many on one, one too few on the other: the sum would not tell. */
	run(*state, "UPDATE vm_exit SET track = 1 WHERE id = (SELECT max(id) FROM vm_exit)");
	expect(*state, 2, "41 returns of KVM_RUN (fpu_reload) of vCPU 0, 42 are recorded");
	expect(*state, 2, "41 returns of KVM_RUN (fpu_reload) of vCPU 1, 40 are recorded");
}

static void a_missing_return(void **state)
{
	run(*state, "DELETE FROM vm_exit WHERE id = 7");
	expect(*state, 1, "40 are recorded\"");
	run(*state, "INSERT INTO loss VALUES(1, 1, 0, 1, 1)");
	expect(*state, 0, "40 are recorded: records were lost");
}

static void contradictions(void **state)
{
	moved(*state, 0, "io_exits", 29);
	expect(*state, 1, "29 io_exits of vCPU 0, fewer than the 30 KVM_EXIT_IO");
	run(*state, "UPDATE vm_exit SET count = 8 WHERE id = 1"); /* REP OUTS returns in pieces */
	expect(*state, 0, "so many are recorded");
	moved(*state, 0, "io_exits", 40);
	moved(*state, 0, "mmio_exits", 9);
	expect(*state, 1, "9 mmio_exits of vCPU 0, 8 KVM_EXIT_MMIO are recorded");
	moved(*state, 0, "mmio_exits", 7); /* one crossed a page */
	expect(*state, 0, "so many are recorded");
	moved(*state, 0, "signal_exits", 4);
	expect(*state, 1, "4 signal_exits of vCPU 0, 3 KVM_EXIT_INTR are recorded");
	moved(*state, 0, "signal_exits", 0);
	moved(*state, 0, "request_irq_exits", 1);
	expect(*state, 1, "1 request_irq_exits of vCPU 0, 0 KVM_EXIT_IRQ_WINDOW_OPEN");
}

static void fewer_exits_than_returns(void **state)
{
	moved(*state, 0, "exits", 37); /* 30 IO and 8 MMIO had one each */
	expect(*state, 1, "37 exits of vCPU 0, fewer than the 38 returns that an exit caused");
	moved(*state, 0, "exits", 38);
	expect(*state, 0, "fewer than these: the backend does not count");
}

/* kvm_pvm: ring 0 is emulated, so nothing of it is an exit. */
static void an_emulating_backend(void **state)
{
	moved(*state, 0, "exits", 5);
	moved(*state, 0, "io_exits", 0);
	expect(*state, 0, "io_exits stays 0 on this backend");
	expect(*state, 0, "       121    not counted: ");
}

static void ioeventfd(void **state)
{
	run(*state, "INSERT INTO region VALUES(1, %d, 49152, 32, 1, 'legacy BAR0')", EW_SPACE_PIO);
	run(*state, "INSERT INTO region VALUES(2, %d, 3758096384, 512, 2, 'mmio')", EW_SPACE_MMIO);
	run(*state,
		"INSERT INTO event(id, ts, kind, track, a0, a1, a2, a3) VALUES(1, 0, %d, 9, 1, 0, 3, 1),"
		" (2, 0, %d, 9, 2, 0, 4, 1), (3, 0, %d, 9, 2, 0, 50, 0)",
		EW_IO_WAKE, EW_IO_WAKE, EW_IO_WAKE);
	expect(*state, 0,
		"7 notifies were given to ioeventfds: KVM counts each as an exit (3 by port, which are"
		" io_exits too, 4 by MMIO)");
	expect(*state, 0, "         4    ioeventfd: ");
	expect(*state, 0, "        30    not counted apart");
	/* Which of two vCPUs notified is not known: neither gets them. */
	one_vcpu(*state, 1);
	expect(*state, 0, "vCPU 1        34    not counted apart");
}

static void nothing_to_compare(void **state)
{
	run(*state, "UPDATE kvm_stat SET after = NULL");
	expect(*state, 0, "nothing to compare with");
	run(*state, "DELETE FROM kvm_stat");
	expect(*state, 0, "nothing to compare with");
}

/* A file may hold anything. */
static void hostile_numbers(void **state)
{
	unsigned n;

	run(*state,
		"UPDATE kvm_stat SET before = -9223372036854775807, after = 9223372036854775807");
	free(says(*state, &n));
	run(*state, "UPDATE kvm_stat SET before = 'x', after = x'00'");
	free(says(*state, &n));
	run(*state, "INSERT INTO kvm_stat SELECT 9223372036854775807, name, 0, 1 FROM kvm_stat");
	run(*state, "UPDATE track SET vcpu = 'x'");
	free(says(*state, &n));
}

/* As attach stores it: of all vCPUs together, read while they ran, returns by kvm_userspace_exit. */
static void attached(sqlite3 *db, int exits, int returned, int within)
{
	run(db, "DELETE FROM kvm_stat; DELETE FROM vm_exit; DELETE FROM track");
	run(db, "INSERT INTO track VALUES(1, 'vcpu', 0, 'a'), (2, 'vcpu', 1, 'b')");
	moved(db, -1, "exits", exits);
	moved(db, -1, "fpu_reload", returned);
	moved(db, -1, "remote_tlb_flush", 7);
	run(db, "INSERT INTO meta VALUES('kvm_stat.before_ns', '900 1000'), ('kvm_stat.after_ns', '2000 2100')");
	/* 60 between the readings, `within` during them, 500 outside */
	run(db,
		"WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 560)"
		" INSERT INTO vm_exit(event_id, track, isa, hw_reason, t_exit) SELECT i, 1 + i %% 2, 2, 0x7b,"
		" CASE WHEN i <= 60 THEN 1000 + i WHEN i <= 60 + %d THEN 950 ELSE 3000 END FROM c",
		within);
	run(db,
		"WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 30)"
		" INSERT INTO event(ts, kind, track, a0) SELECT 1000 + i, %d, 1, 2 FROM c",
		EW_KVM_USERSPACE_EXIT);
}

static void another_vm(void **state)
{
	attached(*state, 60, 30, 0);
	expect(*state, 0, "60 exits of the hardware, and so many kvm_exit are recorded (within 4:");
	expect(*state, 0, "30 returns of KVM_RUN (fpu_reload), and so many are recorded");
	expect(*state, 0, "vCPU all      60  exits: recorded, one per kvm_exit");
}

static void another_vm_within(void **state)
{
	attached(*state, 67, 36, 3);
	expect(*state, 0, "so many kvm_exit are recorded (within 7:");
}

static void another_vm_disagrees(void **state)
{
	attached(*state, 68, 38, 3);
	expect(*state, 2, "KVM counts 68 exits of all vCPUs, 60 kvm_exit are recorded");
	expect(*state, 2, "38 returns of KVM_RUN (fpu_reload) of all vCPUs, 30 are recorded");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(sums, setup, teardown),
		cmocka_unit_test_setup_teardown(parts_add_up, setup, teardown),
		cmocka_unit_test_setup_teardown(several_vcpus, setup, teardown),
		cmocka_unit_test_setup_teardown(a_missing_return, setup, teardown),
		cmocka_unit_test_setup_teardown(contradictions, setup, teardown),
		cmocka_unit_test_setup_teardown(fewer_exits_than_returns, setup, teardown),
		cmocka_unit_test_setup_teardown(an_emulating_backend, setup, teardown),
		cmocka_unit_test_setup_teardown(ioeventfd, setup, teardown),
		cmocka_unit_test_setup_teardown(nothing_to_compare, setup, teardown),
		cmocka_unit_test_setup_teardown(another_vm, setup, teardown),
		cmocka_unit_test_setup_teardown(another_vm_within, setup, teardown),
		cmocka_unit_test_setup_teardown(another_vm_disagrees, setup, teardown),
		cmocka_unit_test_setup_teardown(hostile_numbers, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
