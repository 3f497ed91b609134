/* SPDX-License-Identifier: MIT */
/* Standard input to the guest's serial port, without a guest: order, bounds, keys, the end. */
#include "tests/unit/fake_machine.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/serial_reg.h>
#include <sched.h>
#include <unistd.h>

#include "vmm/console.h"

#define PORT 0x3f8
#define BYTES 20000

struct machine {
	struct bus bus;
	struct uart *uart;
	struct fake_irq irq;
	struct fake_probe fake;
	struct turn turn;
	struct console console;
	int master, in; /* a terminal, or the ends of a pipe */
	int ended;      /* by key */
};

static void put(void *ctx, uint8_t byte)
{
	(void)ctx;
	(void)byte;
}

static void ended(void *ctx)
{
	struct machine *m = ctx;

	m->ended++;
}

static void out(struct machine *m, unsigned reg, uint8_t v)
{
	turn_take(&m->turn, NULL);
	bus_out(&m->bus, &m->fake.probe, EW_SPACE_PIO, PORT + reg, 1, v);
	turn_give(&m->turn);
}

static uint8_t in(struct machine *m, unsigned reg)
{
	uint8_t v;

	turn_take(&m->turn, NULL);
	v = (uint8_t)bus_in(&m->bus, &m->fake.probe, EW_SPACE_PIO, PORT + reg, 1);
	turn_give(&m->turn);
	return v;
}

static void open_pipe(struct machine *m)
{
	int fd[2];

	assert_int_equal(pipe2(fd, O_CLOEXEC), 0);
	m->master = fd[1];
	m->in = fd[0];
}

static void open_terminal(struct machine *m)
{
	m->master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	assert_true(m->master >= 0);
	assert_int_equal(grantpt(m->master), 0);
	assert_int_equal(unlockpt(m->master), 0);
	m->in = open(ptsname(m->master), O_RDWR | O_NOCTTY | O_CLOEXEC);
	assert_true(m->in >= 0);
}

static void start(struct machine *m, bool terminal)
{
	const struct console_config c = {
		.in = m->in,
		.terminal = terminal,
		.out = -1,
		.uart = m->uart,
		.turn = &m->turn,
		.end = ended,
		.ctx = m,
	};

	if (terminal)
		console_block_signals();
	assert_int_equal(console_start(&m->console, &c, NULL), 0);
}

static int setup(void **state)
{
	struct machine *m = calloc(1, sizeof(*m));

	*state = m;
	fake_probe_init(&m->fake);
	fake_irq_init(&m->irq, 4);
	turn_init(&m->turn);
	m->master = m->in = -1;
	return uart_create(&m->uart, &m->bus, PORT, &m->irq.line, put, m, 1, NULL);
}

static int teardown(void **state)
{
	struct machine *m = *state;

	close(m->master);
	close(m->in);
	uart_destroy(m->uart);
	turn_destroy(&m->turn);
	free(m);
	return 0;
}

/* The next byte that the guest receives; it polls for as long as it takes. */
static uint8_t next(struct machine *m)
{
	uint8_t lsr;

	for (;;) {
		lsr = in(m, UART_LSR);
		assert_int_equal(lsr & UART_LSR_OE, 0);
		if (lsr & UART_LSR_DR)
			return in(m, UART_RX);
		sched_yield();
	}
}

static void open_port(struct machine *m)
{
	out(m, UART_FCR, UART_FCR_ENABLE_FIFO);
	out(m, UART_IER, UART_IER_RDI);
	out(m, UART_MCR, UART_MCR_DTR | UART_MCR_RTS | UART_MCR_OUT2);
}

