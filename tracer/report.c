/* SPDX-License-Identifier: MIT */
/* What the report asks of a recording. */
#include "report.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "derive.h"
#include "hash64.h"
#include "sql.h"

#define NAME_OF(enum_, value)                                                                      \
	"coalesce((SELECT name FROM enum_name WHERE enum = '" enum_ "' AND value = " value         \
	"), printf('unknown %d', " value "))"

/* Region 0: nobody claims the address. None: the record of the dispatch was lost, or there was
 * none. */
#define REGION                                                                                     \
	"CASE WHEN x.region IS NULL AND x.isa IS NOT NULL THEN"                                    \
	" CASE WHEN x.kvm_reason IS NOT NULL THEN 'to the VMM' WHEN x.t_entry IS NOT NULL"         \
	" THEN 'in KVM' ELSE '' END"                                                               \
	" WHEN x.region IS NULL THEN '(dispatch not recorded)'"                                    \
	" ELSE coalesce(r.name, 'nobody') END"

/* SQL is broken at its clauses, not where clang-format would. */
/* clang-format off */
const struct report_section report_sections[] = {
	{"hw_exits", "exits of the hardware by reason", "from kvm_exit to kvm_entry",
		"SELECT hw_reason_name, total_ns FROM v_exit WHERE hw_reason IS NOT NULL",
		32},
	{"guest_time", "what ended the guest's time", "from kvm_entry to kvm_exit",
		"SELECT x.hw_reason_name, e.dur FROM v_exit x JOIN event e ON e.id ="
		" (SELECT event_id FROM vm_exit WHERE id = x.id) WHERE x.hw_reason IS NOT NULL"
		" AND e.dur IS NOT NULL",
		32},
	/* Where kvm_exit does not fire (attach on kvm_pvm) there are no rows of vm_exit. */
	{"returns", "returns of KVM_RUN by reason", "kvm_userspace_exit; no exit of the hardware was traced",
		"SELECT " NAME_OF("kvm_exit", "reason") ", NULL FROM e_kvm_userspace_exit WHERE NOT"
		" EXISTS (SELECT 1 FROM vm_exit)",
		32},
	{"port_accesses", "accesses to ports", "kvm_pio; no exit of the hardware was traced",
		"SELECT printf('port 0x%04x %s %d B', port, CASE WHEN rw THEN 'write' ELSE 'read' END,"
		" size), NULL FROM e_kvm_pio WHERE NOT EXISTS (SELECT 1 FROM vm_exit)",
		24},
	{"exits", "exits to the VMM by reason", "from the exit to the next entry",
		"SELECT " NAME_OF("kvm_exit", "kvm_reason") ", t_entry - t_exit FROM vm_exit"
		" WHERE kvm_reason IS NOT NULL",
		32},
	{"ports", "exits by address", "from the exit to the next entry",
		"SELECT printf('%s 0x%04x %s %d B  %s', n.name, x.addr,"
		" CASE WHEN x.is_write THEN 'write' ELSE 'read ' END, x.size, " REGION "),"
		" x.t_entry - x.t_exit FROM vm_exit x"
		" JOIN enum_name n ON n.enum = 'space' AND n.value = x.space"
		" LEFT JOIN region r ON r.id = x.region WHERE x.addr IS NOT NULL",
		24},
	{"devices", "dispatch by region", "time in the device's handler",
		"SELECT " REGION ", x.t_done - x.t_dispatch FROM vm_exit x"
		" LEFT JOIN region r ON r.id = x.region WHERE x.t_dispatch IS NOT NULL",
		24},
	{"functions", "guest functions that exit", "from the exit to the next entry",
		"SELECT f.name, x.t_entry - x.t_exit FROM vm_exit x JOIN"
		" (SELECT rip, coalesce((SELECT CASE WHEN rip < s.addr + max(s.size, 1) THEN s.name END"
		"   FROM symbol s WHERE s.addr <= rip ORDER BY s.addr DESC LIMIT 1),"
		"   printf('0x%x', rip)) AS name"
		"  FROM (SELECT DISTINCT coalesce(insn_rip, rip) AS rip FROM vm_exit)) f"
		" ON f.rip = coalesce(x.insn_rip, x.rip)",
		16},
	{"requests", "requests by type", "the whole window of the request",
		"SELECT " NAME_OF("virtio_blk_type", "type") ", t_last - t_first FROM request",
		16},
	{"device_latency", "requests inside the device", "from the pop to the used entry",
		"SELECT " NAME_OF("virtio_blk_type", "type") ", t_used - t_pop FROM request",
		16},
	{"host_calls", "host system calls", "from call to return",
		"SELECT " NAME_OF("syscall", "a1") ", dur FROM event"
		" WHERE kind = (SELECT id FROM event_kind WHERE name = 'host_ret')",
		16},
	{"host_syscalls", "system calls of the VMM's threads", "from sys_enter to sys_exit",
		"SELECT " NAME_OF("syscall", "a0") ", dur FROM event"
		" WHERE kind = (SELECT id FROM event_kind WHERE name = 'sys_exit')",
		24},
	{"recorder_snapshots", "the recorder's own cost: stack copies", "by why they were made",
		"SELECT " NAME_OF("snapshot_why", "a0") ", dur FROM event"
		" WHERE kind = (SELECT id FROM event_kind WHERE name = 'snapshot')",
		16},
};

