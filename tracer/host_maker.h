/* SPDX-License-Identifier: MIT */
/* What the parts that write the requests of a recording of host tracepoints share. */
#ifndef EXITWALK_TRACER_HOST_MAKER_H
#define EXITWALK_TRACER_HOST_MAKER_H

#include "host_path.h"

/* What a trace of the host cannot show has numbers from this one on; derive.h's are lower. */
#define HOST_ABSENT_FIRST 64

struct host_maker {
	struct host_join *j;
	struct derive *d;
	sqlite3 *db;
	struct err *e;
	sqlite3_stmt *range, *entry, *waking;
	sqlite3_stmt *step, *request, *budget, *absent;
	struct host_path p;
	struct event_row *prior; /* by event of the path: the one in front of it on its track */
	size_t prior_cap;
	int64_t id, steps, exits;
	int stage;
	bool used[64]; /* by absent - HOST_ABSENT_FIRST */
};

/* host_legs.c: the way of the request whose kick, call and irq m->p has: its delivery, its legs, their events. */
int host_find_path(struct host_maker *m);

/* host_steps.c: the steps of that path, and at the end the texts of those that are absent. */
int host_put_steps(struct host_maker *m);
int host_put_absent_texts(struct host_maker *m);

#endif
