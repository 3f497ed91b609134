/* SPDX-License-Identifier: MIT */
/* What stands around the panes: header, layer budget, status line and key bar. */
#include "view.h"

#include <stdio.h>
#include <string.h>
#include "keys.h"
#include "text.h"

/* The system call and, behind the arrow, what became of it: where there is no room for both the call is cut. */
static void call(struct ui *ui, int y, int x, int w)
{
	char text[512], *arrow;
	int right;

	model_call(ui->m, text, sizeof(text));
	arrow = strstr(text, " → ");
	right = arrow ? (int)text_width(arrow, ui->s.ascii) : 0;
	if (arrow && (int)text_width(text, ui->s.ascii) > w && right < w / 2) {
		screen_put(&ui->s, y, x + w - right, right, STYLE_BOLD, arrow);
		*arrow = 0;
		w -= right;
	}
	screen_put(&ui->s, y, x, w, STYLE_BOLD, text);
}

void view_header(struct ui *ui, struct rect r)
{
	char text[512];
	int y = r.y;

	screen_fill(&ui->s, y, r.x, r.w, STYLE_BAR, " ");
	screen_printf(
		&ui->s, y++, r.x, r.w, STYLE_BAR, " %s", model_crumb(ui->m, text, sizeof(text)));
	if (y < r.y + r.h)
		call(ui, y++, r.x + 1, r.w - 1);
	if (y < r.y + r.h)
		view_budget_bar(ui, y, r.x + 1, r.w - 2);
}

void view_budget_bar(struct ui *ui, int y, int x, int w)
{
	int64_t ns[MODEL_LAYERS], sum = model_budget(ui->m, ns), done = 0;
	static const char brief[MODEL_LAYERS][4] = {[EW_LAYER_NONE] = "-",
		[EW_LAYER_GUEST_USER] = "usr",
		[EW_LAYER_GUEST_KERNEL] = "krn",
		[EW_LAYER_EXIT_ENTRY] = "e+e",
		[EW_LAYER_KVM] = "KVM",
		[EW_LAYER_VMM] = "VMM",
		[EW_LAYER_HOST_KERNEL] = "hst",
		[EW_LAYER_WAITING] = "wai",
		[EW_LAYER_RECORDER] = "rec",
		[EW_LAYER_IN_KVM_RUN] = "g+K",
		[EW_LAYER_UNACCOUNTED] = "?",
		[EW_LAYER_GUEST] = "gst",
		[EW_LAYER_IN_VMM] = "V+w"};
	int at = 0, room;
	char t[32];

	if (sum <= 0)
		return;
	text_ns(sum, t, sizeof(t));
	room = w - 11;
	for (int i = 0; i < MODEL_LAYERS && room > 10; i++) {
		int end, len;
		char label[64];

		if (ns[i] <= 0)
			continue;
		done += ns[i];
		end = (int)((double)room * (double)done / (double)sum + 0.5);
		len = end - at;
		if (len < 1)
			continue;
		if (len < 3) { /* no room for a border and something inside it */
			screen_fill(&ui->s, y, x + at, len, view_layer_style(i), "▒");
			at = end;
			continue;
		}
		snprintf(label, sizeof(label), "%s %d%%", model_layer_name(i),
			(int)((double)ns[i] * 100.0 / (double)sum + 0.5));
		screen_put(&ui->s, y, x + at, 1, STYLE_BOLD, "│");
		if ((int)text_width(label, ui->s.ascii) > len - 1)
			snprintf(label, sizeof(label), "%s", model_layer_name(i));
		if ((int)text_width(label, ui->s.ascii) > len - 1)
			snprintf(label, sizeof(label), "%s", brief[i]);
		if ((int)text_width(label, ui->s.ascii) <= len - 1)
			at += 1 + screen_put(&ui->s, y, x + at + 1, len - 1, view_layer_style(i),
					  label);
		else
			at++;
		screen_fill(&ui->s, y, x + at, end - at, view_layer_style(i), "▒");
		at = end;
	}
	screen_put(&ui->s, y, x + at, 1, STYLE_BOLD, "│");
	screen_put(&ui->s, y, x + at + 2, 10, STYLE_BOLD, t);
}

