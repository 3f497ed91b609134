/* SPDX-License-Identifier: MIT */
/* The text mini-language of events.def, translated to SQL. */
#include "gen.h"

#include <stdlib.h>
#include <string.h>

bool gen_used(const char *arg)
{
	return strcmp(arg, "_") != 0;
}

void gen_quote(FILE *out, const char *s)
{
	fputc('\'', out);
	for (; *s; s++) {
		if (*s == '\'')
			fputc('\'', out);
		fputc(*s, out);
	}
	fputc('\'', out);
}

static int arg_index(const struct gen_kind *k, const char *name)
{
	for (int i = 0; i < GEN_ARGS; i++)
		if (gen_used(k->arg[i]) && strcmp(k->arg[i], name) == 0)
			return i;
	return -1;
}

/* One {name} or {name:how} at *s: its printf conversion to `format`, its SQL argument to `args`. */
static bool placeholder(const struct gen_kind *k, const char **s, FILE *format, FILE *args)
{
	char body[64], *how;
	const char *end = strchr(*s, '}');
	size_t len;
	int i;

	if (!end || (len = (size_t)(end - *s - 1)) >= sizeof(body))
		return false;
	memcpy(body, *s + 1, len);
	body[len] = 0;
	*s = end + 1;
	how = strchr(body, ':');
	if (how)
		*how++ = 0;
	i = arg_index(k, body);
	if (i < 0)
		return false;
	if (!how) {
		fputs("%d", format);
		fprintf(args, ", e.a%d", i);
	} else if (strcmp(how, "x") == 0) {
		fputs("0x%x", format);
		fprintf(args, ", e.a%d", i);
	} else if (!gen_has_enum(how)) {
		return false;
	} else if (strcmp(how, "region") == 0 || strcmp(how, "device") == 0) {
		fputs("%s", format);
		fprintf(args,
			",\n\t\tCASE e.a%d WHEN 0 THEN 'nobody' ELSE coalesce((SELECT name FROM %s "
			"WHERE id = e.a%d), printf('unknown %%d', e.a%d)) END",
			i, how, i, i);
	} else {
		fputs("%s", format);
		fprintf(args,
			",\n\t\tcoalesce((SELECT name FROM enum_name WHERE enum = '%s' AND value = "
			"e.a%d), "
			"printf('unknown %%d', e.a%d))",
			how, i, i);
	}
	return true;
}

bool gen_text_sql(FILE *out, const struct gen_kind *k)
{
	char *format_buf = NULL, *args_buf = NULL;
	size_t format_len, args_len;
	FILE *format = open_memstream(&format_buf, &format_len);
	FILE *args = open_memstream(&args_buf, &args_len);
	const char *s = k->text;
	bool ok = format && args;

	while (ok && *s) {
		if (*s == '{') {
			ok = placeholder(k, &s, format, args);
		} else {
			if (*s == '%') /* a literal one, for SQL's printf() */
				fputc('%', format);
			fputc(*s++, format);
		}
	}
	if (format)
		fclose(format);
	if (args)
		fclose(args);
	if (ok) {
		fputs("printf(", out);
		gen_quote(out, format_buf);
		fprintf(out, "%s)", args_buf);
	} else {
		fprintf(stderr, "gen: events.def: %s: the text '%s' cannot be translated at '%s'\n",
			k->name, k->text, s);
	}
	free(format_buf);
	free(args_buf);
	return ok;
}
