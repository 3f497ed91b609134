// SPDX-License-Identifier: MIT
/* Standard input → a bounded buffer → COM1's receive FIFO; and the terminal's raw mode. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "console.h"
#include "term_filter.h"
#include "tracer/terminal.h"

#define CTRL_A 1
#define HELP                                                                                       \
	"\r\nCtrl-A x  ends the guest and closes the recording\r\n"                                \
	"Ctrl-A Ctrl-A  types Ctrl-A\r\n"                                                          \
	"Ctrl-A h  shows this\r\n"

static sigset_t job_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTSTP);
	sigaddset(&set, SIGCONT);
	return set;
}

void console_block_signals(void)
{
	sigset_t set = job_signals();

	pthread_sigmask(SIG_BLOCK, &set, NULL);
}

static void wake(struct console *c)
{
	uint64_t one = 1;
	ssize_t ignored = write(c->wake, &one, sizeof(one)); /* EAGAIN: it is awake already */

	(void)ignored;
}

/* --- the terminal ------------------------------------------------------------------------------- */

/* A terminal that is not the session's controlling one has no foreground. */
static bool in_foreground(const struct console *c)
{
	pid_t group = tcgetpgrp(c->config.in);

	return group < 0 || group == getpgrp();
}

static void set_raw(struct console *c, bool is_raw)
{
	static const char reset[] = TERM_FILTER_RESET;

	if (is_raw && !c->is_raw)
		terminal_guard(&c->before, reset, c->config.out < 0 ? 0 : sizeof(reset) - 1);
	else if (!is_raw && c->is_raw)
		terminal_unguard();
	c->is_raw = is_raw;
}

/* In the background it is somebody else's, until the next SIGCONT. */
static void make_raw(struct console *c)
{
	struct termios raw = c->before;
	bool ours = c->config.terminal && in_foreground(c);

	set_raw(c, ours);
	cfmakeraw(&raw);
	if (ours)
		tcsetattr(c->config.in, TCSANOW, &raw);
}

static void make_cooked(struct console *c)
{
	if (!c->is_raw)
		return;
	tcsetattr(c->config.in, TCSANOW, &c->before);
	set_raw(c, false);
}

static void say(struct console *c, const char *text)
{
	ssize_t ignored = c->config.out < 0 ? 0 : write(c->config.out, text, strlen(text));

	(void)ignored;
}

static void take_signal(struct console *c)
{
	struct signalfd_siginfo info;

	if (read(c->signals, &info, sizeof(info)) != sizeof(info))
		return;
	if (info.ssi_signo == SIGTSTP) {
		if (c->is_raw)
			say(c, TERM_FILTER_RESET "\r\n");
		make_cooked(c);
		terminal_stop();
	}
	make_raw(c); /* also after SIGSTOP, when a shell may have changed it */
}

/* --- the bytes ---------------------------------------------------------------------------------- */

/* uart_on_ready: with the turn, on the vCPU's thread too. */
static void feed(void *ctx)
{
	struct console *c = ctx;
	unsigned n;

	while (c->count && (n = uart_room(c->config.uart)) > 0) {
		if (n > c->count)
			n = c->count;
		if (n > CONSOLE_PENDING - c->head)
			n = CONSOLE_PENDING - c->head;
		uart_receive(c->config.uart, c->pending + c->head, n);
		c->head = (c->head + n) % CONSOLE_PENDING;
		c->count -= n;
	}
	if (c->full && c->count <= CONSOLE_PENDING / 2) {
		c->full = false;
		wake(c);
	}
}

/* A terminal is read also when the guest takes nothing: Ctrl-A x must work. */
static void put(struct console *c, uint8_t byte)
{
	if (c->count == CONSOLE_PENDING) {
		say(c, "\a");
		return;
	}
	c->pending[(c->head + c->count++) % CONSOLE_PENDING] = byte;
}

