/* SPDX-License-Identifier: MIT */
/* Statistics of a recording: what to ask the database, once for text and once for JSON. */
#ifndef EXITWALK_TRACER_REPORT_H
#define EXITWALK_TRACER_REPORT_H

#include "json.h"
#include "recording.h"
#include "stats.h"
#include "textout.h"

/* One line of a table of durations. */
struct report_row {
	char label[96];
	size_t count;       /* rows, those without a duration too */
	struct stats stats; /* of the durations, ns */
};

struct report_table {
	struct report_row *row; /* most frequent first */
	size_t n, cap;
	size_t total; /* sum of count */
};

/* `sql` gives rows (label, ns or NULL), in any order. */
int report_table_load(struct report_table *t, sqlite3 *db, const char *sql, struct err *e);
void report_table_free(struct report_table *t);

/* A table of durations of the report. */
struct report_section {
	const char *key;   /* in JSON */
	const char *title; /* in text */
	const char *note;  /* what is measured */
	const char *sql;
	unsigned most; /* so many lines in text; JSON has all */
};

extern const struct report_section report_sections[];
extern const size_t report_section_count;

/* Lists of plain rows: the columns' names are the query's. */
struct report_list {
	const char *key, *title, *none; /* none: what to say when there are no rows */
	const char *sql;
};

extern const struct report_list report_lists[];
extern const size_t report_list_count;

#endif
