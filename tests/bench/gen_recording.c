/* SPDX-License-Identifier: MIT */
/*
 * Makes a finished recording of about N events through the real recorder.
 *
 *   gen_recording FILE N
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "mix.h"

int main(int argc, char **argv)
{
	struct mix g = {.ts = 1000000000};
	struct err e = {""};
	int ret;

	if (argc != 3)
		return fprintf(stderr, "usage: gen_recording FILE EVENTS\n"), 64;
	ret = recorder_open(&g.r, argv[1], NULL, &e);
	if (!ret) {
		mix_describe(g.r);
		g.p = recorder_track(g.r, "vcpu", 0, "vcpu0");
		ret = recorder_start(g.r, &e);
	}
	if (!ret) {
		mix_generate(&g, strtoull(argv[2], NULL, 0));
		ret = recorder_finish(g.r, &e);
	}
	recorder_free(g.r);
	if (ret) {
		fprintf(stderr, "gen_recording: %s\n", e.msg);
		return 1;
	}
	printf("%" PRIu64 " events, %" PRIu64 " exits, %" PRIu64 " requests\n", g.events, g.exit,
		g.request);
	return 0;
}