static void key(struct console *c, uint8_t byte)
{
	if (!c->escaped) {
		c->escaped = byte == CTRL_A;
		if (!c->escaped)
			put(c, byte);
		return;
	}
	c->escaped = false;
	switch (byte) {
	case 'x':
		c->config.end(c->config.ctx);
		break;
	case 'h':
		say(c, HELP);
		break;
	case CTRL_A:
		put(c, byte);
		break;
	default:
		break;
	}
}

static void take_input(struct console *c, unsigned room)
{
	uint8_t data[256];
	ssize_t n = read(c->config.in, data, room < sizeof(data) ? room : sizeof(data));

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		c->eof = true;
		return;
	}
	turn_take(c->config.turn, c->config.probe);
	for (ssize_t i = 0; i < n; i++)
		if (c->config.terminal)
			key(c, data[i]);
		else
			put(c, data[i]);
	feed(c);
	turn_give(c->config.turn);
}

/* How much may be read now; 0: nothing. */
static unsigned wanted(struct console *c, bool *stop)
{
	unsigned room;

	turn_take(c->config.turn, c->config.probe);
	*stop = c->stop;
	room = CONSOLE_PENDING - c->count;
	c->full = room == 0 && !c->config.terminal;
	turn_give(c->config.turn);
	if (c->eof)
		return 0;
	return c->config.terminal ? (c->is_raw ? CONSOLE_PENDING : 0) : room;
}

static void *read_input(void *arg)
{
	struct console *c = arg;
	bool stop;

	prctl(PR_SET_NAME, "exitwalk-input"); /* 15 characters */
	for (;;) {
		unsigned room = wanted(c, &stop);
		struct pollfd p[] = {{.fd = c->wake, .events = POLLIN},
			{.fd = c->signals, .events = POLLIN},
			{.fd = room ? c->config.in : -1, .events = POLLIN}};
		uint64_t count;

		if (stop)
			return NULL;
		if (poll(p, 3, 0) == 0) {
			terminal_idle(&c->idle);
			poll(p, 3, -1);
		}
		if (p[0].revents && read(c->wake, &count, sizeof(count)) > 0)
			continue;
		if (p[1].revents)
			take_signal(c);
		else if (p[2].revents)
			take_input(c, room);
	}
}

/* --- begin and end ------------------------------------------------------------------------------ */

static int open_fds(struct console *c, struct err *e)
{
	sigset_t set = job_signals();
	int rc = terminal_idle_fd(&c->idle, e);

	if (rc)
		return rc;
	c->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (c->wake < 0)
		return -errno;
	if (!c->config.terminal)
		return 0;
	c->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return c->signals < 0 || tcgetattr(c->config.in, &c->before) ? -errno : 0;
}

static void close_fds(struct console *c)
{
	if (c->wake >= 0)
		close(c->wake);
	if (c->signals >= 0)
		close(c->signals);
}

int console_start(struct console *c, const struct console_config *config, struct err *e)
{
	int rc;

	*c = (struct console){.config = *config, .wake = -1, .signals = -1, .idle = -1};
	rc = open_fds(c, e);
	if (rc == 0) {
		uart_on_ready(c->config.uart, feed, c);
		make_raw(c);
		rc = -pthread_create(&c->thread, NULL, read_input, c);
	}
	if (rc) {
		uart_on_ready(c->config.uart, NULL, NULL);
		make_cooked(c);
		close_fds(c);
		return err_set(e, rc, "the guest's console cannot start: %s", strerror(-rc));
	}
	return 0;
}

void console_end(struct console *c)
{
	sigset_t set = job_signals();

	turn_take(c->config.turn, NULL);
	c->stop = true;
	turn_give(c->config.turn);
	wake(c);
	pthread_join(c->thread, NULL);
	uart_on_ready(c->config.uart, NULL, NULL);
	/* What was typed for the guest must not become a command of the user's shell. */
	if (c->is_raw)
		tcflush(c->config.in, TCIFLUSH);
	make_cooked(c);
	close_fds(c);
	if (c->config.terminal)
		pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}
