/* SPDX-License-Identifier: MIT */
/* The 16550A: interrupts and their priorities, FIFO, overrun, loopback, divisor latch. */
#include "tests/unit/fake_machine.h"

#include <linux/serial_reg.h>

#include "vmm/uart.h"

#define PORT 0x3f8

struct machine {
	struct bus bus;
	struct uart *uart;
	struct fake_irq irq;
	struct fake_probe fake;
	char sent[64];
	unsigned n_sent;
};

static void put(void *ctx, uint8_t byte)
{
	struct machine *m = ctx;

	m->sent[m->n_sent++] = (char)byte;
}

static int setup(void **state)
{
	struct machine *m = calloc(1, sizeof(*m));

	*state = m;
	fake_probe_init(&m->fake);
	fake_irq_init(&m->irq, 4);
	return uart_create(&m->uart, &m->bus, PORT, &m->irq.line, put, m, 1, NULL);
}

static int teardown(void **state)
{
	struct machine *m = *state;

	uart_destroy(m->uart);
	free(m);
	return 0;
}

static void out(struct machine *m, unsigned reg, uint8_t v)
{
	bus_out(&m->bus, &m->fake.probe, EW_SPACE_PIO, PORT + reg, 1, v);
}

static uint8_t in(struct machine *m, unsigned reg)
{
	return (uint8_t)bus_in(&m->bus, &m->fake.probe, EW_SPACE_PIO, PORT + reg, 1);
}

static void test_reset_state(void **state)
{
	struct machine *m = *state;

	assert_int_equal(in(m, UART_LSR), UART_LSR_THRE | UART_LSR_TEMT);
	assert_int_equal(in(m, UART_IIR), UART_IIR_NO_INT);
	assert_int_equal(in(m, UART_IER), 0);
	assert_int_equal(in(m, UART_MSR), UART_MSR_DCD | UART_MSR_DSR | UART_MSR_CTS);
	assert_int_equal(in(m, UART_RX), 0);
	assert_int_equal(m->irq.raised, 0);
}

static void test_registers(void **state)
{
	struct machine *m = *state;

	out(m, UART_SCR, 0xa5);
	assert_int_equal(in(m, UART_SCR), 0xa5);
	out(m, UART_LCR, UART_LCR_DLAB | UART_LCR_WLEN8);
	out(m, UART_DLL, 0x34);
	out(m, UART_DLM, 0x12);
	assert_int_equal(in(m, UART_DLL), 0x34);
	assert_int_equal(in(m, UART_DLM), 0x12);
	out(m, UART_LCR, UART_LCR_WLEN8);
	assert_int_equal(m->n_sent, 0); /* the divisor was not sent */
	assert_int_equal(in(m, UART_IER), 0);
	out(m, UART_IER, 0xff);
	assert_int_equal(in(m, UART_IER), 0x0f); /* the upper half is always 0: no 16750 */
	out(m, UART_MCR, 0xff);
	assert_int_equal(in(m, UART_MCR), 0x1f);
	/* FIFOs that work: both bits. */
	out(m, UART_FCR, UART_FCR_ENABLE_FIFO);
	assert_int_equal(in(m, UART_IIR) & 0xc0, 0xc0);
	out(m, UART_FCR, 0);
	assert_int_equal(in(m, UART_IIR) & 0xc0, 0);
	/* Byte-wide only. */
	assert_int_equal(bus_in(&m->bus, &m->fake.probe, EW_SPACE_PIO, PORT, 2), 0xffff);
	assert_int_equal(fake_errors(&m->fake, EW_GERR_BAD_SIZE), 1);
}

