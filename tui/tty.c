/* SPDX-License-Identifier: MIT */
/* The terminal's state: saved, and given back on every way out, a crash included. */
#include "tty.h"

#include <curses.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <term.h>
#include <unistd.h>

static const int ending[] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT};
#define N(a) (sizeof(a) / sizeof((a)[0]))

int tty_init(struct tty *t, struct err *e)
{
	sigset_t set;
	int rc = terminal_idle_fd(&t->idle_fd, e);

	if (rc)
		return rc;
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
	t->have_before = tcgetattr(STDIN_FILENO, &t->before) == 0;
	return 0;
}

struct sequence {
	char bytes[256];
	size_t len;
};

static void append(struct sequence *s, const char *piece)
{
	size_t n = piece && piece != (char *)-1 ? strlen(piece) : 0;

	if (n == 0 || s->len + n > sizeof(s->bytes))
		return;
	memcpy(s->bytes + s->len, piece, n);
	s->len += n;
}

void tty_guard(struct tty *t)
{
	struct sequence s = {.len = 0};

	append(&s, exit_attribute_mode);
	append(&s, keypad_local);
	append(&s, exit_ca_mode);
	append(&s, cursor_normal);
	terminal_guard(t->have_before ? &t->before : NULL, s.bytes, s.len);
	t->guarded = true;
}

void tty_done(struct tty *t)
{
	if (t->sigfd < 0)
		return;
	if (t->guarded)
		terminal_unguard();
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

	if (n == 0)
		terminal_idle(&t->idle_fd);
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
