/* SPDX-License-Identifier: MIT */
/* What stands around the panes: header, layer budget, status line and key bar. */
#include "view.h"

#include <stdio.h>
#include <string.h>
#include "keys.h"
#include "text.h"

void view_header(struct ui *ui, struct rect r)
{
	char text[512];
	int y = r.y;

	screen_fill(&ui->s, y, r.x, r.w, STYLE_BAR, " ");
	screen_printf(
		&ui->s, y++, r.x, r.w, STYLE_BAR, " %s", model_crumb(ui->m, text, sizeof(text)));
	if (y < r.y + r.h)
		screen_printf(&ui->s, y++, r.x + 1, r.w - 1, STYLE_BOLD, "%s",
			model_call(ui->m, text, sizeof(text)));
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

static void prompt(struct ui *ui, int y)
{
	const char *what = ui->prompt == '/'   ? "search: "
			   : ui->prompt == ':' ? "go to request: "
					       : "go to event: ";
	int x = screen_put(&ui->s, y, 1, ui->s.cols - 1, STYLE_BOLD, what) + 1;

	x += screen_put(&ui->s, y, x, ui->s.cols - x, STYLE_NORMAL, ui->typed);
	if (model_note(ui->m)[0])
		screen_put(&ui->s, y, x + 3, ui->s.cols - x - 3, STYLE_WARN, model_note(ui->m));
	move(y, x < ui->s.cols ? x : ui->s.cols - 1);
}

void view_status(struct ui *ui, int y)
{
	char pos[64], right[160], lost[64] = "";
	int w;

	if (ui->prompt) {
		prompt(ui, y);
		return;
	}
	if (model_lost(ui->m))
		snprintf(lost, sizeof(lost), "%lld records lost  ", (long long)model_lost(ui->m));
	snprintf(right, sizeof(right), " %s%s  %u%% ", lost,
		model_position(ui->m, pos, sizeof(pos)), model_percent(ui->m));
	w = (int)text_width(right, ui->s.ascii);
	screen_put(&ui->s, y, ui->s.cols - w, w, lost[0] ? STYLE_WARN : STYLE_NORMAL, right);
	if (model_note(ui->m)[0])
		screen_put(&ui->s, y, 1, ui->s.cols - w - 2, STYLE_BOLD, model_note(ui->m));
	else if (model_banner(ui->m)[0])
		screen_put(&ui->s, y, 1, ui->s.cols - w - 2, STYLE_WARN, model_banner(ui->m));
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

/* How to get help and how to leave are there at any width, the others as far as there is room. */
void view_keybar(struct ui *ui, int y)
{
	int x = 1, room = ui->s.cols;

	for (const struct tui_key *k = tui_keys; k->command != CMD_NONE; k++)
		if (always(k))
			room -= (int)text_width(k->bar, ui->s.ascii) + 2;
	for (const struct tui_key *k = tui_keys; k->command != CMD_NONE; k++)
		if (k->bar[0] && !always(k) && x + (int)text_width(k->bar, ui->s.ascii) < room)
			x = key_hint(ui, y, x, k);
	for (const struct tui_key *k = tui_keys; k->command != CMD_NONE; k++)
		if (always(k))
			x = key_hint(ui, y, x, k);
}
