// SPDX-License-Identifier: MIT
/* The end of a run: the first reason counts, whoever is in its loop is kicked, and nobody else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <poll.h>

#include "vmm/kick.h"
#include "vmm/stop.h"
#include "vmm/turn.h"

static void test_first_reason(void **state)
{
	struct stop s;

	(void)state;
	stop_init(&s);
	assert_int_equal(stop_why(&s), 0);
	stop_ask(&s, EW_STOP_GUEST_EXIT, 3, 1);
	stop_ask(&s, EW_STOP_TIMEOUT, 0, STOP_NO_VCPU);
	assert_int_equal(stop_why(&s), EW_STOP_GUEST_EXIT);
	assert_int_equal(s.status, 3);
	assert_int_equal(s.vcpu, 1);
	stop_destroy(&s);
}

static void test_only_who_is_inside(void **state)
{
	struct stop_thread a, b, c;
	uint8_t a_exit = 0, b_exit = 0, c_exit = 0, late = 0;
	struct stop s;

	(void)state;
	stop_init(&s);
	stop_enter(&s, &a, &a_exit);
	stop_enter(&s, &b, &b_exit);
	stop_enter(&s, &c, &c_exit);
	stop_leave(&s, &b);
	stop_ask(&s, EW_STOP_SIGNAL, 0, STOP_NO_VCPU);
	assert_int_equal(a_exit, 1);
	assert_int_equal(b_exit, 0);
	assert_int_equal(c_exit, 1);
	/* A second Ctrl-C when all have left does nothing; who comes late sees the reason. */
	stop_leave(&s, &c);
	stop_leave(&s, &a);
	a_exit = 0;
	stop_ask(&s, EW_STOP_SIGNAL, 0, STOP_NO_VCPU);
	assert_int_equal(a_exit, 0);
	stop_enter(&s, &b, &late);
	assert_int_equal(stop_why(&s), EW_STOP_SIGNAL);
	stop_leave(&s, &b);
	stop_destroy(&s);
}

struct sleeper {
	struct stop stop;
	pthread_t thread;
	int ready;
};

/* What KVM_RUN is to a vCPU: a system call that only a signal ends. */
static void *sleep_until_kicked(void *arg)
{
	struct sleeper *s = arg;
	struct stop_thread t;
	uint8_t immediate_exit = 0;

	stop_enter(&s->stop, &t, &immediate_exit);
	__atomic_store_n(&s->ready, 1, __ATOMIC_RELEASE);
	while (!__atomic_load_n(&immediate_exit, __ATOMIC_ACQUIRE))
		poll(NULL, 0, 20);
	stop_leave(&s->stop, &t);
	return NULL;
}

static void test_kick(void **state)
{
	struct sleeper s = {.ready = 0};
	struct err e = {""};

	(void)state;
	assert_int_equal(kick_init(&e), 0);
	stop_init(&s.stop);
	assert_int_equal(pthread_create(&s.thread, NULL, sleep_until_kicked, &s), 0);
	while (!__atomic_load_n(&s.ready, __ATOMIC_ACQUIRE))
		;
	stop_ask(&s.stop, EW_STOP_TIMEOUT, 0, STOP_NO_VCPU);
	assert_int_equal(pthread_join(s.thread, NULL), 0);
	assert_null(s.stop.threads);
	stop_destroy(&s.stop);
}

/* --- turns ------------------------------------------------------------------------------------- */

struct guests {
	struct turn turn;
	struct vcpu *one, *two;
	int step;
};

static void *other_thread(void *arg)
{
	struct guests *g = arg;

	turn_take_vcpu(&g->turn, NULL, g->two);
	g->step = 1;
	turn_changed(&g->turn);
	turn_give(&g->turn);
	return NULL;
}

/* Who waits inside its turn has its own vCPU again when it goes on, whoever had the turn meanwhile. */
static void test_turn_has_the_vcpu(void **state)
{
	int a, b; /* only their addresses are used */
	struct guests g = {.one = (struct vcpu *)(void *)&a, .two = (struct vcpu *)(void *)&b};
	pthread_t thread;

	(void)state;
	turn_init(&g.turn);
	turn_take_vcpu(&g.turn, NULL, g.one);
	assert_int_equal(pthread_create(&thread, NULL, other_thread, &g), 0);
	while (!g.step)
		turn_wait(&g.turn);
	assert_ptr_equal(g.turn.vcpu, g.one);
	turn_give(&g.turn);
	pthread_join(thread, NULL);
	turn_take(&g.turn, NULL); /* a thread that is no vCPU's */
	assert_null(g.turn.vcpu);
	turn_give(&g.turn);
	turn_destroy(&g.turn);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_first_reason),
		cmocka_unit_test(test_only_who_is_inside),
		cmocka_unit_test(test_kick),
		cmocka_unit_test(test_turn_has_the_vcpu),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
