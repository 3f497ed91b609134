/* SPDX-License-Identifier: MIT */
/* Typing: the search, which follows each letter, and going to a number. */
#include "ui_priv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tty.h"

#define SLICE 4096  /* rows between two looks at the keyboard */
#define PROGRESS 32 /* slices between two words about how far it is */

/* Where else it may be. */
static const char *elsewhere(const struct ui *ui, int dir)
{
	if (model_mode(ui->m) == MODEL_PATH)
		return dir > 0 ? "; N: back, t: all events" : "; n: on, t: all events";
	return dir > 0 ? "; N: back" : "; n: on";
}

/*
 * Searches from the cursor. A key ends a search that takes long: the user need not wait for the end
 * of a large recording.
 */
static bool search(struct ui *ui, const char *needle, int dir, bool here)
{
	int64_t resume = 0;
	enum find_result found;

	for (int i = 1;; i++) {
		found = model_find(ui->m, needle, dir, here, SLICE, &resume);
		if (found != FIND_MORE || tty_pending(ui->tty))
			break;
		if (i % PROGRESS)
			continue;
		model_say(ui->m, "searching, at %lld; any key stops it", (long long)resume);
		view_all(ui);
		refresh();
		model_clear_note(ui->m);
	}
	ui->found = found;
	if (found == FIND_MORE)
		model_say(ui->m, "searched up to %lld and stopped for a key", (long long)resume);
	else if (found == FIND_MISS && *needle)
		model_say(ui->m, "no match %s%s", dir > 0 ? "from here on" : "before this",
			elsewhere(ui, dir));
	return found == FIND_HIT;
}

void search_again(struct ui *ui, int dir)
{
	if (!ui->needle[0])
		model_say(ui->m, "nothing to search for yet: / begins a search");
	else
		search(ui, ui->needle, dir, false);
}

void prompt_open(struct ui *ui, char kind)
{
	const struct row *r = model_row(ui->m, 0);

	ui->prompt = kind;
	ui->typed[0] = 0;
	ui->origin = r ? r->id : 0;
}

static void typed(struct ui *ui)
{
	if (ui->prompt != '/' || !ui->typed[0])
		return;
	model_seek(ui->m, ui->origin);
	search(ui, ui->typed, 1, true);
}

static void accept(struct ui *ui)
{
	char kind = ui->prompt, *end;
	long long n;

	ui->prompt = 0;
	if (!ui->typed[0])
		return;
	if (kind == '/') {
		snprintf(ui->needle, sizeof(ui->needle), "%s", ui->typed);
		if (ui->found == FIND_MORE) /* this very key stopped it */
			search(ui, ui->needle, 1, true);
		else if (ui->found == FIND_MISS)
			model_say(ui->m, "no match from here on%s", elsewhere(ui, 1));
		return; /* at a hit the cursor is already */
	}
	if (kind == ':') {
		model_goto_place(ui->m, ui->typed);
		return;
	}
	errno = 0;
	n = strtoll(ui->typed, &end, 10);
	if (errno || *end || n < 0)
		model_say(ui->m, "'%s' is not a number", ui->typed);
	else
		model_goto_event(ui->m, n);
}

static void rub_out(struct ui *ui)
{
	size_t len = strlen(ui->typed);

	while (len > 0 && ((unsigned char)ui->typed[len - 1] & 0xc0) == 0x80)
		len--; /* the tail of a UTF-8 sequence */
	if (len > 0)
		ui->typed[len - 1] = 0;
	else
		ui->prompt = 0;
	typed(ui);
}

void prompt_key(struct ui *ui, int key)
{
	size_t len = strlen(ui->typed);

	switch (key) {
	case '\n':
	case '\r':
	case KEY_ENTER:
		accept(ui);
		break;
	case 27:
		if (ui->prompt == '/') {
			model_fold_found(ui->m);
			model_seek(ui->m, ui->origin);
		}
		ui->prompt = 0;
		break;
	case KEY_BACKSPACE:
	case 127:
	case 8:
		rub_out(ui);
		break;
	default:
		if (key < 256 && key >= ' ' && len + 1 < sizeof(ui->typed)) {
			ui->typed[len] = (char)key;
			ui->typed[len + 1] = 0;
			typed(ui);
		}
	}
}
