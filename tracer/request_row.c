/* SPDX-License-Identifier: MIT */
/* A request in one line: what tells it apart from the others. */
#include "request_row.h"

#include <stdio.h>
#include <string.h>

#include "times.h"

const struct request_column_info request_column[REQUEST_COLS] = {
#define X(id, title, width, right, rank) [REQUEST_COL_##id] = {title, width, right, rank},
	REQUEST_COLUMNS(X)
#undef X
};

#define GAP 2

static int64_t number_of(sqlite3_stmt *row, int column)
{
	return sqlite3_column_type(row, column) == SQLITE_NULL ? REQUEST_NONE
							       : sqlite3_column_int64(row, column);
}

void request_row_read(sqlite3_stmt *row, struct request *q)
{
	int64_t *const number[] = {&q->id, &q->sector, &q->bytes, &q->t_first, &q->t_last,
		&q->exits, &q->pid, &q->kick_exit, &q->device, &q->queue, &q->head, &q->call,
		&q->offset, &q->notify, &q->begin};
	const struct {
		char *buf;
		size_t size;
	} text[] = {{q->type, sizeof(q->type)}, {q->status, sizeof(q->status)},
		{q->comm, sizeof(q->comm)}, {q->syscall, sizeof(q->syscall)},
		{q->device_name, sizeof(q->device_name)}, {q->kick, sizeof(q->kick)},
		{q->kicker, sizeof(q->kicker)}, {q->path, sizeof(q->path)}};
	const int numbers = sizeof(number) / sizeof(number[0]);

	for (int i = 0; i < numbers; i++)
		*number[i] = number_of(row, i);
	for (size_t i = 0; i < sizeof(text) / sizeof(text[0]); i++) {
		const char *t = (const char *)sqlite3_column_text(row, numbers + (int)i);

		snprintf(text[i].buf, text[i].size, "%s", t ? t : "");
	}
}

/* How wide the line is with all columns up to this rank. */
static int line_width(int rank)
{
	int w = -GAP;

	for (int c = 0; c < REQUEST_COLS; c++)
		if (request_column[c].rank <= rank)
			w += request_column[c].width + GAP;
	return w;
}

void request_columns_fit(int room, int width[REQUEST_COLS])
{
	int rank = REQUEST_COLS;

	while (rank > 0 && line_width(rank) > room)
		rank--;
	for (int c = 0; c < REQUEST_COLS; c++)
		width[c] = request_column[c].rank <= rank ? request_column[c].width : 0;
	if (width[REQUEST_COLS - 1] && room > line_width(rank))
		width[REQUEST_COLS - 1] += room - line_width(rank);
}

static const char *without(const char *prefix, const char *s)
{
	size_t n = strlen(prefix);

	return strncmp(prefix, s, n) == 0 ? s + n : s;
}

static void number(char *buf, size_t size, int64_t v)
{
	if (v != REQUEST_NONE)
		snprintf(buf, size, "%lld", (long long)v);
}

static void kick(const struct request *q, char *buf, size_t size)
{
	if (q->kick_exit != REQUEST_NONE)
		snprintf(buf, size, "exit %lld", (long long)q->kick_exit);
	else if (q->kick[0])
		snprintf(buf, size, "%s", q->kick);
	else if (q->device) /* the device was at work and found it in the queue */
		snprintf(buf, size, "none");
}

static void kicker(const struct request *q, char *buf, size_t size)
{
	/* Of a trace of the host the thread's name would only say which VMM it is. */
	if (q->device && q->kicker[0])
		snprintf(buf, size, "%s", q->kicker);
	else if (q->kick[0])
		snprintf(buf, size, "the guest");
}

static void task(const struct request *q, char *buf, size_t size)
{
	if (q->pid != REQUEST_NONE)
		snprintf(buf, size, "%s[%lld]", q->comm, (long long)q->pid);
	else if (q->device) /* a trace of the host says nothing of the guest's tasks */
		snprintf(buf, size, "(kernel)");
}

static void wall(const struct request *q, char *buf, size_t size)
{
	if (q->t_first != REQUEST_NONE && q->t_last != REQUEST_NONE)
		text_ns(q->t_last - q->t_first, buf, size);
}

const char *request_cell(const struct request *q, enum request_column c, char *buf, size_t size)
{
	snprintf(buf, size, "-");
	switch (c) {
	case REQUEST_COL_ID:
		number(buf, size, q->id);
		break;
	case REQUEST_COL_BEGIN:
		if (q->t_first != REQUEST_NONE && q->begin != REQUEST_NONE)
			snprintf(buf, size, "%.6f", (double)(q->t_first - q->begin) / 1e9);
		break;
	case REQUEST_COL_TASK:
		task(q, buf, size);
		break;
	case REQUEST_COL_CALL:
		if (q->syscall[0])
			snprintf(buf, size, "%s", q->syscall);
		break;
	case REQUEST_COL_OFFSET:
		number(buf, size, q->offset);
		break;
	case REQUEST_COL_TYPE:
		if (q->type[0])
			snprintf(buf, size, "%s", without("VIRTIO_BLK_T_", q->type));
		break;
	case REQUEST_COL_SECTOR:
		number(buf, size, q->sector);
		break;
	case REQUEST_COL_BYTES:
		number(buf, size, q->bytes);
		break;
	case REQUEST_COL_WALL:
		wall(q, buf, size);
		break;
	case REQUEST_COL_EXITS:
		number(buf, size, q->exits);
		break;
	case REQUEST_COL_KICK:
		kicker(q, buf, size);
		break;
	case REQUEST_COL_WAY:
		kick(q, buf, size);
		break;
	case REQUEST_COL_DEVICE:
		if (q->device_name[0])
			snprintf(buf, size, "%s", q->device_name);
		break;
	case REQUEST_COL_STATUS:
		if (q->status[0])
			snprintf(buf, size, "%s", without("VIRTIO_BLK_S_", q->status));
		break;
	default:
		if (q->path[0])
			snprintf(buf, size, "%s", q->path);
	}
	return buf;
}
