/* SPDX-License-Identifier: MIT */
/* A line for each request. */
#include "path.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include "request_row.h"
#include "sql.h"

/* Columns of the terminal; a pipe has room for all. */
static int room(const struct textout *o)
{
	struct winsize w;

	if (!isatty(fileno(o->f)) || ioctl(fileno(o->f), TIOCGWINSZ, &w) < 0 || !w.ws_col)
		return 4096;
	return w.ws_col;
}

static void put_cell(const struct textout *o, enum request_column c, int width, const char *text)
{
	unsigned used = textout_width(text),
		 pad = (unsigned)width > used ? (unsigned)width - used : 0;

	if (c)
		fputs("  ", o->f);
	if (request_column[c].right)
		fprintf(o->f, "%*s", (int)pad, "");
	/* Spaces behind the last column would only be in the way. */
	textout_put(
		o, text, request_column[c].right || c == REQUEST_COLS - 1 ? 0 : (unsigned)width);
}

static const char *cell(const struct textout *o, const struct request *q, enum request_column c,
	char *buf, size_t size)
{
	if (c == REQUEST_COL_WALL && q->t_first != REQUEST_NONE && q->t_last != REQUEST_NONE)
		return textout_ns(o, q->t_last - q->t_first, buf, size);
	return request_cell(q, c, buf, size);
}

static void put_line(const struct textout *o, const int *width, const struct request *q, bool mark)
{
	char text[96];

	if (q)
		fputs(mark ? textout_pick(o, "▸", ">") : " ", o->f);
	else
		putc(' ', o->f);
	for (int c = 0; c < REQUEST_COLS; c++)
		if (width[c])
			put_cell(o, (enum request_column)c, width[c],
				q ? cell(o, q, (enum request_column)c, text, sizeof(text))
				  : request_column[c].title);
	putc('\n', o->f);
}

int path_list(sqlite3 *db, const struct textout *o, int64_t mark, struct err *e)
{
	sqlite3_stmt *row = NULL;
	int width[REQUEST_COLS];
	struct request q;
	int ret = sql_prepare(db, &row, e, REQUEST_ROW_SQL "ORDER BY q.id");

	request_columns_fit(room(o) - 1, width);
	textout_style(o, STYLE_BOLD);
	put_line(o, width, NULL, false);
	textout_style(o, STYLE_PLAIN);
	while (!ret && (ret = sql_step(row, e)) > 0) {
		ret = 0;
		request_row_read(row, &q);
		put_line(o, width, &q, q.id == mark);
	}
	sqlite3_finalize(row);
	return ret;
}
