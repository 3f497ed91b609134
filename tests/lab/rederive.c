/* SPDX-License-Identifier: MIT */
/*
 * Derives recordings anew and seals them: for the shipped ones, when what is derived has changed and the
 * evidence in them is as good as before. What was recorded is compared with the seal first.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tracer/check.h"

/* Prints what is wrong with the evidence. */
static int evidence_is_whole(const char *file, struct err *e)
{
	struct textout out;
	struct recording rec;
	struct check c = {.recording = &rec, .out = &out};
	int ret = recording_open(&rec, file, e);

	if (ret)
		return ret;
	textout_init(&out, stdout, false);
	c.db = rec.db;
	if (rec.cut_off)
		ret = err_set(
			e, -EINVAL, "%s was cut off: exitwalk check --repair finishes it", file);
	if (!ret)
		ret = check_seal(&c, e);
	recording_close(&rec);
	if (!ret && c.failures)
		ret = err_set(e, -EBADMSG, "%s is not what was sealed", file);
	return ret;
}

int main(int argc, char **argv)
{
	struct err e = {""};

	for (int i = 1; i < argc; i++)
		if (evidence_is_whole(argv[i], &e) || recording_derive_anew(argv[i], NULL, &e)) {
			fprintf(stderr, "rederive: %s\n", e.msg);
			return 1;
		}
	return 0;
}
