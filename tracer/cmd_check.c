/* SPDX-License-Identifier: MIT */
/* exitwalk check: is this recording whole and consistent? And --repair for one that was cut off. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "check.h"
#include "cmd.h"
#include "reader.h"
#include "schema/schema.h"
#include "sql.h"

enum { KEY_REPAIR = READER_OWN_KEYS };

struct args {
	struct reader_args reader;
	bool repair;
};

static const struct argp_option options[] = {
	{"repair", KEY_REPAIR, NULL, 0,
		"finish a recording that was cut off: derive its requests, seal it, and note in meta that this was done; then check it",
		0},
	READER_OPTION_JSON,
	{0},
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct args *a = state->input;

	if (key == KEY_REPAIR) {
		a->repair = true;
		return 0;
	}
	return reader_parse(key, arg, state, &a->reader);
}

static const struct argp argp = {options, parse, "FILE",
	"Checks whether the recording FILE is whole and consistent. One line per check; a failure names the row.\v"
	"Exit status: 0 it is, 2 it is not, 1 it could not be checked.",
	NULL, NULL, NULL};

void check_say(struct check *c, enum check_verdict verdict, const char *name, const char *fmt, ...)
{
	static const char *const word[] = {"ok", "note", "FAIL"};
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	c->failures += verdict == CHECK_FAIL;
	if (c->json) {
		json_object(c->json, NULL);
		json_string(c->json, "check", name);
		json_string(c->json, "verdict", word[verdict]);
		json_string(c->json, "text", text);
		json_end_object(c->json);
		return;
	}
	textout_style(c->out, verdict == CHECK_FAIL ? STYLE_RED : STYLE_PLAIN);
	fprintf(c->out->f, "%-5s %-10s ", word[verdict], name);
	textout_put(c->out, text, 0);
	textout_style(c->out, STYLE_PLAIN);
	fputc('\n', c->out->f);
}

/* --- repair ------------------------------------------------------------------------------- */

static int note_repair(sqlite3 *db, struct err *e)
{
	struct timespec now;
	char when[64], sql[256];
	struct tm tm;

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", &tm);
	snprintf(sql, sizeof(sql),
		"INSERT OR REPLACE INTO meta(key, value) VALUES('cut_off', 1), ('state', 'complete'),"
		" ('schema', %d), ('repaired', '%s by exitwalk " EXITWALK_VERSION "')",
		SCHEMA_VERSION, when);
	return sql_exec(db, e, sql);
}

/* The recorder holds the file's flock as long as it lives. */
static int repair(const char *path, struct err *e)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);
	int ret;

	if (fd < 0)
		return err_set(e, -errno, "cannot write %s: %s", path, strerror(errno));
	if (flock(fd, LOCK_EX | LOCK_NB))
		ret = err_set(e, -EBUSY,
			"%s is still being recorded: repair it when that has ended", path);
	else
		ret = recording_derive_anew(path, note_repair, e);
	close(fd);
	return ret;
}

/* --- the command -------------------------------------------------------------------------- */

static int all_checks(struct check *c, struct err *e)
{
	static int (*const check[])(struct check *, struct err *) = {check_file, check_names,
		check_ids, check_events, check_guest, check_requests, check_derived, check_budgets,
		check_losses, check_kvm_stats};

	for (size_t i = 0; i < sizeof(check) / sizeof(check[0]); i++) {
		int ret = check[i](c, e);

		if (ret)
			return ret;
	}
	return 0;
}

static int check_recording(const struct recording *rec, const struct args *a, struct err *e)
{
	struct textout o;
	struct json j;
	struct check c = {.db = rec->db, .recording = rec, .out = &o};
	int ret;

	textout_init(&o, stdout, false);
	if (a->reader.json) {
		json_init(&j, stdout);
		c.json = &j;
		json_object(&j, NULL);
		json_string(&j, "file", a->reader.file);
		json_string(&j, "banner", rec->banner[0] ? rec->banner : NULL);
		json_array(&j, "checks");
	} else {
		reader_banner(rec, &o);
	}
	ret = all_checks(&c, e);
	if (a->reader.json) {
		json_end_array(&j);
		json_bool(&j, "whole", !ret && !c.failures);
		json_end_object(&j);
	} else if (!ret) {
		textout_put(&o, a->reader.file, 0);
		if (c.failures)
			printf(": NOT whole and consistent, %u failure%s\n", c.failures,
				c.failures == 1 ? "" : "s");
		else
			puts(": whole and consistent");
	}
	return ret ? ret : c.failures ? 2 : 0;
}

static int run(int argc, char **argv)
{
	struct args a = {0};
	struct err e = {0};
	struct recording rec;
	int ret;

	argp_parse(&argp, argc, argv, 0, NULL, &a);
	ret = recording_open(&rec, a.reader.file, &e);
	if (!ret && a.repair && rec.cut_off) {
		recording_close(&rec);
		ret = repair(a.reader.file, &e);
		if (!ret)
			ret = recording_open(&rec, a.reader.file, &e);
	}
	if (!ret) {
		ret = check_recording(&rec, &a, &e);
		recording_close(&rec);
	}
	if (ret < 0)
		fprintf(stderr, "exitwalk check: %s\n", e.msg);
	return ret < 0 ? 1 : ret;
}

const struct cmd cmd_check = {"check",
	"is a recording whole and consistent? --repair finishes one that was cut off", &argp, run};
