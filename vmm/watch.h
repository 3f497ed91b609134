/* SPDX-License-Identifier: MIT */
/*
 * Ends the run from outside: on SIGINT, SIGTERM, SIGHUP, and after a time. A thread waits for them (in
 * a signalfd, not in a handler) for as long as the command works, so that a second Ctrl-C cannot
 * interrupt the closing of the recording either.
 */
#ifndef EXITWALK_VMM_WATCH_H
#define EXITWALK_VMM_WATCH_H

#include <pthread.h>
#include "vcpu.h"

struct watch {
	pthread_t thread, vcpu_thread;
	struct vcpu *vcpu;
	int signals, timer, done; /* signalfd, timerfd, eventfd */
	pthread_mutex_t lock;     /* over `armed` */
	int armed;                /* the vCPU may be stopped and its thread kicked */
};

/* Blocks the signals in the calling thread and those that it makes later. Call it first. */
void watch_block_signals(void);

/* The calling thread is the one that will run the vCPU. seconds 0: no time limit. */
int watch_start(struct watch *w, struct vcpu *v, unsigned seconds, struct err *e);
/* vcpu_run has returned: from here on signals and the timer are taken and ignored. */
void watch_disarm(struct watch *w);
/* Ends the thread. */
void watch_end(struct watch *w);

#endif
