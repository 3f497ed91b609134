/* SPDX-License-Identifier: MIT */
/* What every source of events shares: numbers in time order, and the rows of `event` and `payload`. */
#ifndef EXITWALK_TRACER_EVENT_ROW_H
#define EXITWALK_TRACER_EVENT_ROW_H

#include "probe.h"
#include "store.h"

struct rows_counts {
	uint64_t events, exits, payloads, losses, lost;
	uint64_t first_ts, last_ts;
	uint64_t late, late_max_ns; /* records earlier than the one in front of them, and by how
				       much at most */
};

/* One more event, n->events is its id. Returns its time: not before that of the event in front of it. */
uint64_t event_row_begin(struct rows_counts *n, uint64_t ts);

/* Stores event n->events. dur below 0 and exit_id 0: NULL; present: bit i, rec->a[i] is not NULL. */
int event_row_store(struct store *s, const struct rows_counts *n, unsigned track,
	const struct ew_rec *rec, uint64_t ts, int64_t dur, int64_t exit_id, unsigned present,
	struct err *e);

/* Stores a payload for event n->events. */
int event_row_payload(
	struct store *s, struct rows_counts *n, const void *data, size_t len, struct err *e);

/* Stores a loss; lost 0: nobody counted. */
int event_row_loss(struct store *s, struct rows_counts *n, unsigned track, uint64_t ts0,
	uint64_t ts1, uint64_t lost, struct err *e);

#endif
