// SPDX-License-Identifier: MIT
/* Signals that end or stop the process while the terminal is not as it was. */
#include "terminal.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const int crashes[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGQUIT};
#define N(a) (sizeof(a) / sizeof((a)[0]))

/*
 * What the crash handler needs. A signal handler gets no argument of ours, so this is the one place
 * where state lives outside a struct; it is written once, before the handler is installed.
 */
static struct {
	struct termios before;
	bool have_termios;
	char sequence[256];
	size_t len;
	struct sigaction old[N(crashes)];
} guard;

static void on_crash(int sig)
{
	ssize_t ignored = write(STDOUT_FILENO, guard.sequence, guard.len);

	(void)ignored;
	if (guard.have_termios)
		tcsetattr(STDIN_FILENO, TCSANOW, &guard.before);
	for (size_t i = 0; i < N(crashes); i++)
		if (crashes[i] == sig)
			sigaction(sig, &guard.old[i], NULL);
	raise(sig); /* blocked until this returns; then the old action, a core dump by default */
}

void terminal_guard(const struct termios *before, const char *sequence, size_t len)
{
	struct sigaction sa = {.sa_handler = on_crash};

	/* In the background tcsetattr would stop the process instead of letting it die. */
	sigemptyset(&sa.sa_mask);
	sigaddset(&sa.sa_mask, SIGTTOU);
	guard.have_termios = before != NULL;
	if (before)
		guard.before = *before;
	guard.len = len < sizeof(guard.sequence) ? len : sizeof(guard.sequence);
	memcpy(guard.sequence, sequence, guard.len);
	for (size_t i = 0; i < N(crashes); i++)
		sigaction(crashes[i], &sa, &guard.old[i]);
}

void terminal_unguard(void)
{
	for (size_t i = 0; i < N(crashes); i++)
		sigaction(crashes[i], &guard.old[i], NULL);
}

void terminal_stop(void)
{
	struct sigaction dfl = {.sa_handler = SIG_DFL}, old;
	sigset_t stop;

	sigemptyset(&stop);
	sigaddset(&stop, SIGTSTP);
	sigaction(SIGTSTP, &dfl, &old);
	raise(SIGTSTP);
	pthread_sigmask(SIG_UNBLOCK, &stop, NULL); /* the process stops here */
	pthread_sigmask(SIG_BLOCK, &stop, NULL);
	sigaction(SIGTSTP, &old, NULL);
}

int terminal_idle_fd(int *fd, struct err *e)
{
	const char *text = getenv("EXITWALK_IDLE_FD");
	char *end = NULL;
	long n;

	*fd = -1;
	if (!text || !*text)
		return 0;
	n = strtol(text, &end, 10);
	if (*end || n < 0 || n > 1023)
		return err_set(e, -EINVAL,
			"EXITWALK_IDLE_FD is to be the number of an open file descriptor");
	*fd = (int)n;
	return 0;
}

void terminal_idle(int *fd)
{
	if (*fd >= 0 && write(*fd, "i", 1) != 1)
		*fd = -1; /* nobody listens any more */
}
