/* SPDX-License-Identifier: MIT */
/*
 * A 16550A serial port. A byte written is sent at once, so the transmitter is always empty and its FIFO
 * needs no storage; all timing that remains is the order of interrupts.
 *
 * INTR is not gated by MCR.OUT2, as the chip's pin is not; PC boards did that outside of it.
 */
#include "vmm/uart.h"

#include <errno.h>
#include <stdlib.h>
#include <linux/serial_reg.h>

#define FIFO_SIZE 16
#define UART_PORTS 8
#define IIR_FIFO_ON 0xc0 /* both bits: the FIFOs work, so this is the A version */

struct uart {
	struct irq_line *irq;
	void (*put)(void *ctx, uint8_t byte);
	void *ctx;
	void (*ready)(void *ctx); /* NULL: nobody sends to the guest */
	void *ready_ctx;
	uint8_t ier, lcr, mcr, scr, dll, dlm;
	uint8_t lsr_errors; /* latched until LSR is read */
	uint8_t msr_delta;  /* latched until MSR is read */
	bool fifo_on, thre_pending;
	int level; /* what the irq line was last set to */
	unsigned trigger;
	uint8_t rx[FIFO_SIZE];
	unsigned rx_head, rx_count;
};

/* The four inputs of MSR's upper half: a modem that is always there, or our own outputs in loopback. */
static uint8_t modem_inputs(const struct uart *u)
{
	uint8_t msr = 0;

	if (!(u->mcr & UART_MCR_LOOP))
		return UART_MSR_DCD | UART_MSR_DSR | UART_MSR_CTS;
	if (u->mcr & UART_MCR_RTS)
		msr |= UART_MSR_CTS;
	if (u->mcr & UART_MCR_DTR)
		msr |= UART_MSR_DSR;
	if (u->mcr & UART_MCR_OUT1)
		msr |= UART_MSR_RI;
	if (u->mcr & UART_MCR_OUT2)
		msr |= UART_MSR_DCD;
	return msr;
}

/*
 * The one pending interrupt of highest priority (data sheet, table 4). Received data below the trigger
 * level counts as a character time-out at once, since no more bytes are on their way here.
 */
static uint8_t iir_id(const struct uart *u)
{
	if ((u->ier & UART_IER_RLSI) && u->lsr_errors)
		return UART_IIR_RLSI;
	if ((u->ier & UART_IER_RDI) && u->rx_count)
		return !u->fifo_on || u->rx_count >= u->trigger ? UART_IIR_RDI
								: UART_IIR_RX_TIMEOUT;
	if ((u->ier & UART_IER_THRI) && u->thre_pending)
		return UART_IIR_THRI;
	if ((u->ier & UART_IER_MSI) && u->msr_delta)
		return UART_IIR_MSI;
	return UART_IIR_NO_INT;
}

static void update_irq(struct uart *u)
{
	int level = iir_id(u) != UART_IIR_NO_INT;

	if (level != u->level && u->irq)
		u->irq->set(u->irq, level);
	u->level = level;
}

static unsigned rx_size(const struct uart *u)
{
	return u->fifo_on ? FIFO_SIZE : 1;
}

/* Overrun: with FIFO the new byte is lost, without it the old one is overwritten (LSR bit 1). */
static bool rx_push(struct uart *u, uint8_t byte)
{
	if (u->rx_count == rx_size(u)) {
		u->lsr_errors |= UART_LSR_OE;
		if (!u->fifo_on)
			u->rx[u->rx_head] = byte;
		return false;
	}
	u->rx[(u->rx_head + u->rx_count++) % FIFO_SIZE] = byte;
	return true;
}

static uint8_t rx_pop(struct uart *u)
{
	uint8_t byte;

	if (!u->rx_count)
		return 0;
	byte = u->rx[u->rx_head];
	u->rx_head = (u->rx_head + 1) % FIFO_SIZE;
	u->rx_count--;
	return byte;
}

static void write_thr(struct uart *u, uint8_t byte)
{
	/* The holding register is full for a moment: the line drops, and rises again as the byte has
	 * gone. Without that an edge-triggered controller (the ISA default) would see no second edge. */
	u->thre_pending = false;
	update_irq(u);
	if (u->mcr & UART_MCR_LOOP)
		rx_push(u, byte);
	else
		u->put(u->ctx, byte);
	u->thre_pending = true;
}

static void write_ier(struct uart *u, uint8_t v)
{
	/* Enabling it while the register is empty, which is always, raises the interrupt at once. */
	if (~u->ier & v & UART_IER_THRI)
		u->thre_pending = true;
	u->ier = v & (UART_IER_RDI | UART_IER_THRI | UART_IER_RLSI | UART_IER_MSI);
}

static void write_fcr(struct uart *u, uint8_t v)
{
	static const uint8_t trigger[] = {1, 4, 8, 14};
	bool on = v & UART_FCR_ENABLE_FIFO;

	if (on != u->fifo_on || (on && (v & UART_FCR_CLEAR_RCVR)))
		u->rx_head = u->rx_count = 0;
	u->fifo_on = on;
	if (on)
		u->trigger = trigger[v >> 6];
}

