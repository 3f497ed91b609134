/* SPDX-License-Identifier: MIT */
/*
 * Ends the run from outside: on SIGINT, SIGTERM, SIGHUP, and after a time. A thread waits for them (in
 * a signalfd, not in a handler) for as long as the command works, so that a second Ctrl-C cannot
 * interrupt the closing of the recording either.
 */
#ifndef EXITWALK_VMM_WATCH_H
#define EXITWALK_VMM_WATCH_H

#include <pthread.h>
#include "stop.h"
#include "tracer/err.h"

struct watch {
	pthread_t thread;
	struct stop *stop;
	void (*tick)(void *ctx); /* each second; or NULL */
	void *ctx;
	int signals, timer, seconds, done; /* signalfd, timerfds, eventfd */
};

/* Blocks the signals in the calling thread and those that it makes later. Call it first. */
void watch_block_signals(void);

/* Asks `s`, which is borrowed, for the end. w->tick and ctx are set. */
int watch_start(struct watch *w, struct stop *s, struct err *e);
/* From now on the run may take so long; 0: as long as it likes. */
void watch_limit(struct watch *w, unsigned seconds);
/* Ends the thread; until then, also after the run, signals and the timer are taken. */
void watch_end(struct watch *w);

#endif