static void prompt(struct ui *ui, int y, int room)
{
	const char *what = ui->prompt == '/'   ? "search: "
			   : ui->prompt == ':' ? "go to request: "
					       : "go to event: ";
	int x = screen_put(&ui->s, y, 1, room - 1, STYLE_BOLD, what) + 1;

	x += screen_put(&ui->s, y, x, room - x, STYLE_NORMAL, ui->typed);
	if (model_note(ui->m)[0])
		screen_put(&ui->s, y, x + 3, room - x - 3, STYLE_WARN, model_note(ui->m));
	move(y, x < room ? x : room - 1);
}

/* Where the cursor is: at the right end of the line. Returns where that begins. */
static int position(struct ui *ui, int y)
{
	char pos[64], right[160], lost[64] = "", id[32] = "";
	int64_t evidence = model_evidence(ui->m);
	int w;

	if (model_lost(ui->m))
		snprintf(lost, sizeof(lost), "%lld records lost  ", (long long)model_lost(ui->m));
	if (evidence != MODEL_NONE && model_mode(ui->m) == MODEL_PATH)
		snprintf(id, sizeof(id), "#%lld  ", (long long)evidence);
	snprintf(right, sizeof(right), " %s%s%s  %u%% ", lost, id,
		model_position(ui->m, pos, sizeof(pos)), model_percent(ui->m));
	w = (int)text_width(right, ui->s.ascii);
	screen_put(&ui->s, y, ui->s.cols - w, w, lost[0] ? STYLE_WARN : STYLE_NORMAL, right);
	return ui->s.cols - w;
}

void view_status(struct ui *ui, int y)
{
	int room = position(ui, y) - 1;

	if (ui->prompt)
		prompt(ui, y, room);
	else if (model_note(ui->m)[0])
		screen_put(&ui->s, y, 1, room - 1, STYLE_BOLD, model_note(ui->m));
	else if (model_banner(ui->m)[0])
		screen_put(&ui->s, y, 1, room - 1, STYLE_WARN, model_banner(ui->m));
}

static int key_hint(struct ui *ui, int y, int x, const struct tui_key *k)
{
	const char *label = strchr(k->bar, ' ');
	char key[16];

	snprintf(key, sizeof(key), "%.*s", (int)(label - k->bar), k->bar);
	x += screen_put(&ui->s, y, x, ui->s.cols - x, STYLE_HEAD, key);
	return x + screen_put(&ui->s, y, x, ui->s.cols - x, STYLE_DIM, label) + 2;
}

static bool always(const struct tui_key *k)
{
	return k->command == CMD_HELP || k->command == CMD_QUIT;
}

/* The letter of keys.def that stands for the list, or for the row under the cursor. */
static char where(const struct ui *ui)
{
	static const char letter[MODEL_MODES] = {
		[MODEL_PATH] = 'p', [MODEL_TIMELINE] = 't', [MODEL_REQUESTS] = 'r'};
	const struct row *r = model_row(ui->m, 0);

	return r && r->aside ? 'a' : letter[model_mode(ui->m)];
}

/* How to get help and how to leave are there at any width, the others as far as there is room. */
void view_keybar(struct ui *ui, int y)
{
	int x = 1, room = ui->s.cols;
	char here = where(ui);

	for (const struct tui_key *k = tui_keys; k->command != CMD_NONE; k++)
		if (always(k))
			room -= (int)text_width(k->bar, ui->s.ascii) + 2;
	for (int own = 1; own >= 0; own--) /* first what only this list has */
		for (const struct tui_key *k = tui_keys; k->command != CMD_NONE; k++)
			if (strchr(k->where, here) &&
				(strlen(k->where) == 1 && here != 'p') == own && !always(k) &&
				x + (int)text_width(k->bar, ui->s.ascii) < room)
				x = key_hint(ui, y, x, k);
	for (const struct tui_key *k = tui_keys; k->command != CMD_NONE; k++)
		if (always(k))
			x = key_hint(ui, y, x, k);
}
