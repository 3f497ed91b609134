/* SPDX-License-Identifier: MIT */
/* The views: each draws one part of the screen from the model. None of them asks the database. */
#ifndef EXITWALK_TUI_VIEW_H
#define EXITWALK_TUI_VIEW_H

#include "model.h"
#include "screen.h"

#define PROMPT_MAX 64

struct tty;

/* What the user has set up, besides the model's cursor. */
struct ui {
	struct model *m;
	struct tty *tty;
	struct screen s;
	enum model_pane tab; /* the chosen pane */
	int scroll;          /* of the panes, in lines */
	bool zoom, help;
	bool split; /* the step's pane has a place of its own, beside the chosen one (set by view_all) */
	int help_scroll;
	char prompt; /* '/', ':' or '#' while the user types, else 0 */
	char typed[PROMPT_MAX];
	int64_t origin;          /* the cursor when the search began */
	char needle[PROMPT_MAX]; /* the last search, and how it ended */
	enum find_result found;
	int page;           /* rows of the main list */
	struct lines lines; /* scratch */
};

/* The list (path, timeline or requests) in r; returns the screen row of the cursor. */
int view_list(struct ui *ui, struct rect r);
int view_requests(struct ui *ui, struct rect r);

/* One pane with its title, scrolled; `tabs` shows the other panes' titles beside it. */
void view_pane(struct ui *ui, struct rect r, enum model_pane pane, bool tabs);

void view_header(struct ui *ui, struct rect r);
void view_status(struct ui *ui, int y);
void view_keybar(struct ui *ui, int y);
void view_help(struct ui *ui, struct rect r);
/* The request's layers as one bar that is as long as its wall time. */
void view_budget_bar(struct ui *ui, int y, int x, int w);

enum style view_layer_style(int layer);

/* Everything: lays the screen out for its size and draws it. */
void view_all(struct ui *ui);

#endif
