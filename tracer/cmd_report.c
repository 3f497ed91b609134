/* SPDX-License-Identifier: MIT */
/* exitwalk report: statistics of a recording, as text or JSON. */
#include <inttypes.h>
#include <string.h>

#include "cmd.h"
#include "kvm_account.h"
#include "reader.h"
#include "report.h"
#include "sql.h"

#define W_LABEL_MIN 24

static const struct argp_option options[] = {READER_OPTION_JSON, READER_OPTION_ASCII, {0}};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	return reader_parse(key, arg, state, state->input);
}

static const struct argp argp = {options, parse, "FILE",
	"Statistics of the recording FILE: exits by reason, address and guest function, device and"
	" request times, the mean layer budget, guest errors, losses, KVM's counters.\v"
	"Percentiles are nearest-rank. As text a time has at most four digits; --json has every nanosecond. An exit's time runs from the return of KVM_RUN to the next"
	" KVM_RUN: the VMM's share of it. Time inside KVM_RUN is not part of it. In an imported"
	" recording it runs from the tracepoint kvm_exit to kvm_entry: KVM's and the VMM's share.",
	NULL, NULL, NULL};

static const char *const overview_sql =
	"SELECT (SELECT max(id) FROM event) AS events, (SELECT max(id) FROM vm_exit) AS exits,"
	" (SELECT count(*) FROM request) AS requests, (SELECT count(*) FROM guest_call) AS guest_calls,"
	" (SELECT ts FROM event ORDER BY id DESC LIMIT 1) - (SELECT ts FROM event ORDER BY id LIMIT 1)"
	" AS wall_ns, coalesce((SELECT sum(n) FROM loss), 0) AS lost";

/* --- text ------------------------------------------------------------------------------------- */

static int text_overview(struct recording *rec, const struct textout *o, struct err *e)
{
	sqlite3_stmt *row = NULL;
	char ns[32], text[1100];
	int ret = sql_prepare(rec->db, &row, e, overview_sql);

	if (!ret && (ret = sql_step(row, e)) > 0) {
		printf("%d events, %d exits, %d requests, %d guest system calls in %s, %d records"
		       " lost\n",
			sqlite3_column_int(row, 0), sqlite3_column_int(row, 1),
			sqlite3_column_int(row, 2), sqlite3_column_int(row, 3),
			textout_ns(o, sqlite3_column_int64(row, 4), ns, sizeof(ns)),
			sqlite3_column_int(row, 5));
		ret = 0;
	}
	sqlite3_finalize(row);
	for (unsigned i = 0; !ret && i < 4; i++) {
		static const char *const key[] = {
			"command_line", "kvm_backend", "cpu_model", "host_kernel"};
		char value[1024];

		sql_meta(rec->db, key[i], value, sizeof(value));
		snprintf(text, sizeof(text), "%-12s  %s", key[i], value);
		if (*value) {
			textout_put(o, text, 0);
			putchar('\n');
		}
	}
	return ret;
}

/* A blank, and text that ends `width` columns on. */
static void put_right(const struct textout *o, const char *text, unsigned width)
{
	unsigned used = textout_width(text);

	printf("%*s", 1 + (int)(used < width ? width - used : 0), "");
	textout_put(o, text, 0);
}

static void text_row(
	const struct textout *o, const struct report_row *r, size_t total, unsigned label)
{
	const int64_t v[] = {r->stats.min, r->stats.median, r->stats.p99, r->stats.max};
	char ns[32];

	fputs("  ", stdout);
	textout_put(o, r->label, label);
	printf(" %6zu %5.1f%%", r->count, total ? 100.0 * (double)r->count / (double)total : 0);
	for (size_t i = 0; i < sizeof(v) / sizeof(v[0]); i++)
		put_right(o, r->stats.n ? textout_ns(o, v[i], ns, sizeof(ns)) : "-", 9);
	putchar('\n');
}

