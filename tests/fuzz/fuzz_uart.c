/* SPDX-License-Identifier: MIT */
/*
 * libFuzzer target: a hostile guest at COM1, somebody who types at the same time, and the user's terminal.
 * Whatever they do, the line says what IIR says, a byte arrives once and in order, and what reaches the
 * terminal is whole: filtered again, it is the same.
 *
 * sources: vmm/bus.c vmm/uart.c vmm/term_filter.c
 */
#include <string.h>
#include <linux/serial_reg.h>

#include "fuzz.h"
#include "vmm/term_filter.h"
#include "vmm/uart.h"

#define PORT 0x3f8u

struct machine {
	struct bus bus;
	struct fuzz_probe fake;
	struct irq_line irq;
	int level;
	struct uart *uart;
	struct term_filter filter, again;
	uint8_t next_sent; /* what is typed counts up … */
	uint8_t next_read; /* … so that the guest's side can be checked: what it may read next */
	unsigned typed;    /* waits at the other end of the line */
	bool exact;        /* nothing but these bytes got into the receiver, and none was lost */
};

static void set_level(struct irq_line *line, int level)
{
	struct machine *m = (struct machine *)((char *)line - offsetof(struct machine, irq));

	check(level == !m->level); /* only changes */
	m->level = level;
}

static void put(void *ctx, uint8_t byte)
{
	struct machine *m = ctx;
	size_t len = term_filter(&m->filter, byte), back = 0;
	char out[TERM_FILTER_MAX];

	check(len <= TERM_FILTER_MAX);
	memcpy(out, m->filter.held, len);
	for (size_t n = 0; n < len; n++) {
		check(back == 0); /* whole sequences, so nothing comes before the last byte */
		back = term_filter(&m->again, (uint8_t)out[n]);
	}
	check(back == len && !memcmp(out, m->again.held, len));
}

/* Also uart_on_ready: as much as there is room for. */
static void send(void *ctx)
{
	struct machine *m = ctx;

	while (m->typed && uart_room(m->uart)) {
		check(uart_receive(m->uart, &m->next_sent, 1) == 1);
		m->next_sent++;
		m->typed--;
	}
}

static uint64_t access(struct machine *m, unsigned reg, unsigned size, bool is_write, uint64_t v)
{
	bus_access(&m->bus, &m->fake.probe, EW_SPACE_PIO, PORT + reg, size, is_write, &v);
	check(is_write || size >= 8 || v >> 8 * size == 0);
	return v;
}

static void op_write(struct machine *m, struct input *i)
{
	unsigned reg = take(i, 1) & 7, v = take(i, 1);

	access(m, reg, 1, true, v);
	/* Cleared FIFOs and loopback: from here on other bytes are read, or fewer. */
	if (reg == UART_FCR || (reg == UART_MCR && (v & UART_MCR_LOOP)))
		m->exact = false;
}

static void op_read(struct machine *m, struct input *i)
{
	unsigned reg = take(i, 1) & 7;
	bool dlab = access(m, UART_LCR, 1, false, 0) & UART_LCR_DLAB;
	bool ready = access(m, UART_LSR, 1, false, 0) & UART_LSR_DR;
	uint64_t v = access(m, reg, 1, false, 0);

	if (reg == UART_RX && !dlab && ready && m->exact)
		check(v == m->next_read++);
}

static void op_odd(struct machine *m, struct input *i)
{
	unsigned reg = take(i, 1), how = take(i, 1);

	access(m, (reg & 15) - 4, 2 + (how & 7), how & 0x80, how);
}

static void op_type(struct machine *m, struct input *i)
{
	m->typed = (m->typed + take(i, 1)) % 4096;
	send(m);
}

/* A line without handshake: the receiver overruns. */
static void op_overrun(struct machine *m, struct input *i)
{
	uint8_t data[64];
	unsigned len = take(i, 1) & 63, room = uart_room(m->uart);

	memset(data, (int)take(i, 1), sizeof(data));
	check(uart_receive(m->uart, data, len) >= (len < room ? len : room));
	m->exact = false;
}

/* Straight into the terminal's filter, as fast as a guest that only prints. */
static void op_print(struct machine *m, struct input *i)
{
	uint32_t len = take(i, 1);

	access(m, UART_MCR, 1, true, UART_MCR_RTS);
	access(m, UART_LCR, 1, true, 0);
	while (len-- && i->p < i->end)
		access(m, UART_TX, 1, true, take(i, 1));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const op[8])(struct machine *, struct input *) = {
		op_write, op_read, op_odd, op_type, op_overrun, op_print, op_read, op_write};
	struct input i = {data, data + size};
	struct machine m;

	memset(&m, 0, sizeof(m));
	m.fake.probe.emit = fuzz_emit;
	m.irq = (struct irq_line){.set = set_level, .irq = 4};
	m.exact = true;
	check(!uart_create(&m.uart, &m.bus, PORT, &m.irq, put, &m, 1, NULL));
	uart_on_ready(m.uart, send, &m);
	for (unsigned n = 0; n < 4 * MAX_OPS && i.p < i.end; n++) {
		int level;

		op[take(&i, 1) & 7](&m, &i);
		check(m.fake.depth == 0 && uart_room(m.uart) <= 16);
		level = m.level;
		check(level == !(access(&m, UART_IIR, 1, false, 0) & UART_IIR_NO_INT));
	}
	uart_destroy(m.uart);
	return 0;
}
