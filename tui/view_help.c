/* SPDX-License-Identifier: MIT */
/* The help screen, made from the key table, and what the signs mean. */
#include "view.h"

#include <string.h>
#include "keys.h"

static const char *const signs[][2] = {
	{"usr krn ║ KVM VMM hst", "guest process, guest kernel, KVM, VMM, host kernel"},
	{"u k ║ K V H", "the same where there is little room"},
	{"║", "the border that VM exit and VM entry cross"},
	{"●", "a step, on the evidence of recorded rows"},
	{"○", "not recorded; the text says what it would need"},
	{"▶ hand-over", "nobody works on it until another takes it on"},
	{"+ aside", "exits that are not the request's, folded: a"},
	{"~", "may have come before the step above: two clocks"},
	{"▸ writer[91]", "who does what follows: a thread, or a guest's task"},
	{"▸ 2", "in the list: the request that the walk begins with"},
	{"since, Δ", "time since the request began, since the step before"},
	{"#76216", "its row: SELECT * FROM v_event WHERE id = 76216"},
	{"J▼", "the pane goes on: J down, K up, z whole screen"},
};

/* Counts when r.h is 0. Returns the lines there are. */
static int draw(struct ui *ui, struct rect r, int skip)
{
	const char *group = "";
	int n = 0;
#define AT (r.h > 0 && n >= skip && n - skip < r.h ? r.y + n - skip : -1)

	for (const struct tui_key *k = tui_keys; k->command != CMD_NONE; k++) {
		if (strcmp(group, k->group) != 0) {
			group = k->group;
			screen_put(&ui->s, AT, r.x, r.w, STYLE_HEAD, group);
			n++;
		}
		screen_put(&ui->s, AT, r.x + 2, 22, STYLE_BOLD, k->names);
		screen_put(&ui->s, AT, r.x + 26, r.w - 26, STYLE_NORMAL, k->text);
		n++;
	}
	screen_put(&ui->s, AT, r.x, r.w, STYLE_HEAD, "Signs");
	n++;
	for (size_t i = 0; i < sizeof(signs) / sizeof(signs[0]); i++) {
		screen_put(&ui->s, AT, r.x + 2, 22, STYLE_BOLD, signs[i][0]);
		screen_put(&ui->s, AT, r.x + 26, r.w - 26, STYLE_NORMAL, signs[i][1]);
		n++;
	}
#undef AT
	return n;
}

void view_help(struct ui *ui, struct rect r)
{
	int all = draw(ui, (struct rect){0, r.x, 0, r.w}, 0);
	struct rect body = {r.y + 1, r.x + 1, r.h - 2, r.w - 2};

	if (ui->help_scroll > all - body.h)
		ui->help_scroll = all - body.h;
	if (ui->help_scroll < 0)
		ui->help_scroll = 0;
	screen_fill(&ui->s, r.y, r.x, r.w, STYLE_BAR, " ");
	screen_put(&ui->s, r.y, r.x + 1, r.w - 1, STYLE_BAR, "exitwalk view: keys and signs");
	draw(ui, body, ui->help_scroll);
	screen_put(&ui->s, r.y + r.h - 1, r.x + 1, r.w - 1, STYLE_DIM,
		all > body.h ? "Down and Up scroll, Esc or ? goes back" : "Esc or ? goes back");
}
