// SPDX-License-Identifier: MIT
/* One mutex, and the probe and the vCPU of who holds it. */
#include "vmm/turn.h"

void turn_init(struct turn *t)
{
	*t = (struct turn){.probe = NULL};
	pthread_mutex_init(&t->lock, NULL);
	pthread_cond_init(&t->changed, NULL);
}

void turn_destroy(struct turn *t)
{
	pthread_cond_destroy(&t->changed);
	pthread_mutex_destroy(&t->lock);
}

void turn_take(struct turn *t, struct probe *p)
{
	if (pthread_mutex_trylock(&t->lock) != 0) {
		uint64_t since = probe_now();

		pthread_mutex_lock(&t->lock);
		PROBE(p, EW_LOCK_WAIT, since);
	}
	t->probe = p;
	t->vcpu = NULL;
}

void turn_take_vcpu(struct turn *t, struct probe *p, struct vcpu *v)
{
	turn_take(t, p);
	t->vcpu = v;
}

void turn_give(struct turn *t)
{
	pthread_mutex_unlock(&t->lock);
}

void turn_wait(struct turn *t)
{
	struct probe *p = t->probe;
	struct vcpu *v = t->vcpu;

	pthread_cond_wait(&t->changed, &t->lock);
	t->probe = p;
	t->vcpu = v;
}

void turn_changed(struct turn *t)
{
	pthread_cond_broadcast(&t->changed);
}
