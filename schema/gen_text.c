/* SPDX-License-Identifier: MIT */
/* The text mini-language of events.def, translated to SQL. */
#include "gen.h"

#include <stdlib.h>
#include <string.h>

#include "tracer/hw_exit.h"

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

/* --- what is special to one kind or two ------------------------------------------------------ */

#define NAME_OF(list, value)                                                                       \
	"coalesce((SELECT name FROM enum_name WHERE enum = '" list "' AND value = " value          \
	"), printf('0x%%x', " value "))"

/* A system call of the host as one writes it in C; e.a0 is its number, e.a1 … its arguments. */
static void host_call(FILE *args, const struct gen_kind *k, int i)
{
	(void)k;
	fprintf(args,
		",\n\t\tcoalesce((SELECT name FROM enum_name WHERE enum = 'syscall' AND value = e.a%d), "
		"printf('syscall_%%d', e.a%d)) || CASE"
		"\n\t\tWHEN e.a%d = 16 THEN printf('(fd %%d, %%s, 0x%%x)', e.a1, " NAME_OF(
			"kvm_ioctl",
			"e.a2") ", e.a3)"
				"\n\t\tWHEN e.a%d IN (0, 1) THEN printf('(fd %%d, 0x%%x, %%d bytes)', e.a1, e.a2, e.a3)"
				"\n\t\tWHEN e.a%d IN (17, 18) THEN printf('(fd %%d, 0x%%x, %%d bytes, offset %%d)', "
				"e.a1, e.a2, e.a3, e.a4)"
				"\n\t\tWHEN e.a%d IN (19, 20) THEN printf('(fd %%d, 0x%%x, %%d vectors)', e.a1, e.a2, "
				"e.a3)"
				"\n\t\tWHEN e.a%d IN (295, 296, 327, 328) THEN printf('(fd %%d, 0x%%x, %%d vectors, "
				"offset %%d)', e.a1, e.a2, e.a3, e.a4)"
				"\n\t\tWHEN e.a%d IN (74, 75) THEN printf('(fd %%d)', e.a1)"
				"\n\t\tWHEN e.a%d = 202 THEN printf('(0x%%x, %%s, %%d)', e.a1, " NAME_OF(
					"futex_op",
					"(e.a2 & 127)") ", e.a3)"
							"\n\t\tWHEN e.a%d = 426 THEN printf('(fd %%d, %%d to submit, %%d to complete)', e.a1, "
							"e.a2, e.a3)"
							"\n\t\tELSE printf('(0x%%x, 0x%%x, 0x%%x, 0x%%x, 0x%%x)', e.a1, e.a2, e.a3, e.a4, e.a5) "
							"END",
		i, i, i, i, i, i, i, i, i, i);
}

/* The name of exit e.aN's hardware reason. */
static void hw_exit(FILE *args, const struct gen_kind *k, int i)
{
	(void)k;
	fprintf(args, ",\n\t\t(SELECT hw_reason_name FROM v_exit WHERE id = e.a%d)", i);
}