static void test_transmit(void **state)
{
	struct machine *m = *state;

	out(m, UART_TX, 'h');
	out(m, UART_TX, 'i');
	assert_memory_equal(m->sent, "hi", 2);
	assert_int_equal(m->n_sent, 2);
	assert_int_equal(m->irq.raised, 0);
	/* Enabling the interrupt raises it at once; reading IIR acknowledges it. */
	out(m, UART_IER, UART_IER_THRI);
	assert_int_equal(m->irq.level, 1);
	assert_int_equal(in(m, UART_IIR), UART_IIR_THRI);
	assert_int_equal(m->irq.level, 0);
	assert_int_equal(in(m, UART_IIR), UART_IIR_NO_INT);
	/* Writing the same again is no new enabling; a byte sent is a new interrupt. */
	out(m, UART_IER, UART_IER_THRI);
	assert_int_equal(m->irq.level, 0);
	out(m, UART_TX, '!');
	assert_int_equal(m->irq.level, 1);
	assert_int_equal(m->irq.raised, 2);
	/* Not acknowledged, and the next byte is sent: a new edge all the same. */
	out(m, UART_TX, '?');
	assert_int_equal(m->irq.level, 1);
	assert_int_equal(m->irq.raised, 3);
	/* Disabling and enabling moves the line (drivers probe for that). */
	out(m, UART_IER, 0);
	assert_int_equal(m->irq.level, 0);
	out(m, UART_IER, UART_IER_THRI);
	assert_int_equal(m->irq.level, 1);
}

static void test_receive(void **state)
{
	struct machine *m = *state;
	uint8_t data[20];

	for (unsigned i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)('a' + i);
	out(m, UART_FCR, UART_FCR_ENABLE_FIFO | UART_FCR_TRIGGER_8);
	out(m, UART_IER, UART_IER_RDI);
	out(m, UART_MCR, UART_MCR_RTS);
	assert_int_equal(uart_room(m->uart), 16);
	assert_int_equal(uart_receive(m->uart, data, 7), 7);
	assert_int_equal(m->irq.level, 1);
	assert_int_equal(in(m, UART_IIR), 0xc0 | UART_IIR_RX_TIMEOUT); /* below the trigger */
	assert_int_equal(uart_receive(m->uart, data + 7, 1), 1);
	assert_int_equal(in(m, UART_IIR), 0xc0 | UART_IIR_RDI);
	for (unsigned i = 0; i < 8; i++) {
		assert_int_equal(in(m, UART_LSR) & UART_LSR_DR, UART_LSR_DR);
		assert_int_equal(m->irq.level, 1);
		assert_int_equal(in(m, UART_RX), 'a' + i);
	}
	assert_int_equal(in(m, UART_LSR) & UART_LSR_DR, 0);
	assert_int_equal(m->irq.level, 0);
	/* A full FIFO keeps what it has. */
	assert_int_equal(uart_receive(m->uart, data, 20), 16);
	assert_int_equal(uart_room(m->uart), 0);
	assert_int_equal(
		in(m, UART_LSR), UART_LSR_THRE | UART_LSR_TEMT | UART_LSR_DR | UART_LSR_OE);
	assert_int_equal(in(m, UART_LSR) & UART_LSR_OE, 0); /* reading clears it */
	assert_int_equal(in(m, UART_RX), 'a');
	for (unsigned i = 0; i < 14; i++)
		in(m, UART_RX);
	assert_int_equal(in(m, UART_RX), 'p');
	/* Clearing it, and switching it off. */
	uart_receive(m->uart, data, 3);
	out(m, UART_FCR, UART_FCR_ENABLE_FIFO | UART_FCR_CLEAR_RCVR);
	assert_int_equal(in(m, UART_LSR) & UART_LSR_DR, 0);
	assert_int_equal(m->irq.level, 0);
	uart_receive(m->uart, data, 3);
	out(m, UART_FCR, 0);
	assert_int_equal(in(m, UART_LSR) & UART_LSR_DR, 0);
	/* Without FIFO there is one register, and the newest byte wins. */
	assert_int_equal(uart_receive(m->uart, (const uint8_t *)"xy", 2), 1);
	assert_int_equal(in(m, UART_IIR), UART_IIR_RDI);
	assert_int_equal(in(m, UART_LSR) & UART_LSR_OE, UART_LSR_OE);
	assert_int_equal(in(m, UART_RX), 'y');
}

