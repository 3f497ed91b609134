/* SPDX-License-Identifier: MIT */
/* The list of requests, to pick one. */
#include "view.h"

#include <stdio.h>
#include <string.h>
#include "text.h"

static void draw_line(
	struct ui *ui, struct rect r, int y, const struct request *q, enum style style)
{
	int width[REQUEST_COLS], x = r.x;

	request_columns_fit(r.w, width);
	for (int c = 0; c < REQUEST_COLS; c++) {
		const struct request_column_info *info = &request_column[c];
		char text[96];
		int w, pad;

		if (!width[c])
			continue;
		if (q)
			request_cell(q, (enum request_column)c, text, sizeof(text));
		else
			snprintf(text, sizeof(text), "%s", info->title);
		w = (int)text_width(text, ui->s.ascii);
		pad = info->right && w < width[c] ? width[c] - w : 0;
		screen_put(&ui->s, y, x + pad, width[c] - pad, style, text);
		x += width[c] + 2;
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
		if (model_request_row(ui->m, top + i)->id == model_story(ui->m))
			screen_put(&ui->s, r.y + 1 + i, r.x, 1, STYLE_CROSSING, "▸");
		if (top + i == 0)
			screen_select(&ui->s, r.y + 1 + i, r.x, r.w);
	}
	return r.y + 1 - top;
}
