/* SPDX-License-Identifier: MIT */
/*
 * Drives a program in a pseudo-terminal by a script on standard input and checks its screen (TAP).
 *
 *   # text                    comment                name TEXT     name of the checks that follow
 *   env NAME=VALUE            for the program        size COLS ROWS
 *   run PROGRAM ARGS…         starts it and waits until it is idle
 *   keys K…                   names (Right, Enter, Esc, C-l …) or text that is typed; waits after each
 *   resize COLS ROWS          signal NAME            waits until it is idle again
 *   expect TEXT   refuse TEXT   row TEXT (the cursor's row)    reverse (that row is)   ascii   mono
 *   screen FILE               the whole screen is FILE (BLESS=1 in the environment: writes it)
 *   await TEXT                waits until it is on the screen
 *   remember, same            the screen is as it was then, cursor and attributes included
 *   quiet                     no bell rang and nobody set the title
 *   stopped                   it has been stopped, and the terminal is as before it ran
 *   end                       waits until it is over
 *   exit STATUS               it ended so          restored      the terminal is as before it ran
 *   clipboard BASE64          what the program has put there last
 *   raw                       the terminal is in raw mode: no key has a meaning of its own
 */
#include "drive_program.h"

/* --- what scripts say ----------------------------------------------------------------------- */

static void send_key(struct drive *d, const char *bytes, size_t len)
{
	if (d->over)
		return;
	if (write(d->master, bytes, len) != (ssize_t)len)
		die(d, "cannot type");
	wait_idle(d);
}

static void keys(struct drive *d, char *args)
{
	static const char *const named[][2] = {{"Right", "\033OC"}, {"Left", "\033OD"},
		{"Up", "\033OA"}, {"Down", "\033OB"}, {"Home", "\033OH"}, {"End", "\033OF"},
		{"PageDown", "\033[6~"}, {"PageUp", "\033[5~"}, {"Enter", "\r"}, {"Esc", "\033"},
		{"Tab", "\t"}, {"Shift-Tab", "\033[Z"}, {"Backspace", "\177"}, {"Space", " "},
		{"F1", "\033OP"}, {"C-l", "\f"}, {"C-a", "\001"}, {"C-c", "\003"}, {"C-z", "\032"},
		{"C-d", "\004"}, {"C-u", "\025"}, {"C-f", "\006"}, {"C-b", "\002"},
		{"F3", "\033OR"}, {"F10", "\033[21~"}};
	char *save = NULL;

	for (char *k = strtok_r(args, " ", &save); k; k = strtok_r(NULL, " ", &save)) {
		size_t i, n = sizeof(named) / sizeof(named[0]);

		for (i = 0; i < n && strcmp(named[i][0], k) != 0; i++)
			;
		if (i < n)
			send_key(d, named[i][1], strlen(named[i][1]));
		for (const char *c = k; i == n && *c; c++)
			send_key(d, c, 1);
	}
}

static void resize(struct drive *d, const char *args)
{
	struct winsize w = {0};

	if (sscanf(args, "%d %d", &d->cols, &d->rows) != 2 || d->cols > MAX_COLS ||
		d->rows > MAX_ROWS)
		die(d, "size: COLS ROWS");
	if (!d->vt || d->over) /* for the next program */
		return;
	w.ws_col = (unsigned short)d->cols;
	w.ws_row = (unsigned short)d->rows;
	vterm_set_size(d->vt, d->rows, d->cols);
	ioctl(d->master, TIOCSWINSZ, &w);
	wait_idle(d);
}

static void send_signal(struct drive *d, const char *name)
{
	static const struct {
		const char *name;
		int sig;
	} list[] = {{"TERM", SIGTERM}, {"INT", SIGINT}, {"HUP", SIGHUP}, {"QUIT", SIGQUIT},
		{"TSTP", SIGTSTP}, {"CONT", SIGCONT}, {"SEGV", SIGSEGV}, {"ABRT", SIGABRT}};

	for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
		if (strcmp(list[i].name, name) != 0)
			continue;
		kill(d->pid, list[i].sig);
		wait_idle(d);
		return;
	}
	die(d, "which signal?");
}

