// SPDX-License-Identifier: MIT
/* The common parts of the checks that read every event once. */
#include "check_pass.h"

#include <inttypes.h>

void check_differs(struct check *c, unsigned *failures, int64_t id, const char *what, int64_t has,
	int64_t want)
{
	char h[32] = "nothing", w[32] = "nothing";

	if (has != SQL_NULL)
		snprintf(h, sizeof(h), "%" PRId64, has);
	if (want != SQL_NULL)
		snprintf(w, sizeof(w), "%" PRId64, want);
	CHECK_FIRST(c, *failures, "exits", "vm_exit %" PRId64 ": %s is %s, its events say %s", id,
		what, h, w);
}

void check_in_order(
	struct check *c, unsigned *failures, struct check_last *last, const struct event_row *ev)
{
	if (ev->ts < last->ts)
		CHECK_FIRST(c, *failures, "order",
			"event %" PRId64 " is earlier than event %" PRId64 " in front of it",
			ev->id, last->id);
	*last = (struct check_last){.ts = ev->ts, .id = ev->id};
}

int check_each_event(
	struct check *c, int (*one)(void *pass, sqlite3_stmt *row), void *pass, struct err *e)
{
	sqlite3_stmt *row = NULL;
	int ret = sql_prepare(c->db, &row, e, "SELECT " EVENT_COLUMNS " FROM event ORDER BY id");

	while (!ret && (ret = sql_step(row, e)) > 0)
		ret = one(pass, row);
	sqlite3_finalize(row);
	return ret;
}
