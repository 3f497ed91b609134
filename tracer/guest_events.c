/* SPDX-License-Identifier: MIT */
/* From what a guest's agent sent to events of the guest's kernel. */
#include "guest_events.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "derive.h"
#include "guest_merge.h"
#include "store.h"

struct making {
	sqlite3 *db;
	struct err *e;
	struct guest_gather g;
	struct guest_clock clock;
	struct guest_vcpu *vcpu; /* GUEST_CPUS */
	struct guest_placed placed;
	int64_t end; /* of the recording */
	uint64_t lost, uncounted;
	sqlite3_stmt *meta;
};

/* --- meta ------------------------------------------------------------------------------------------------ */

static int put_meta(struct making *m, const char *key, const char *value)
{
	int ret = m->meta ? 0 : sql_prepare(m->db, &m->meta, m->e, store_sql(STMT_META));

	if (ret)
		return ret;
	sqlite3_bind_text(m->meta, 1, key, -1, SQLITE_STATIC);
	sqlite3_bind_text(m->meta, 2, value, -1, SQLITE_STATIC);
	ret = sql_step(m->meta, m->e);
	sqlite3_reset(m->meta);
	return ret;
}

static int put_meta_int(struct making *m, const char *key, int64_t value)
{
	int ret = m->meta ? 0 : sql_prepare(m->db, &m->meta, m->e, store_sql(STMT_META));

	if (ret)
		return ret;
	sqlite3_bind_text(m->meta, 1, key, -1, SQLITE_STATIC);
	sqlite3_bind_int64(m->meta, 2, value);
	ret = sql_step(m->meta, m->e);
	sqlite3_reset(m->meta);
	return ret;
}

__attribute__((format(printf, 3, 4))) static int put_meta_text(
	struct making *m, const char *key, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return put_meta(m, key, text);
}

/* What the decoding process said of the stream. */
static int put_said(struct making *m)
{
	int ret = 0;

	for (size_t i = 0; !ret && i < m->g.metas; i++)
		ret = put_meta(m, m->g.meta[i].key, m->g.meta[i].value);
	if (!ret)
		ret = put_meta_int(m, "guest_trace.bytes", (int64_t)m->g.bytes);
	if (!ret && m->g.damage[0])
		ret = put_meta(m, "guest_trace.damage", m->g.damage);
	return ret;
}

/* --- the clock --------------------------------------------------------------------------------------------- */

static int one_reading(struct making *m, sqlite3_stmt *row)
{
	int64_t ts = sqlite3_column_int64(row, 1);
	uint64_t a[4];
	int ret;

	for (int i = 0; i < 4; i++)
		a[i] = (uint64_t)sqlite3_column_int64(row, 2 + i);
	if (sqlite3_column_int64(row, 0) == EW_CLOCK_PAIR)
		ret = guest_clock_add_pair(&m->clock, ts, a[0], a[1]);
	else if (a[0] < GUEST_CPUS)
		ret = guest_clock_add_offset(&m->clock, (unsigned)a[0], ts, a[1], a[2], a[3]);
	else
		ret = 0;
	return ret ? err_set(m->e, ret, "out of memory for the readings of the clock") : 0;
}

static int read_clock(struct making *m)
{
	sqlite3_stmt *row = NULL;
	char sql[160], backend[128];
	int ret;

	sql_meta(m->db, "kvm_backend", backend, sizeof(backend));
	m->clock.fraction_bits = strstr(backend, "kvm_intel") ? 48
				 : strstr(backend, "kvm_amd") ? 32
							      : 0;
	snprintf(sql, sizeof(sql),
		"SELECT kind, ts, a0, a1, a2, a3 FROM event WHERE kind IN (%d, %d) ORDER BY id",
		EW_CLOCK_PAIR, EW_TSC_OFFSET);
	ret = sql_prepare(m->db, &row, m->e, sql);
	while (!ret && (ret = sql_step(row, m->e)) > 0)
		ret = one_reading(m, row);
	sqlite3_finalize(row);
	return ret;
}

/* Why the guest's times cannot be converted, as the end of a sentence; NULL: they can. */
static const char *no_clock(struct making *m)
{
	const char *trace_clock = guest_gather_meta(&m->g, "guest_trace.trace_clock");

	if (!m->g.pieces)
		return "nothing came from an agent in the guest";
	if (!trace_clock)
		return "no beginning of the agent's stream has come";
	if (strcmp(trace_clock, "x86-tsc") != 0)
		return "the guest's trace clock is not its TSC (x86-tsc)";
	return guest_clock_ready(&m->clock);
}

