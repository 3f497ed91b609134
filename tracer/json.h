/* SPDX-License-Identifier: MIT */
/* A JSON writer (RFC 8259): commas, indentation, escapes; the caller pairs begin and end. */
#ifndef EXITWALK_TRACER_JSON_H
#define EXITWALK_TRACER_JSON_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define JSON_MAX_DEPTH 16

struct json {
	FILE *out;
	unsigned depth;
	bool used[JSON_MAX_DEPTH]; /* something stands in this container already */
};

void json_init(struct json *j, FILE *out);

/* A container as the next element, or as the value of `key` (NULL inside an array). */
void json_object(struct json *j, const char *key);
void json_array(struct json *j, const char *key);
void json_end_object(struct json *j);
void json_end_array(struct json *j);

/* Values; key as above. A NULL string is null; bytes that are not UTF-8 become U+FFFD. */
void json_string(struct json *j, const char *key, const char *value);
void json_int(struct json *j, const char *key, int64_t value);
void json_double(struct json *j, const char *key, double value); /* not finite: null */
void json_bool(struct json *j, const char *key, bool value);
void json_null(struct json *j, const char *key);
/* An address or port: a string "0x…", since JSON numbers are doubles to many readers. */
void json_hex(struct json *j, const char *key, uint64_t value);

/* A column of the current row, by its type. */
void json_column(struct json *j, const char *key, sqlite3_stmt *stmt, int column);

#endif
