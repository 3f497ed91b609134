/* SPDX-License-Identifier: MIT */
/* What the commands that read a recording share. */
#include "reader.h"

error_t reader_parse(int key, char *arg, struct argp_state *state, struct reader_args *a)
{
	switch (key) {
	case READER_JSON:
		a->json = true;
		return 0;
	case READER_ASCII:
		a->ascii = true;
		return 0;
	case ARGP_KEY_ARG:
		if (a->file)
			argp_error(state, "one recording, please");
		a->file = arg;
		return 0;
	case ARGP_KEY_END:
		if (!a->file && !a->no_file)
			argp_error(state, "which recording?");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

void reader_banner(const struct recording *rec, const struct textout *o)
{
	if (!rec->banner[0])
		return;
	textout_style(o, STYLE_RED);
	textout_put(o, rec->banner, 0);
	textout_style(o, STYLE_PLAIN);
	putchar('\n');
}
