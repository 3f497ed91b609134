/* SPDX-License-Identifier: MIT */
/* Is a recording whole and consistent? Each check says one line; the parts of `exitwalk check`. */
#ifndef EXITWALK_TRACER_CHECK_H
#define EXITWALK_TRACER_CHECK_H

#include "json.h"
#include "recording.h"
#include "textout.h"

enum check_verdict { CHECK_OK, CHECK_NOTE, CHECK_FAIL };

struct check {
	sqlite3 *db;
	const struct recording *recording;
	const struct textout *out;
	struct json *json; /* NULL: text */
	unsigned failures;
};

/* One line: the verdict, the check's name, and what was found. A FAIL names the row. */
__attribute__((format(printf, 4, 5))) void check_say(
	struct check *c, enum check_verdict verdict, const char *name, const char *fmt, ...);

/* After a pass that says only the first failure of a kind: that there was none, or how many more. */
static inline void check_result(
	struct check *c, unsigned failures, const char *name, const char *ok)
{
	if (!failures)
		check_say(c, CHECK_OK, name, "%s", ok);
	else if (failures > 1)
		check_say(c, CHECK_FAIL, name, "and %u more rows", failures - 1);
}

/* Each returns 0 when it could look (whatever it found), or -errno with a sentence. */
int check_file(struct check *c, struct err *e);   /* SQLite's own check, state, seal */
int check_names(struct check *c, struct err *e);  /* enum_name, event_kind against this program's */
int check_ids(struct check *c, struct err *e);    /* ids without a gap, payloads */
int check_seal(struct check *c, struct err *e);   /* every table against the seal */
int check_events(struct check *c, struct err *e); /* order, pairs, vm_exit against its events */
int check_guest(struct check *c, struct err *e);  /* the guest's events: order, times, clock */
int check_requests(struct check *c, struct err *e); /* each taken and completed once */
int check_derived(struct check *c, struct err *e);  /* derived tables against a fresh derivation */
int check_budgets(struct check *c, struct err *e);  /* each sums to its window */
int check_losses(struct check *c, struct err *e);
int check_kvm_stats(struct check *c, struct err *e); /* counts against KVM's counters */

#endif
