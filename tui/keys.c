/* SPDX-License-Identifier: MIT */
/* The key table (keys.def) as data. */
#include "keys.h"

#include <curses.h>

/* The headings, so that a row can name its group by id. */
#define TUI_GROUP(id, title) static const char group_##id[] = title;
#define TUI_KEY(...)
#include "keys.def"

#define TUI_GROUP(id, title)
#define TUI_KEY(id, group, names, bar, where, text, ...)                                           \
	{CMD_##id, group_##group, names, bar, where, text, {__VA_ARGS__}},
const struct tui_key tui_keys[] = {
#include "keys.def"
	{.command = CMD_NONE}};

enum tui_command tui_command_of(int code)
{
	for (const struct tui_key *k = tui_keys; k->command != CMD_NONE; k++)
		for (const int *c = k->codes; *c; c++)
			if (*c == code)
				return k->command;
	return CMD_NONE;
}
