/* SPDX-License-Identifier: MIT */
/* What the passes over a recording's events have in common: each says the first failure of a kind and
 * counts the others. */
#ifndef EXITWALK_TRACER_CHECK_PASS_H
#define EXITWALK_TRACER_CHECK_PASS_H

#include "check.h"
#include "derive.h"

#define CHECK_FIRST(c, counter, name, ...)                                                         \
	do {                                                                                       \
		if (!(counter)++)                                                                  \
			check_say(c, CHECK_FAIL, name, __VA_ARGS__);                               \
	} while (0)

/* A column of vm_exit's row `id` is not what the events say; SQL_NULL reads as "nothing". */
void check_differs(struct check *c, unsigned *failures, int64_t id, const char *what, int64_t has,
	int64_t want);

/* Of the guest's kernel: in no exit, and its time is converted; check_guest() looks at it. */
static inline bool check_is_guest(const struct event_row *ev)
{
	return ev->kind >= EW_GUEST_FUNC;
}

/* The event in front; ts = INT64_MIN before the first. */
struct check_last {
	int64_t ts, id;
};
/* No event is earlier than the one in front of it. */
void check_in_order(
	struct check *c, unsigned *failures, struct check_last *last, const struct event_row *ev);

/* Calls one(pass, row) for each event in order, row having EVENT_COLUMNS, until it fails. */
int check_each_event(
	struct check *c, int (*one)(void *pass, sqlite3_stmt *row), void *pass, struct err *e);

#endif
