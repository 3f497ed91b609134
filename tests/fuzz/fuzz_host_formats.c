/* SPDX-License-Identifier: MIT */
/*
 * libFuzzer target: formats of tracepoints with any offsets, sizes and flags, as a damaged or hostile file can
 * make libtraceevent give them to the decoder; and records of any length and content. Whatever they say, the
 * decoder reads nothing outside of the record, and gives the same as for a copy of it elsewhere.
 *
 * The library parses formats that are whole; their fields are then changed here, since what it makes of
 * formats that are not is its own.
 *
 * sources: tracer/host_decode.c @BUILD@/libexitwalk.a
 * libs: -isystem /usr/include/traceevent -ltraceevent -lsqlite3
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/trace_dat.h"
#include "tracer/host_decode.h"

#define RECORDS_MAX 64
#define FIELDS_MAX 12 /* of one format, with the common ones */

struct input {
	const uint8_t *p, *end;
};

static struct tep_handle *tep;
static struct tep_format_field was[TD_FORMATS][FIELDS_MAX];

static void check(int ok)
{
	if (!ok)
		abort();
}

static uint32_t take(struct input *i, unsigned n)
{
	uint32_t v = 0;

	for (; n && i->p < i->end; n--)
		v = v << 8 | *i->p++;
	return v;
}

/* The fields of the record itself: those that are common to all are the library's to read. */
static struct tep_format_field *fields(size_t format)
{
	return tep_find_event(tep, (int)td_formats[format].id)->format.fields;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	tep = tep_alloc();
	for (size_t i = 0; i < TD_FORMATS; i++) {
		char *text = td_format_text(&td_formats[i]);
		size_t n = 0;

		check(tep_parse_event(tep, text, strlen(text), td_formats[i].system) == 0);
		free(text);
		for (struct tep_format_field *f = fields(i); f; f = f->next) {
			check(n < FIELDS_MAX);
			was[i][n++] = *f;
		}
	}
	return 0;
}

/* A number as a file may have it: near the right one, small, or anything. */
static int number(struct input *i, int right)
{
	uint32_t how = take(i, 1);

	if (how < 128)
		return right;
	if (how < 192)
		return right + (int)(how - 160);
	if (how < 240)
		return (int)(how - 192);
	return (int)take(i, 4);
}

static void change_formats(struct input *i)
{
	for (size_t k = 0; k < TD_FORMATS; k++) {
		bool change = take(i, 1) & 1;
		size_t n = 0;

		for (struct tep_format_field *f = fields(k); f; f = f->next) {
			*f = was[k][n++];
			if (!change)
				continue;
			f->offset = number(i, f->offset);
			f->size = number(i, f->size);
			f->arraylen = (unsigned)number(i, (int)f->arraylen);
			f->elementsize = (unsigned)number(i, (int)f->elementsize);
			f->flags ^= take(i, 1) & 0x7f;
		}
	}
}

/* In a place of its own, at the end of which nothing may be read. */
static bool decode(struct host_decoder *d, const uint8_t *bytes, size_t len, struct host_event *ev)
{
	uint8_t *copy = malloc(len);
	struct tep_record record = {.data = copy, .size = (int)len, .ts = 1, .cpu = 1};
	bool ok;

	check(!len || copy);
	memcpy(copy, bytes, len);
	ok = host_decode(d, &record, ev);
	free(copy);
	return ok;
}

static void one_record(struct host_decoder *d, struct input *i)
{
	uint8_t what = (uint8_t)take(i, 1), data[128] = {0};
	struct host_event a = {0}, b = {0};
	uint64_t value[9];
	size_t len;

	for (int k = 0; k < 9; k++)
		value[k] = take(i, 4);
	len = td_record(data, 100 + what % 8, TD_ENTRY + what % (unsigned)TD_FORMATS, value);
	/* The common fields are the library's to read, and it looks at no length: the least that it gives. */
	if (what >= 128)
		len = 8 + take(i, 1) % 112;
	check(decode(d, data, len, &a) == decode(d, data, len, &b));
	check(!memcmp(&a, &b, sizeof(a)));
	check(a.bytes <= HOST_DATA && !(a.present >> 6));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input i = {data, data + size};
	struct host_decoder *d;

	change_formats(&i);
	check(host_decoder_create(&d, tep, NULL) == 0);
	if (take(&i, 1) & 1)
		host_decoder_functions(d);
	for (int n = 0; n < RECORDS_MAX && i.p < i.end; n++)
		one_record(d, &i);
	host_decoder_destroy(d);
	return 0;
}