static void test_order(void **state)
{
	struct machine *m = *state;
	static uint8_t data[BYTES];

	for (unsigned i = 0; i < BYTES; i++)
		data[i] = (uint8_t)(i * 7 + i / 256);
	open_pipe(m);
	assert_int_equal(write(m->master, data, BYTES), BYTES); /* a pipe holds 65536 */
	close(m->master);
	m->master = -1;
	start(m, false);
	/* Nothing comes before the guest is ready, so nothing is lost in what it does to get so. */
	for (unsigned i = 0; i < 100; i++) {
		out(m, UART_FCR, UART_FCR_ENABLE_FIFO | UART_FCR_CLEAR_RCVR);
		assert_int_equal(in(m, UART_LSR) & UART_LSR_DR, 0);
	}
	open_port(m);
	for (unsigned i = 0; i < BYTES; i++)
		assert_int_equal(next(m), data[i]);
	assert_int_equal(in(m, UART_LSR) & UART_LSR_DR, 0);
	assert_int_equal(m->ended, 0); /* in a pipe 0x01 'x' is input */
	console_end(&m->console);
}

/* What waits is bounded, and the pipe's writer is held up instead. */
static void test_pipe_bound(void **state)
{
	struct machine *m = *state;
	static uint8_t data[1 << 16];
	size_t before = 0;
	ssize_t n;

	open_pipe(m);
	fcntl(m->master, F_SETFL, O_NONBLOCK);
	start(m, false);
	for (unsigned tries = 0; tries < 1000; tries++, sched_yield())
		while ((n = write(m->master, data, sizeof(data))) > 0)
			before += (size_t)n;
	assert_true(before <= CONSOLE_PENDING + sizeof(data));
	console_end(&m->console); /* and it ends all the same */
}

static void test_keys(void **state)
{
	static const char typed[] = "a\r\003\032\001\001b\001hc\001?d\001x";
	struct machine *m = *state;
	struct termios before, now;

	open_terminal(m);
	assert_int_equal(tcgetattr(m->in, &before), 0);
	start(m, true);
	assert_int_equal(tcgetattr(m->in, &now), 0);
	assert_int_equal(now.c_lflag & (ICANON | ECHO | ISIG), 0);
	assert_int_equal(now.c_iflag & (ICRNL | IXON), 0);
	open_port(m);
	assert_int_equal(write(m->master, typed, sizeof(typed) - 1), sizeof(typed) - 1);
	for (const char *p = "a\r\003\032\001bcd"; *p; p++)
		assert_int_equal(next(m), *p);
	for (int over = 0; !over; sched_yield()) {
		turn_take(&m->turn, NULL);
		over = m->ended;
		turn_give(&m->turn);
	}
	assert_int_equal(in(m, UART_LSR) & UART_LSR_DR, 0);
	console_end(&m->console);
	assert_int_equal(tcgetattr(m->in, &now), 0);
	assert_int_equal(now.c_lflag, before.c_lflag);
	assert_int_equal(now.c_iflag, before.c_iflag);
	assert_int_equal(now.c_oflag, before.c_oflag);
}

/* The terminal is hung up: no more input, and the end is no different. */
static void test_hangup(void **state)
{
	struct machine *m = *state;

	open_terminal(m);
	start(m, true);
	open_port(m);
	assert_int_equal(write(m->master, "z", 1), 1);
	assert_int_equal(next(m), 'z');
	close(m->master);
	m->master = -1;
	console_end(&m->console);
}

static void test_not_open(void **state)
{
	struct machine *m = *state;
	struct console_config c = {.in = -1, .out = -1, .uart = m->uart, .turn = &m->turn};
	struct err e = {""};

	/* A closed standard input is an end of file. */
	assert_int_equal(console_start(&m->console, &c, NULL), 0);
	console_end(&m->console);
	/* A wrong word in the environment: a sentence, and nothing has begun. */
	setenv("EXITWALK_IDLE_FD", "x", 1);
	assert_int_equal(console_start(&m->console, &c, &e), -EINVAL);
	unsetenv("EXITWALK_IDLE_FD");
	assert_non_null(strstr(e.msg, "EXITWALK_IDLE_FD"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_order, setup, teardown),
		cmocka_unit_test_setup_teardown(test_pipe_bound, setup, teardown),
		cmocka_unit_test_setup_teardown(test_keys, setup, teardown),
		cmocka_unit_test_setup_teardown(test_hangup, setup, teardown),
		cmocka_unit_test_setup_teardown(test_not_open, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
