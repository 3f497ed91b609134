/* SPDX-License-Identifier: MIT */
/* KVM's counters against what was recorded, vCPU by vCPU. */
#include "kvm_account.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "probe.h"
#include "sql.h"

static const char *const class_name[] = {
#define C(name, text) #name,
	KVM_EXIT_CLASSES(C)
#undef C
};

static const char *const class_text[] = {
#define C(name, text) text,
	KVM_EXIT_CLASSES(C)
#undef C
};

static const char *const return_name[KVM_RET_MAX] = {
	"KVM_EXIT_IO", "KVM_EXIT_MMIO", "KVM_EXIT_INTR", "KVM_EXIT_IRQ_WINDOW_OPEN"};

/* A statement whose ?1, ?2 and ?3 are the vCPU (negative: all) and the time. */
static int prepare(sqlite3 *db, sqlite3_stmt **row, const struct kvm_account *a, const char *sql,
	struct err *e)
{
	int ret = sql_prepare(db, row, e, sql);

	if (ret)
		return ret;
	sqlite3_bind_int64(*row, 1, a->vcpu);
	sqlite3_bind_int64(*row, 2, a->from);
	sqlite3_bind_int64(*row, 3, a->to);
	return 0;
}

/* --- loading -------------------------------------------------------------------------------- */

static int64_t *counter(struct kvm_account *a, const char *name)
{
	const struct {
		const char *name;
		int64_t *value;
	} other[] = {
		{"exits", &a->exits},
		{"fpu_reload", &a->returns},
		{"mmio_exits", &a->mmio},
		{"pf_emulate", &a->pf_emulate},
		{"signal_exits", &a->signals},
		{"request_irq_exits", &a->windows},
	};

	for (size_t i = 0; i < KVM_CLASS_MAX; i++)
		if (strcmp(class_name[i], name) == 0)
			return &a->class[i];
	for (size_t i = 0; i < sizeof(other) / sizeof(other[0]); i++)
		if (strcmp(other[i].name, name) == 0)
			return other[i].value;
	return NULL;
}

static int load_counters(sqlite3 *db, struct kvm_account *a, struct err *e)
{
	sqlite3_stmt *row = NULL;
	int ret = sql_prepare(db, &row, e,
		"SELECT name, after - before FROM kvm_stat WHERE vcpu = ?1 AND after - before NOT"
		" NULL");

	if (!ret)
		sqlite3_bind_int64(row, 1, a->vcpu);
	while (!ret && (ret = sql_step(row, e)) > 0) {
		const char *name = (const char *)sqlite3_column_text(row, 0);
		int64_t *value = counter(a, name ? name : "");

		if (value)
			*value = sqlite3_column_int64(row, 1);
		ret = 0;
	}
	sqlite3_finalize(row);
	return ret;
}

/* What is the account's, of its time: tracks t of ?1, between ?2 and ?3. */
#define OF_VCPU " JOIN track t ON t.id = x.track AND (?1 < 0 OR t.vcpu = ?1) "
#define NAMED                                                                                      \
	" LEFT JOIN enum_name n ON n.enum = 'kvm_exit' AND n.value = x.kvm_reason WHERE"           \
	" x.kvm_reason NOT NULL AND x.t_exit BETWEEN ?2 AND ?3 GROUP BY x.kvm_reason"
#define TRACED                                                                                     \
	"(SELECT track, a0 AS kvm_reason, ts AS t_exit, 0 AS count FROM event WHERE kind = %d)"

/* "SELECT columns FROM returns, by reason". */
static int prepare_returns(sqlite3 *db, sqlite3_stmt **row, const struct kvm_account *a,
	const char *columns, const char *order, struct err *e)
{
	char from[128] = "vm_exit", sql[640];

	if (a->host)
		snprintf(from, sizeof(from), TRACED, EW_KVM_USERSPACE_EXIT);
	snprintf(sql, sizeof(sql), "SELECT %s FROM %s x" OF_VCPU NAMED "%s", columns, from, order);
	return prepare(db, row, a, sql, e);
}