static int put_clock(struct making *m)
{
	const struct guest_clock *c = &m->clock;
	int64_t widest = 0;
	int ret;

	for (size_t i = 0; i < c->pairs; i++)
		if (c->pair[i].half > widest)
			widest = c->pair[i].half;
	ret = put_meta_text(m, "guest_trace.clock",
		"TSC, by its offset in each vCPU and %zu readings with CLOCK_MONOTONIC, each within %" PRId64
		" ns",
		c->pairs, widest);
	if (!ret && guest_clock_changes(c))
		ret = put_meta_int(
			m, "guest_trace.tsc_offset_changes", (int64_t)guest_clock_changes(c));
	return ret ? ret : put_meta_int(m, "guest_trace.error_max_ns", m->placed.error_max);
}

/*
 * The agent read the TSC, and said so in bytes that came later: a time that is converted right is never behind their
 * arrival. This is evidence from outside of all that the conversion is made of.
 */
static int put_marks(struct making *m)
{
	int64_t ahead = INT64_MIN, ts, error;
	uint64_t n = 0;
	int ret = 0;

	for (size_t i = 0, k = 0; i < m->g.marks; i++) {
		while (k < m->g.pieces && m->g.piece[k].end < m->g.mark[i].end)
			k++;
		if (k == m->g.pieces || !guest_clock_convert(&m->clock, m->g.mark[i].cpu,
						m->g.mark[i].tsc, &ts, &error))
			continue;
		n++;
		if (ts - error - m->g.piece[k].ts > ahead)
			ahead = ts - error - m->g.piece[k].ts;
	}
	if (n)
		ret = put_meta_int(m, "guest_trace.marks", (int64_t)n);
	if (!ret && n && ahead > 0)
		ret = put_meta_int(m, "guest_trace.clock_ahead_ns", ahead);
	return ret;
}

/* --- names --------------------------------------------------------------------------------------------------- */

static int put_name(
	struct making *m, sqlite3_stmt *name, const char *list, int64_t value, const char *text)
{
	int ret;

	sqlite3_bind_text(name, 1, list, -1, SQLITE_STATIC);
	sqlite3_bind_int64(name, 2, value);
	sqlite3_bind_text(name, 3, text, -1, SQLITE_STATIC);
	ret = sql_step(name, m->e);
	sqlite3_reset(name);
	return ret;
}

static int put_functions(struct making *m, sqlite3_stmt *name, const struct guest_namer *namer)
{
	size_t unnamed = 0;
	int ret = 0;

	for (size_t i = 0; !ret && i < m->g.names; i++) {
		const struct guest_named *n = &m->g.named[i];
		const char *text = n->text;
		char buf[640];

		if (!text && namer && namer->name(namer->ctx, n->value, n->place, buf, sizeof(buf)))
			text = buf;
		if (!text) {
			snprintf(buf, sizeof(buf), "0x%" PRIx64, n->value);
			text = buf;
			unnamed++;
		}
		ret = put_name(m, name, "guest_func", (int64_t)i + 1, text);
	}
	if (!ret && unnamed)
		ret = put_meta_int(m, "guest_trace.addresses_without_name", (int64_t)unnamed);
	return ret;
}

static int put_names(struct making *m, const struct guest_namer *namer)
{
	sqlite3_stmt *name = NULL;
	int ret = sql_prepare(m->db, &name, m->e, store_sql(STMT_NAME));

	if (!ret)
		ret = put_functions(m, name, namer);
	for (size_t i = 0; !ret && i < m->g.pid.slots; i++) {
		const struct u64_slot *s = &m->g.pid.slot[i];

		if (s->key)
			ret = put_name(m, name, "guest_pid", (int64_t)(s->key - 1),
				m->g.comm[s->value - 1]);
	}
	sqlite3_finalize(name);
	return ret;
}

/* --- losses --------------------------------------------------------------------------------------------------- */

/* The buffer of a CPU is a track of its own, that has losses only: those of the vCPU's are other records. */
static int buffer_track(struct making *m, unsigned cpu, int64_t track[GUEST_CPUS])
{
	char sql[192];
	int ret;

	if (track[cpu])
		return 0;
	ret = sql_get_int(m->db, m->e, "SELECT max(id) + 1 FROM track", &track[cpu]);
	sqlite3_snprintf(sizeof(sql), sql,
		"INSERT INTO track(id, kind, vcpu, name) VALUES(%lld, 'cpu', NULL, '%q%u')",
		(long long)track[cpu], GUEST_BUFFER_TRACK, cpu);
	return ret ? ret : sql_exec(m->db, m->e, sql);
}

