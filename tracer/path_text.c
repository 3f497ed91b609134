/* SPDX-License-Identifier: MIT */
/* One request's path as text: a heading, the stages with their steps, the layer budget, gaps. */
#include "path.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "probe.h"
#include "sql.h"

/* Columns: time, delta, layer, text, evidence; two spaces in front and one or two between. */
#define W_TIME 10
#define W_LAYER 12
#define W_EVIDENCE 14
#define W_TEXT (TEXT_COLUMNS - 2 - W_TIME - 1 - W_TIME - 2 - W_LAYER - 2 - W_EVIDENCE - 1)
#define W_BAR 40

struct heading {
	int64_t t_first, t_last;
	bool uncertain; /* a step was */
};

static const char *column(sqlite3_stmt *row, int i)
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
			sqlite3_column_type(row, 1) == SQLITE_NULL ? "a request" : column(row, 1));
	else if (sqlite3_column_type(row, 7) == SQLITE_NULL)
		snprintf(text, sizeof(text),
			"%s that no system call of the guest is known to have caused",
			column(row, 1));
	else
		snprintf(text, sizeof(text), "%s%s%s   pid %s %s %s", column(row, 7),
			sqlite3_column_type(row, 8) == SQLITE_NULL ? " (did not return)" : " = ",
			sqlite3_column_type(row, 8) == SQLITE_NULL ? "" : column(row, 8),
			column(row, 9), column(row, 10),
			sqlite3_column_type(row, 11) == SQLITE_NULL ? "" : column(row, 11));
	textout_style(o, STYLE_BOLD);
	textout_put(o, text, 0);
	textout_style(o, STYLE_PLAIN);
	putc('\n', o->f);
}