static int load_returns(sqlite3 *db, struct kvm_account *a, struct err *e)
{
	sqlite3_stmt *row = NULL;
	int ret = prepare_returns(db, &row, a, "n.name, count(*), total(x.count > 1)", "", e);

	while (!ret && (ret = sql_step(row, e)) > 0) {
		const char *name = (const char *)sqlite3_column_text(row, 0);

		a->rows += sqlite3_column_int64(row, 1);
		for (size_t i = 0; name && i < KVM_RET_MAX; i++)
			if (strcmp(name, return_name[i]) == 0)
				a->row[i] = sqlite3_column_int64(row, 1);
		if (name && strcmp(name, return_name[KVM_RET_IO]) == 0)
			a->strings = sqlite3_column_int64(row, 2);
		ret = 0;
	}
	sqlite3_finalize(row);
	return ret;
}

static int get_int(
	sqlite3 *db, const struct kvm_account *a, const char *sql, int64_t *value, struct err *e)
{
	sqlite3_stmt *row = NULL;
	int ret = prepare(db, &row, a, sql, e);

	if (!ret && (ret = sql_step(row, e)) > 0) {
		*value = sqlite3_column_int64(row, 0);
		ret = 0;
	}
	sqlite3_finalize(row);
	return ret;
}

/* A string instruction is told by its qualification: bit 2 of SVM's EXITINFO1, bit 4 of VT-x's. */
static int load_traced(sqlite3 *db, struct kvm_account *a, struct err *e)
{
	int ret = get_int(db, a,
		"SELECT count(*) FROM vm_exit x" OF_VCPU
		"WHERE x.isa NOT NULL AND x.t_exit BETWEEN ?2 AND ?3",
		&a->traced, e);

	if (!ret && a->host)
		ret = get_int(db, a,
			"SELECT count(*) FROM vm_exit x" OF_VCPU
			"WHERE x.t_exit BETWEEN ?2 AND ?3 AND (x.isa = 1 AND x.hw_reason & 0xffff = 30 AND"
			" x.hw_qual & 16 OR x.isa = 2 AND x.hw_reason = 0x7b AND x.hw_qual & 4)",
			&a->strings, e);
	return ret;
}

/* Where the counters were read while the VM ran: what is between the readings, and what was during them. */
static int load_time(sqlite3 *db, struct kvm_account *a, struct err *e)
{
	char before[64], after[64], sql[640];
	int64_t b0, b1, a0, a1;

	a->from = INT64_MIN;
	a->to = INT64_MAX;
	sql_meta(db, "kvm_stat.before_ns", before, sizeof(before));
	sql_meta(db, "kvm_stat.after_ns", after, sizeof(after));
	if (sscanf(before, "%" SCNd64 " %" SCNd64, &b0, &b1) != 2 ||
		sscanf(after, "%" SCNd64 " %" SCNd64, &a0, &a1) != 2)
		return 0;
	a->host = true;
	a->from = b1;
	a->to = a0;
	/* At each end each vCPU may be between the tracepoint and the counter. */
	snprintf(sql, sizeof(sql),
		"SELECT (SELECT 2 * count(*) FROM track WHERE kind = 'vcpu') + (SELECT count(*) FROM vm_exit"
		" WHERE t_exit BETWEEN %" PRId64 " AND %" PRId64 " OR t_exit BETWEEN %" PRId64
		" AND %" PRId64 ")",
		b0, b1, a0, a1);
	return sql_get_int(db, e, sql, &a->slack);
}

int kvm_account_claimed(sqlite3 *db, int64_t *all, int64_t *mmio, struct err *e)
{
	char sql[320];
	int ret;

	*all = *mmio = 0;
	/* An eventfd's count is the number of its signals since it was last read. */
	snprintf(sql, sizeof(sql), "SELECT total(a2) FROM event WHERE kind = %d AND a3 = 1",
		EW_IO_WAKE);
	ret = sql_get_int(db, e, sql, all);
	if (ret || !*all)
		return ret;
	snprintf(sql, sizeof(sql),
		"SELECT total(a2) FROM event v WHERE kind = %d AND a3 = 1 AND NOT EXISTS (SELECT 1"
		" FROM region r WHERE r.device = v.a0 AND r.space = %d)",
		EW_IO_WAKE, EW_SPACE_PIO);
	return sql_get_int(db, e, sql, mmio);
}

