/* SPDX-License-Identifier: MIT */
/* What a file is, from its first 100 bytes (https://www.sqlite.org/fileformat.html, 1.3). */
#ifndef EXITWALK_TRACER_RECORDING_FILE_H
#define EXITWALK_TRACER_RECORDING_FILE_H

#include <stdint.h>

enum recording_file_kind {
	RECORDING_FILE_ERROR,     /* it cannot be read; errno says why */
	RECORDING_FILE_IRREGULAR, /* a directory, a device … */
	RECORDING_FILE_EMPTY,
	RECORDING_FILE_FOREIGN, /* not SQLite */
	RECORDING_FILE_SQLITE,  /* a database of another program */
	RECORDING_FILE_RECORDING,
};

enum recording_file_kind recording_file_kind(int fd);

/* Bytes that the end of a finished recording lacks; 0: none, or a log beside it has the say. */
uint64_t recording_file_missing(int fd);

/* PRAGMA user_version of a file that is a RECORDING_FILE_RECORDING. */
uint32_t recording_file_version(int fd);

#endif
