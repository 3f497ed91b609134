// SPDX-License-Identifier: MIT
/* A signal without a meaning, and a timer that sends it to the calling thread. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "kick.h"

static void ignore(int signal)
{
	(void)signal;
}

int kick_init(struct err *e)
{
	struct sigaction action = {.sa_handler = ignore}; /* no SA_RESTART: KVM_RUN is to return */
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, KICK_SIGNAL);
	if (sigaction(KICK_SIGNAL, &action, NULL) || pthread_sigmask(SIG_UNBLOCK, &set, NULL))
		return err_set(
			e, -errno, "a signal handler cannot be installed: %s", strerror(errno));
	return 0;
}

int kick_timer_start(timer_t *timer, unsigned ms, struct err *e)
{
	struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = KICK_SIGNAL};
	struct itimerspec when = {
		.it_value = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L},
		.it_interval = {.tv_nsec = 10000000},
	};

	event._sigev_un._tid = gettid();
	if (timer_create(CLOCK_MONOTONIC, &event, timer))
		return err_set(e, -errno, "a timer cannot be made: %s", strerror(errno));
	timer_settime(*timer, 0, &when, NULL);
	return 0;
}

void kick_timer_stop(timer_t timer)
{
	timer_delete(timer);
}
