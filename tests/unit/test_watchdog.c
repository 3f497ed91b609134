/* SPDX-License-Identifier: MIT */
/* The watchdog's seconds, without a guest: a vCPU that is no file descriptor has nothing to tell. */
#include "tests/unit/fake_machine.h"

#include "vmm/kick.h"
#include "vmm/watchdog.h"

struct silence {
	struct vcpu vcpu[2];
	struct cpus cpus;
	struct guest_output output;
	struct watchdog w;
	char *text;
	size_t len;
};

static int setup(void **state)
{
	struct silence *s = calloc(1, sizeof(*s));

	*state = s;
	cpus_init(&s->cpus);
	s->vcpu[0].fd = s->vcpu[1].fd = -1;
	s->cpus.vcpu = s->vcpu;
	s->cpus.count = 2;
	s->cpus.start = 1;
	guest_output_init(&s->output, -1);
	s->w = (struct watchdog){.cpus = &s->cpus,
		.output = &s->output,
		.to = open_memstream(&s->text, &s->len),
		.seconds = 3,
		.end = "\n",
		.hint = "a hint"};
	watchdog_init(&s->w);
	return kick_init(NULL);
}

static int teardown(void **state)
{
	struct silence *s = *state;

	fclose(s->w.to);
	free(s->text);
	stop_destroy(&s->cpus.stop);
	free(s);
	return 0;
}

/* `seconds` later; how many lines were said until now. */
static unsigned lines_after(struct silence *s, unsigned seconds)
{
	unsigned n = 0;

	while (seconds--)
		watchdog_tick(&s->w);
	fflush(s->w.to);
	for (const char *p = s->text; p && (p = strchr(p, '\n')); p++)
		n++;
	return n;
}

/* What KVM_RUN does when it is kicked: an exit more, and the hook. */
static void answers(struct silence *s)
{
	for (unsigned i = 0; i < s->cpus.count; i++) {
		s->cpus.exits++;
		s->vcpu[i].kicked(s->vcpu[i].kicked_ctx, &s->vcpu[i]);
	}
}

static void test_once_per_silence(void **state)
{
	struct silence *s = *state;

	for (unsigned i = 0; i < 5; i++) { /* a guest that makes exits */
		s->cpus.exits++;
		assert_int_equal(lines_after(s, 2), 0);
	}
	assert_int_equal(
		lines_after(s, 2), 2); /* silent for three seconds: a sentence and a hint */
	assert_non_null(strstr(s->text, "no exit and nothing printed for 3 s\na hint\n"));
	assert_int_equal(s->vcpu[0].look + s->vcpu[1].look, 2);
	assert_int_equal(lines_after(s, 5), 2); /* it waits for the answers */
	answers(s);
	assert_int_equal(s->vcpu[0].look + s->vcpu[1].look, 0);
	/* The kicks were exits too, and end no silence. */
	assert_int_equal(lines_after(s, 10), 2);
	answers(s); /* for another reason: nothing to say, but exits */
	assert_int_equal(lines_after(s, 3), 2);
	assert_int_equal(lines_after(s, 1), 4);
}

static void test_output_counts(void **state)
{
	struct silence *s = *state;

	for (unsigned i = 0; i < 5; i++) {
		guest_output_put(&s->output, 'x');
		assert_int_equal(lines_after(s, 2), 0);
	}
	assert_int_equal(lines_after(s, 2), 1); /* it has printed: no hint */
}

static void test_until_output(void **state)
{
	struct silence *s = *state;

	s->w.until_output = true;
	assert_int_equal(lines_after(s, 2), 0);
	guest_output_put(&s->output, 'x');
	assert_int_equal(lines_after(s, 100), 0);
}

static void test_off_and_over(void **state)
{
	struct silence *s = *state;

	s->cpus.start = 0; /* not begun */
	assert_int_equal(lines_after(s, 100), 0);
	s->cpus.start = 1;
	s->w.seconds = 0;
	assert_int_equal(lines_after(s, 100), 0);
	s->w.seconds = 3;
	stop_ask(&s->cpus.stop, EW_STOP_SIGNAL, 0, STOP_NO_VCPU);
	assert_int_equal(lines_after(s, 100), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_once_per_silence, setup, teardown),
		cmocka_unit_test_setup_teardown(test_output_counts, setup, teardown),
		cmocka_unit_test_setup_teardown(test_until_output, setup, teardown),
		cmocka_unit_test_setup_teardown(test_off_and_over, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
