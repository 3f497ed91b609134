/* SPDX-License-Identifier: MIT */
/*
 * A program in a pseudo-terminal whose screen is kept (libvterm), and waiting until it is idle.
 *
 * It never sleeps: the program says through EXITWALK_IDLE_FD when it has drawn everything. What it
 * wrote before that may still be under way in the terminal, so a mark is sent after it, through the
 * same terminal, and everything in front of the mark is read first.
 */
#ifndef EXITWALK_TESTS_UI_DRIVE_PROGRAM_H
#define EXITWALK_TESTS_UI_DRIVE_PROGRAM_H

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>
#include <utmp.h>
#include <vterm.h>

#define MAX_COLS 300
#define MAX_ROWS 100
#define HANG_MS 60000
#define AWAIT_S 300
#define MARK "\033_idle\033\\"

struct shot {
	VTermScreenCell cell[MAX_ROWS][MAX_COLS];
	VTermPos cursor;
	int cols, rows;
};

struct drive {
	VTerm *vt;
	VTermScreen *screen;
	int cols, rows, master, slave, idle, status;
	pid_t leader, pid;
	struct termios before;
	bool alt, hidden, noise, over;
	int wait_status;
	int n, failed, line;
	char name[128], clipboard[64];
	struct shot kept, now;
};

static void die(const struct drive *d, const char *what)
{
	printf("Bail out! script line %d: %s (%s)\n", d->line, what, strerror(errno));
	if (d->pid > 0)
		kill(d->pid, SIGKILL);
	exit(1);
}

/* --- the terminal --------------------------------------------------------------------------- */

static int on_prop(VTermProp prop, VTermValue *v, void *user)
{
	struct drive *d = user;

	if (prop == VTERM_PROP_ALTSCREEN)
		d->alt = v->boolean;
	if (prop == VTERM_PROP_CURSORVISIBLE)
		d->hidden = !v->boolean;
	if (prop == VTERM_PROP_TITLE || prop == VTERM_PROP_ICONNAME)
		d->noise = true;
	return 1;
}

static int on_bell(void *user)
{
	((struct drive *)user)->noise = true;
	return 1;
}

static const VTermScreenCallbacks callbacks = {.settermprop = on_prop, .bell = on_bell};

static void shoot(struct drive *d, struct shot *s)
{
	memset(s, 0, sizeof(*s));
	s->cols = d->cols;
	s->rows = d->rows;
	vterm_state_get_cursorpos(vterm_obtain_state(d->vt), &s->cursor);
	for (int y = 0; y < d->rows; y++)
		for (int x = 0; x < d->cols; x++)
			vterm_screen_get_cell(d->screen, (VTermPos){y, x}, &s->cell[y][x]);
}

static int utf8(uint32_t cp, char *out)
{
	if (cp < 0x80) {
		out[0] = (char)cp;
		return 1;
	}
	if (cp < 0x800) {
		out[0] = (char)(0xc0 | cp >> 6);
		out[1] = (char)(0x80 | (cp & 0x3f));
		return 2;
	}
	out[0] = (char)(0xe0 | cp >> 12);
	out[1] = (char)(0x80 | (cp >> 6 & 0x3f));
	out[2] = (char)(0x80 | (cp & 0x3f));
	return 3;
}

/* One row as text without trailing spaces. */
static const char *row_text(const struct shot *s, int y, char *buf)
{
	int n = 0;

	for (int x = 0; x < s->cols; x++) {
		uint32_t cp = s->cell[y][x].chars[0];

		if (cp == (uint32_t)-1)
			continue; /* right half of a wide character */
		n += utf8(cp ? cp : ' ', buf + n);
	}
	while (n > 0 && buf[n - 1] == ' ')
		n--;
	buf[n] = 0;
	return buf;
}

static void print_screen(const struct shot *s)
{
	char row[MAX_COLS * 4 + 1];

	for (int y = 0; y < s->rows; y++)
		printf("# |%s\n", row_text(s, y, row));
	printf("# cursor: row %d column %d\n", s->cursor.row, s->cursor.col);
}

/* --- the program ---------------------------------------------------------------------------- */

/* OSC 52, which libvterm leaves alone: what the program puts into the clipboard, as it is sent, in base64. */
static void watch_clipboard(struct drive *d, const char *buf, size_t n)
{
	static const char begin[] = "\033]52;c;";
	const char *p = memmem(buf, n, begin, sizeof(begin) - 1), *end;

	if (!p)
		return;
	p += sizeof(begin) - 1;
	end = memchr(p, '\033', n - (size_t)(p - buf));
	if (end && (size_t)(end - p) < sizeof(d->clipboard))
		snprintf(d->clipboard, sizeof(d->clipboard), "%.*s", (int)(end - p), p);
}

