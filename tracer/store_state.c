/* SPDX-License-Identifier: MIT */
/* The two ends of making a recording. */
#include "store_state.h"

#include <time.h>

#include "bulk.h"
#include "cmd.h"
#include "schema/schema.h"
#include "seal.h"

int store_begins(struct store *s, struct err *e)
{
	struct timespec real;
	char created[32];
	struct tm utc;
	int ret = store_begin(s, e);

	clock_gettime(CLOCK_REALTIME, &real);
	strftime(created, sizeof(created), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&real.tv_sec, &utc));
	if (!ret)
		ret = store_meta_int(s, "schema", SCHEMA_VERSION, e);
	if (!ret)
		ret = store_meta_text(s, "state", "recording", e);
	if (!ret)
		ret = store_meta_text(s, "recorder.version", EXITWALK_VERSION, e);
	if (!ret)
		ret = store_meta_text(s, "created", created, e);
	return ret ? ret : store_commit(s, e);
}

int store_ends(struct store *s, struct err *e)
{
	int ret = store_begin(s, e);

	if (!ret)
		ret = store_meta_text(s, "state", "complete", e);
	if (!ret)
		ret = seal_write_known(s->db, s->bulk ? bulk_digests(s->bulk) : NULL, e);
	if (!ret)
		ret = store_commit(s, e);
	return ret ? ret : store_one_file(s, e);
}
