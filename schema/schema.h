/* SPDX-License-Identifier: MIT */
/* The SQL of schema/, built into the program. */
#ifndef EXITWALK_SCHEMA_SCHEMA_H
#define EXITWALK_SCHEMA_SCHEMA_H

#define SCHEMA_APPLICATION_ID 0x45585731 /* "EXW1": at offset 68 of the file, big-endian */
#define SCHEMA_VERSION 4 /* PRAGMA user_version; schema/README.md says when it grows */

/* Statements that make an empty database a recording: tables, names, event kinds, public views. */
extern const char schema_sql[];

#endif
