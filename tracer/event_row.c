/* SPDX-License-Identifier: MIT */
/* Numbers in time order, and the rows of `event`, `payload` and `loss`. */
#include "event_row.h"

#include "bulk.h"

uint64_t event_row_begin(struct rows_counts *n, uint64_t ts)
{
	if (n->events == 0)
		n->first_ts = n->last_ts = ts;
	if (ts < n->last_ts) {
		n->late++;
		if (n->last_ts - ts > n->late_max_ns)
			n->late_max_ns = n->last_ts - ts;
		ts = n->last_ts;
	}
	n->last_ts = ts;
	n->events++;
	return ts;
}

/* Parameters keep what they were bound to: most are NULL again and again. */
static void bind(struct store *s, int n, int64_t value, bool known)
{
	if (known) {
		store_int(s, STMT_EVENT, n, value);
		s->event_bound |= 1u << n;
	} else if (s->event_bound >> n & 1) {
		store_null(s, STMT_EVENT, n);
		s->event_bound &= ~(1u << n);
	}
}

static int bulk_row(struct store *s, const struct rows_counts *n, unsigned track,
	const struct ew_rec *rec, uint64_t ts, int64_t dur, int64_t exit_id, unsigned present,
	struct err *e)
{
	const int64_t value[BULK_EVENT_COLUMNS] = {(int64_t)n->events, (int64_t)ts, dur, rec->kind,
		track, exit_id, (int64_t)rec->a[0], (int64_t)rec->a[1], (int64_t)rec->a[2],
		(int64_t)rec->a[3], (int64_t)rec->a[4], (int64_t)rec->a[5]};

	return bulk_event(s->bulk, value,
		0x1bu | (unsigned)(dur >= 0) << 2 | (unsigned)(exit_id != 0) << 5 |
			(present & 0x3f) << 6,
		e);
}

int event_row_store(struct store *s, const struct rows_counts *n, unsigned track,
	const struct ew_rec *rec, uint64_t ts, int64_t dur, int64_t exit_id, unsigned present,
	struct err *e)
{
	if (s->bulk)
		return bulk_row(s, n, track, rec, ts, dur, exit_id, present, e);
	store_int(s, STMT_EVENT, 1, (int64_t)n->events);
	store_int(s, STMT_EVENT, 2, (int64_t)ts);
	bind(s, 3, dur, dur >= 0);
	store_int(s, STMT_EVENT, 4, rec->kind);
	store_int(s, STMT_EVENT, 5, track);
	bind(s, 6, exit_id, exit_id != 0);
	for (int i = 0; i < 6; i++)
		bind(s, 7 + i, (int64_t)rec->a[i], present >> i & 1);
	return store_run(s, STMT_EVENT, e);
}

int event_row_payload(
	struct store *s, struct rows_counts *n, const void *data, size_t len, struct err *e)
{
	if (s->bulk) {
		n->payloads++;
		return bulk_payload(s->bulk, (int64_t)n->events, data, len, e);
	}
	store_int(s, STMT_PAYLOAD, 1, (int64_t)n->events);
	sqlite3_bind_blob(s->stmt[STMT_PAYLOAD], 2, data, (int)len, SQLITE_STATIC);
	n->payloads++;
	return store_run(s, STMT_PAYLOAD, e);
}

int event_row_loss(struct store *s, struct rows_counts *n, unsigned track, uint64_t ts0,
	uint64_t ts1, uint64_t lost, struct err *e)
{
	store_int(s, STMT_LOSS, 1, track);
	store_int(s, STMT_LOSS, 2, (int64_t)ts0);
	store_int(s, STMT_LOSS, 3, (int64_t)ts1);
	if (lost)
		store_int(s, STMT_LOSS, 4, (int64_t)lost);
	else
		store_null(s, STMT_LOSS, 4);
	n->losses++;
	n->lost += lost;
	return store_run(s, STMT_LOSS, e);
}
