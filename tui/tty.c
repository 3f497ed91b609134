/* SPDX-License-Identifier: MIT */
/* The terminal's state: saved, and given back on every way out, a crash included. */
#include "tty.h"

#include <curses.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <term.h>
#include <termios.h>
#include <unistd.h>

static const int ending[] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT};
static const int crashes[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT};
#define N(a) (sizeof(a) / sizeof((a)[0]))

/*
 * What the crash handler needs. A signal handler gets no argument of ours, so this is the one place
 * where state lives outside a struct; it is written once, before the handler is installed.
 */
static struct {
	struct termios before;
	bool have_termios;
	char restore
		[256]; /* the terminal's own sequences: leave the alternate screen, show cursor … */
	size_t len;
	struct sigaction old[N(crashes)];
} crash;

static void on_crash(int sig)
{
	ssize_t ignored = write(STDOUT_FILENO, crash.restore, crash.len);

	(void)ignored;
	if (crash.have_termios)
		tcsetattr(STDIN_FILENO, TCSANOW, &crash.before);
	for (size_t i = 0; i < N(crashes); i++)
		if (crashes[i] == sig)
			sigaction(sig, &crash.old[i], NULL);
	raise(sig); /* blocked until this returns; then the old action, a core dump by default */
}

int tty_init(struct tty *t, struct err *e)
{
	const char *idle = getenv("EXITWALK_IDLE_FD");
	char *end = NULL;
	sigset_t set;

	t->idle_fd = -1;
	if (idle && *idle) {
		long fd = strtol(idle, &end, 10);

		if (*end || fd < 0 || fd > 1023)
			return err_set(e, -EINVAL,
				"EXITWALK_IDLE_FD is to be the number of an open file descriptor");
		t->idle_fd = (int)fd;
	}
	sigemptyset(&set);
	for (size_t i = 0; i < N(ending); i++)
		sigaddset(&set, ending[i]);
	sigaddset(&set, SIGWINCH);
	sigaddset(&set, SIGTSTP);
	if (sigprocmask(SIG_BLOCK, &set, &t->old_mask) < 0)
		return err_set(e, -errno, "signals cannot be blocked: %s", strerror(errno));
	t->sigfd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (t->sigfd < 0)
		return err_set(e, -errno, "signalfd: %s", strerror(errno));
	crash.have_termios = tcgetattr(STDIN_FILENO, &crash.before) == 0;
	return 0;
}

static void append(const char *sequence)
{
	size_t n = sequence && sequence != (char *)-1 ? strlen(sequence) : 0;

	if (n == 0 || crash.len + n > sizeof(crash.restore))
		return;
	memcpy(crash.restore + crash.len, sequence, n);
	crash.len += n;
}

void tty_guard(void)
{
	struct sigaction sa = {.sa_handler = on_crash};

	crash.len = 0;
	append(exit_attribute_mode);
	append(keypad_local);
	append(exit_ca_mode);
	append(cursor_normal);
	for (size_t i = 0; i < N(crashes); i++)
		sigaction(crashes[i], &sa, &crash.old[i]);
}

void tty_done(struct tty *t)
{
	if (t->sigfd < 0)
		return;
	for (size_t i = 0; i < N(crashes); i++)
		sigaction(crashes[i], &crash.old[i], NULL);
	close(t->sigfd);
	t->sigfd = -1;
	sigprocmask(SIG_SETMASK, &t->old_mask, NULL);
}

bool tty_pending(const struct tty *t)
{
	struct pollfd p[2] = {
		{.fd = STDIN_FILENO, .events = POLLIN}, {.fd = t->sigfd, .events = POLLIN}};

	return poll(p, 2, 0) > 0;
}

bool tty_gone(const struct tty *t)
{
	int waiting = 0;

	/* Readable, and yet there is nothing to read: that is how a terminal ends. */
	return tty_pending(t) && (ioctl(STDIN_FILENO, FIONREAD, &waiting) < 0 || waiting == 0);
}

static bool take_signal(struct tty *t, enum tty_event *event, int *sig)
{
	struct signalfd_siginfo info;

	if (read(t->sigfd, &info, sizeof(info)) != (ssize_t)sizeof(info))
		return false;
	*sig = (int)info.ssi_signo;
	*event = *sig == SIGWINCH ? TTY_RESIZE : *sig == SIGTSTP ? TTY_STOP : TTY_END;
	return true;
}

enum tty_event tty_wait(struct tty *t, int *sig)
{
	struct pollfd p[2] = {
		{.fd = STDIN_FILENO, .events = POLLIN}, {.fd = t->sigfd, .events = POLLIN}};
	enum tty_event event;
	int n = poll(p, 2, 0);

	if (n == 0 && t->idle_fd >= 0 && write(t->idle_fd, "i", 1) != 1)
		t->idle_fd = -1; /* nobody listens any more */
	while (n <= 0) {
		n = poll(p, 2, -1);
		if (n < 0 && errno != EINTR)
			break;
	}
	if ((p[1].revents & POLLIN) && take_signal(t, &event, sig))
		return event;
	if (n < 0 || (p[0].revents & (POLLHUP | POLLERR | POLLNVAL) && !(p[0].revents & POLLIN))) {
		*sig = SIGHUP;
		return TTY_END;
	}
	return TTY_INPUT;
}

void tty_stop(struct tty *t)
{
	struct sigaction dfl = {.sa_handler = SIG_DFL}, old;
	sigset_t stop;

	(void)t;
	sigemptyset(&stop);
	sigaddset(&stop, SIGTSTP);
	sigaction(SIGTSTP, &dfl, &old);
	raise(SIGTSTP);
	sigprocmask(SIG_UNBLOCK, &stop, NULL); /* the process stops here */
	sigprocmask(SIG_BLOCK, &stop, NULL);
	sigaction(SIGTSTP, &old, NULL);
}
