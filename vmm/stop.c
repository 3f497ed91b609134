// SPDX-License-Identifier: MIT
/* Who ended the run and why, and the kicks by which everyone learns of it. */
#include <signal.h>

#include "kick.h"
#include "stop.h"

void stop_init(struct stop *s)
{
	*s = (struct stop){.vcpu = STOP_NO_VCPU};
	pthread_mutex_init(&s->lock, NULL);
}

void stop_destroy(struct stop *s)
{
	pthread_mutex_destroy(&s->lock);
}

static void kick(const struct stop_thread *t)
{
	__atomic_store_n(t->immediate_exit, 1, __ATOMIC_RELEASE);
	/* A thread that asks is not inside KVM_RUN. */
	if (!pthread_equal(t->id, pthread_self()))
		pthread_kill(t->id, KICK_SIGNAL);
}

void stop_ask(struct stop *s, enum ew_stop why, int status, int vcpu)
{
	pthread_mutex_lock(&s->lock);
	if (!s->why) {
		s->status = status;
		s->vcpu = vcpu;
		__atomic_store_n(&s->why, (int)why, __ATOMIC_RELEASE);
	}
	for (const struct stop_thread *t = s->threads; t; t = t->next)
		kick(t);
	pthread_mutex_unlock(&s->lock);
}

void stop_kick(struct stop *s)
{
	pthread_mutex_lock(&s->lock);
	for (const struct stop_thread *t = s->threads; t; t = t->next)
		pthread_kill(t->id, KICK_SIGNAL);
	pthread_mutex_unlock(&s->lock);
}

/* Under the lock: who comes after the reason sees it, who comes before is in the list. */
void stop_enter(struct stop *s, struct stop_thread *t, uint8_t *immediate_exit)
{
	pthread_mutex_lock(&s->lock);
	*t = (struct stop_thread){pthread_self(), immediate_exit, s->threads};
	s->threads = t;
	pthread_mutex_unlock(&s->lock);
}

void stop_leave(struct stop *s, struct stop_thread *t)
{
	pthread_mutex_lock(&s->lock);
	for (struct stop_thread **p = &s->threads; *p; p = &(*p)->next)
		if (*p == t) {
			*p = t->next;
			break;
		}
	pthread_mutex_unlock(&s->lock);
}
