/* SPDX-License-Identifier: MIT */
/* One pane: a title or tabs, and the model's lines under it. */
#include "view.h"

#include <stdio.h>
#include <string.h>
#include "text.h"

static void titles(struct ui *ui, struct rect r, enum model_pane pane, bool tabs)
{
	int x = r.x;

	screen_fill(&ui->s, r.y, r.x, r.w, STYLE_LANE, "─");
	x += screen_put(&ui->s, r.y, x, 1, STYLE_LANE, "─");
	for (int i = 0; i < PANE_MAX; i++) {
		bool on = i == (int)pane;

		/* Beside the step's own pane it is no choice. */
		if (!on && (!tabs || (i == PANE_STEP && ui->split)))
			continue;
		/* Brackets, so that the chosen one is seen without colour or reverse video. */
		x += screen_printf(&ui->s, r.y, x, r.x + r.w - x, on ? STYLE_HEAD : STYLE_DIM,
			on ? "[%s]" : " %s ", model_pane_title((enum model_pane)i));
	}
}

static int draw_field(struct ui *ui, struct rect r, int skip, const struct line *l, int key_w)
{
	struct rect value = {r.y, r.x + key_w + 2, r.h, r.w - key_w - 2};
	char text[sizeof(l->value) + sizeof(l->note) + 8];
	int lines;

	if (skip == 0)
		screen_put(&ui->s, r.y, r.x, key_w, STYLE_DIM, l->key);
	snprintf(text, sizeof(text), "%s", l->value);
	lines = screen_wrap(&ui->s, value, skip, STYLE_NORMAL, text);
	if (l->note[0] && lines == 1) {
		int used = (int)text_width(l->value, ui->s.ascii);

		if (used + 4 + (int)text_width(l->note, ui->s.ascii) <= value.w) {
			if (skip == 0)
				screen_printf(&ui->s, r.y, value.x + used + 2, value.w - used - 2,
					STYLE_DIM, "(%s)", l->note);
		}
	}
	return lines;
}

static int draw_bar(struct ui *ui, struct rect r, int skip, const struct line *l)
{
	int text_w = (int)text_width(l->value, ui->s.ascii), key_w = r.w >= 60 ? 26 : 14;
	int bar_w = r.w - key_w - text_w - 3, full;

	if (skip > 0)
		return 1;
	screen_put(&ui->s, r.y, r.x, key_w, STYLE_NORMAL, l->key);
	screen_put(&ui->s, r.y, r.x + key_w + 1, text_w, STYLE_BOLD, l->value);
	full = bar_w > 0 ? (int)((unsigned)bar_w * l->share + 500) / 1000 : 0;
	if (!full && l->share)
		full = 1;
	screen_fill(&ui->s, r.y, r.x + key_w + text_w + 3, full < bar_w ? full : bar_w,
		view_layer_style(l->layer), "█");
	return 1;
}

static int draw_line(struct ui *ui, struct rect r, int skip, const struct line *l, int key_w)
{
	static const enum style style[] = {[LINE_TEXT] = STYLE_NORMAL,
		[LINE_HEAD] = STYLE_HEAD,
		[LINE_DIM] = STYLE_DIM,
		[LINE_PRE] = STYLE_NORMAL,
		[LINE_HERE] = STYLE_BOLD,
		[LINE_LATER] = STYLE_DIM,
		[LINE_WARN] = STYLE_WARN};

	switch (l->kind) {
	case LINE_FIELD:
		return draw_field(ui, r, skip, l, key_w);
	case LINE_BAR:
		return draw_bar(ui, r, skip, l);
	case LINE_PRE:
	case LINE_HERE:
	case LINE_LATER:
		if (skip == 0)
			screen_put(&ui->s, r.y, r.x, r.w, style[l->kind], l->value);
		return 1;
	default:
		return screen_wrap(&ui->s, r, skip, style[l->kind], l->value);
	}
}

/* Draws what fits and returns the lines there are in all. */
static int draw_lines(struct ui *ui, struct rect r, int skip)
{
	int key_w = 8, y = 0;

	for (unsigned i = 0; i < ui->lines.n; i++) {
		int w = (int)text_width(ui->lines.line[i].key, ui->s.ascii);

		if (ui->lines.line[i].kind == LINE_FIELD && w > key_w)
			key_w = w;
	}
	if (key_w > r.w / 2)
		key_w = r.w / 2;
	for (unsigned i = 0; i < ui->lines.n; i++) {
		int at = y - skip; /* where this line begins, seen from the pane's top */
		struct rect rest = {r.y + (at > 0 ? at : 0), r.x, r.h - (at > 0 ? at : 0), r.w};

		if (rest.h <= 0)
			rest.h = 0, rest.y = -1;
		y += draw_line(ui, rest, at < 0 ? -at : 0, &ui->lines.line[i], key_w);
	}
	return y;
}

void view_pane(struct ui *ui, struct rect r, enum model_pane pane, bool tabs)
{
	struct rect body = {r.y + 1, r.x + 1, r.h - 1, r.w - 1};
	int all, skip;

	if (r.h < 2 || r.w < 8)
		return;
	titles(ui, r, pane, tabs);
	model_pane(ui->m, pane, &ui->lines);
	all = draw_lines(ui, (struct rect){-1, body.x, 0, body.w}, 0); /* only counts */
	skip = ui->scroll > all - body.h ? all - body.h : ui->scroll;
	if (skip < 0)
		skip = 0;
	draw_lines(ui, body, skip);
	if (all > body.h + skip)
		screen_put(&ui->s, r.y, r.x + r.w - 4, 3, STYLE_BOLD, " J▼");
}