static void check(struct drive *d, bool ok, const char *command, const char *args)
{
	printf("%sok %d - %s: %s %s\n", ok ? "" : "not ", ++d->n, d->name, command, args);
	if (ok)
		return;
	d->failed++;
	print_screen(&d->now);
}

static bool contains(struct drive *d, const char *text)
{
	char row[MAX_COLS * 4 + 1];

	for (int y = 0; y < d->rows; y++)
		if (strstr(row_text(&d->now, y, row), text))
			return true;
	return false;
}

/* Does f hold for every cell? */
static bool every(struct drive *d, bool (*f)(struct drive *d, const VTermScreenCell *c))
{
	for (int y = 0; y < d->rows; y++)
		for (int x = 0; x < d->cols; x++)
			if (!f(d, &d->now.cell[y][x]))
				return false;
	return true;
}

static bool is_ascii(struct drive *d, const VTermScreenCell *c)
{
	(void)d;
	return c->chars[0] < 0x80;
}

static bool is_mono(struct drive *d, const VTermScreenCell *c)
{
	(void)d;
	return VTERM_COLOR_IS_DEFAULT_FG(&c->fg) && VTERM_COLOR_IS_DEFAULT_BG(&c->bg);
}

static bool same(const struct shot *a, const struct shot *b)
{
	if (a->cols != b->cols || a->rows != b->rows || a->cursor.row != b->cursor.row ||
		a->cursor.col != b->cursor.col)
		return false;
	for (int y = 0; y < a->rows; y++)
		for (int x = 0; x < a->cols; x++) {
			const VTermScreenCell *p = &a->cell[y][x], *q = &b->cell[y][x];

			/* A cell never written and a space look the same. */
			if ((p->chars[0] ? p->chars[0] : ' ') !=
					(q->chars[0] ? q->chars[0] : ' ') ||
				p->attrs.bold != q->attrs.bold ||
				p->attrs.reverse != q->attrs.reverse ||
				memcmp(&p->fg, &q->fg, sizeof(p->fg)) != 0)
				return false;
		}
	return true;
}

static bool restored(struct drive *d)
{
	struct termios t;

	return tcgetattr(d->slave, &t) == 0 && t.c_lflag == d->before.c_lflag &&
	       t.c_iflag == d->before.c_iflag && t.c_oflag == d->before.c_oflag && !d->alt &&
	       !d->hidden;
}

static bool raw(struct drive *d)
{
	struct termios t;

	return tcgetattr(d->slave, &t) == 0 && !(t.c_lflag & (ICANON | ECHO | ISIG | IEXTEN)) &&
	       !(t.c_iflag & (ICRNL | IXON)) && !(t.c_oflag & OPOST);
}

static void compare(struct drive *d, const char *file)
{
	char row[MAX_COLS * 4 + 1], want[MAX_COLS * 4 + 2];
	const char *bless = getenv("BLESS");
	FILE *f = fopen(file, bless && *bless ? "w" : "r");
	bool ok = f != NULL;

	for (int y = 0; f && y < d->rows; y++) {
		row_text(&d->now, y, row);
		if (bless && *bless) {
			fprintf(f, "%s\n", row);
			continue;
		}
		if (!fgets(want, sizeof(want), f))
			want[0] = 0;
		want[strcspn(want, "\n")] = 0;
		if (strcmp(row, want) == 0)
			continue;
		ok = false;
		printf("# row %d differs:\n# want |%s\n# have |%s\n", y, want, row);
	}
	if (f)
		fclose(f);
	check(d, ok, "screen", strrchr(file, '/') ? strrchr(file, '/') + 1 : file);
}

static bool exited(const struct drive *d, int status)
{
	if (!d->over)
		return false;
	if (WIFSIGNALED(d->wait_status))
		return 128 + WTERMSIG(d->wait_status) == status;
	return WEXITSTATUS(d->wait_status) == status;
}

static bool cursor_row(struct drive *d, const char *text)
{
	char row[MAX_COLS * 4 + 1];

	return strstr(row_text(&d->now, d->now.cursor.row, row), text) != NULL;
}

