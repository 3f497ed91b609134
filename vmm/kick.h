/* SPDX-License-Identifier: MIT */
/*
 * The signal that gets a thread out of KVM_RUN. Its handler does nothing: a signal that is delivered
 * makes the ioctl return EINTR, and kvm_run->immediate_exit covers the moment before the ioctl
 * (api.rst, 5). So nothing unsafe ever runs in a handler.
 */
#ifndef EXITWALK_VMM_KICK_H
#define EXITWALK_VMM_KICK_H

#include <signal.h>
#include <time.h>
#include "tracer/err.h"

#define KICK_SIGNAL SIGUSR1

/* Installs the handler (for the process) and unblocks the signal (for the calling thread). */
int kick_init(struct err *e);

/* Kicks the calling thread after `ms` milliseconds and then every 10 ms, until kick_timer_stop: a kick
 * that comes just before KVM_RUN is followed by another. */
int kick_timer_start(timer_t *timer, unsigned ms, struct err *e);
void kick_timer_stop(timer_t timer);

#endif
