/* SPDX-License-Identifier: MIT */
/*
 * A recording may come from anybody. What an SQLite file can make its reader do (views, triggers,
 * virtual tables and generated columns run SQL of the file's author) is switched off here.
 */
#ifndef EXITWALK_TRACER_UNTRUSTED_H
#define EXITWALK_TRACER_UNTRUSTED_H

#include <sqlite3.h>
#include "err.h"

/*
 * For every connection to a recording, before anything is asked of it: no triggers, no functions with
 * side effects, damaged cells are noticed, no value beyond UNTRUSTED_LENGTH bytes. -EIO, with a
 * sentence, if one of its tables is no plain table.
 */
int untrusted_open(sqlite3 *db, struct err *e);

/* Puts this program's own public views in front of those in the file. */
int untrusted_views(sqlite3 *db, struct err *e);

#define UNTRUSTED_LENGTH                                                                           \
	(4 << 20) /* the longest payload has some KiB, a command line up to 2 MiB */

#endif
