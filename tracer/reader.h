/* SPDX-License-Identifier: MIT */
/* What the commands that read a recording share: their FILE argument, --json, --ascii, the banner. */
#ifndef EXITWALK_TRACER_READER_H
#define EXITWALK_TRACER_READER_H

#include <argp.h>
#include <stdbool.h>

#include "recording.h"
#include "textout.h"

struct reader_args {
	const char *file;
	bool json, ascii;
	bool no_file; /* set by a command whose options make FILE needless */
};

/* Option keys; a command's own begin at READER_OWN_KEYS. */
enum { READER_JSON = 256, READER_ASCII, READER_OWN_KEYS };

#define READER_OPTION_JSON                                                                         \
	{                                                                                          \
		"json", READER_JSON, NULL, 0, "one JSON object on standard output; times in ns", 0 \
	}
#define READER_OPTION_ASCII                                                                        \
	{                                                                                          \
		"ascii", READER_ASCII, NULL, 0, "nothing but ASCII, whatever the locale says", 0   \
	}

/* An argp parser for the above; a command's own parser ends with it. */
error_t reader_parse(int key, char *arg, struct argp_state *state, struct reader_args *a);

/* The recording's banner on a line of its own, if it has one. */
void reader_banner(const struct recording *rec, const struct textout *o);

#endif