/* A line that waits for the handshake, as the console's thread does. */
struct sender {
	struct uart *uart;
	const char *rest;
	unsigned calls;
};

static void send_more(void *ctx)
{
	struct sender *s = ctx;
	unsigned n = (unsigned)strnlen(s->rest, uart_room(s->uart));

	s->calls++;
	assert_int_equal(uart_receive(s->uart, (const uint8_t *)s->rest, n), n);
	s->rest += n;
}

static void test_handshake(void **state)
{
	struct machine *m = *state;
	struct sender s = {.uart = m->uart, .rest = "0123456789abcdefghijklmnopqrstuvwxyz"};
	char got[64] = {0};
	unsigned n = 0;

	uart_on_ready(m->uart, send_more, &s);
	out(m, UART_FCR, UART_FCR_ENABLE_FIFO | UART_FCR_TRIGGER_8);
	out(m, UART_IER, UART_IER_RDI);
	assert_int_equal(uart_room(m->uart), 0); /* RTS is off */
	assert_int_equal(s.calls, 0);
	out(m, UART_MCR, UART_MCR_LOOP | UART_MCR_RTS);
	assert_int_equal(uart_room(m->uart), 0); /* nor is it on in loopback, at the pin */
	assert_int_equal(uart_receive(m->uart, (const uint8_t *)"x", 1), 0);
	assert_int_equal(in(m, UART_LSR) & UART_LSR_DR, 0);
	/* The first access that makes room fills it, and raises the interrupt. */
	out(m, UART_MCR, UART_MCR_DTR | UART_MCR_RTS | UART_MCR_OUT2);
	assert_int_equal(s.calls, 1);
	assert_int_equal(m->irq.level, 1);
	assert_int_equal(uart_room(m->uart), 0);
	/* Off again: what is in the FIFO can be read, no more comes, and nothing is lost. */
	out(m, UART_MCR, UART_MCR_DTR);
	for (; in(m, UART_LSR) & UART_LSR_DR; n++)
		got[n] = (char)in(m, UART_RX);
	assert_int_equal(n, 16);
	assert_int_equal(s.calls, 1);
	assert_int_equal(m->irq.level, 0);
	out(m, UART_MCR, UART_MCR_DTR | UART_MCR_RTS);
	for (; in(m, UART_LSR) & UART_LSR_DR; n++) {
		assert_int_equal(in(m, UART_LSR) & UART_LSR_OE, 0);
		got[n] = (char)in(m, UART_RX);
	}
	assert_string_equal(got, "0123456789abcdefghijklmnopqrstuvwxyz");
	assert_int_equal(m->irq.level, 0);
	/* Clearing the FIFO makes room too. */
	s.rest = "0123456789abcdef!";
	send_more(&s);
	out(m, UART_FCR, UART_FCR_ENABLE_FIFO | UART_FCR_CLEAR_RCVR);
	assert_int_equal(in(m, UART_RX), '!');
}

/* Its bytes go at the reading of RX alone: not while the divisor is at that address. */
static void test_receive_and_divisor(void **state)
{
	struct machine *m = *state;

	uart_receive(m->uart, (const uint8_t *)"a", 1);
	out(m, UART_LCR, UART_LCR_DLAB);
	assert_int_equal(in(m, UART_RX), 12);
	out(m, UART_LCR, UART_LCR_WLEN8);
	assert_int_equal(in(m, UART_LSR) & UART_LSR_DR, UART_LSR_DR);
	assert_int_equal(in(m, UART_RX), 'a');
	/* Enabling the interrupt with a byte there raises it at once; disabling it drops the line. */
	uart_receive(m->uart, (const uint8_t *)"b", 1);
	assert_int_equal(m->irq.level, 0);
	out(m, UART_IER, UART_IER_RDI);
	assert_int_equal(m->irq.level, 1);
	out(m, UART_IER, 0);
	assert_int_equal(m->irq.level, 0);
	out(m, UART_IER, UART_IER_RDI);
	assert_int_equal(in(m, UART_RX), 'b');
	assert_int_equal(m->irq.level, 0);
	/* An overrun has an interrupt of its own, which the reading of LSR answers. */
	out(m, UART_IER, UART_IER_RLSI);
	assert_int_equal(uart_receive(m->uart, (const uint8_t *)"cd", 2), 1);
	assert_int_equal(in(m, UART_IIR), UART_IIR_RLSI);
	assert_int_equal(in(m, UART_RX), 'd');
	assert_int_equal(in(m, UART_IIR), UART_IIR_RLSI);
	in(m, UART_LSR);
	assert_int_equal(m->irq.level, 0);
}