static int text_section(struct recording *rec, const struct textout *o,
	const struct report_section *s, struct err *e)
{
	struct report_table t;
	char title[128];
	unsigned label = W_LABEL_MIN;
	int ret = report_table_load(&t, rec->db, s->sql, e);

	if (!ret && t.n) {
		snprintf(title, sizeof(title), "%s (%s)", s->title, s->note);
		textout_heading(o, title);
		for (size_t i = 0; i < t.n && i < s->most; i++)
			if (textout_width(t.row[i].label) > label)
				label = textout_width(t.row[i].label);
		printf("  %-*s %6s %6s %9s %9s %9s %9s\n", (int)label, "", "count", "share", "min",
			"median", "p99", "max");
		for (size_t i = 0; i < t.n && i < s->most; i++)
			text_row(o, &t.row[i], t.total, label);
		if (t.n > s->most)
			printf("  and %zu more (--json has all)\n", t.n - s->most);
	}
	report_table_free(&t);
	return ret;
}

/* Columns that count ns are named so; as text they have a unit in each cell, and none in the title. */
static bool is_ns(const char *title)
{
	size_t len = strlen(title);

	return len > 3 && strcmp(title + len - 3, "_ns") == 0;
}

static void text_cells(const struct textout *o, sqlite3_stmt *row)
{
	for (int i = 0; i < sqlite3_column_count(row); i++) {
		const char *text = (const char *)sqlite3_column_text(row, i);
		bool number = sqlite3_column_type(row, i) != SQLITE_TEXT;
		char ns[32];

		if (number && i && text && is_ns(sqlite3_column_name(row, i)))
			put_right(
				o, textout_ns(o, sqlite3_column_int64(row, i), ns, sizeof(ns)), 12);
		else if (number && i)
			printf(" %12s", text ? text : "-");
		else
			textout_put(o, text ? text : "-", i ? 27 : 20);
		if (!i)
			putchar(' ');
	}
	putchar('\n');
}

static int text_list(
	struct recording *rec, const struct textout *o, const struct report_list *l, struct err *e)
{
	sqlite3_stmt *row = NULL;
	bool first = true;
	int ret = sql_prepare(rec->db, &row, e, l->sql);

	textout_heading(o, l->title);
	while (!ret && (ret = sql_step(row, e)) > 0) {
		for (int i = 0; first && i < sqlite3_column_count(row); i++) {
			bool number = sqlite3_column_type(row, i) != SQLITE_TEXT;

			const char *title = sqlite3_column_name(row, i);
			int len = (int)strlen(title) - (number && is_ns(title) ? 3 : 0);

			printf(number && i ? " %12.*s" : i ? "%-27.*s" : "  %-20.*s ", len, title);
		}
		if (first)
			putchar('\n');
		first = false;
		fputs("  ", stdout);
		text_cells(o, row);
		ret = 0;
	}
	if (!ret && first)
		printf("  %s\n", l->none);
	sqlite3_finalize(row);
	return ret;
}

static int text_account_line(void *ctx, const struct kvm_line *line)
{
	const struct textout *o = ctx;

	if (line->vcpu == KVM_ALL_VCPUS)
		printf("  all vCPUs%8" PRId64 "  ", line->count);
	else
		printf("  vCPU %-3" PRId64 "%9" PRId64 "  ", line->vcpu, line->count);
	fputs(line->part ? "  " : "", stdout);
	textout_put(o, line->name, line->part ? 24 : 26);
	putchar(' ');
	textout_put(o, line->what, 0);
	putchar('\n');
	return 0;
}

static int text_account(struct recording *rec, struct textout *o, struct err *e)
{
	textout_heading(o, "the exits that KVM counted, and those that came to the VMM");
	return kvm_account_lines(rec->db, text_account_line, o, e);
}

static int text_report(struct recording *rec, const struct reader_args *a, struct err *e)
{
	struct textout o;
	int ret;

	textout_init(&o, stdout, a->ascii);
	reader_banner(rec, &o);
	ret = text_overview(rec, &o, e);
	for (size_t i = 0; !ret && i < report_section_count; i++)
		ret = text_section(rec, &o, &report_sections[i], e);
	for (size_t i = 0; !ret && i < report_list_count; i++)
		ret = text_list(rec, &o, &report_lists[i], e);
	if (!ret)
		ret = text_account(rec, &o, e);
	return ret;
}

