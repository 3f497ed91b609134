/* SPDX-License-Identifier: MIT */
/*
 * The "Rings" pane: the virtqueue as it stood at the cursor, rebuilt from what the device
 * recorded.
 */
#include "model_priv.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define CELLS 8

/*
 * Indexes at one moment; MODEL_NONE while nothing recorded says. All are free-running 16-bit
 * counters (virtio 1.x, 2.7.6 and 2.7.8).
 */
struct indexes {
	int64_t avail, seen, used;
};

/* Newest first: the first value found for each index is the one that was valid. */
static void indexes_read(struct model *m, const struct request *q, int64_t event, struct indexes *x)
{
	sqlite3_stmt *s = mq(m, Q_QUEUE_EVENTS, event, EW_QUEUE_NOTIFY, EW_QUEUE_POP);

	*x = (struct indexes){MODEL_NONE, MODEL_NONE, MODEL_NONE};
	if (s)
		sqlite3_bind_int64(s, 4, EW_QUEUE_USED);
	while ((x->avail == MODEL_NONE || x->used == MODEL_NONE) && mq_row(m, s)) {
		int64_t kind = sqlite3_column_int64(s, 1), a[6];
		bool notify = kind == EW_QUEUE_NOTIFY;

		for (int i = 0; i < 6; i++)
			a[i] = sqlite3_column_int64(s, 2 + i);
		if (a[notify ? 0 : 1] != q->device || a[notify ? 1 : 2] != q->queue)
			continue;
		if (kind == EW_QUEUE_USED) {
			if (x->used == MODEL_NONE)
				x->used = a[5] & 0xffff;
		} else if (x->avail == MODEL_NONE) {
			x->avail = a[notify ? 2 : 4] & 0xffff;
			x->seen = a[notify ? 3 : 5] & 0xffff;
		}
	}
	mq_done(s);
}

static void index_line(struct lines *out, const char *key, int64_t value, const char *what)
{
	if (value == MODEL_NONE)
		line_field(out, key, NULL, "not known yet at this step");
	else
		line_field(out, key, what, "%" PRId64, value);
}

/* The last few entries, oldest first, each with the mark of how far it has come. */
static void cells(const struct indexes *x, struct lines *out)
{
	char text[256];
	size_t at = 0;
	int64_t used = x->used == MODEL_NONE ? 0 : x->used, first;

	if (x->avail == MODEL_NONE)
		return;
	first = x->avail - (CELLS - 2);
	for (int64_t i = first < 0 ? 0 : first; i <= x->avail && at + 24 < sizeof(text); i++) {
		const char *mark = i < used && i < x->seen ? "░"
				   : i < x->seen           ? "▒"
				   : i < x->avail          ? "█"
							   : "·";

		at += (size_t)snprintf(text + at, sizeof(text) - at, "%s%" PRId64 " ", mark, i);
	}
	line_text(out, LINE_PRE, "%s", text);
	line_text(out, LINE_DIM, "░ returned  ▒ in the device  █ waiting  · free");
}

static const char *role(int64_t k, int64_t n, int64_t flags)
{
	if (k == 0)
		return "header";
	if (k == n - 1 && (flags & 2))
		return "status";
	return "data";
}

static void chain(struct model *m, const struct request *q, int64_t event, struct lines *out)
{
	sqlite3_stmt *s = mq(m, Q_DESCRIPTORS, q->id, EW_DESCRIPTOR, MODEL_NONE);
	int64_t row[64][6], n = 0;
	char flags[48];

	while (n < 64 && mq_row(m, s)) {
		for (int i = 0; i < 6; i++)
			row[n][i] = sqlite3_column_int64(s, i);
		n++;
	}
	mq_done(s);
	if (q->head != MODEL_NONE)
		line_text(out, LINE_HEAD, "Descriptor chain of request %" PRId64 ", head %" PRId64,
			q->id, q->head);
	else
		line_text(out, LINE_HEAD, "Descriptor chain of request %" PRId64, q->id);
	if (!n) {
		line_text(out, LINE_DIM, "no descriptor was recorded for this request");
		return;
	}
	line_text(out, LINE_LATER, " desc gpa           len flags      what");
	for (int64_t k = 0; k < n; k++) {
		bool now = row[k][0] == event, later = row[k][0] > event;

		name_of(m, "vring_flags", row[k][4], flags, sizeof(flags));
		line_text(out,
			now     ? LINE_HERE
			: later ? LINE_LATER
				: LINE_PRE,
			"%s%4" PRId64 " 0x%-9" PRIx64 "%6" PRId64 " %-10s %s", now ? "▶" : " ",
			row[k][1], row[k][2], row[k][3], flags, role(k, n, row[k][4]));
	}
	line_text(out, LINE_DIM, "WRITE: the device writes it, else it reads it.%s",
		row[n - 1][0] > event ? " Dim: not read yet at this step." : "");
}

void pane_rings(struct model *m, struct lines *out)
{
	const struct request *q = model_request(m);
	int64_t event = cursor_event(m);
	const struct queue_setup *setup = NULL;
	struct indexes x;

	if (!q || event == MODEL_NONE) {
		line_text(out, LINE_DIM,
			"No request here, so there is no chain to show; ] goes to the next "
			"request.");
		return;
	}
	for (unsigned i = 0; i < m->queues; i++)
		if (m->queue[i].device == q->device && m->queue[i].queue == q->queue)
			setup = &m->queue[i];
	indexes_read(m, q, event, &x);
	if (setup)
		line_text(out, LINE_TEXT, "%s, queue %" PRId64 ", %" PRId64 " entries",
			q->device_name, q->queue, setup->size);
	else
		line_text(out, LINE_TEXT, "%s, queue %" PRId64, q->device_name, q->queue);
	index_line(out, "avail idx", x.avail, "the driver has published so many");
	index_line(out, "device has seen", x.seen, "the device has taken so many");
	index_line(out, "used idx", x.used, "the device has returned so many");
	cells(&x, out);
	chain(m, q, event, out);
	if (setup)
		line_text(out, LINE_DIM,
			"tables: desc 0x%" PRIx64 ", avail 0x%" PRIx64 ", used 0x%" PRIx64,
			setup->desc, setup->avail, setup->used);
	line_text(out, LINE_DIM,
		"As of event %" PRId64 "; what the driver wrote after that is not seen "
		"until the next notification.",
		event);
}
