/* SPDX-License-Identifier: MIT */
/* The user interface's loop: wait, act on a key, draw. */
#ifndef EXITWALK_TUI_UI_H
#define EXITWALK_TUI_UI_H

#include <stdbool.h>
#include "model.h"
#include "tracer/err.h"

struct ui_opts {
	bool ascii, mono;
	const char *save_base; /* the beginning of the names that the save key gives its files */
};

/*
 * Runs until the user quits. Returns 0, the positive number of the signal that ended it, or
 * -errno.
 */
int ui_run(struct model *m, const struct ui_opts *opts, struct err *e);

#endif
