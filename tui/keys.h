/* SPDX-License-Identifier: MIT */
/* The key table (keys.def) as data. */
#ifndef EXITWALK_TUI_KEYS_H
#define EXITWALK_TUI_KEYS_H

enum tui_command {
	CMD_NONE,
#define TUI_GROUP(id, title)
#define TUI_KEY(id, group, names, bar, where, text, ...) CMD_##id,
#include "keys.def"
	CMD_MAX
};

struct tui_key {
	enum tui_command command;
	const char *group; /* heading it stands under */
	const char *names, *bar, *where, *text;
	int codes[12]; /* ends with 0 */
};

/* In the order of keys.def; ends with a .command of CMD_NONE. */
extern const struct tui_key tui_keys[];

/* CMD_NONE if the key does nothing. */
enum tui_command tui_command_of(int code);

#endif
