/* SPDX-License-Identifier: MIT */
/* The steps of a request's path as text, under the headings of their stages. */
#include "path.h"

#include <inttypes.h>
#include <string.h>

#include "sql.h"

/* Columns: time, delta, layer, text, evidence; two spaces in front and one or two between. The text has what is left. */
#define W_TIME PATH_W_TIME
#define W_LAYER 12
#define W_EVIDENCE 14
#define W_BEFORE (2 + W_TIME + 1 + W_TIME + 2 + W_LAYER + 2)

static unsigned text_width(const struct textout *o)
{
	return o->columns - W_BEFORE - W_EVIDENCE - 1;
}

/* What is above the line that is printed next. */
struct printer {
	const struct textout *o;
	struct path_heading *h;
	sqlite3_stmt *aside;
	int64_t before; /* the time of the step above; INT64_MIN: none */
	int64_t folded; /* the aside that stands there as one line; 0: none */
	int stage;
	char actor[64];
};

/* "event 123" → "#123", "event 1 to 5" → "#1 to 5", "stack 123 frame 4" → "#123 frame 4"; what is absent has none. */
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
	const unsigned width = text_width(o);
	const char *rest = text;
	bool first = true;

	do {
		char line[4 * TEXT_COLUMNS_MAX + 1];
		size_t n = textout_fit(rest, width);

		if (n > sizeof(line) - 1)
			n = sizeof(line) - 1;
		memcpy(line, rest, n);
		line[n] = '\0';
		if (!first)
			fprintf(o->f, "%*s", W_BEFORE, "");
		if (first && *evidence) {
			textout_put(o, line, width + 1);
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

/* The columns of times: since the request's begin, and since the step above. */
static void print_times(struct printer *p, sqlite3_stmt *row, int ts_column, bool uncertain)
{
	char us[32], time[40] = "", delta[40] = "";

	if (sqlite3_column_type(row, ts_column) != SQLITE_NULL) {
		int64_t ts = sqlite3_column_int64(row, ts_column);

		snprintf(time, sizeof(time), "%s", textout_us(ts - p->h->t_first, us, sizeof(us)));
		if (p->before != INT64_MIN)
			snprintf(delta, sizeof(delta), "%s%s", ts >= p->before ? "+" : "",
				textout_us(ts - p->before, us, sizeof(us)));
		p->before = ts;
	}
	fprintf(p->o->f, uncertain ? "~ %*s %*s  " : "  %*s %*s  ", W_TIME, time, W_TIME, delta);
}

/* ts_ns, layer label, evidence, text; uncertain in column 7 */
static void print_step(struct printer *p, sqlite3_stmt *row)
{
	const struct textout *o = p->o;
	bool uncertain = sqlite3_column_int(row, 7);
	bool absent = !strcmp(path_column(row, 3), "not recorded");
	char evidence[64];

	if (absent)
		textout_style(o, STYLE_DIM);
	p->h->uncertain |= uncertain;
	print_times(p, row, 1, uncertain);
	textout_put(o, absent ? textout_pick(o, "·", ".") : path_column(row, 2), W_LAYER + 2);
	short_evidence(path_column(row, 3), evidence, sizeof(evidence));
	print_wrapped(o, path_column(row, 4), evidence);
	if (absent)
		textout_style(o, STYLE_PLAIN);
}

/* Who does what follows: the thread, or the guest's task or interrupt, where there are several. */
#define ACTOR                                                                                      \
	"CASE WHEN (SELECT min(track) <> max(track) OR max(guest) FROM who) THEN CASE WHEN NOT"    \
	" w.guest THEN t.name WHEN (SELECT count(DISTINCT track) FROM who WHERE guest) > 1 AND"    \
	" s.actor NOT LIKE '% on %' THEN printf('%s on %s', s.actor, t.name) ELSE s.actor END END"

/*
 * An aside as one line, unless it is one step anyway. Its columns: t0, t1, evidence, text, steps.
 * 1: it was printed, 0: its steps are to be, or -errno.
 */
static int print_aside(struct printer *p, int64_t aside, struct err *e)
{
	const struct textout *o = p->o;
	char text[1024], evidence[64], us[32];
	int ret;

	sqlite3_bind_int64(p->aside, 2, aside);
	ret = sql_step(p->aside, e);
	if (ret > 0 && sqlite3_column_int64(p->aside, 4) < 2)
		ret = 0;
	if (ret > 0) {
		int64_t t0 = sqlite3_column_int64(p->aside, 0);
		int64_t t1 = sqlite3_column_int64(p->aside, 1);

		textout_style(o, STYLE_DIM);
		print_times(p, p->aside, 0, false);
		textout_put(o, "aside", W_LAYER + 2);
		short_evidence(path_column(p->aside, 2), evidence, sizeof(evidence));
		snprintf(text, sizeof(text), "%s, %s %s (--asides shows them)",
			path_column(p->aside, 3), textout_us(t1 - t0, us, sizeof(us)),
			textout_pick(o, "µs", "us"));
		print_wrapped(o, text, evidence);
		textout_style(o, STYLE_PLAIN);
		p->before = t1;
		p->folded = aside;
	}
	sqlite3_reset(p->aside);
	return ret;
}

/* Stage, actor and step of a row. */
static void print_row(struct printer *p, sqlite3_stmt *row)
{
	char title[128];

	if (sqlite3_column_int(row, 0) != p->stage) {
		p->stage = sqlite3_column_int(row, 0);
		snprintf(title, sizeof(title), "%d %s", p->stage, path_column(row, 5));
		textout_heading(p->o, title);
	}
	if (sqlite3_column_type(row, 6) != SQLITE_NULL &&
		strcmp(path_column(row, 6), p->actor) != 0) {
		snprintf(p->actor, sizeof(p->actor), "%s", path_column(row, 6));
		print_actor(p->o, p->actor);
	}
	print_step(p, row);
}

static int prepare(
	sqlite3 *db, sqlite3_stmt **steps, sqlite3_stmt **aside, int64_t request, struct err *e)
{
	int ret = sql_prepare(db, steps, e,
		"WITH who AS (SELECT p.n, e.track, e.kind >= 200 AS guest FROM step p JOIN event e ON"
		" e.id = p.event_id WHERE p.request_id = ?1)"
		" SELECT s.stage, s.ts_ns, l.label, s.evidence, s.text, g.name, " ACTOR
		", s.uncertain, s.aside"
		" FROM v_step s LEFT JOIN who w ON w.n = s.n LEFT JOIN track t ON t.id = w.track"
		" LEFT JOIN enum_name l ON l.enum = 'layer' AND l.name = s.layer"
		" LEFT JOIN enum_name g ON g.enum = 'stage' AND g.value = s.stage"
		" WHERE s.request_id = ?1 ORDER BY s.n");

	if (!ret)
		ret = sql_prepare(db, aside, e,
			"SELECT t0_ns, t1_ns, evidence, text, steps FROM v_aside WHERE request_id = ?1"
			" AND aside = ?2");
	if (!ret) {
		sqlite3_bind_int64(*steps, 1, request);
		sqlite3_bind_int64(*aside, 1, request);
	}
	return ret;
}

int path_steps(sqlite3 *db, const struct textout *o, int64_t request, struct path_heading *h,
	bool asides, struct err *e)
{
	struct printer p = {.o = o, .h = h, .before = INT64_MIN, .stage = -1};
	sqlite3_stmt *row = NULL;
	int ret = prepare(db, &row, &p.aside, request, e);

	fprintf(o->f, "  %*s %*s  %-*s%-*s %s\n", W_TIME + (o->ascii ? 0 : 1),
		textout_pick(o, "time µs", "time us"), W_TIME, "step", W_LAYER + 2, "who runs",
		(int)text_width(o), "what", "evidence");
	while (!ret && (ret = sql_step(row, e)) > 0) {
		int64_t aside = asides ? 0 : sqlite3_column_int64(row, 8);

		ret = 0;
		if (aside && aside == p.folded)
			continue;
		p.folded = 0;
		if (aside)
			ret = print_aside(&p, aside, e);
		if (!ret)
			print_row(&p, row);
		if (ret > 0)
			ret = 0;
	}
	sqlite3_finalize(row);
	sqlite3_finalize(p.aside);
	if (h->uncertain)
		fputs("~ may have happened before the step above: the guest's time is not known"
		      " better (v_step.error_ns)\n",
			o->f);
	return ret;
}
