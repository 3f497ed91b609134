/* SPDX-License-Identifier: MIT */
/*
 * The devices take turns: one lock around all of them, so that none of them has to lock. Who has the
 * turn also says whose probe records what the devices do meanwhile.
 */
#ifndef EXITWALK_VMM_TURN_H
#define EXITWALK_VMM_TURN_H

#include <pthread.h>
#include "tracer/probe.h"

struct vcpu;

struct turn {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct probe *probe; /* of the thread that has the turn; NULL: unrecorded */
	struct vcpu *vcpu;   /* that has it, for its registers and page tables; NULL: no vCPU */
};

void turn_init(struct turn *t);
void turn_destroy(struct turn *t);

/* Waits for the turn; `p` is the calling thread's probe (NULL: unrecorded), which also records the
 * wait, if there was one. Not recursive. */
void turn_take(struct turn *t, struct probe *p);
/* The same for a vCPU that handles an exit, with its probe. */
void turn_take_vcpu(struct turn *t, struct probe *p, struct vcpu *v);
void turn_give(struct turn *t);

/* For who has the turn and waits for what another thread does in its own: gives it away until that
 * thread calls turn_changed, then takes it again. Spurious returns happen: look again. */
void turn_wait(struct turn *t);
/* Wakes all that are in turn_wait. By who has the turn. */
void turn_changed(struct turn *t);

#endif