const size_t report_section_count = sizeof(report_sections) / sizeof(report_sections[0]);

const struct report_list report_lists[] = {
	{"budget", "mean layer budget of a request", "no requests",
		"SELECT " NAME_OF("virtio_blk_type", "q.type") " AS type, n.label AS layer,"
		" count(*) AS requests, CAST(avg(b.ns) AS INTEGER) AS mean_ns,"
		" round(100.0 * sum(b.ns) / max(1, sum(q.t_last - q.t_first)), 1) AS percent"
		" FROM budget b JOIN request q ON q.id = b.request_id"
		" LEFT JOIN enum_name n ON n.enum = 'layer' AND n.value = b.layer"
		" GROUP BY q.type, b.layer HAVING sum(b.ns) <> 0 OR n.name = 'unaccounted'"
		" ORDER BY q.type, sum(b.ns) DESC"},
	{"guest_errors", "guest errors", "none",
		"SELECT " NAME_OF("guest_error", "a0") " AS error, count(*) AS count,"
		" min(id) AS first_event FROM event"
		" WHERE kind = (SELECT id FROM event_kind WHERE name = 'guest_error')"
		" GROUP BY a0 ORDER BY 2 DESC"},
	{"losses", "records lost", "none",
		"SELECT source, sum(n) AS records, count(*) AS gaps, sum(ts1_ns - ts0_ns) AS ns"
		" FROM v_loss GROUP BY source"},
	{"kvm_stats", "KVM's counters that moved (KVM_GET_STATS_FD)", "none, or not recorded",
		"SELECT CASE vcpu WHEN -1 THEN 'vm' ELSE printf('vcpu%d', vcpu) END AS of, name, before,"
		" after, after - before AS difference FROM kvm_stat WHERE after <> before"
		" ORDER BY vcpu, name"},
	{"recorder", "what recording cost, measured while it ran, and how it went", "nothing",
		"SELECT key, CAST(value AS TEXT) AS value FROM meta WHERE key LIKE 'exit_cost.%' OR key"
		" LIKE 'recorder.%' OR key IN ('host_trace.records', 'host_trace.record_ns',"
		" 'host_trace.cost_ns', 'host_trace.reader_cpu_ns', 'host_trace.overrun', 'host_trace.return_ns',"
		" 'host_trace.returns_missing', 'host_trace.returns_missed') ORDER BY key"},
};
/* clang-format on */

const size_t report_list_count = sizeof(report_lists) / sizeof(report_lists[0]);

/* --- tables of durations -------------------------------------------------------------------- */

