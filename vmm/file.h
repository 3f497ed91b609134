/* SPDX-License-Identifier: MIT */
/* Reads a whole file into memory. */
#ifndef EXITWALK_VMM_FILE_H
#define EXITWALK_VMM_FILE_H

#include <stddef.h>
#include "tracer/err.h"

/*
 * `what` ("the kernel") is for the sentence. Only regular files of 1 byte to 2 GiB; *data is to be freed.
 * Reading, not mapping: a file that shrinks under a mapping would kill the process.
 */
int file_read(const char *path, const char *what, void **data, size_t *len, struct err *e);

#endif
