/* SPDX-License-Identifier: MIT */
/* Where a guest's events belong among the host's. */
#include "guest_place.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "derive.h"

#define TRACKS_MAX 65536 /* of a recording; one of a machine has 320 */

/* --- when a vCPU is outside ------------------------------------------------------------------------ */

/* By track; hardware: its entries and exits are recorded themselves, and KVM_RUN's are around them. */
struct state {
	struct guest_vcpu *vcpu;
	bool hardware, out;
};

struct states {
	struct state *at; /* by track */
	size_t n;
};

static int put_outside(struct state *s, int64_t ts, struct err *e)
{
	struct guest_vcpu *v = s->vcpu;
	int ret = derive_grow((void **)&v->outside, &v->cap, v->n, sizeof(*v->outside), e);

	if (!ret)
		v->outside[v->n++] = (struct guest_outside){ts, INT64_MAX};
	s->out = !ret;
	return ret;
}

static void back_inside(struct state *s, int64_t ts)
{
	if (s->out)
		s->vcpu->outside[s->vcpu->n - 1].to = ts;
	s->out = false;
}

/* From `from` on nobody knows where it was: an exit that seems to last may have had its entry there. */
static void forget(struct state *s, int64_t from)
{
	struct guest_vcpu *v = s->vcpu;

	while (v->n && v->outside[v->n - 1].to > from)
		v->n--;
	s->out = false;
}

/* On a vCPU's own track its VMM's records were lost; on a CPU's those of whichever vCPUs ran there. */
static void lost(struct states *all, const struct state *own, int64_t from)
{
	for (size_t i = 0; i < all->n; i++)
		if (all->at[i].vcpu && (own ? own == &all->at[i] : all->at[i].hardware))
			forget(&all->at[i], from);
}

static int one_event(
	struct states *all, int64_t kind, int64_t track, int64_t ts, int64_t dur, struct err *e)
{
	struct state *s = track > 0 && (size_t)track < all->n ? &all->at[track] : NULL;

	if (s && !s->vcpu)
		s = NULL;
	if (kind == EW_LOST)
		lost(all, s, ts - dur);
	if (!s)
		return 0;
	switch (kind) {
	case EW_KVM_EXIT:
	case EW_RUN_EXIT:
		return s->out ? 0 : put_outside(s, ts, e);
	case EW_RUN_ENTER:
		if (!s->hardware)
			back_inside(s, ts);
		return 0;
	case EW_KVM_ENTRY:
		back_inside(s, ts);
		return 0;
	default:
		return 0;
	}
}

static int each(sqlite3 *db, struct err *e, struct states *s, const char *sql,
	int (*one)(struct states *s, sqlite3_stmt *row, struct err *e))
{
	sqlite3_stmt *row = NULL;
	int ret = sql_prepare(db, &row, e, sql);

	while (!ret && (ret = sql_step(row, e)) > 0)
		ret = one(s, row, e);
	sqlite3_finalize(row);
	return ret;
}

static int on_hardware(struct states *s, sqlite3_stmt *row, struct err *e)
{
	int64_t track = sqlite3_column_int64(row, 0);

	(void)e;
	if (track > 0 && (size_t)track < s->n)
		s->at[track].hardware = true;
	return 0;
}

static int on_event(struct states *s, sqlite3_stmt *row, struct err *e)
{
	return one_event(s, sqlite3_column_int64(row, 0), sqlite3_column_int64(row, 1),
		sqlite3_column_int64(row, 2), sqlite3_column_int64(row, 3), e);
}

static int read_outside(struct states *s, sqlite3 *db, struct err *e)
{
	char sql[160];
	int ret;

	snprintf(
		sql, sizeof(sql), "SELECT DISTINCT track FROM event WHERE kind = %d", EW_KVM_ENTRY);
	ret = each(db, e, s, sql, on_hardware);
	snprintf(sql, sizeof(sql),
		"SELECT kind, track, ts, dur FROM event WHERE kind IN (%d, %d, %d, %d, %d) ORDER BY id",
		EW_KVM_EXIT, EW_KVM_ENTRY, EW_RUN_EXIT, EW_RUN_ENTER, EW_LOST);
	return ret ? ret : each(db, e, s, sql, on_event);
}

