/* SPDX-License-Identifier: MIT */
/* One request's path as text: a heading, the stages with their steps, the layer budget, gaps. */
#include "path.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "derive.h"
#include "probe.h"
#include "sql.h"

#define W_BAR(o) ((o)->columns - 60)

const char *path_column(sqlite3_stmt *row, int i)
{
	const char *text = (const char *)sqlite3_column_text(row, i);

	return text ? text : "?";
}

/* Requests of imported recordings have no device of their own. */
static bool imported(sqlite3_stmt *row)
{
	return sqlite3_column_int64(row, 15) == 0;
}

static void print_call(const struct textout *o, sqlite3_stmt *row)
{
	char text[512];

	if (imported(row))
		snprintf(text, sizeof(text),
			"%s of a guest whose system calls the host does not see",
			sqlite3_column_type(row, 1) == SQLITE_NULL ? "a request"
								   : path_column(row, 1));
	else if (sqlite3_column_int(row, 16))
		snprintf(text, sizeof(text),
			"%s that the guest's block layer made of what several system calls (or tasks) wrote",
			path_column(row, 1));
	else if (sqlite3_column_type(row, 7) == SQLITE_NULL)
		snprintf(text, sizeof(text),
			"%s that no system call of the guest is known to have caused",
			path_column(row, 1));
	else
		snprintf(text, sizeof(text), "%s%s%s   pid %s %s %s", path_column(row, 7),
			sqlite3_column_type(row, 8) == SQLITE_NULL ? " (did not return)" : " = ",
			sqlite3_column_type(row, 8) == SQLITE_NULL ? "" : path_column(row, 8),
			path_column(row, 9), path_column(row, 10),
			sqlite3_column_type(row, 11) == SQLITE_NULL ? "" : path_column(row, 11));
	textout_style(o, STYLE_BOLD);
	textout_put(o, text, 0);
	textout_style(o, STYLE_PLAIN);
	putc('\n', o->f);
}

static int print_heading(sqlite3 *db, const struct textout *o, int64_t request,
	struct path_heading *h, struct err *e)
{
	sqlite3_stmt *row = NULL;
	char us[32], text[512];
	int ret = sql_prepare(db, &row, e,
		"SELECT v.device, v.type, v.sector, v.bytes, v.status, v.t_first_ns, v.t_last_ns,"
		" c.text, c.ret, c.pid, c.comm, c.path, v.exits,"
		" (SELECT count(*) FROM request x WHERE x.guest_call = q.guest_call),"
		" (SELECT count(*) FROM request x WHERE x.guest_call = q.guest_call AND x.id <> q.id"
		" AND x.t_first < q.t_last AND x.t_last > q.t_first), q.device,"
		" EXISTS (SELECT 1 FROM step s WHERE s.request_id = q.id AND s.absent = ?2)"
		" FROM v_request v JOIN request q ON q.id = v.id LEFT JOIN v_call c ON c.id ="
		" q.guest_call WHERE v.id = ?1");

	if (!ret) {
		sqlite3_bind_int64(row, 1, request);
		sqlite3_bind_int64(row, 2, ABSENT_SHARED_BIOS);
		ret = sql_step(row, e);
		if (!ret)
			ret = err_set(e, -ENOENT, "the recording has no request %" PRId64, request);
	}
	if (ret > 0) {
		h->t_first = sqlite3_column_int64(row, 5);
		h->t_last = sqlite3_column_int64(row, 6);
		print_call(o, row);
		snprintf(text, sizeof(text),
			"request %" PRId64 " to %s: %s sector %s, %s bytes, %s; %s exit%s, %s %s",
			request, path_column(row, 0), path_column(row, 1), path_column(row, 2),
			path_column(row, 3),
			sqlite3_column_type(row, 4) != SQLITE_NULL ? path_column(row, 4)
			: imported(row)                            ? "status not recorded"
								   : "not completed",
			path_column(row, 12), sqlite3_column_int64(row, 12) == 1 ? "" : "s",
			textout_us(h->t_last - h->t_first, us, sizeof(us)),
			textout_pick(o, "µs", "us"));
		textout_put(o, text, 0);
		putc('\n', o->f);
		if (sqlite3_column_int64(row, 13) > 1)
			fprintf(o->f, "(one of %d requests of this system call, %s)\n",
				sqlite3_column_int(row, 13),
				sqlite3_column_int64(row, 14)
					? "some of them at the same time"
					: "which share its time between them");
	}
	sqlite3_finalize(row);
	return ret < 0 ? ret : 0;
}