static void test_priorities(void **state)
{
	struct machine *m = *state;

	out(m, UART_IER, 0x0f);
	out(m, UART_MCR, UART_MCR_LOOP | UART_MCR_RTS); /* DCD and DSR drop: modem status */
	out(m, UART_TX, '1');
	out(m, UART_TX, '2'); /* comes back, and overruns */
	assert_int_equal(in(m, UART_IIR), UART_IIR_RLSI);
	assert_int_equal(in(m, UART_IIR), UART_IIR_RLSI); /* reading IIR is no answer to it */
	in(m, UART_LSR);
	assert_int_equal(in(m, UART_IIR), UART_IIR_RDI);
	assert_int_equal(in(m, UART_RX), '2');
	assert_int_equal(in(m, UART_IIR), UART_IIR_THRI);
	assert_int_equal(in(m, UART_IIR), UART_IIR_MSI);
	assert_int_equal(m->irq.level, 1);
	in(m, UART_MSR);
	assert_int_equal(in(m, UART_IIR), UART_IIR_NO_INT);
	assert_int_equal(m->irq.level, 0);
}

static void test_loopback(void **state)
{
	struct machine *m = *state;
	const struct {
		uint8_t mcr, msr;
	} pairs[] = {{UART_MCR_RTS, UART_MSR_CTS}, {UART_MCR_DTR, UART_MSR_DSR},
		{UART_MCR_OUT1, UART_MSR_RI}, {UART_MCR_OUT2, UART_MSR_DCD}};

	out(m, UART_MCR, UART_MCR_LOOP);
	out(m, UART_TX, 'L');
	assert_int_equal(m->n_sent, 0);
	assert_int_equal(in(m, UART_RX), 'L');
	for (unsigned i = 0; i < 4; i++) {
		out(m, UART_MCR, UART_MCR_LOOP | pairs[i].mcr);
		assert_int_equal(in(m, UART_MSR) & 0xf0, pairs[i].msr);
	}
	/* RI counts when it ends, the others when they change. */
	out(m, UART_MCR, UART_MCR_LOOP);
	in(m, UART_MSR);
	out(m, UART_MCR, UART_MCR_LOOP | UART_MCR_OUT1 | UART_MCR_RTS);
	assert_int_equal(in(m, UART_MSR) & 0x0f, UART_MSR_DCTS);
	out(m, UART_MCR, UART_MCR_LOOP | UART_MCR_RTS);
	assert_int_equal(in(m, UART_MSR) & 0x0f, UART_MSR_TERI);
	assert_int_equal(in(m, UART_MSR) & 0x0f, 0);
	out(m, UART_MCR, 0);
	out(m, UART_TX, 'W');
	assert_int_equal(m->n_sent, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_reset_state, setup, teardown),
		cmocka_unit_test_setup_teardown(test_registers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_transmit, setup, teardown),
		cmocka_unit_test_setup_teardown(test_receive, setup, teardown),
		cmocka_unit_test_setup_teardown(test_handshake, setup, teardown),
		cmocka_unit_test_setup_teardown(test_receive_and_divisor, setup, teardown),
		cmocka_unit_test_setup_teardown(test_priorities, setup, teardown),
		cmocka_unit_test_setup_teardown(test_loopback, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