static int print_heading(
	sqlite3 *db, const struct textout *o, int64_t request, struct heading *h, struct err *e)
{
	sqlite3_stmt *row = NULL;
	char us[32], text[512];
	int ret = sql_prepare(db, &row, e,
		"SELECT v.device, v.type, v.sector, v.bytes, v.status, v.t_first_ns, v.t_last_ns,"
		" c.text, c.ret, c.pid, c.comm, c.path, v.exits,"
		" (SELECT count(*) FROM request x WHERE x.guest_call = q.guest_call),"
		" (SELECT count(*) FROM request x WHERE x.guest_call = q.guest_call AND x.id <> q.id"
		" AND x.t_first < q.t_last AND x.t_last > q.t_first), q.device"
		" FROM v_request v JOIN request q ON q.id = v.id LEFT JOIN v_call c ON c.id ="
		" q.guest_call WHERE v.id = ?1");

	if (!ret) {
		sqlite3_bind_int64(row, 1, request);
		ret = sql_step(row, e);
		if (!ret)
			ret = err_set(e, -ENOENT, "the recording has no request %" PRId64, request);
	}
	if (ret > 0) {
		h->t_first = sqlite3_column_int64(row, 5);
		h->t_last = sqlite3_column_int64(row, 6);
		print_call(o, row);
		snprintf(text, sizeof(text),
			"request %" PRId64 " to %s: %s sector %s, %s bytes, %s; %s exits, %s %s",
			request, column(row, 0), column(row, 1), column(row, 2), column(row, 3),
			sqlite3_column_type(row, 4) != SQLITE_NULL ? column(row, 4)
			: imported(row)                            ? "status not recorded"
								   : "not completed",
			column(row, 12), textout_us(h->t_last - h->t_first, us, sizeof(us)),
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

/* "event 123" → "#123", "stack 123 frame 4" → "#123 frame 4"; what is absent has none. */
static void short_evidence(const char *evidence, char *buf, size_t size)
{
	if (!strncmp(evidence, "event ", 6))
		snprintf(buf, size, "#%s", evidence + 6);
	else if (!strncmp(evidence, "stack ", 6))
		snprintf(buf, size, "#%s", evidence + 6);
	else if (!strcmp(evidence, "not recorded"))
		snprintf(buf, size, "%s", "");
	else
		snprintf(buf, size, "%s", evidence);
}

static void print_wrapped(const struct textout *o, const char *text, const char *evidence)
{
	const char *rest = text;
	bool first = true;

	do {
		char line[4 * W_TEXT + 1];
		size_t n = textout_fit(rest, W_TEXT);

		if (n > sizeof(line) - 1)
			n = sizeof(line) - 1;
		memcpy(line, rest, n);
		line[n] = '\0';
		if (!first)
			fprintf(o->f, "%*s", TEXT_COLUMNS - W_TEXT - W_EVIDENCE - 1, "");
		if (first && *evidence) {
			textout_put(o, line, W_TEXT + 1);
			textout_style(o, STYLE_DIM);
			textout_put(o, evidence, 0);
			textout_style(o, STYLE_PLAIN);
		} else {
			textout_put(o, line, 0);
		}
		putc('\n', o->f);
		rest += n;
		while (*rest == ' ')
			rest++;
		first = false;
	} while (*rest);
}

/* Whose steps follow, where there are several. */
static void print_actor(const struct textout *o, const char *actor)
{
	fprintf(o->f, "  %*s %*s  ", W_TIME, "", W_TIME, "");
	textout_style(o, STYLE_BOLD);
	textout_put(o, textout_pick(o, "▸ ", "> "), 0);
	textout_put(o, actor, 0);
	textout_style(o, STYLE_PLAIN);
	putc('\n', o->f);
}

/* ts_ns, layer label, evidence, text; uncertain in column 7 */
static void print_step(
	const struct textout *o, sqlite3_stmt *row, struct heading *h, int64_t *before)
{
	bool uncertain = sqlite3_column_int(row, 7);
	char us[32], evidence[64], time[40] = "", delta[40] = "";
	bool absent = !strcmp(column(row, 3), "not recorded");

	if (sqlite3_column_type(row, 1) != SQLITE_NULL) {
		int64_t ts = sqlite3_column_int64(row, 1);

		snprintf(time, sizeof(time), "%s", textout_us(ts - h->t_first, us, sizeof(us)));
		if (*before != INT64_MIN)
			snprintf(delta, sizeof(delta), "%s%s", ts >= *before ? "+" : "",
				textout_us(ts - *before, us, sizeof(us)));
		*before = ts;
	}
	if (absent)
		textout_style(o, STYLE_DIM);
	h->uncertain |= uncertain;
	fprintf(o->f, uncertain ? "~ %*s %*s  " : "  %*s %*s  ", W_TIME, time, W_TIME, delta);
	textout_put(o, absent ? textout_pick(o, "·", ".") : column(row, 2), W_LAYER + 2);
	short_evidence(column(row, 3), evidence, sizeof(evidence));
	print_wrapped(o, column(row, 4), evidence);
	if (absent)
		textout_style(o, STYLE_PLAIN);
}

/* Who does what follows: the thread, or the guest's task or interrupt, where there are several. */
#define ACTOR                                                                                      \
	"CASE WHEN (SELECT min(track) <> max(track) OR max(guest) FROM who) THEN CASE WHEN NOT"    \
	" w.guest THEN t.name WHEN (SELECT count(DISTINCT track) FROM who WHERE guest) > 1 AND"    \
	" s.actor NOT LIKE '% on %' THEN printf('%s on %s', s.actor, t.name) ELSE s.actor END END"

static int print_steps(
	sqlite3 *db, const struct textout *o, int64_t request, struct heading *h, struct err *e)
{
	sqlite3_stmt *row = NULL;
	int64_t before = INT64_MIN;
	char actor[64] = "";
	int stage = -1;
	int ret = sql_prepare(db, &row, e,
		"WITH who AS (SELECT p.n, e.track, e.kind >= 200 AS guest FROM step p JOIN event e ON"
		" e.id = p.event_id WHERE p.request_id = ?1)"
		" SELECT s.stage, s.ts_ns, l.label, s.evidence, s.text, g.name, " ACTOR
		", s.uncertain"
		" FROM v_step s LEFT JOIN who w ON w.n = s.n LEFT JOIN track t ON t.id = w.track"
		" LEFT JOIN enum_name l ON l.enum = 'layer' AND l.name = s.layer"
		" LEFT JOIN enum_name g ON g.enum = 'stage' AND g.value = s.stage"
		" WHERE s.request_id = ?1 ORDER BY s.n");

	if (!ret)
		sqlite3_bind_int64(row, 1, request);
	while (!ret && (ret = sql_step(row, e)) > 0) {
		char title[128];

		if (sqlite3_column_int(row, 0) != stage) {
			stage = sqlite3_column_int(row, 0);
			snprintf(title, sizeof(title), "%d %s", stage, column(row, 5));
			textout_heading(o, title);
		}
		if (sqlite3_column_type(row, 6) != SQLITE_NULL &&
			strcmp(column(row, 6), actor) != 0) {
			snprintf(actor, sizeof(actor), "%s", column(row, 6));
			print_actor(o, actor);
		}
		print_step(o, row, h, &before);
		ret = 0;
	}
	sqlite3_finalize(row);
	if (h->uncertain)
		fputs("~ may have happened before the step above: the guest's time is not known"
		      " better (v_step.error_ns)\n",
			o->f);
	return ret;
}

static int print_budget(sqlite3 *db, const struct textout *o, int64_t request,
	const struct heading *h, struct err *e)
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
		const char *label = column(row, 1);
		size_t used = strlen(zero);

		ret = 0;
		sum += ns;
		if (!ns && sqlite3_column_int(row, 0) != EW_LAYER_UNACCOUNTED) {
			snprintf(zero + used, sizeof(zero) - used, "%s%s", used ? ", " : "", label);
			continue;
		}
		fputs("  ", o->f);
		textout_put(o, label, 26);
		fprintf(o->f, "%*s %s %5.1f %%", W_TIME, textout_us(ns, us, sizeof(us)),
			textout_pick(o, "µs", "us"),
			whole ? 100.0 * (double)ns / (double)whole : 0);
		textout_bar(o, ns, whole, W_BAR);
		putc('\n', o->f);
	}
	sqlite3_finalize(row);
	fprintf(o->f, "  %-26s%*s %s\n", "sum = wall time", W_TIME, textout_us(sum, us, sizeof(us)),
		textout_pick(o, "µs", "us"));
	if (*zero) {
		fputs("  no time of their own in this recording: ", o->f);
		textout_put(o, zero, 0);
		putc('\n', o->f);
	}
	return ret;
}

static int print_gaps(sqlite3 *db, const struct textout *o, const struct heading *h, struct err *e)
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
		textout_put(o, column(row, 0), 0);
		fputs(" lost ", o->f);
		textout_put(o, column(row, 3), 0);
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

int path_text(sqlite3 *db, const struct textout *o, int64_t request, struct err *e)
{
	struct heading h = {0};
	int ret = print_heading(db, o, request, &h, e);

	if (ret)
		return ret;
	fprintf(o->f, "  %*s %*s  %-*s%-*s %s\n", W_TIME + (o->ascii ? 0 : 1),
		textout_pick(o, "time µs", "time us"), W_TIME, "step", W_LAYER + 2, "who runs",
		W_TEXT, "what", "evidence");
	ret = print_steps(db, o, request, &h, e);
	if (!ret)
		ret = print_budget(db, o, request, &h, e);
	if (!ret)
		ret = print_gaps(db, o, &h, e);
	return ret;
}