/* What the qualification e.aN of an exit by an I/O instruction says; nothing for other exits. */
static void hw_io(FILE *args, const struct gen_kind *k, int i)
{
	int isa = arg_index(k, "isa"), reason = arg_index(k, "reason");

	fprintf(args,
		",\n\t\tCASE WHEN e.a%d = %u AND e.a%d & %u = %u THEN printf(' (port 0x%%x, %%s, size "
		"%%d%%s%%s)',"
		"\n\t\t\te.a%d >> %d & %u, CASE WHEN e.a%d & %u THEN 'IN' ELSE 'OUT' END, (e.a%d & %u) "
		"+ 1,"
		"\n\t\t\tCASE WHEN e.a%d & %u THEN ', string' ELSE '' END, CASE WHEN e.a%d & %u THEN ', "
		"REP' ELSE '' END)",
		isa, HW_VMX, reason, HW_VMX_BASIC | HW_VMX_ENTRY_FAILED, HW_VMX_IO, i,
		HW_IO_PORT_SHIFT, HW_IO_PORT, i, HW_VMX_IO_IN, i, HW_VMX_IO_SIZE, i,
		HW_VMX_IO_STRING, i, HW_VMX_IO_REP);
	fprintf(args,
		"\n\t\tWHEN e.a%d = %u AND e.a%d = %u THEN printf(' (port 0x%%x, %%s, size %%d%%s%%s)',"
		"\n\t\t\te.a%d >> %d & %u, CASE WHEN e.a%d & %u THEN 'IN' ELSE 'OUT' END, e.a%d >> %d & "
		"%u,"
		"\n\t\t\tCASE WHEN e.a%d & %u THEN ', string' ELSE '' END, CASE WHEN e.a%d & %u THEN ', "
		"REP' ELSE '' END)"
		"\n\t\tELSE '' END",
		isa, HW_SVM, reason, HW_SVM_IO, i, HW_IO_PORT_SHIFT, HW_IO_PORT, i, HW_SVM_IO_IN, i,
		HW_SVM_IO_SIZE_SHIFT, HW_SVM_IO_SIZE, i, HW_SVM_IO_STRING, i, HW_SVM_IO_REP);
}

/* As many bytes as the argument `len` says, from the high byte of e.aN on and then of the next one. */
static void bytes(FILE *args, const struct gen_kind *k, int i)
{
	fprintf(args, ",\n\t\tsubstr(printf('%%016x%%016x', e.a%d, e.a%d), 1, 2 * e.a%d)", i, i + 1,
		arg_index(k, "len"));
}

static void device_number(FILE *args, const struct gen_kind *k, int i)
{
	(void)k; /* MINORBITS of include/linux/kdev_t.h is 20 */
	fprintf(args, ",\n\t\tprintf('%%d:%%d', e.a%d >> 20 & 4095, e.a%d & 1048575)", i, i);
}

static void letters(FILE *args, const struct gen_kind *k, int i)
{
	(void)k;
	fputs(",\n\t\tprintf('%s', char(", args);
	for (int shift = 0; shift < 64; shift += 8)
		fprintf(args, "%se.a%d >> %d & 127", shift ? ", " : "", i, shift);
	fputs("))", args);
}

/* A blank for each function that this one runs in. */
static void indent(FILE *args, const struct gen_kind *k, int i)
{
	(void)k;
	fprintf(args, ",\n\t\tprintf('%%*s', min(coalesce(e.a%d, 0), 32), '')", i);
}

/* Who called the function; function_graph does not say. */
static void caller(FILE *args, const struct gen_kind *k, int i)
{
	(void)k;
	fprintf(args,
		",\n\t\tCASE WHEN e.a%d IS NULL THEN '' ELSE ', called by ' || coalesce((SELECT name FROM "
		"enum_name WHERE enum = 'host_func' AND value = e.a%d), printf('unknown %%d', e.a%d)) END",
		i, i, i);
}

static const struct {
	const char *how;
	void (*put)(FILE *args, const struct gen_kind *k, int i);
} special[] = {
	{"call", host_call},
	{"hw_exit", hw_exit},
	{"hw_io", hw_io},
	{"bytes", bytes},
	{"dev", device_number},
	{"chars", letters},
	{"indent", indent},
	{"caller", caller},
};

static bool put_special(FILE *args, const struct gen_kind *k, int i, const char *how)
{
	for (size_t s = 0; s < sizeof(special) / sizeof(special[0]); s++)
		if (strcmp(special[s].how, how) == 0) {
			special[s].put(args, k, i);
			return true;
		}
	return false;
}

/* A table whose rows have a name. */
static bool is_table(const char *how)
{
	return !strcmp(how, "region") || !strcmp(how, "device") || !strcmp(how, "track");
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
	} else if (put_special(args, k, i, how)) {
		fputs("%s", format);
	} else if (!gen_has_enum(how) && !is_table(how)) {
		return false;
	} else if (is_table(how)) {
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