/* --- JSON ------------------------------------------------------------------------------------- */

static void json_row(struct json *j, const struct report_row *r, size_t total)
{
	json_object(j, NULL);
	json_string(j, "label", r->label);
	json_int(j, "count", (int64_t)r->count);
	json_double(j, "share", total ? (double)r->count / (double)total : 0);
	json_int(j, "timed", (int64_t)r->stats.n);
	if (r->stats.n) {
		json_int(j, "min_ns", r->stats.min);
		json_int(j, "median_ns", r->stats.median);
		json_int(j, "p99_ns", r->stats.p99);
		json_int(j, "max_ns", r->stats.max);
		json_int(j, "sum_ns", r->stats.sum);
	}
	json_end_object(j);
}

static int json_section(
	struct recording *rec, struct json *j, const struct report_section *s, struct err *e)
{
	struct report_table t;
	int ret = report_table_load(&t, rec->db, s->sql, e);

	json_array(j, s->key);
	for (size_t i = 0; i < t.n; i++)
		json_row(j, &t.row[i], t.total);
	json_end_array(j);
	report_table_free(&t);
	return ret;
}

static int json_list(
	struct recording *rec, struct json *j, const char *key, const char *sql, struct err *e)
{
	sqlite3_stmt *row = NULL;
	int ret = sql_prepare(rec->db, &row, e, sql);

	json_array(j, key);
	while (!ret && (ret = sql_step(row, e)) > 0) {
		json_object(j, NULL);
		for (int i = 0; i < sqlite3_column_count(row); i++)
			json_column(j, sqlite3_column_name(row, i), row, i);
		json_end_object(j);
		ret = 0;
	}
	json_end_array(j);
	sqlite3_finalize(row);
	return ret;
}

static int json_account_line(void *ctx, const struct kvm_line *line)
{
	struct json *j = ctx;

	json_object(j, NULL);
	json_int(j, "vcpu", line->vcpu);
	json_string(j, "name", line->name);
	json_int(j, "count", line->count);
	json_string(j, "what", line->what);
	json_bool(j, "part", line->part);
	json_end_object(j);
	return 0;
}

static int json_report(struct recording *rec, const struct reader_args *a, struct err *e)
{
	struct json j;
	int ret;

	json_init(&j, stdout);
	json_object(&j, NULL);
	json_string(&j, "file", a->file);
	json_string(&j, "banner", rec->banner[0] ? rec->banner : NULL);
	ret = json_list(rec, &j, "overview", overview_sql, e);
	if (!ret)
		ret = json_list(rec, &j, "meta", "SELECT key, value FROM v_meta ORDER BY key", e);
	for (size_t i = 0; !ret && i < report_section_count; i++)
		ret = json_section(rec, &j, &report_sections[i], e);
	for (size_t i = 0; !ret && i < report_list_count; i++)
		ret = json_list(rec, &j, report_lists[i].key, report_lists[i].sql, e);
	if (!ret) {
		json_array(&j, "kvm_account");
		ret = kvm_account_lines(rec->db, json_account_line, &j, e);
		json_end_array(&j);
	}
	json_end_object(&j);
	return ret;
}

static int run(int argc, char **argv)
{
	struct reader_args a = {0};
	struct err e = {0};
	struct recording rec;
	int ret;

	argp_parse(&argp, argc, argv, 0, NULL, &a);
	ret = recording_open(&rec, a.file, &e);
	if (!ret) {
		ret = a.json ? json_report(&rec, &a, &e) : text_report(&rec, &a, &e);
		recording_close(&rec);
	}
	if (ret)
		fprintf(stderr, "exitwalk report: %s\n", e.msg);
	return ret ? 1 : 0;
}

const struct cmd cmd_report = {"report", "statistics of a recording", &argp, run};
