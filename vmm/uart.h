/* SPDX-License-Identifier: MIT */
/* A 16550A serial port (National PC16550D data sheet). */
#ifndef EXITWALK_VMM_UART_H
#define EXITWALK_VMM_UART_H

#include "bus.h"
#include "irq.h"

struct uart;

/* put() receives each byte sent (never fails, buffers itself). irq is borrowed. */
int uart_create(struct uart **out, struct bus *bus, uint16_t port, struct irq_line *irq,
	void (*put)(void *ctx, uint8_t byte), void *ctx, unsigned device_id, struct err *e);
void uart_destroy(struct uart *u);
/*
 * Gives received bytes to the guest; returns how many fitted into the FIFO. The rest is lost as on the
 * wire (LSR.OE, overrun; all of it in loopback). A caller that can wait gives no more than uart_room().
 */
unsigned uart_receive(struct uart *u, const uint8_t *data, unsigned len);
/* How many bytes the guest is ready to take, by the handshake of a serial line: none while its RTS is
 * off. */
unsigned uart_room(const struct uart *u);
/* ready() is called in the guest's access that made uart_room() grow; it may call uart_receive(). It
 * must not block. */
void uart_on_ready(struct uart *u, void (*ready)(void *ctx), void *ctx);

#endif