int guest_vcpus_read(struct guest_vcpu vcpu[GUEST_CPUS], sqlite3 *db, struct err *e)
{
	sqlite3_stmt *row = NULL;
	struct states s = {0};
	int ret = sql_prepare(
		db, &row, e, "SELECT id, vcpu FROM track WHERE kind = 'vcpu' ORDER BY id DESC");

	while (!ret && (ret = sql_step(row, e)) > 0) {
		int64_t track = sqlite3_column_int64(row, 0), n = sqlite3_column_int64(row, 1);

		ret = 0;
		if (track <= 0 || track > TRACKS_MAX || n < 0 || n >= GUEST_CPUS)
			continue;
		if (!s.at) {
			s.n = (size_t)track + 1;
			s.at = calloc(s.n, sizeof(*s.at));
		}
		if (!s.at) {
			ret = err_set(e, -ENOMEM, "out of memory for the guest's processors");
			break;
		}
		vcpu[n].track = track;
		s.at[track].vcpu = &vcpu[n];
	}
	sqlite3_finalize(row);
	if (!ret)
		ret = read_outside(&s, db, e);
	free(s.at);
	return ret;
}

void guest_vcpus_free(struct guest_vcpu vcpu[GUEST_CPUS])
{
	for (unsigned i = 0; i < GUEST_CPUS; i++)
		free(vcpu[i].outside);
	memset(vcpu, 0, GUEST_CPUS * sizeof(*vcpu));
}

/* --- times ------------------------------------------------------------------------------------------ */

struct cursor {
	size_t outside; /* of its vCPU: the first one that is not over */
	int64_t ts;     /* of its last event */
};

/*
 * By its time alone it happened between an exit and the next entry, where it cannot have: where the error allows it,
 * it is put at the nearer edge.
 */
static void move_out(struct guest_row *r, const struct guest_outside *o, const struct cursor *at,
	struct guest_placed *p)
{
	int64_t since = r->ts - o->from, until = o->to - r->ts;
	bool before = since <= r->error && at->ts <= o->from;

	if (before && (since <= until || until > r->error)) {
		r->place = GUEST_BEFORE;
		r->ts = o->from;
		r->error += since;
		p->moved += since > 0;
	} else if (until <= r->error) {
		r->ts = o->to;
		r->error += until;
		p->moved += until > 0;
	} else {
		p->inside++;
	}
}

static void place_one(
	struct guest_row *r, const struct guest_vcpu *v, struct cursor *at, struct guest_placed *p)
{
	r->place = GUEST_AFTER;
	if (r->ts < at->ts) {
		r->error += at->ts - r->ts;
		r->ts = at->ts;
		p->turned++;
	}
	while (at->outside < v->n && v->outside[at->outside].to < r->ts)
		at->outside++;
	if (at->outside < v->n && v->outside[at->outside].from <= r->ts)
		move_out(r, &v->outside[at->outside], at, p);
	at->ts = r->ts;
	if (r->error > p->error_max)
		p->error_max = r->error;
}

/* --- order and spans --------------------------------------------------------------------------------- */

static bool is_before(const struct guest_row *a, const struct guest_row *b)
{
	return a->ts != b->ts ? a->ts < b->ts : a->place < b->place;
}

/* The rows of one CPU, in order: order[next … end - 1]. */
struct line {
	uint32_t next, end;
};

/* The rows' numbers, CPU by CPU. */
static void make_lines(const struct guest_gather *g, struct line line[GUEST_CPUS], uint32_t *order)
{
	uint32_t at = 0;

	for (size_t i = 0; i < g->rows; i++)
		line[g->row[i].cpu].end++;
	for (size_t i = 0; i < GUEST_CPUS; i++) {
		line[i].next = at;
		at += line[i].end;
		line[i].end = line[i].next;
	}
	for (size_t i = 0; i < g->rows; i++)
		order[line[g->row[i].cpu].end++] = (uint32_t)i;
}

static void merge_lines(const struct guest_gather *g, struct line *line, const uint32_t *order,
	struct guest_row *to)
{
	size_t lines = 0;

	for (size_t i = 0; i < GUEST_CPUS; i++)
		if (line[i].next < line[i].end)
			line[lines++] = line[i];
	for (size_t n = 0; n < g->rows; n++) {
		struct line *best = NULL;

		for (size_t i = 0; i < lines; i++)
			if (line[i].next < line[i].end &&
				(!best || is_before(&g->row[order[line[i].next]],
						  &g->row[order[best->next]])))
				best = &line[i];
		to[n] = g->row[order[best->next++]];
	}
}

