/* SPDX-License-Identifier: MIT */
/* The whole screen: lays the parts out for its size. */
#include "view.h"

#define MIN_COLS 40
#define MIN_ROWS 10

static int list(struct ui *ui, struct rect r)
{
	return model_mode(ui->m) == MODEL_REQUESTS ? view_requests(ui, r) : view_list(ui, r);
}

/* The pane that stands beside the step's details. */
static enum model_pane second(const struct ui *ui)
{
	return ui->tab == PANE_STEP ? PANE_RINGS : ui->tab;
}

/* Narrow: the list above, one pane below. */
static int lay_narrow(struct ui *ui, struct rect r)
{
	int below = r.h * 2 / 5;
	int y;

	if (below < 5)
		below = r.h > 8 ? 4 : 0;
	y = list(ui, (struct rect){r.y, r.x, r.h - below, r.w});
	view_pane(ui, (struct rect){r.y + r.h - below, r.x, below, r.w}, ui->tab, true);
	return y;
}

static void rule(struct ui *ui, struct rect r, int x)
{
	for (int y = r.y; y < r.y + r.h; y++)
		screen_put(&ui->s, y, x, 1, STYLE_LANE, "│");
}

/* Middle: the list at the left, the step's details and one pane at the right. */
static int lay_middle(struct ui *ui, struct rect r)
{
	int left = r.w * 62 / 100, upper = r.h / 2, x = r.x + left + 1;
	int y = list(ui, (struct rect){r.y, r.x, r.h, left - 1});

	rule(ui, r, r.x + left);
	view_pane(ui, (struct rect){r.y, x, upper, r.w - left - 1}, PANE_STEP, false);
	view_pane(ui, (struct rect){r.y + upper, x, r.h - upper, r.w - left - 1}, second(ui), true);
	return y;
}

/* Wide: three columns. */
static int lay_wide(struct ui *ui, struct rect r)
{
	int left = r.w * 52 / 100, mid = (r.w - left) / 2, budget = 11;
	int x = r.x + left + 1, x2 = r.x + left + mid + 1, w2 = r.w - left - mid - 1;
	int y = list(ui, (struct rect){r.y, r.x, r.h, left - 1});

	rule(ui, r, r.x + left);
	rule(ui, r, r.x + left + mid);
	view_pane(ui, (struct rect){r.y, x, r.h - budget, mid - 1}, PANE_STEP, false);
	view_pane(ui, (struct rect){r.y + r.h - budget, x, budget, mid - 1}, PANE_BUDGET, false);
	view_pane(ui, (struct rect){r.y, x2, r.h, w2}, second(ui), true);
	return y;
}

/* The list in its whole width, below it what there is room for. */
static int lay_requests(struct ui *ui, struct rect r)
{
	int below = r.h >= 24 ? 12 : 0, x = r.x + r.w / 2;
	int y;

	if (!ui->split || !below)
		return lay_narrow(ui, r);
	y = list(ui, (struct rect){r.y, r.x, r.h - below, r.w});
	r = (struct rect){r.y + r.h - below, r.x, below, r.w};
	rule(ui, r, x);
	view_pane(ui, (struct rect){r.y, r.x, r.h, x - r.x - 1}, PANE_STEP, false);
	view_pane(ui, (struct rect){r.y, x + 1, r.h, r.w - (x - r.x) - 1}, second(ui), true);
	return y;
}

static void too_small(struct ui *ui)
{
	screen_printf(
		&ui->s, 0, 0, ui->s.cols, STYLE_NORMAL, "too small: %dx%d", ui->s.cols, ui->s.rows);
	screen_printf(
		&ui->s, 1, 0, ui->s.cols, STYLE_NORMAL, "needs %dx%d; q quits", MIN_COLS, MIN_ROWS);
	move(0, 0);
}

void view_all(struct ui *ui)
{
	struct screen *s = &ui->s;
	int head = s->rows >= 20 ? 3 : s->rows >= 14 ? 2 : 1, y;
	struct rect body = {head, 0, s->rows - head - 2, s->cols};

	erase();
	if (s->rows < MIN_ROWS || s->cols < MIN_COLS) {
		too_small(ui);
		return;
	}
	if (ui->help) {
		view_help(ui, (struct rect){0, 0, s->rows, s->cols});
		move(0, 0);
		return;
	}
	ui->split = s->cols >= 110 && !ui->zoom;
	view_header(ui, (struct rect){0, 0, head, s->cols});
	view_keybar(ui, s->rows - 1);
	if (ui->zoom) {
		view_pane(ui, body, ui->tab, true);
		y = body.y;
	} else if (model_mode(ui->m) == MODEL_REQUESTS) {
		y = lay_requests(ui, body); /* whose columns need the whole width */
	} else if (s->cols >= 160) {
		y = lay_wide(ui, body);
	} else if (s->cols >= 110) {
		y = lay_middle(ui, body);
	} else {
		y = lay_narrow(ui, body);
	}
	move(y, 0);
	view_status(ui, s->rows - 2); /* last: a prompt takes the cursor */
	if (!ui->prompt)
		move(y, 0);
}
