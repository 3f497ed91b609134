/* SPDX-License-Identifier: MIT */
/*
 * Events per second through ring, merge and writer, against a bare loop that inserts the same rows in
 * the same order into the same schema with the same settings: alternating, medians.
 *
 *   bench_writer DIRECTORY [EVENTS [ROUNDS]]
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "mix.h"
#include "tracer/store.h"
#include "tracer/writer.h"

#define COLUMNS 19
#define ROUNDS_MAX 31

/* One INSERT: what is bound. */
struct row {
	enum store_stmt stmt;
	uint32_t nulls;
	int columns, blob_at, blob_len;
	int64_t value[COLUMNS];
	unsigned char *blob;
};

struct rows_list {
	struct row *row;
	size_t n, cap;
};

static const char *const event_rows =
	"SELECT id, ts, dur, kind, track, exit_id, a0, a1, a2, a3, a4, a5 FROM event ORDER BY id";
static const char *const exit_row = "SELECT region, result, value, t_dispatch, t_done, t_entry, "
				    "id, event_id, track, kvm_reason, "
				    "space, addr, size, count, is_write, rip, insn_rip, insn, "
				    "t_exit FROM vm_exit WHERE id = ?1";
static const char *const payload_row = "SELECT event_id, data FROM payload WHERE event_id = ?1";

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "bench_writer: %s\n", what);
	exit(1);
}

static void keep(struct rows_list *l, enum store_stmt stmt, sqlite3_stmt *s)
{
	struct row *r;

	if (l->n == l->cap) {
		l->cap = l->cap ? l->cap * 2 : 4096;
		l->row = realloc(l->row, l->cap * sizeof(*l->row));
		if (!l->row)
			die("out of memory");
	}
	r = &l->row[l->n++];
	*r = (struct row){.stmt = stmt, .columns = sqlite3_column_count(s), .blob_at = -1};
	for (int i = 0; i < r->columns; i++) {
		switch (sqlite3_column_type(s, i)) {
		case SQLITE_NULL:
			r->nulls |= 1u << i;
			break;
		case SQLITE_BLOB:
			r->blob_at = i;
			r->blob_len = sqlite3_column_bytes(s, i);
			r->blob = malloc((size_t)r->blob_len + 1);
			if (!r->blob)
				die("out of memory");
			memcpy(r->blob, sqlite3_column_blob(s, i), (size_t)r->blob_len);
			break;
		default:
			r->value[i] = sqlite3_column_int64(s, i);
		}
	}
}

static void keep_by_id(struct rows_list *l, enum store_stmt stmt, sqlite3_stmt *s, int64_t id)
{
	sqlite3_bind_int64(s, 1, id);
	if (sqlite3_step(s) == SQLITE_ROW)
		keep(l, stmt, s);
	sqlite3_reset(s);
}

/* The rows of a recording, in the order in which the writer inserts them. */
static void load(struct rows_list *l, const char *path)
{
	sqlite3_stmt *event, *exits, *payload;
	sqlite3 *db;

	if (sqlite3_open(path, &db) != SQLITE_OK ||
		sqlite3_prepare_v2(db, event_rows, -1, &event, NULL) != SQLITE_OK ||
		sqlite3_prepare_v2(db, exit_row, -1, &exits, NULL) != SQLITE_OK ||
		sqlite3_prepare_v2(db, payload_row, -1, &payload, NULL) != SQLITE_OK)
		die(sqlite3_errmsg(db));
	while (sqlite3_step(event) == SQLITE_ROW) {
		if (sqlite3_column_int(event, 3) == EW_RUN_ENTER)
			keep_by_id(l, STMT_EXIT, exits, sqlite3_column_int64(event, 6));
		keep(l, STMT_EVENT, event);
		keep_by_id(l, STMT_PAYLOAD, payload, sqlite3_column_int64(event, 0));
	}
	sqlite3_finalize(event);
	sqlite3_finalize(exits);
	sqlite3_finalize(payload);
	sqlite3_close(db);
}