/* Each CPU's rows are in order already, and stay in it. */
static int sort(struct guest_gather *g, struct err *e)
{
	struct line *line = calloc(GUEST_CPUS, sizeof(*line));
	uint32_t *order = malloc((g->rows + 1) * sizeof(*order));
	struct guest_row *to = malloc((g->rows + 1) * sizeof(*to));
	int ret = 0;

	if (line && order && to) {
		make_lines(g, line, order);
		merge_lines(g, line, order, to);
		free(g->row);
		g->row = to;
		g->rows_cap = g->rows + 1;
	} else {
		free(to);
		ret = err_set(e, -ENOMEM, "out of memory for the guest's events");
	}
	free(line);
	free(order);
	return ret;
}

/* Kinds that begin a span and end it, of one task or on one CPU; a[0] of both is the same. */
static const struct span {
	uint16_t begin, end;
	bool by_cpu;
} spans[] = {
	{EW_GUEST_SYS_ENTER, EW_GUEST_SYS_EXIT, false},
	{EW_GUEST_WORK_START, EW_GUEST_WORK_END, false},
	{EW_GUEST_IRQ, EW_GUEST_IRQ_RET, true},
	{EW_GUEST_SOFTIRQ, EW_GUEST_SOFTIRQ_RET, true},
};
#define SPANS (sizeof(spans) / sizeof(spans[0]))

static int one_span(
	struct guest_gather *g, size_t i, const struct span *s, struct u64_map *open, struct err *e)
{
	struct guest_row *r = &g->row[i];
	uint64_t key = s->by_cpu ? r->cpu : r->pid, *begun;

	if (r->kind == s->begin) {
		begun = u64_map_put(open, key);
		if (!begun)
			return err_set(e, -ENOMEM, "out of memory for the guest's events");
		*begun = i + 1;
	} else if (r->kind == s->end) {
		begun = u64_map_find(open, key);
		if (!begun || !*begun)
			return 0;
		if (g->row[*begun - 1].a[0] == r->a[0])
			r->dur = r->ts - g->row[*begun - 1].ts;
		*begun = 0;
	}
	return 0;
}

/* Behind a gap no end belongs to a beginning in front of it: ends of gaps are in order of time. */
static int find_spans(struct guest_gather *g, const int64_t *gap, size_t gaps, struct err *e)
{
	struct u64_map open[SPANS] = {0};
	size_t k = 0;
	int ret = 0;

	for (size_t i = 0; !ret && i < g->rows; i++) {
		for (; k < gaps && gap[k] <= g->row[i].ts; k++)
			for (size_t s = 0; s < SPANS; s++)
				u64_map_free(&open[s]);
		for (size_t s = 0; !ret && s < SPANS; s++)
			ret = one_span(g, i, &spans[s], &open[s], e);
	}
	for (size_t s = 0; s < SPANS; s++)
		u64_map_free(&open[s]);
	return ret;
}

static int by_time(const void *a, const void *b)
{
	const int64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static int put_spans(struct guest_gather *g, struct guest_clock *c, struct err *e)
{
	int64_t *gap = calloc(g->losses + 1, sizeof(*gap)), error;
	size_t n = 0;
	int ret;

	if (!gap)
		return err_set(e, -ENOMEM, "out of memory for the guest's events");
	for (size_t i = 0; i < g->losses; i++)
		n += g->loss[i].ts1 != UINT64_MAX &&
		     guest_clock_convert(c, g->loss[i].cpu, g->loss[i].ts1, &gap[n], &error);
	qsort(gap, n, sizeof(*gap), by_time);
	ret = find_spans(g, gap, n, e);
	free(gap);
	return ret;
}

int guest_place(struct guest_gather *g, struct guest_clock *c,
	const struct guest_vcpu vcpu[GUEST_CPUS], struct guest_placed *p, struct err *e)
{
	struct cursor *at = calloc(GUEST_CPUS, sizeof(*at));
	size_t kept = 0;
	int ret;

	*p = (struct guest_placed){0};
	if (!at)
		return err_set(e, -ENOMEM, "out of memory for the guest's events");
	for (size_t i = 0; i < GUEST_CPUS; i++)
		at[i].ts = INT64_MIN;
	for (size_t i = 0; i < g->rows; i++) {
		struct guest_row *r = &g->row[i];

		if (!vcpu[r->cpu].track ||
			!guest_clock_convert(c, r->cpu, r->tsc, &r->ts, &r->error)) {
			p->unplaced++;
			continue;
		}
		place_one(r, &vcpu[r->cpu], &at[r->cpu], p);
		g->row[kept++] = *r;
	}
	g->rows = kept;
	free(at);
	ret = sort(g, e);
	return ret ? ret : put_spans(g, c, e);
}
