/* SPDX-License-Identifier: MIT */
/* exitwalk path: one write, from the guest's system call to the host's and back. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "cmd.h"
#include "path.h"
#include "reader.h"
#include "request_row.h"
#include "sql.h"

enum { KEY_ALL = READER_OWN_KEYS, KEY_ASIDES };

struct args {
	struct reader_args reader;
	int64_t request; /* 0: the first write */
	bool all, asides, list;
};

static const struct argp_option options[] = {
	{"request", 'r', "N", 0, "the request with this number (default: the guest's first write)",
		0},
	{"all", KEY_ALL, NULL, 0, "every request, one after the other", 0},
	{"asides", KEY_ASIDES, NULL, 0,
		"every step of what happens aside; else one line for those in a row", 0},
	{"list", 'l', NULL, 0,
		"one line for each request: whose it is, the system call, what told the device of it",
		0},
	READER_OPTION_JSON,
	READER_OPTION_ASCII,
	{0},
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct args *a = state->input;
	char *end;

	switch (key) {
	case 'r':
		errno = 0;
		a->request = strtoll(arg, &end, 10);
		if (errno || *end || end == arg || a->request < 1)
			argp_error(state, "--request needs a number from 1 up, not '%s'", arg);
		return 0;
	case KEY_ALL:
		a->all = true;
		return 0;
	case KEY_ASIDES:
		a->asides = true;
		return 0;
	case 'l':
		a->list = true;
		return 0;
	case ARGP_KEY_END:
		if (a->list && a->reader.json)
			argp_error(state,
				"--list is text; --all --json has every request with all its columns");
		return reader_parse(key, arg, state, &a->reader);
	default:
		return reader_parse(key, arg, state, &a->reader);
	}
}

static const struct argp argp = {options, parse, "FILE",
	"Prints one virtio request of the recording FILE: the nine stages with their steps, times and"
	" evidence, and the layer budget.\v"
	"Times are microseconds since the guest went on after its marker, and since the step above."
	" Evidence: #N is row N of the table event; \"#N frame K\" is frame K of the stack copied by"
	" event N; \"exit N insn\" the instruction of row N of vm_exit. A line in front of steps names who does them,"
	" where there are several: a thread, or a task or interrupt of the guest. ~: the step may have happened before"
	" the one above it, since their clocks agree no better. Asides are exits in which nothing of"
	" the request happens: timers, other devices. --list marks the request that is shown without --request; (kernel):"
	" no system call of a process is known to have caused it; kick: the exit, or ioeventfd, by which the device was"
	" told; none: it was at work and found the request in its queue. With --json every step is there, column aside tells which.",
	NULL, NULL, NULL};

static int first_write(sqlite3 *db, int64_t *request, struct err *e)
{
	*request = 0;
	return sql_get_int(db, e, REQUEST_FIRST_WRITE_SQL, request);
}

static int one_request(sqlite3 *db, const struct args *a, const struct textout *o, struct json *j,
	int64_t request, struct err *e)
{
	return a->reader.json ? path_json(db, j, request, e)
			      : path_text(db, o, request, a->asides, e);
}

static int every_request(
	sqlite3 *db, const struct args *a, const struct textout *o, struct json *j, struct err *e)
{
	sqlite3_stmt *row = NULL;
	bool first = true;
	int ret = sql_prepare(db, &row, e, "SELECT id FROM request ORDER BY id");

	while (!ret && (ret = sql_step(row, e)) > 0) {
		if (!first && !a->reader.json)
			fputs("\n\n", stdout);
		first = false;
		ret = one_request(db, a, o, j, sqlite3_column_int64(row, 0), e);
	}
	sqlite3_finalize(row);
	return ret;
}

static int chosen_request(sqlite3 *db, struct args *a, struct err *e)
{
	int64_t highest = 0;
	int ret = sql_get_int(db, e, "SELECT max(id) FROM request", &highest);

	if (!ret && !highest)
		ret = err_set(e, -ENOENT,
			"the recording has no virtio request: the guest used no disk, or what was recorded"
			" does not show it; exitwalk report says what there is");
	if (!ret && !a->all && !a->request) /* --list marks it */
		ret = first_write(db, &a->request, e);
	if (!ret && a->request > highest)
		ret = err_set(e, -ENOENT,
			"there is no request %" PRId64 ": the last one is %" PRId64, a->request,
			highest);
	return ret;
}

static int print(struct recording *rec, const struct args *a, struct err *e)
{
	struct textout o;
	struct json j;
	int ret;

	textout_init(&o, stdout, a->reader.ascii);
	if (a->list) {
		reader_banner(rec, &o);
		return path_list(rec->db, &o, a->request, e);
	}
	json_init(&j, stdout);
	if (a->reader.json) {
		json_object(&j, NULL);
		json_string(&j, "file", a->reader.file);
		json_string(&j, "banner", rec->banner[0] ? rec->banner : NULL);
		json_array(&j, "paths");
	} else {
		reader_banner(rec, &o);
	}
	ret = a->all ? every_request(rec->db, a, &o, &j, e)
		     : one_request(rec->db, a, &o, &j, a->request, e);
	if (a->reader.json) {
		json_end_array(&j);
		json_end_object(&j);
	}
	return ret;
}

static int run(int argc, char **argv)
{
	struct args a = {0};
	struct err e = {0};
	struct recording rec;
	int ret;

	argp_parse(&argp, argc, argv, 0, NULL, &a);
	ret = recording_open(&rec, a.reader.file, &e);
	if (!ret) {
		ret = chosen_request(rec.db, &a, &e);
		if (!ret)
			ret = print(&rec, &a, &e);
		recording_close(&rec);
	}
	if (ret)
		fprintf(stderr, "exitwalk path: %s\n", e.msg);
	return ret ? 1 : 0;
}

const struct cmd cmd_path = {
	"path", "one write as text: its nine stages and its layer budget", &argp, run};