static int put_loss(struct making *m, const struct guest_loss *l, int64_t track[GUEST_CPUS],
	sqlite3_stmt *insert)
{
	int64_t ts0, ts1 = m->end, error;
	int ret;

	if (!guest_clock_convert(&m->clock, l->cpu, l->ts0, &ts0, &error))
		return 0;
	if (l->ts1 != UINT64_MAX && !guest_clock_convert(&m->clock, l->cpu, l->ts1, &ts1, &error))
		return 0;
	ret = buffer_track(m, l->cpu, track);
	m->lost += l->n;
	m->uncounted += !l->n;
	if (ts1 < ts0)
		ts1 = ts0;
	return ret ? ret
		   : sql_insert(insert, m->e, 4,
			     (const int64_t[]){
				     track[l->cpu], ts0, ts1, l->n ? (int64_t)l->n : SQL_NULL});
}

static int put_losses(struct making *m)
{
	int64_t *track = calloc(GUEST_CPUS, sizeof(*track));
	sqlite3_stmt *insert = NULL;
	int ret = track ? sql_prepare(m->db, &insert, m->e, store_sql(STMT_LOSS))
			: err_set(m->e, -ENOMEM, "out of memory for the guest's losses");

	for (size_t i = 0; !ret && i < m->g.losses; i++)
		ret = put_loss(m, &m->g.loss[i], track, insert);
	sqlite3_finalize(insert);
	free(track);
	if (!ret && m->lost)
		ret = put_meta_int(m, "guest_trace.lost", (int64_t)m->lost);
	if (!ret && m->uncounted)
		ret = put_meta_int(m, "guest_trace.gaps_uncounted", (int64_t)m->uncounted);
	return ret;
}

/* --- all ---------------------------------------------------------------------------------------------------- */

static int put_counts(struct making *m)
{
	const struct {
		const char *key;
		uint64_t value;
	} n[] = {
		{"guest_trace.moved", m->placed.moved},
		{"guest_trace.inside_exits", m->placed.inside},
		{"guest_trace.unplaced", m->placed.unplaced},
		{"guest_trace.out_of_order", m->placed.turned},
		{"guest_trace.too_many", m->g.dropped},
	};
	int ret = put_meta_int(m, "guest_trace.events", (int64_t)m->g.rows);

	for (size_t i = 0; !ret && i < sizeof(n) / sizeof(n[0]); i++)
		if (n[i].value)
			ret = put_meta_int(m, n[i].key, (int64_t)n[i].value);
	return ret;
}

static int merge(struct making *m, const struct guest_namer *namer)
{
	int ret = guest_vcpus_read(m->vcpu, m->db, m->e);

	if (!ret)
		ret = sql_get_int(m->db, m->e,
			"SELECT ts FROM event WHERE id = (SELECT max(id) FROM event)", &m->end);
	if (!ret)
		ret = guest_place(&m->g, &m->clock, m->vcpu, &m->placed, m->e);
	if (!ret)
		ret = guest_merge(m->db, &m->g, m->vcpu, m->e);
	if (!ret)
		ret = put_names(m, namer);
	if (!ret)
		ret = put_losses(m);
	if (!ret)
		ret = put_clock(m);
	if (!ret)
		ret = put_marks(m);
	if (!ret)
		ret = put_counts(m);
	return ret ? ret : put_meta(m, GUEST_TRACE, GUEST_TRACE_MERGED);
}

static int make(struct making *m, const struct guest_namer *namer)
{
	const char *why;
	int ret = read_clock(m);

	if (!ret)
		ret = guest_gather(&m->g, m->db, m->e);
	if (!ret)
		ret = put_said(m);
	if (ret)
		return ret;
	why = no_clock(m);
	if (!why && !m->g.rows && m->g.damage[0])
		why = m->g.damage;
	if (why) {
		m->g.rows = 0;
		return put_meta_text(m, GUEST_TRACE, "not decoded: %s", why);
	}
	return merge(m, namer);
}

int guest_events_make(sqlite3 *db, const struct guest_namer *namer, uint64_t *added, struct err *e)
{
	struct making m = {.db = db, .e = e};
	char state[64];
	int ret;

	if (added)
		*added = 0;
	if (strcmp(sql_meta(db, GUEST_TRACE, state, sizeof(state)), GUEST_TRACE_ON) != 0)
		return 0;
	m.vcpu = calloc(GUEST_CPUS, sizeof(*m.vcpu));
	if (!m.vcpu)
		return err_set(e, -ENOMEM, "out of memory for the guest's processors");
	ret = sql_exec(db, e, "SAVEPOINT guest_events");
	if (!ret) {
		ret = make(&m, namer);
		sqlite3_finalize(m.meta);
		if (ret)
			sql_exec(db, NULL, "ROLLBACK TO guest_events; RELEASE guest_events");
		else
			ret = sql_exec(db, e, "RELEASE guest_events");
	}
	if (!ret && added)
		*added = m.g.rows;
	guest_vcpus_free(m.vcpu);
	free(m.vcpu);
	guest_clock_free(&m.clock);
	guest_gather_free(&m.g);
	return ret;
}
