/* SPDX-License-Identifier: MIT */
/* What the two halves of the schema generator share. */
#ifndef EXITWALK_SCHEMA_GEN_H
#define EXITWALK_SCHEMA_GEN_H

#include <stdbool.h>
#include <stdio.h>

#define GEN_ARGS 6

struct gen_kind {
	int id, stage, layer, source;
	const char *name, *text, *doc;
	const char *arg[GEN_ARGS]; /* "_": unused */
};

bool gen_used(const char *arg);

/* s as an SQL string literal. */
void gen_quote(FILE *out, const char *s);

/*
 * The text of events.def as an SQL expression over a row of event called `e`: printf() with one
 * argument per {…}. Returns false, with a sentence on stderr, if the text does not parse or names an
 * argument that the kind does not have.
 */
bool gen_text_sql(FILE *out, const struct gen_kind *k);

/* Does the list of names have this enum? (Or is it a table that names ids: "region", "device".) */
bool gen_has_enum(const char *name);

#endif
