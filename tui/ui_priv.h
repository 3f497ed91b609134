/* SPDX-License-Identifier: MIT */
/* What ui.c and ui_prompt.c share. */
#ifndef EXITWALK_TUI_UI_PRIV_H
#define EXITWALK_TUI_UI_PRIV_H

#include "view.h"

/* ui_prompt.c: opens a prompt; feeds it a key while ui->prompt is set. */
void prompt_open(struct ui *ui, char kind);
void prompt_key(struct ui *ui, int key);
/* The next match of the last search (dir +1), or the one before. */
void search_again(struct ui *ui, int dir);

#endif
