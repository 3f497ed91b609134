/* SPDX-License-Identifier: MIT */
/* The user interface's loop: wait, act on a key, draw. */
#include "ui.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "keys.h"
#include "tty.h"
#include "ui_priv.h"

#define SAVES_MAX 999

/* The first name of this kind that is free; a file that is there is never overwritten. */
static void save(struct ui *ui, const char *base)
{
	char path[256];

	for (int i = 1; i <= SAVES_MAX; i++) {
		struct err e = {0};
		int ret;

		snprintf(path, sizeof(path), "%s.screen-%d.txt", base, i);
		ret = screen_save(&ui->s, path, &e);
		if (ret == -EEXIST)
			continue;
		model_say(ui->m, "%s%s", ret ? e.msg : "the screen is saved in ", ret ? "" : path);
		return;
	}
	model_say(ui->m, "%s.screen-1 to -%d.txt are there already: delete some", base, SAVES_MAX);
}

/* The id of the cursor's evidence, to the terminal's clipboard; nothing else is ever sent there. */
static void copy(struct ui *ui)
{
	int64_t id = model_evidence(ui->m);
	char text[32];

	if (id == MODEL_NONE) {
		model_say(ui->m, "this step has no row of its own: nothing to copy");
		return;
	}
	snprintf(text, sizeof(text), "%lld", (long long)id);
	screen_clipboard(text);
	model_say(ui->m, "%s %s copied, if the terminal allows it (OSC 52)",
		model_mode(ui->m) == MODEL_REQUESTS ? "request" : "event", text);
}

static void toggle(struct ui *ui, enum model_mode mode)
{
	model_set_mode(ui->m, model_mode(ui->m) == mode ? MODEL_PATH : mode);
}

static void scroll_panes(struct ui *ui, int by)
{
	ui->scroll += by;
	if (ui->scroll < 0)
		ui->scroll = 0;
}

/* The pane `by` further. Where the step has a pane of its own it is left out. */
static void turn(struct ui *ui, int by)
{
	if (ui->split && ui->tab == PANE_STEP)
		ui->tab = PANE_RINGS;
	ui->tab = (enum model_pane)((ui->tab + by) % PANE_MAX);
	if (ui->split && ui->tab == PANE_STEP)
		ui->tab = (enum model_pane)((ui->tab + by) % PANE_MAX);
}

/* What is behind the row: the path of a request or an event, the steps of an aside, all about a step. */
static void open_row(struct ui *ui)
{
	const struct row *r = model_row(ui->m, 0);

	if (model_mode(ui->m) != MODEL_PATH)
		model_set_mode(ui->m, MODEL_PATH);
	else if (r && r->what == WHAT_ASIDE)
		model_fold(ui->m);
	else
		ui->zoom = !ui->zoom;
}

static void show(struct ui *ui, enum tui_command c)
{
	switch (c) {
	case CMD_NEXT_PANE:
		turn(ui, 1);
		break;
	case CMD_PREV_PANE:
		turn(ui, PANE_MAX - 1);
		break;
	case CMD_ZOOM:
		ui->zoom = !ui->zoom;
		break;
	case CMD_FOLD:
		model_fold(ui->m);
		break;
	case CMD_FOLD_ALL:
		model_fold_all(ui->m);
		break;
	case CMD_TIMELINE:
		toggle(ui, MODEL_TIMELINE);
		break;
	case CMD_REQUESTS:
		toggle(ui, MODEL_REQUESTS);
		break;
	case CMD_OPEN:
		open_row(ui);
		break;
	case CMD_HELP:
		ui->help = true;
		ui->help_scroll = 0;
		break;
	case CMD_CANCEL:
		if (!ui->zoom)
			model_back(ui->m);
		ui->zoom = false;
		break;
	case CMD_COPY:
		copy(ui);
		break;
	case CMD_REDRAW:
		clearok(curscr, TRUE);
		break;
	default:
		break;
	}
}