static int print_budget(sqlite3 *db, const struct textout *o, int64_t request,
	const struct path_heading *h, struct err *e)
{
	const int64_t whole = h->t_last - h->t_first;
	sqlite3_stmt *row = NULL;
	char us[32], zero[512] = "";
	int64_t sum = 0;
	int ret = sql_prepare(db, &row, e,
		"SELECT b.layer, coalesce(n.label, b.layer), b.ns FROM budget b LEFT JOIN enum_name n"
		" ON n.enum = 'layer' AND n.value = b.layer WHERE b.request_id = ?1"
		" ORDER BY b.ns DESC, b.layer");

	textout_heading(o, "layer budget");
	if (!ret)
		sqlite3_bind_int64(row, 1, request);
	while (!ret && (ret = sql_step(row, e)) > 0) {
		int64_t ns = sqlite3_column_int64(row, 2);
		const char *label = path_column(row, 1);
		size_t used = strlen(zero);

		ret = 0;
		sum += ns;
		if (!ns && sqlite3_column_int(row, 0) != EW_LAYER_UNACCOUNTED) {
			snprintf(zero + used, sizeof(zero) - used, "%s%s", used ? ", " : "", label);
			continue;
		}
		fputs("  ", o->f);
		textout_put(o, label, 26);
		fprintf(o->f, "%*s %s %5.1f %%", PATH_W_TIME, textout_us(ns, us, sizeof(us)),
			textout_pick(o, "µs", "us"),
			whole ? 100.0 * (double)ns / (double)whole : 0);
		textout_bar(o, ns, whole, W_BAR(o));
		putc('\n', o->f);
	}
	sqlite3_finalize(row);
	fprintf(o->f, "  %-26s%*s %s\n", "sum = wall time", PATH_W_TIME,
		textout_us(sum, us, sizeof(us)), textout_pick(o, "µs", "us"));
	if (*zero) {
		fputs("  no time of their own in this recording: ", o->f);
		textout_put(o, zero, 0);
		putc('\n', o->f);
	}
	return ret;
}

static int print_gaps(
	sqlite3 *db, const struct textout *o, const struct path_heading *h, struct err *e)
{
	sqlite3_stmt *row = NULL;
	char us[32];
	int ret = sql_prepare(db, &row, e,
		"SELECT source, ts0_ns, ts1_ns, n FROM v_loss WHERE ts1_ns >= ?1 AND ts0_ns <= ?2");

	if (!ret) {
		sqlite3_bind_int64(row, 1, h->t_first);
		sqlite3_bind_int64(row, 2, h->t_last);
	}
	while (!ret && (ret = sql_step(row, e)) > 0) {
		textout_style(o, STYLE_RED);
		fputs("GAP: ", o->f);
		textout_put(o, path_column(row, 0), 0);
		fputs(" lost ", o->f);
		textout_put(o, path_column(row, 3), 0);
		fputs(" records", o->f);
		fprintf(o->f, " from %s",
			textout_us(sqlite3_column_int64(row, 1) - h->t_first, us, sizeof(us)));
		fprintf(o->f, " to %s %s\n",
			textout_us(sqlite3_column_int64(row, 2) - h->t_first, us, sizeof(us)),
			textout_pick(o, "µs", "us"));
		textout_style(o, STYLE_PLAIN);
		ret = 0;
	}
	sqlite3_finalize(row);
	return ret;
}

int path_text(sqlite3 *db, const struct textout *o, int64_t request, bool asides, struct err *e)
{
	struct path_heading h = {0};
	int ret = print_heading(db, o, request, &h, e);

	if (ret)
		return ret;
	ret = path_steps(db, o, request, &h, asides, e);
	if (!ret)
		ret = print_budget(db, o, request, &h, e);
	if (!ret)
		ret = print_gaps(db, o, &h, e);
	return ret;
}
