/* SPDX-License-Identifier: MIT */
/*
 * A request in one line: what tells it apart from the others. The list of `exitwalk path --list` and that of the
 * UI have the same columns, declared here.
 */
#ifndef EXITWALK_TRACER_REQUEST_ROW_H
#define EXITWALK_TRACER_REQUEST_ROW_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "probe.h"

#define REQUEST_NONE INT64_MIN /* "no value": SQL's NULL */

/* A request, the system call that it came from and what told the device of it. */
struct request {
	int64_t id, sector, bytes, t_first, t_last, exits, pid, kick_exit, device, queue, head;
	int64_t call;   /* guest_call.id */
	int64_t offset; /* of a system call that has one among its arguments */
	int64_t notify; /* the event queue_notify that told of it */
	int64_t begin;  /* the recording's first time */
	char type[32], status[32], comm[20], syscall[24], device_name[32];
	char kick[16];   /* v_request.kick */
	char kicker[40]; /* who ran when the device was told: a task of the guest, or a vCPU */
	char path[64];   /* the file, as the guest's process says */
};

/*
 * SELECT … of all requests; WHERE and ORDER BY on q.id follow. The task that the VMM found running in the exit of the
 * notify; else the one that the guest's kernel says issued it; else the vCPU.
 */
#define REQUEST_ROW_SQL                                                                             \
	"SELECT v.id, v.sector, v.bytes, v.t_first_ns, v.t_last_ns, v.exits, v.pid, q.kick_exit, "  \
	"q.device, q.queue, q.head, q.guest_call, "                                                 \
	"(SELECT CASE WHEN c.nr IN (17, 18, 295, 296) THEN c.arg3 END FROM guest_call c "           \
	"WHERE c.id = q.guest_call), q.notify_event, "                                              \
	"(SELECT ts FROM event ORDER BY id LIMIT 1), "                                              \
	"v.type, v.status, v.comm, v.syscall, v.device, v.kick, coalesce("                          \
	"(SELECT printf('%s[%d]', g.comm, g.pid) FROM vm_exit x JOIN guest_task g ON g.event_id > " \
	"x.event_id AND g.event_id <= x.event_id + 16 JOIN event e ON e.id = g.event_id AND "       \
	"e.exit_id = x.id WHERE x.id = q.kick_exit LIMIT 1), "                                      \
	"(SELECT a.name FROM v_guest_actor a WHERE a.event_id = q.guest_issue), "                   \
	"(SELECT t.name FROM vm_exit x JOIN event e ON e.id = x.event_id JOIN track t ON t.id = "   \
	"e.track WHERE x.id = q.kick_exit)), "                                                      \
	"(SELECT c.path FROM guest_call c WHERE c.id = q.guest_call) "                              \
	"FROM request q JOIN v_request v ON v.id = q.id "

/*
 * The request with which the story begins: the guest's first write(2) that reached the disk; without one, whatever
 * comes nearest. ?1: only those before this one, so that a long recording is not searched to its end; NULL: all.
 */
#define REQUEST_FIRST_WRITE_SQL                                                                    \
	"SELECT q.id FROM request q LEFT JOIN guest_call c ON c.id = q.guest_call "                \
	"WHERE ?1 IS NULL OR q.id < ?1 "                                                           \
	"ORDER BY q.type IS NOT 1, c.nr IS NOT 1, c.id IS NULL, q.t_first, q.id LIMIT 1"

void request_row_read(sqlite3_stmt *row, struct request *q);

/*
 * REQUEST_COLUMN(ID, title, width, to the right, rank): where there is no room the ones with the highest rank
 * are left out. The last one takes what is left.
 */
#define REQUEST_COLUMNS(X)                                                                         \
	X(ID, "#", 5, true, 0)                                                                     \
	X(BEGIN, "begins s", 10, true, 12)                                                         \
	X(TASK, "task", 14, false, 3)                                                              \
	X(CALL, "call", 9, false, 1)                                                               \
	X(OFFSET, "offset", 10, true, 8)                                                           \
	X(TYPE, "type", 5, false, 1)                                                               \
	X(SECTOR, "sector", 9, true, 2)                                                            \
	X(BYTES, "bytes", 6, true, 4)                                                              \
	X(WALL, "wall time", 9, true, 5)                                                           \
	X(EXITS, "exits", 5, true, 10)                                                             \
	X(KICK, "kicked by", 16, false, 7)                                                         \
	X(WAY, "kick", 10, false, 9)                                                               \
	X(DEVICE, "device", 12, false, 11)                                                         \
	X(STATUS, "status", 6, false, 13)                                                          \
	X(FILE, "file", 8, false, 6)

enum request_column {
#define X(id, title, width, right, rank) REQUEST_COL_##id,
	REQUEST_COLUMNS(X)
#undef X
		REQUEST_COLS
};

struct request_column_info {
	const char *title;
	int width; /* columns on the screen; two more stand between it and the next */
	bool right;
	int rank;
};
extern const struct request_column_info request_column[REQUEST_COLS];

/* Says in `width` how wide each column is in a line of `room` columns; 0: left out. */
void request_columns_fit(int room, int width[REQUEST_COLS]);

/* The text of a cell, "-" where nothing was recorded; untrusted, as it was recorded. Returns buf. */
const char *request_cell(const struct request *q, enum request_column c, char *buf, size_t size);

#endif
