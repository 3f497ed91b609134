/* SPDX-License-Identifier: MIT */
/* Building the lines of a pane, and the pane table. */
#include "model_priv.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct line *line_add(struct lines *l, enum line_kind kind)
{
	struct line *line;

	if (l->n >= LINES_MAX) {
		line = &l->line[LINES_MAX - 1];
		memset(line, 0, sizeof(*line));
		line->kind = LINE_DIM;
		snprintf(line->value, sizeof(line->value), "… and more");
		return NULL;
	}
	line = &l->line[l->n++];
	memset(line, 0, sizeof(*line));
	line->kind = kind;
	return line;
}

void line_text(struct lines *l, enum line_kind kind, const char *fmt, ...)
{
	struct line *line = line_add(l, kind);
	va_list ap;

	if (!line)
		return;
	va_start(ap, fmt);
	vsnprintf(line->value, sizeof(line->value), fmt, ap);
	va_end(ap);
}

void line_field(struct lines *l, const char *key, const char *from, const char *fmt, ...)
{
	struct line *line = line_add(l, LINE_FIELD);
	va_list ap;

	if (!line)
		return;
	snprintf(line->key, sizeof(line->key), "%s", key);
	snprintf(line->note, sizeof(line->note), "%s", from ? from : "");
	va_start(ap, fmt);
	vsnprintf(line->value, sizeof(line->value), fmt, ap);
	va_end(ap);
}

static const struct {
	const char *title;
	void (*build)(struct model *m, struct lines *out);
} panes[PANE_MAX] = {
#define X(id, fn, title) [PANE_##id] = {title, pane_##fn},
	MODEL_PANES(X)
#undef X
};

const char *model_pane_title(enum model_pane pane)
{
	return panes[pane].title;
}

void model_pane(struct model *m, enum model_pane pane, struct lines *out)
{
	out->n = 0;
	if (model_row(m, 0))
		panes[pane].build(m, out);
	else
		line_text(out, LINE_DIM, "%s", model_empty(m));
}
