/* SPDX-License-Identifier: MIT */
/* The list of requests, to pick one. */
#include "view.h"

#include <stdio.h>
#include <string.h>
#include "text.h"

enum column {
	COL_ID,
	COL_CALL,
	COL_TYPE,
	COL_SECTOR,
	COL_BYTES,
	COL_WALL,
	COL_EXITS,
	COL_STATUS,
	COLS_MAX
};

/* Columns are left out from the right when there is no room for them. */
static const struct {
	const char *title;
	int width;
	bool right;
} column[COLS_MAX] = {
	[COL_ID] = {"#", 7, true},
	[COL_CALL] = {"system call", 12, false},
	[COL_TYPE] = {"type", 9, false},
	[COL_SECTOR] = {"sector", 10, true},
	[COL_BYTES] = {"bytes", 8, true},
	[COL_WALL] = {"wall time", 10, true},
	[COL_EXITS] = {"exits", 6, true},
	[COL_STATUS] = {"status", 10, false},
};

static const char *without(const char *prefix, const char *s)
{
	size_t n = strlen(prefix);

	return strncmp(prefix, s, n) == 0 ? s + n : s;
}

static void number(char *buf, size_t size, int64_t v)
{
	if (v == MODEL_NONE)
		snprintf(buf, size, "-");
	else
		snprintf(buf, size, "%lld", (long long)v);
}

static void cell(const struct request *q, enum column c, char *buf, size_t size)
{
	switch (c) {
	case COL_ID:
		number(buf, size, q->id);
		break;
	case COL_CALL:
		snprintf(buf, size, "%s",
			q->syscall[0] ? q->syscall
			: q->device   ? "(kernel)"
				      : "-");
		break;
	case COL_TYPE:
		snprintf(buf, size, "%s", without("VIRTIO_BLK_T_", q->type));
		break;
	case COL_SECTOR:
		number(buf, size, q->sector);
		break;
	case COL_BYTES:
		number(buf, size, q->bytes);
		break;
	case COL_WALL:
		if (q->t_first == MODEL_NONE || q->t_last == MODEL_NONE)
			snprintf(buf, size, "-");
		else
			text_ns(q->t_last - q->t_first, buf, size);
		break;
	case COL_EXITS:
		number(buf, size, q->exits);
		break;
	default:
		snprintf(buf, size, "%s", without("VIRTIO_BLK_S_", q->status));
	}
}

static void draw_line(
	struct ui *ui, struct rect r, int y, const struct request *q, enum style style)
{
	int x = r.x;

	for (int c = 0; c < COLS_MAX && x + column[c].width <= r.x + r.w; c++) {
		char text[48];
		int w, pad;

		if (q)
			cell(q, (enum column)c, text, sizeof(text));
		else
			snprintf(text, sizeof(text), "%s", column[c].title);
		w = (int)text_width(text, ui->s.ascii);
		pad = column[c].right && w < column[c].width ? column[c].width - w : 0;
		screen_put(&ui->s, y, x + pad, column[c].width - pad, style, text);
		x += column[c].width + 2;
	}
}

int view_requests(struct ui *ui, struct rect r)
{
	int height = r.h - 1, before = 0, after = 0, top;

	ui->page = height > 2 ? height - 1 : 1;
	if (height < 1)
		return r.y;
	if (!model_row(ui->m, 0)) {
		screen_wrap(&ui->s, (struct rect){r.y + 1, r.x + 2, height, r.w - 4}, 0,
			STYLE_NORMAL, model_empty(ui->m));
		return r.y + 1;
	}
	draw_line(ui, r, r.y, NULL, STYLE_HEAD);
	while (before < height && model_row(ui->m, -before - 1))
		before++;
	while (after < height && model_row(ui->m, after + 1))
		after++;
	top = before < height / 2 ? -before : -(height / 2);
	if (after < top + height - 1)
		top = after - height + 1 < -before ? -before : after - height + 1;
	for (int i = 0; i < height && model_request_row(ui->m, top + i); i++) {
		draw_line(ui, r, r.y + 1 + i, model_request_row(ui->m, top + i), STYLE_NORMAL);
		if (top + i == 0)
			screen_select(&ui->s, r.y + 1 + i, r.x, r.w);
	}
	return r.y + 1 - top;
}
