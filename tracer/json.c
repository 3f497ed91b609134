/* SPDX-License-Identifier: MIT */
/* Writes JSON to a stream. */
#include "json.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

void json_init(struct json *j, FILE *out)
{
	*j = (struct json){.out = out};
}

/* Length of the well-formed UTF-8 sequence at s (Unicode 15, table 3-7), 0 if it is none. */
static unsigned utf8_len(const unsigned char *s)
{
	unsigned char low = 0x80, high = 0xbf;
	unsigned n;

	if (s[0] < 0x80)
		return 1;
	if (s[0] >= 0xc2 && s[0] <= 0xdf)
		n = 2;
	else if (s[0] >= 0xe0 && s[0] <= 0xef)
		n = 3;
	else if (s[0] >= 0xf0 && s[0] <= 0xf4)
		n = 4;
	else
		return 0;
	if (s[0] == 0xe0)
		low = 0xa0; /* no overlong forms */
	else if (s[0] == 0xed)
		high = 0x9f; /* no surrogates */
	else if (s[0] == 0xf0)
		low = 0x90;
	else if (s[0] == 0xf4)
		high = 0x8f; /* nothing beyond U+10FFFF */
	for (unsigned i = 1; i < n; i++) {
		if (s[i] < low || s[i] > high)
			return 0;
		low = 0x80;
		high = 0xbf;
	}
	return n;
}

static void put_string(FILE *out, const char *text)
{
	const unsigned char *s = (const unsigned char *)text;

	putc('"', out);
	while (*s) {
		unsigned n = utf8_len(s);

		if (!n) {
			fputs("\xef\xbf\xbd", out);
			s++;
		} else if (*s == '"' || *s == '\\') {
			fprintf(out, "\\%c", *s++);
		} else if (*s == '\n') {
			fputs("\\n", out);
			s++;
		} else if (*s < 0x20 || *s == 0x7f) {
			fprintf(out, "\\u%04x", *s++);
		} else if (*s == 0xc2 && s[1] < 0xa0) { /* U+0080..U+009F move a terminal too */
			fprintf(out, "\\u%04x", s[1]);
			s += 2;
		} else {
			fwrite(s, 1, n, out);
			s += n;
		}
	}
	putc('"', out);
}

/* Comma, line break and key in front of the next element. */
static void lead(struct json *j, const char *key)
{
	if (j->used[j->depth])
		putc(',', j->out);
	if (j->depth)
		fprintf(j->out, "\n%*s", 2 * (int)j->depth, "");
	j->used[j->depth] = true;
	if (key) {
		put_string(j->out, key);
		fputs(": ", j->out);
	}
}

static void open_container(struct json *j, const char *key, char bracket)
{
	lead(j, key);
	putc(bracket, j->out);
	if (j->depth < JSON_MAX_DEPTH - 1)
		j->depth++;
	j->used[j->depth] = false;
}

static void close_container(struct json *j, char bracket)
{
	bool used = j->used[j->depth];

	if (j->depth)
		j->depth--;
	if (used)
		fprintf(j->out, "\n%*s", 2 * (int)j->depth, "");
	putc(bracket, j->out);
	if (!j->depth)
		putc('\n', j->out);
}

void json_object(struct json *j, const char *key)
{
	open_container(j, key, '{');
}

void json_array(struct json *j, const char *key)
{
	open_container(j, key, '[');
}

void json_end_object(struct json *j)
{
	close_container(j, '}');
}

void json_end_array(struct json *j)
{
	close_container(j, ']');
}

void json_string(struct json *j, const char *key, const char *value)
{
	lead(j, key);
	if (value)
		put_string(j->out, value);
	else
		fputs("null", j->out);
}

void json_int(struct json *j, const char *key, int64_t value)
{
	lead(j, key);
	fprintf(j->out, "%" PRId64, value);
}

void json_double(struct json *j, const char *key, double value)
{
	lead(j, key);
	if (isfinite(value))
		fprintf(j->out, "%.6g", value);
	else
		fputs("null", j->out);
}

void json_bool(struct json *j, const char *key, bool value)
{
	lead(j, key);
	fputs(value ? "true" : "false", j->out);
}

void json_null(struct json *j, const char *key)
{
	json_string(j, key, NULL);
}

void json_hex(struct json *j, const char *key, uint64_t value)
{
	lead(j, key);
	fprintf(j->out, "\"0x%" PRIx64 "\"", value);
}

void json_column(struct json *j, const char *key, sqlite3_stmt *stmt, int column)
{
	switch (sqlite3_column_type(stmt, column)) {
	case SQLITE_INTEGER:
		json_int(j, key, sqlite3_column_int64(stmt, column));
		break;
	case SQLITE_FLOAT:
		json_double(j, key, sqlite3_column_double(stmt, column));
		break;
	case SQLITE_NULL:
		json_null(j, key);
		break;
	default:
		json_string(j, key, (const char *)sqlite3_column_text(stmt, column));
	}
}
