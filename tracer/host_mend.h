/* SPDX-License-Identifier: MIT */
/* Exits whose rows did not get their end. */
#ifndef EXITWALK_TRACER_HOST_MEND_H
#define EXITWALK_TRACER_HOST_MEND_H

#include <sqlite3.h>

#include "err.h"

/*
 * Of an import that was cut off: a row of vm_exit that was stored while its exit went on gets its end, and what else
 * its events say, only when everything has been imported (bulk.h). The events of its end may be there all the same:
 * from them those rows get what they lack. Other rows and other recordings stay as they are. 0 or -errno.
 */
int host_mend_exits(sqlite3 *db, struct err *e);

#endif