static void walk(struct ui *ui, enum tui_command c, int key)
{
	switch (c) {
	case CMD_FORWARD:
		model_move(ui->m, 1);
		break;
	case CMD_BACK:
		model_move(ui->m, -1);
		break;
	case CMD_PAGE_DOWN:
		model_move(ui->m, ui->page);
		break;
	case CMD_PAGE_UP:
		model_move(ui->m, -ui->page);
		break;
	case CMD_HALF_DOWN:
	case CMD_HALF_UP:
		model_move(ui->m, (c == CMD_HALF_DOWN ? 1 : -1) * (ui->page + 1) / 2);
		break;
	case CMD_FIRST:
	case CMD_LAST:
		model_edge(ui->m, c == CMD_LAST);
		break;
	case CMD_NEXT_EXIT:
	case CMD_PREV_EXIT:
		model_exit(ui->m, c == CMD_NEXT_EXIT ? 1 : -1);
		break;
	case CMD_NEXT_CROSSING:
	case CMD_PREV_CROSSING:
		model_crossing(ui->m, c == CMD_NEXT_CROSSING ? 1 : -1);
		break;
	case CMD_NEXT_REQUEST:
	case CMD_PREV_REQUEST:
		model_next_request(ui->m, c == CMD_NEXT_REQUEST ? 1 : -1);
		break;
	case CMD_STAGE:
		model_stage(ui->m, key - '0');
		break;
	case CMD_NEXT_MATCH:
	case CMD_PREV_MATCH:
		search_again(ui, c == CMD_NEXT_MATCH ? 1 : -1);
		break;
	default:
		show(ui, c);
	}
}

static void help_key(struct ui *ui, enum tui_command c)
{
	switch (c) {
	case CMD_FORWARD:
	case CMD_PANE_DOWN:
		ui->help_scroll++;
		break;
	case CMD_BACK:
	case CMD_PANE_UP:
		ui->help_scroll--;
		break;
	case CMD_PAGE_DOWN:
		ui->help_scroll += ui->s.rows - 3;
		break;
	case CMD_PAGE_UP:
		ui->help_scroll -= ui->s.rows - 3;
		break;
	default:
		ui->help = false;
	}
}

/* false: quit. */
static bool act(struct ui *ui, int key, const struct ui_opts *opts)
{
	enum tui_command c = tui_command_of(key);

	model_clear_note(ui->m);
	if (ui->prompt) {
		prompt_key(ui, key);
		return true;
	}
	if (c == CMD_QUIT && !ui->help)
		return false;
	if (ui->help) {
		help_key(ui, c);
		return true;
	}
	switch (c) {
	case CMD_SEARCH:
		prompt_open(ui, '/');
		break;
	case CMD_GOTO_REQUEST:
		prompt_open(ui, ':');
		break;
	case CMD_GOTO_EVENT:
		prompt_open(ui, '#');
		break;
	case CMD_SAVE:
		save(ui, opts->save_base);
		break;
	case CMD_PANE_DOWN:
	case CMD_PANE_UP:
		scroll_panes(ui, c == CMD_PANE_DOWN ? 1 : -1);
		break;
	case CMD_NONE:
		model_say(ui->m, "that key does nothing; ? shows those that do");
		break;
	default:
		ui->scroll = 0;
		walk(ui, c, key);
	}
	return true;
}

static void draw(struct ui *ui)
{
	model_span(ui->m, (unsigned)ui->s.rows);
	view_all(ui);
	refresh();
}

static int loop(struct ui *ui, struct tty *t, const struct ui_opts *opts)
{
	for (;;) {
		int sig = 0, key, keys = 0;

		draw(ui);
		switch (tty_wait(t, &sig)) {
		case TTY_END:
			return sig;
		case TTY_RESIZE:
			screen_resize(&ui->s);
			continue;
		case TTY_STOP:
			endwin();
			terminal_stop();
			screen_resize(&ui->s);
			clearok(curscr, TRUE);
			continue;
		case TTY_INPUT:
			break;
		}
		for (; (key = getch()) != ERR; keys++)
			if (key != KEY_RESIZE && !act(ui, key, opts))
				return 0;
		if (!keys && tty_gone(t))
			return SIGHUP;
	}
}

int ui_run(struct model *m, const struct ui_opts *opts, struct err *e)
{
	struct ui *ui = calloc(1, sizeof(*ui));
	struct tty t = {.sigfd = -1};
	int ret;

	if (!ui)
		return err_set(e, -ENOMEM, "out of memory");
	ui->m = m;
	ui->tty = &t;
	ret = tty_init(&t, e);
	if (!ret)
		ret = screen_open(&ui->s, opts->ascii, opts->mono, e);
	if (!ret) {
		tty_guard(&t);
		ret = loop(ui, &t, opts);
		screen_close(&ui->s);
	}
	tty_done(&t);
	free(ui);
	return ret;
}