static void write_mcr(struct uart *u, uint8_t v)
{
	uint8_t before = modem_inputs(u), after, changed;

	u->mcr = v & (UART_MCR_DTR | UART_MCR_RTS | UART_MCR_OUT1 | UART_MCR_OUT2 | UART_MCR_LOOP);
	after = modem_inputs(u);
	changed = before ^ after;
	if (changed & UART_MSR_CTS)
		u->msr_delta |= UART_MSR_DCTS;
	if (changed & UART_MSR_DSR)
		u->msr_delta |= UART_MSR_DDSR;
	if (changed & UART_MSR_DCD)
		u->msr_delta |= UART_MSR_DDCD;
	if (changed & before & UART_MSR_RI) /* only its end counts */
		u->msr_delta |= UART_MSR_TERI;
}

static void uart_write(struct uart *u, unsigned reg, uint8_t v)
{
	bool dlab = u->lcr & UART_LCR_DLAB;

	switch (reg) {
	case UART_TX:
		if (dlab)
			u->dll = v;
		else
			write_thr(u, v);
		break;
	case UART_IER:
		if (dlab)
			u->dlm = v;
		else
			write_ier(u, v);
		break;
	case UART_FCR:
		write_fcr(u, v);
		break;
	case UART_LCR:
		u->lcr = v;
		break;
	case UART_MCR:
		write_mcr(u, v);
		break;
	case UART_SCR:
		u->scr = v;
		break;
	default: /* LSR and MSR: writing is for the chip's factory test */
		break;
	}
}

static uint8_t read_iir(struct uart *u)
{
	uint8_t id = iir_id(u);

	if (id == UART_IIR_THRI) /* reading it is the acknowledgement */
		u->thre_pending = false;
	return id | (u->fifo_on ? IIR_FIFO_ON : 0);
}

static uint8_t read_lsr(struct uart *u)
{
	uint8_t v = UART_LSR_TEMT | UART_LSR_THRE | u->lsr_errors;

	if (u->rx_count)
		v |= UART_LSR_DR;
	u->lsr_errors = 0;
	return v;
}

static uint8_t read_msr(struct uart *u)
{
	uint8_t v = modem_inputs(u) | u->msr_delta;

	u->msr_delta = 0;
	return v;
}

static uint8_t uart_read(struct uart *u, unsigned reg)
{
	bool dlab = u->lcr & UART_LCR_DLAB;

	switch (reg) {
	case UART_RX:
		return dlab ? u->dll : rx_pop(u);
	case UART_IER:
		return dlab ? u->dlm : u->ier;
	case UART_IIR:
		return read_iir(u);
	case UART_LCR:
		return u->lcr;
	case UART_MCR:
		return u->mcr;
	case UART_LSR:
		return read_lsr(u);
	case UART_MSR:
		return read_msr(u);
	default:
		return u->scr;
	}
}

static enum ew_bus_result uart_access(
	void *opaque, uint64_t offset, unsigned size, bool is_write, uint64_t *value)
{
	struct uart *u = opaque;
	unsigned before = uart_room(u);

	if (size != 1)
		return EW_BUS_BAD_SIZE;
	if (is_write)
		uart_write(u, (unsigned)offset, (uint8_t)*value);
	else
		*value = uart_read(u, (unsigned)offset);
	update_irq(u);
	if (u->ready && uart_room(u) > before)
		u->ready(u->ready_ctx);
	return EW_BUS_HANDLED;
}

int uart_create(struct uart **out, struct bus *bus, uint16_t port, struct irq_line *irq,
	void (*put)(void *ctx, uint8_t byte), void *ctx, unsigned device_id, struct err *e)
{
	struct uart *u = calloc(1, sizeof(*u));
	struct bus_region r = {.name = "16550A serial port",
		.device = device_id,
		.space = EW_SPACE_PIO,
		.base = port,
		.len = UART_PORTS,
		.handler = uart_access,
		.opaque = u};
	int ret;

	*out = NULL;
	if (!u)
		return err_set(e, -ENOMEM, "no memory for the serial port");
	u->irq = irq;
	u->put = put;
	u->ctx = ctx;
	u->trigger = 1;
	u->dll = 12; /* 9600 baud; nothing here waits for it */
	ret = bus_add(bus, &r, e);
	if (ret) {
		free(u);
		return ret;
	}
	*out = u;
	return 0;
}

void uart_destroy(struct uart *u)
{
	free(u);
}

void uart_on_ready(struct uart *u, void (*ready)(void *ctx), void *ctx)
{
	u->ready = ready;
	u->ready_ctx = ctx;
}

unsigned uart_receive(struct uart *u, const uint8_t *data, unsigned len)
{
	unsigned fitted = 0;

	if (u->mcr & UART_MCR_LOOP) /* the receiver hangs on our own transmitter */
		return 0;
	for (unsigned i = 0; i < len; i++)
		fitted += rx_push(u, data[i]);
	update_irq(u);
	return fitted;
}

/*
 * In loopback the modem outputs are inactive, whatever MCR says of them. Linux raises RTS when somebody
 * opens the port, after its probing and clearing of the FIFOs, in which early bytes would be lost.
 */
unsigned uart_room(const struct uart *u)
{
	if ((u->mcr & UART_MCR_LOOP) || !(u->mcr & UART_MCR_RTS))
		return 0;
	return rx_size(u) - u->rx_count;
}
