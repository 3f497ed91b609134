/* SPDX-License-Identifier: MIT */
/* All that a guest's agent has said, in memory: decoded in a process of its own out of a recording's guest_stream. */
#ifndef EXITWALK_TRACER_GUEST_GATHER_H
#define EXITWALK_TRACER_GUEST_GATHER_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "err.h"
#include "guest_decode.h"
#include "u64_map.h"

/* More than any demonstration has; what comes behind them is counted as lost. */
#define GUEST_EVENTS_MAX (1u << 22)
#define GUEST_NAMES_MAX (1u << 16) /* of functions and places */
#define GUEST_LOSSES_MAX (1u << 18)
#define GUEST_MARKS_MAX (1u << 18)
#define GUEST_METAS 32

/* One event, and what becomes of it. */
struct guest_row {
	uint64_t tsc, a[6];
	int64_t ts, error, dur; /* dur -1: none */
	uint32_t pid;
	uint16_t kind, cpu;
	uint8_t flags;   /* as guest_event has them */
	uint8_t present; /* bit i: a[i] is there */
	uint8_t place;   /* enum guest_place */
};

struct guest_loss {
	uint64_t ts0, ts1, n; /* of guest_sink.loss() */
	unsigned cpu;
};

struct guest_mark {
	uint64_t tsc, end;
	unsigned cpu;
};

/* A piece of the stream: the event that brought it. */
struct guest_piece_at {
	uint64_t end; /* of its last byte in the stream, plus one */
	int64_t ts;
};

/* A name of an enum_name list; text NULL: not known yet. */
struct guest_named {
	uint64_t value; /* the address */
	bool place;     /* it lies anywhere in a function */
	char *text;
};

struct guest_gather {
	struct guest_row *row;
	size_t rows, rows_cap;
	struct guest_loss *loss;
	size_t losses, losses_cap;
	struct guest_mark *mark;
	size_t marks, marks_cap;
	struct guest_piece_at *piece;
	size_t pieces, pieces_cap;
	struct guest_named *named; /* number i of guest_func is named[i - 1] */
	size_t names, names_cap;
	struct u64_map name_at; /* (address, place) → number */
	struct u64_map pid;     /* pid → comm[value - 1] */
	char (*comm)[16];
	size_t comms, comms_cap;
	struct {
		char key[48];
		char *value;
	} meta[GUEST_METAS];
	size_t metas;
	uint64_t bytes, dropped; /* of the stream; events and losses beyond their number */
	uint64_t taken;          /* events of messages */
	char damage[256];        /* empty, or why decoding stopped before the end */
};

/*
 * Reads the events guest_stream of db, in order, and what their bytes say. What a guest sent may end the
 * decoding, not the caller: g->damage says so, and what came before it is there. All zero g is empty.
 */
int guest_gather(struct guest_gather *g, sqlite3 *db, struct err *e);
void guest_gather_free(struct guest_gather *g);

/* Takes a message of the decoding process: for guest_gather(), and for tests. -EPROTO: it is none. */
int guest_gather_take(
	struct guest_gather *g, unsigned type, const void *data, size_t len, struct err *e);

/* A line of meta that was said; NULL: it was not. */
const char *guest_gather_meta(const struct guest_gather *g, const char *key);

#endif