static int by_count(const void *a, const void *b)
{
	const struct report_row *x = a, *y = b;

	if (x->count != y->count)
		return x->count > y->count ? -1 : 1;
	return strcmp(x->label, y->label);
}

/* While a table is loaded: the durations of each of its rows, and the rows by their label. */
struct durations {
	int64_t *v;
	size_t n, cap;
};

struct loading {
	struct report_table *t;
	struct durations *d; /* one for each row */
	size_t d_cap;
	size_t *slot; /* hash: label → row + 1 */
	size_t slots; /* a power of two */
	struct err *e;
};

static size_t *label_slot(struct loading *l, const char *label)
{
	uint64_t h = 0xcbf29ce484222325u ^ hash64_secret(); /* FNV-1a */
	size_t i;

	for (const char *c = label; *c; c++)
		h = (h ^ (unsigned char)*c) * 0x100000001b3u;
	i = hash64(h, l->slots);
	while (l->slot[i] && strcmp(l->t->row[l->slot[i] - 1].label, label) != 0)
		i = (i + 1) & (l->slots - 1);
	return &l->slot[i];
}

static int grow_slots(struct loading *l)
{
	size_t *old = l->slot;

	if (l->slots >= 2 * (l->t->n + 1))
		return 0;
	l->slots = l->slots ? 2 * l->slots : 64;
	l->slot = calloc(l->slots, sizeof(*l->slot));
	free(old);
	if (!l->slot)
		return err_set(l->e, -ENOMEM, "out of memory");
	for (size_t i = 0; i < l->t->n; i++)
		*label_slot(l, l->t->row[i].label) = i + 1;
	return 0;
}

static int new_row(struct loading *l, const char *label)
{
	struct report_table *t = l->t;
	int ret = derive_grow((void **)&t->row, &t->cap, t->n, sizeof(*t->row), l->e);

	if (!ret)
		ret = derive_grow((void **)&l->d, &l->d_cap, t->n, sizeof(*l->d), l->e);
	if (ret)
		return ret;
	t->row[t->n] = (struct report_row){0};
	snprintf(t->row[t->n].label, sizeof(t->row[t->n].label), "%s", label);
	l->d[t->n++] = (struct durations){0};
	return 0;
}

static int add_row(struct loading *l, sqlite3_stmt *row)
{
	const char *text = (const char *)sqlite3_column_text(row, 0);
	char label[sizeof(l->t->row->label)];
	struct durations *d;
	size_t *slot;
	int ret = grow_slots(l);

	if (ret)
		return ret;
	snprintf(label, sizeof(label), "%s", text ? text : "?");
	slot = label_slot(l, label);
	if (!*slot) {
		ret = new_row(l, label);
		if (ret)
			return ret;
		*slot = l->t->n;
	}
	l->t->row[*slot - 1].count++;
	l->t->total++;
	if (sqlite3_column_type(row, 1) == SQLITE_NULL)
		return 0;
	d = &l->d[*slot - 1];
	ret = derive_grow((void **)&d->v, &d->cap, d->n, sizeof(*d->v), l->e);
	if (!ret)
		d->v[d->n++] = sqlite3_column_int64(row, 1);
	return ret;
}

int report_table_load(struct report_table *t, sqlite3 *db, const char *sql, struct err *e)
{
	struct loading l = {.t = t, .e = e};
	sqlite3_stmt *row = NULL;
	int ret = sql_prepare(db, &row, e, sql);

	*t = (struct report_table){0};
	while (!ret && (ret = sql_step(row, e)) > 0)
		ret = add_row(&l, row);
	sqlite3_finalize(row);
	for (size_t i = 0; i < t->n; i++) {
		stats_of(&t->row[i].stats, l.d[i].v, l.d[i].n);
		free(l.d[i].v);
	}
	free(l.d);
	free(l.slot);
	if (!ret && t->n)
		qsort(t->row, t->n, sizeof(*t->row), by_count);
	return ret;
}

void report_table_free(struct report_table *t)
{
	free(t->row);
}
