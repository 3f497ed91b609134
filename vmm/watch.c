// SPDX-License-Identifier: MIT
/* A thread that waits for signals and a timer, and ends the run. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "watch.h"

static sigset_t taken(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	return set;
}

void watch_block_signals(void)
{
	sigset_t set = taken();

	/* A reader of our output that goes away, or a file that may not grow, is an error of write(2)
	 * and must not kill the process: the recording would be cut off. */
	sigaddset(&set, SIGPIPE);
	sigaddset(&set, SIGXFSZ);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
}

static void *wait_for_it(void *arg)
{
	struct watch *w = arg;
	struct pollfd p[] = {{w->done, POLLIN, 0}, {w->signals, POLLIN, 0}, {w->timer, POLLIN, 0},
		{w->seconds, POLLIN, 0}};

	while (poll(p, 4, -1) > 0 || errno == EINTR) {
		struct signalfd_siginfo info;
		uint64_t expirations;

		if (p[0].revents)
			return NULL;
		if (p[1].revents && read(w->signals, &info, sizeof(info)) > 0)
			stop_ask(w->stop, EW_STOP_SIGNAL, 0, STOP_NO_VCPU);
		if (p[2].revents && read(w->timer, &expirations, sizeof(expirations)) > 0)
			stop_ask(w->stop, EW_STOP_TIMEOUT, 0, STOP_NO_VCPU);
		if (p[3].revents && read(w->seconds, &expirations, sizeof(expirations)) > 0)
			w->tick(w->ctx);
	}
	return NULL;
}

static void close_all(struct watch *w)
{
	if (w->signals >= 0)
		close(w->signals);
	if (w->timer >= 0)
		close(w->timer);
	if (w->seconds >= 0)
		close(w->seconds);
	if (w->done >= 0)
		close(w->done);
}

int watch_start(struct watch *w, struct stop *s, struct err *e)
{
	const struct itimerspec second = {.it_value.tv_sec = 1, .it_interval.tv_sec = 1};
	sigset_t set = taken();
	int rc;

	*w = (struct watch){.stop = s, .tick = w->tick, .ctx = w->ctx};
	w->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	w->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	w->seconds = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	w->done = eventfd(0, EFD_CLOEXEC);
	if (w->signals < 0 || w->timer < 0 || w->seconds < 0 || w->done < 0)
		rc = errno;
	else if (w->tick && timerfd_settime(w->seconds, 0, &second, NULL))
		rc = errno;
	else
		rc = pthread_create(&w->thread, NULL, wait_for_it, w);
	if (rc) {
		close_all(w);
		return err_set(e, -rc, "the thread that watches for Ctrl-C cannot start: %s",
			strerror(rc));
	}
	return 0;
}

void watch_limit(struct watch *w, unsigned seconds)
{
	const struct itimerspec when = {.it_value.tv_sec = seconds};

	/* It fails for a time or a file descriptor that is none. */
	timerfd_settime(w->timer, 0, &when, NULL);
}

void watch_end(struct watch *w)
{
	uint64_t one = 1;

	if (write(w->done, &one, sizeof(one)) == sizeof(one))
		pthread_join(w->thread, NULL);
	close_all(w);
}