static int load(sqlite3 *db, struct kvm_account *a, struct err *e)
{
	int ret;

	for (size_t i = 0; i < KVM_CLASS_MAX; i++)
		a->class[i] = KVM_NO_COUNT;
	ret = load_time(db, a, e);
	if (!ret)
		ret = load_counters(db, a, e);
	if (!ret)
		ret = load_returns(db, a, e);
	return ret ? ret : load_traced(db, a, e);
}

/* The vCPUs that have counters; else the VM as a whole, where that has those of vCPUs. */
#define WHOSE                                                                                      \
	"SELECT DISTINCT vcpu FROM kvm_stat WHERE vcpu >= 0 UNION SELECT vcpu FROM kvm_stat"       \
	" WHERE vcpu < 0 AND name = 'exits' AND NOT EXISTS (SELECT 1 FROM kvm_stat WHERE vcpu >="  \
	" 0) ORDER BY 1"

int kvm_account_each(
	sqlite3 *db, int (*each)(void *ctx, const struct kvm_account *a), void *ctx, struct err *e)
{
	sqlite3_stmt *row = NULL;
	int64_t all = 0, mmio = 0, n = 0;
	int ret = sql_get_int(db, e, "SELECT count(*) FROM (" WHOSE ")", &n);

	if (!ret)
		ret = kvm_account_claimed(db, &all, &mmio, e);
	if (!ret)
		ret = sql_prepare(db, &row, e, WHOSE);
	while (!ret && (ret = sql_step(row, e)) > 0) {
		struct kvm_account a = {.vcpu = sqlite3_column_int64(row, 0),
			.exits = KVM_NO_COUNT,
			.returns = KVM_NO_COUNT,
			.mmio = KVM_NO_COUNT,
			.pf_emulate = KVM_NO_COUNT,
			.signals = KVM_NO_COUNT,
			.windows = KVM_NO_COUNT,
			.claimed = n == 1 ? mmio : 0};

		ret = load(db, &a, e);
		if (!ret)
			ret = each(ctx, &a);
	}
	sqlite3_finalize(row);
	return ret;
}

/* --- sums ----------------------------------------------------------------------------------- */

int64_t kvm_account_mmio(const struct kvm_account *a)
{
	int64_t touched = a->pf_emulate > 0 ? a->pf_emulate : 0;

	return a->mmio > touched ? a->mmio - touched : 0;
}

int64_t kvm_account_rest(const struct kvm_account *a)
{
	int64_t rest = a->exits - kvm_account_mmio(a) - a->claimed;

	for (size_t i = 0; i < KVM_CLASS_MAX; i++)
		if (a->class[i] > 0)
			rest -= a->class[i];
	return rest;
}

/* --- the table ------------------------------------------------------------------------------ */

struct table {
	sqlite3 *db;
	int (*each)(void *ctx, const struct kvm_line *line);
	void *ctx;
	struct err *e;
};

static int say(
	const struct table *t, int64_t vcpu, const char *name, int64_t count, const char *what)
{
	struct kvm_line line = {.vcpu = vcpu, .count = count, .name = name, .what = what};

	line.part = strcmp(name, "exits") != 0 && strcmp(name, "returns") != 0;
	return t->each(t->ctx, &line);
}

static int say_class(const struct table *t, const struct kvm_account *a, enum kvm_class class)
{
	char what[160];

	if (class == KVM_CLASS_io_exits)
		snprintf(what, sizeof(what),
			"%s; %" PRId64
			" returned to the VMM, KVM's devices and ioeventfds served the"
			" others",
			class_text[class], a->row[KVM_RET_IO]);
	else
		snprintf(what, sizeof(what), "%s", class_text[class]);
	return say(t, a->vcpu, class_name[class], a->class[class], what);
}

