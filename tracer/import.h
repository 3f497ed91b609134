/* SPDX-License-Identifier: MIT */
/* Makes a recording of somebody else's trace. */
#ifndef EXITWALK_TRACER_IMPORT_H
#define EXITWALK_TRACER_IMPORT_H

#include <stdbool.h>
#include <stdint.h>
#include "err.h"

struct store;

struct import_opts {
	const char *in;  /* a trace.dat of trace-cmd, version 6 or 7 */
	const char *out; /* the recording; one that is there is replaced */
	bool progress;   /* a counter on stderr */
	/* A new recording, by store_create_bulk(), that is `out` already, for who makes very many; it is used up.
	 * NULL: `out` is made. */
	struct store *store;
};

struct import_result {
	uint64_t events, exits, lost, gaps;
	bool made;        /* `out` is a complete recording now, of what could be read */
	char damage[512]; /* empty, or what is wrong with the input, as the end of a sentence */
};

/*
 * -ENOENT, -EACCES …: the input cannot be read; -EPROTO: it is no trace.dat; -EIO: it is damaged so that
 * nothing could be read; -ENODATA: it has no record that exitwalk knows; or the recorder's errors. Where
 * only the end of the input is damaged this is 0, and result->damage says so.
 */
int import_file(const struct import_opts *o, struct import_result *result, struct err *e);

#endif