static uint64_t bare(const struct rows_list *l, const char *path)
{
	uint64_t begin, end, events = 0;
	struct err e = {""};
	struct store s;

	if (store_create(&s, path, 0, &e) || store_commit(&s, &e))
		die(e.msg);
	begin = probe_now();
	for (size_t n = 0; n < l->n; n++) {
		const struct row *r = &l->row[n];
		sqlite3_stmt *stmt = s.stmt[r->stmt];

		store_begin(&s, &e);
		for (int i = 0; i < r->columns; i++) {
			if (i == r->blob_at)
				sqlite3_bind_blob(stmt, i + 1, r->blob, r->blob_len, SQLITE_STATIC);
			else if (r->nulls >> i & 1)
				sqlite3_bind_null(stmt, i + 1);
			else
				sqlite3_bind_int64(stmt, i + 1, r->value[i]);
		}
		if (store_run(&s, r->stmt, &e))
			die(e.msg);
		if (r->stmt == STMT_EVENT && ++events % WRITER_COMMIT_ROWS == 0 &&
			store_commit(&s, &e))
			die(e.msg);
	}
	if (store_commit(&s, &e))
		die(e.msg);
	end = probe_now();
	store_close(&s);
	return end - begin;
}

static uint64_t recorded(const char *path, uint64_t events)
{
	struct mix g = {.ts = 1000000000};
	struct err e = {""};
	uint64_t begin, end;

	if (recorder_open(&g.r, path, NULL, &e))
		die(e.msg);
	mix_describe(g.r);
	g.p = recorder_track(g.r, "vcpu", 0, "vcpu0");
	begin = probe_now();
	if (recorder_start(g.r, &e))
		die(e.msg);
	mix_generate(&g, events);
	if (recorder_stop(g.r, &e))
		die(e.msg);
	end = probe_now();
	recorder_free(g.r);
	return end - begin;
}

static int by_value(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static double median(double *v, int n)
{
	qsort(v, (size_t)n, sizeof(*v), by_value);
	return n % 2 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
}

int main(int argc, char **argv)
{
	uint64_t events = argc > 2 ? strtoull(argv[2], NULL, 0) : 400000;
	int rounds = argc > 3 ? atoi(argv[3]) : 7;
	double r[ROUNDS_MAX], b[ROUNDS_MAX], ratio[ROUNDS_MAX];
	struct rows_list l = {0};
	size_t inserted = 0;
	char path[4096];

	if (argc < 2 || rounds < 1 || rounds > ROUNDS_MAX)
		return fprintf(stderr, "usage: bench_writer DIRECTORY [EVENTS [ROUNDS]]\n"), 64;
	snprintf(path, sizeof(path), "%s/bench_writer.exw", argv[1]);
	recorded(path, events);
	load(&l, path);
	for (size_t i = 0; i < l.n; i++)
		inserted += l.row[i].stmt == STMT_EVENT;
	for (int i = 0; i < rounds; i++) {
		r[i] = (double)l.n * 1e9 / (double)recorded(path, events);
		b[i] = (double)l.n * 1e9 / (double)bare(&l, path);
		ratio[i] = r[i] / b[i];
	}
	unlink(path);
	printf("writer: %zu rows (%zu events), %d rounds, medians\n", l.n, inserted, rounds);
	printf("  through ring and writer   %8.0f rows/s   (%.0f events/s)\n", median(r, rounds),
		median(r, rounds) * (double)inserted / (double)l.n);
	printf("  bare INSERT loop          %8.0f rows/s\n", median(b, rounds));
	printf("  ratio                     %8.2f   (goal: at least 0.80)\n",
		median(ratio, rounds));
	for (size_t i = 0; i < l.n; i++)
		free(l.row[i].blob);
	free(l.row);
	return 0;
}
