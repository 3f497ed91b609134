/* SPDX-License-Identifier: MIT */
/* The guest's console on the user's terminal: what passes, what does not; and as lines. */
#include "tests/unit/fake_machine.h"

#include <fcntl.h>
#include <unistd.h>

#include "vmm/guest_output.h"

struct console {
	struct guest_output o;
	int reader;
	char got[8192];
};

static int setup(void **state)
{
	struct console *c = calloc(1, sizeof(*c));
	int fd[2];

	assert_int_equal(pipe2(fd, O_NONBLOCK | O_CLOEXEC), 0);
	c->reader = fd[0];
	guest_output_init(&c->o, fd[1]);
	*state = c;
	return 0;
}

static int teardown(void **state)
{
	struct console *c = *state;

	close(c->reader);
	close(c->o.fd);
	free(c);
	return 0;
}

/* What arrives when the guest sends this. */
static const char *sends_n(struct console *c, const char *bytes, size_t len)
{
	ssize_t n;

	for (size_t i = 0; i < len; i++)
		guest_output_put(&c->o, (uint8_t)bytes[i]);
	n = read(c->reader, c->got, sizeof(c->got) - 1);
	c->got[n > 0 ? n : 0] = 0;
	return c->got;
}

static const char *sends(struct console *c, const char *bytes)
{
	return sends_n(c, bytes, strlen(bytes));
}

static void test_lines(void **state)
{
	struct console *c = *state;

	assert_string_equal(sends(c, "one\r\n\033[31mtwo\n"), "guest: one\nguest: ?[31mtwo\n");
	assert_string_equal(sends(c, "\xc2\x9b"
				     "31m\tx\n"),
		"guest: ??31m\tx\n");
	assert_string_equal(sends(c, "no end"), "");
	guest_output_flush(&c->o);
	assert_string_equal(sends(c, ""), "guest: no end\n");
}

static void test_passes(void **state)
{
	static const char *const whole[] = {"~ # ls\r\n", "\b \b", "\a\t", "\033[1;31mred\033[0m",
		"\033[38;5;200m\033[38:2::1:2:3m", "\033[H\033[J\033[2J\033[K\033[10;20H",
		"\033[5A\033[d", "\033[?25l\033[?25h\033[?1h\033[?7l\033[4h\033[4l",
		"\0337\0338\033D\033E\033M\033=\033>", "\033(0lqqk\033(B\033)A\016\017",
		"\033[2;20r\033[3L\033[M\033[4@\033[P\033[X\033[2S\033[T",
		"gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x90\xa7 \xc2\xa0"};
	struct console *c = *state;

	guest_output_terminal(&c->o);
	for (size_t i = 0; i < sizeof(whole) / sizeof(whole[0]); i++)
		assert_string_equal(sends(c, whole[i]), whole[i]);
}

static void test_does_not_pass(void **state)
{
	static const char *const gone[] = {
		/* what a terminal answers: device status, attributes, modes, settings, windows */
		"\033[6n", "\033[5n", "\033[?6n", "\033[c", "\033[>c", "\033[=c", "\033Z", "\033[x",
		"\033[?1$p", "\033[21t", "\033[18t", "\033P+q544e\033\\", "\033P$qm\033\\", "\005",
		"\033[?1;1;0S", "\033[?4m", "\033[?u", "\033]10;?\a", "\033]4;1;?\033\\",
		/* titles, clipboard, notes, printer, reset, scrolled-out lines, mouse, other screens */
		"\033]0;owned\a", "\033]52;c;cm0=\a", "\033_G\033\\", "\033^x\033\\",
		"\033Xx\033\\", "\033kname\033\\", "\033[5i", "\033c", "\033[!p", "\033[3J",
		"\033[?3J", "\033[?1000h", "\033[?1049h", "\033[?2004h", "\033[1;2;3;4;5T",
		"\033[?69h", "\033[1\"p", "\033[0q", "\033[2 q", "\033[99b", "\033[3g", "\033H",
		"\033#8", "\033%G", "\033 F", "\033N", "\033[>4;2m", "\033[?1;25h", "\033[20h",
		/* cut off, interrupted, too long */
		"\033\030", "\033[1\032", "\033[1;2;3;4;5;6;7;8;9;10;11;12;13m", "\033[1\001",
		"\033(C",
		/* a character that is interrupted */
		"\xe2\x82\033[6n"};
	struct console *c = *state;

	guest_output_terminal(&c->o);
	for (size_t i = 0; i < sizeof(gone) / sizeof(gone[0]); i++) {
		assert_string_equal(sends(c, gone[i]), "");
		assert_string_equal(sends(c, "ok"), "ok"); /* and no more than that is gone */
	}
	assert_string_equal(sends_n(c, "\0\177\013\f", 4), "");
	/* A sequence in a string that has no end counts; so does text behind a very long one. */
	assert_string_equal(sends(c, "\033]0;x\033[1m!"), "\033[1m!");
	assert_string_equal(sends(c, "\033]0;x\033]1;y\033[6nz\a"), "z\a");
	sends(c, "\033P");
	for (unsigned i = 0; i < 4096; i++)
		guest_output_put(&c->o, 'x');
	assert_string_equal(sends(c, "seen"), "seen");
}

static void test_bytes_of_8_bits(void **state)
{
	/* C1 alone, in UTF-8, and in forms too long; surrogates, beyond Unicode, cut off. */
	static const char *const pairs[][2] = {{"\x9b"
						"6n",
						       "?6n"},
		{"\x85", "?"},
		{"\xc2\x9b"
		 "6n",
			"?6n"},
		{"\xe0\x82\x9b", "??"}, {"\xf0\x80\x82\x9b", "???"}, {"\xc0\x80", "??"},
		{"\xed\xa0\x80", "??"}, {"\xf4\x90\x80\x80", "???"}, {"\xf5\x80", "??"},
		{"\xff", "?"}, {"\xe2\x82X", "X"}, {"\xc3\xc3\xbc", "\xc3\xbc"}};
	struct console *c = *state;

	guest_output_terminal(&c->o);
	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++)
		assert_string_equal(sends(c, pairs[i][0]), pairs[i][1]);
}

static void test_end(void **state)
{
	struct console *c = *state;

	sends(c, "a line that has no end");
	guest_output_terminal(&c->o);
	assert_string_equal(sends(c, ""), "guest: a line that has no end\n");
	/* Nothing to undo: only a new line. */
	sends(c, "# ");
	guest_output_flush(&c->o);
	assert_string_equal(sends(c, ""), "\r\n");
	sends(c, "reboot: Power down\r\n");
	guest_output_flush(&c->o);
	assert_string_equal(sends(c, ""), "\r");
	sends(c, "\033[?25l\033[5;10r\033[31m");
	guest_output_flush(&c->o);
	assert_string_equal(sends(c, ""), TERM_FILTER_RESET "\r\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_lines, setup, teardown),
		cmocka_unit_test_setup_teardown(test_passes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_does_not_pass, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bytes_of_8_bits, setup, teardown),
		cmocka_unit_test_setup_teardown(test_end, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
