/* SPDX-License-Identifier: MIT */
/*
 * The end of a run: the first reason wins, and every vCPU's thread comes out of KVM_RUN. Any thread may
 * ask for it: a vCPU whose guest switched the machine off, the thread that waits for Ctrl-C, an I/O
 * thread.
 */
#ifndef EXITWALK_VMM_STOP_H
#define EXITWALK_VMM_STOP_H

#include <pthread.h>
#include <stdint.h>
#include "tracer/probe.h"

#define STOP_NO_VCPU (-1)

/* A thread that has to be got out of KVM_RUN. */
struct stop_thread {
	pthread_t id;
	uint8_t *immediate_exit; /* of its kvm_run */
	struct stop_thread *next;
};

struct stop {
	int why;    /* enum ew_stop; 0: go on. Set once; any thread reads it atomically */
	int status; /* of who asked: the guest's exit status, errno …; valid once why is set */
	int vcpu;   /* the vCPU that asked, or STOP_NO_VCPU; likewise */
	pthread_mutex_t lock;
	struct stop_thread *threads; /* those inside their loops */
};

void stop_init(struct stop *s);
void stop_destroy(struct stop *s);

/* Asks for the end of the run, and kicks the threads. Also before the run, and after it, when it does
 * nothing. */
void stop_ask(struct stop *s, enum ew_stop why, int status, int vcpu);

/* Gets the threads out of KVM_RUN for a moment, without an end; one that is just about to call it may
 * miss that. */
void stop_kick(struct stop *s);

/* 0 as long as the run goes on. */
static inline enum ew_stop stop_why(const struct stop *s)
{
	return (enum ew_stop)__atomic_load_n(&s->why, __ATOMIC_ACQUIRE);
}

/* The calling thread begins its loop: from here to stop_leave it is kicked by KICK_SIGNAL (kick.h),
 * *immediate_exit being set first, so that no moment before KVM_RUN is missed (api.rst, 5). */
void stop_enter(struct stop *s, struct stop_thread *t, uint8_t *immediate_exit);
void stop_leave(struct stop *s, struct stop_thread *t);

#endif