/* What each exit was, by the hardware's own reason. */
static int say_traced(const struct table *t, const struct kvm_account *a)
{
	sqlite3_stmt *row = NULL;
	int ret = say(t, a->vcpu, "exits", a->traced,
		"recorded, one per kvm_exit, and KVM counts as many; of them");

	if (!ret)
		ret = prepare(t->db, &row, a,
			"SELECT v.hw_reason_name, count(*), count(v.kvm_reason) FROM v_exit v WHERE (?1 < 0"
			" OR v.vcpu = ?1) AND v.ts_ns BETWEEN ?2 AND ?3 AND v.isa NOT NULL GROUP BY"
			" v.hw_reason ORDER BY 2 DESC, 1",
			t->e);
	while (!ret && (ret = sql_step(row, t->e)) > 0) {
		const char *name = (const char *)sqlite3_column_text(row, 0);
		int64_t back = sqlite3_column_int64(row, 2);
		char what[80] = "";

		if (back)
			snprintf(what, sizeof(what),
				"%" PRId64 " returned to the VMM, KVM served the others", back);
		ret = say(t, a->vcpu, name ? name : "?", sqlite3_column_int64(row, 1), what);
	}
	sqlite3_finalize(row);
	return ret;
}

static int say_exits(const struct table *t, const struct kvm_account *a)
{
	int64_t rest = kvm_account_rest(a), mmio = kvm_account_mmio(a);
	int ret;

	if (a->traced && llabs(a->traced - a->exits) <= a->slack)
		return say_traced(t, a);
	ret = say(t, a->vcpu, "exits", a->exits,
		"counted by KVM, as often as the tracepoint kvm_exit fires; of them");

	for (int i = 0; !ret && i < KVM_CLASS_MAX; i++)
		if (a->class[i] > 0)
			ret = say_class(t, a, (enum kvm_class)i);
	if (!ret && mmio)
		ret = say(t, a->vcpu, "mmio_exits", mmio,
			"MMIO that returned to the VMM, its first touches (pf_emulate) left out");
	if (!ret && a->claimed)
		ret = say(t, a->vcpu, "ioeventfd", a->claimed,
			"notifies by MMIO that KVM gave to an ioeventfd");
	if (ret)
		return ret;
	if (rest < 0)
		return say(t, a->vcpu, "not counted", -rest,
			"fewer than these: the backend does not count exits that it emulates");
	return say(t, a->vcpu, "not counted apart", rest,
		"CPUID, MSRs, control registers, preemption timer, MMIO inside KVM …: kvm_exit would tell");
}

/* What each return was, and which of them no exit of the hardware caused. */
static int say_returns(const struct table *t, const struct kvm_account *a)
{
	sqlite3_stmt *row = NULL;
	int ret = say(t, a->vcpu, "returns", a->rows,
		"of KVM_RUN recorded, as often as kvm_userspace_exit fires; of them");

	if (!ret)
		ret = prepare_returns(t->db, &row, a,
			"coalesce(n.name, printf('unknown %d', x.kvm_reason)), count(*)",
			" ORDER BY 2 DESC, 1", t->e);
	while (!ret && (ret = sql_step(row, t->e)) > 0) {
		const char *name = (const char *)sqlite3_column_text(row, 0);
		const char *what = "";

		if (name && strcmp(name, return_name[KVM_RET_INTR]) == 0)
			what = "a signal, immediate_exit, or INIT for a processor that waits; "
			       "these need no exit of the hardware";
		ret = say(t, a->vcpu, name ? name : "?", sqlite3_column_int64(row, 1), what);
	}
	sqlite3_finalize(row);
	return ret;
}

static int say_account(void *ctx, const struct kvm_account *a)
{
	const struct table *t = ctx;
	int ret = a->exits == KVM_NO_COUNT ? 0 : say_exits(t, a);

	return ret ? ret : say_returns(t, a);
}

int kvm_account_lines(
	sqlite3 *db, int (*each)(void *ctx, const struct kvm_line *line), void *ctx, struct err *e)
{
	struct table t = {.db = db, .each = each, .ctx = ctx, .e = e};

	return kvm_account_each(db, say_account, &t, e);
}