/* For what no idle byte tells of: a guest's answer. A program that says something else again and again hangs too. */
static bool await(struct drive *d, const char *text)
{
	struct pollfd p = {.fd = d->master, .events = POLLIN};
	time_t end = time(NULL) + AWAIT_S;

	while (!contains(d, text)) {
		if (poll(&p, 1, HANG_MS) <= 0 || time(NULL) > end)
			return false;
		drain(d, false);
		shoot(d, &d->now);
	}
	return true;
}

/* The checks, and false if `c` is none. */
static bool do_check(struct drive *d, const char *c, const char *a)
{
	if (!strcmp(c, "await"))
		check(d, await(d, a), c, a);
	else if (!strcmp(c, "expect"))
		check(d, contains(d, a), c, a);
	else if (!strcmp(c, "refuse"))
		check(d, !contains(d, a), c, a);
	else if (!strcmp(c, "row"))
		check(d, cursor_row(d, a), c, a);
	else if (!strcmp(c, "reverse"))
		check(d, d->now.cell[d->now.cursor.row][1].attrs.reverse, c, a);
	else if (!strcmp(c, "ascii"))
		check(d, every(d, is_ascii), c, a);
	else if (!strcmp(c, "mono"))
		check(d, every(d, is_mono), c, a);
	else if (!strcmp(c, "colour"))
		check(d, !every(d, is_mono), c, a);
	else if (!strcmp(c, "same"))
		check(d, same(&d->kept, &d->now), c, a);
	else if (!strcmp(c, "quiet"))
		check(d, !d->noise, c, a);
	else if (!strcmp(c, "clipboard"))
		check(d, strcmp(d->clipboard, a) == 0, c, a);
	else if (!strcmp(c, "stopped"))
		check(d, !d->over && WIFSTOPPED(d->wait_status) && restored(d), c, a);
	else if (!strcmp(c, "raw"))
		check(d, raw(d), c, a);
	else if (!strcmp(c, "restored"))
		check(d, restored(d), c, a);
	else if (!strcmp(c, "exit"))
		check(d, exited(d, atoi(a)), c, a);
	else
		return false;
	return true;
}

/* NAME=VALUE, or a name alone to remove it. */
static void set_env(const char *s)
{
	char name[64];
	const char *value = strchr(s, '=');

	snprintf(name, sizeof(name), "%.*s", (int)strcspn(s, "="), s);
	if (value)
		setenv(name, value + 1, 1);
	else
		unsetenv(name);
}

static void command(struct drive *d, char *line)
{
	char *args = line + strcspn(line, " ");

	if (*args)
		*args++ = 0;
	if (!*line || *line == '#')
		return;
	if (!strcmp(line, "name"))
		snprintf(d->name, sizeof(d->name), "%s", args);
	else if (!strcmp(line, "env"))
		set_env(args);
	else if (!strcmp(line, "size") || !strcmp(line, "resize"))
		resize(d, args);
	else if (!strcmp(line, "run"))
		finish(d), start(d, args);
	else if (!d->vt)
		die(d, "nothing runs yet");
	else if (!strcmp(line, "keys"))
		keys(d, args);
	else if (!strcmp(line, "signal"))
		send_signal(d, args);
	else if (!strcmp(line, "end"))
		while (!d->over)
			wait_idle(d);
	else if (!strcmp(line, "remember"))
		d->kept = d->now;
	else if (!strcmp(line, "screen"))
		compare(d, args);
	else if (!do_check(d, line, args))
		die(d, "unknown command");
}

int main(void)
{
	static struct drive d;
	static const char *const fixed[] = {"TERM=xterm-256color", "LC_ALL=C.UTF-8", "TZ=UTC",
		"NO_COLOR=", "COLUMNS", "LINES", "ESCDELAY", "NCURSES_NO_UTF8_ACS"};
	char line[1024];

	for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++)
		set_env(fixed[i]);
	signal(SIGPIPE, SIG_IGN);
	d.cols = 80;
	d.rows = 24;
	while (fgets(line, sizeof(line), stdin)) {
		d.line++;
		line[strcspn(line, "\n")] = 0;
		command(&d, line);
	}
	finish(&d);
	printf("1..%d\n", d.n);
	return d.failed ? 1 : 0;
}
