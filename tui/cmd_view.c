/* SPDX-License-Identifier: MIT */
/* exitwalk view: the user interface. */
#include <errno.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "keys.h"
#include "model.h"
#include "tracer/cmd.h"
#include "ui.h"

enum { OPT_ASCII = 256, OPT_MONO, OPT_KEYS };

struct view_args {
	struct ui_opts ui;
	const char *file;
	const char *request;
	bool keys;
};

static const struct argp_option options[] = {
	{"request", 'r', "N[.STEP]", 0, "Begin at request N (the first write), at its step STEP",
		0},
	{"ascii", OPT_ASCII, NULL, 0,
		"Draw with ASCII only (default where the locale is not UTF-8)", 0},
	{"mono", OPT_MONO, NULL, 0, "No colours (also: NO_COLOR in the environment)", 0},
	{"keys", OPT_KEYS, NULL, OPTION_HIDDEN, "Print the key table and end", 0}, {0}};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct view_args *a = state->input;

	switch (key) {
	case 'r':
		a->request = arg;
		break;
	case OPT_ASCII:
		a->ui.ascii = true;
		break;
	case OPT_MONO:
		a->ui.mono = true;
		break;
	case OPT_KEYS:
		a->keys = true;
		break;
	case ARGP_KEY_ARG:
		if (a->file)
			argp_error(state, "one recording at a time");
		a->file = arg;
		break;
	case ARGP_KEY_END:
		if (!a->file && !a->keys)
			argp_error(state, "which recording? exitwalk run makes one: exitwalk.exw");
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

/* The keys in words, from the same table as everything else about them. */
#define TUI_GROUP(id, title) title ":\n"
#define TUI_KEY(id, group, names, bar, where, text, ...) "  " names ": " text "\n"
static const char doc[] =
	"Walk through a recording, step by step, forwards and backwards: the path of each write "
	"through guest, KVM, VMM and host, the details of each step and the state at it.\v"
#include "keys.def"
	;

static const struct argp argp = {options, parse, "FILE", doc, NULL, NULL, NULL};

static void print_keys(void)
{
	for (const struct tui_key *k = tui_keys; k->command != CMD_NONE; k++)
		printf("%s\t%s\t%s\n", k->group, k->names, k->text);
}

static int view(struct recording *rec, const struct view_args *a, struct err *e)
{
	const char *name = strrchr(a->file, '/') ? strrchr(a->file, '/') + 1 : a->file;
	struct ui_opts opts = a->ui;
	struct model *m;
	int ret = model_open(&m, rec, name, e);

	if (ret)
		return ret;
	opts.save_base = name;
	if (a->request) {
		model_clear_note(m);
		if (!model_goto_place(m, a->request))
			ret = err_set(e, -EINVAL,
				"%s; exitwalk path --list %s says which requests there are",
				model_note(m), a->file);
	}
	if (!ret)
		ret = ui_run(m, &opts, e);
	model_close(m);
	return ret;
}

static int run(int argc, char **argv)
{
	struct view_args a = {0};
	struct recording rec = {0};
	struct err e = {0};
	const char *no_color = getenv("NO_COLOR");
	int ret;

	argp_parse(&argp, argc, argv, 0, NULL, &a);
	if (a.keys) {
		print_keys();
		return 0;
	}
	setlocale(LC_CTYPE, "");
	if (no_color && *no_color)
		a.ui.mono = true;
	/*
	 * The file comes first: what is wrong with it is worth more than what is wrong with the
	 * terminal.
	 */
	ret = recording_open(&rec, a.file, &e);
	if (ret == 0 && (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO)))
		ret = err_set(&e, -ENOTTY,
			"this is no terminal; exitwalk path %s prints the path as text", a.file);
	else if (ret == 0)
		ret = view(&rec, &a, &e);
	recording_close(&rec);
	if (ret < 0) {
		fprintf(stderr, "exitwalk view: %s\n", e.msg);
		return 1;
	}
	return ret ? 128 + ret : 0;
}

const struct cmd cmd_view = {
	.name = "view",
	.summary = "walk through a recording in the terminal, step by step, both ways",
	.argp = &argp,
	.run = run,
};