/* Feeds what the program wrote, up to the mark if `mark`. false: nothing came in time. */
static bool drain(struct drive *d, bool mark)
{
	static char buf[1 << 16];
	size_t n = 0;

	for (;;) {
		struct pollfd p = {.fd = d->master, .events = POLLIN};
		char *found = NULL;
		ssize_t got;

		if (poll(&p, 1, mark ? HANG_MS : 0) <= 0) {
			vterm_input_write(d->vt, buf, n);
			return !mark;
		}
		got = read(d->master, buf + n, sizeof(buf) - n);
		if (got <= 0)
			return false;
		watch_clipboard(d, buf + n, (size_t)got);
		n += (size_t)got;
		if (mark)
			found = memmem(buf, n, MARK, sizeof(MARK) - 1);
		if (found) {
			vterm_input_write(d->vt, buf, (size_t)(found - buf));
			return true;
		}
		if (n > sizeof(buf) / 2) { /* the mark may be cut in two: keep its length */
			size_t keep = mark ? sizeof(MARK) : 0;

			vterm_input_write(d->vt, buf, n - keep);
			memmove(buf, buf + n - keep, keep);
			n = keep;
		}
	}
}

static void settle(struct drive *d)
{
	if (write(d->slave, MARK, sizeof(MARK) - 1) != (ssize_t)sizeof(MARK) - 1 || !drain(d, true))
		die(d, "the terminal does not answer");
	shoot(d, &d->now);
}

/* Waits for the idle byte, the program's end, or its being stopped. */
static void wait_idle(struct drive *d)
{
	for (;;) {
		struct pollfd p[] = {{.fd = d->idle, .events = POLLIN},
			{.fd = d->status, .events = POLLIN}, {.fd = d->master, .events = POLLIN}};
		char c;

		if (poll(p, 3, HANG_MS) <= 0) {
			shoot(d, &d->now);
			print_screen(&d->now);
			die(d, "the program hangs");
		}
		if (p[2].revents & POLLIN)
			drain(d, false);
		if (p[1].revents & POLLIN) {
			if (read(d->status, &d->wait_status, sizeof(int)) != sizeof(int))
				die(d, "the program's parent is gone");
			d->over = !WIFSTOPPED(d->wait_status);
			break;
		}
		if ((p[0].revents & POLLIN) && read(d->idle, &c, 1) == 1)
			break;
	}
	settle(d);
}

/*
 * The session leader: like a shell, it puts the program into the foreground and waits. (A program
 * whose parent is in no session of its own cannot be stopped by SIGTSTP.)
 */
static void leader(struct drive *d, char **argv, int idle, int status)
{
	pid_t pid;
	int s;

	login_tty(d->slave);
	signal(SIGTTOU, SIG_IGN);
	pid = fork();
	if (pid == 0) {
		char fd[16];

		setpgid(0, 0);
		tcsetpgrp(0, getpid());
		signal(SIGTTOU, SIG_DFL);
		close(status);
		snprintf(fd, sizeof(fd), "%d", idle);
		setenv("EXITWALK_IDLE_FD", fd, 1);
		execv(argv[0], argv);
		_exit(127);
	}
	close(idle);
	if (write(status, &pid, sizeof(pid)) != sizeof(pid))
		_exit(1);
	while (waitpid(pid, &s, WUNTRACED) == pid) {
		if (write(status, &s, sizeof(s)) != sizeof(s) || !WIFSTOPPED(s))
			break;
	}
	/* Closing the session would hang the terminal up: stay until the script is over. */
	pause();
	_exit(0);
}

static void start(struct drive *d, char *args)
{
	struct winsize w = {.ws_row = (unsigned short)d->rows, .ws_col = (unsigned short)d->cols};
	char *argv[32], *save = NULL;
	int idle[2], status[2], n = 0;

	for (char *a = strtok_r(args, " ", &save); a && n < 31; a = strtok_r(NULL, " ", &save))
		argv[n++] = a;
	argv[n] = NULL;
	if (openpty(&d->master, &d->slave, NULL, NULL, &w) < 0 || pipe(idle) < 0 ||
		pipe(status) < 0)
		die(d, "no pseudo-terminal");
	tcgetattr(d->slave, &d->before);
	d->vt = vterm_new(d->rows, d->cols);
	vterm_set_utf8(d->vt, 1);
	d->screen = vterm_obtain_screen(d->vt);
	vterm_screen_set_callbacks(d->screen, &callbacks, d);
	vterm_screen_enable_altscreen(d->screen, 1);
	vterm_screen_reset(d->screen, 1);
	fflush(stdout);
	d->over = d->noise = d->alt = d->hidden = false;
	d->leader = fork();
	if (d->leader == 0) {
		close(d->master);
		close(idle[0]);
		close(status[0]);
		leader(d, argv, idle[1], status[1]);
	}
	close(idle[1]);
	close(status[1]);
	d->idle = idle[0];
	d->status = status[0];
	if (d->leader < 0 || read(d->status, &d->pid, sizeof(d->pid)) != sizeof(d->pid))
		die(d, "cannot start the program");
	wait_idle(d);
}

static void finish(struct drive *d)
{
	if (!d->vt)
		return;
	if (!d->over)
		kill(d->pid, SIGKILL);
	kill(d->leader, SIGKILL);
	waitpid(d->leader, NULL, 0);
	vterm_free(d->vt);
	d->vt = NULL;
	close(d->master);
	close(d->slave);
	close(d->idle);
	close(d->status);
}

#endif
