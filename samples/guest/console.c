// SPDX-License-Identifier: MIT
/*
 * The 16550 at COM1: output only, polled. Every character costs two exits, so be brief.
 */
#include <linux/serial_reg.h>

#include "guest_abi.h"
#include "kernel.h"

void console_init(void)
{
	iowrite8(0, EW_COM1_PORT + UART_IER);
	iowrite8(UART_LCR_WLEN8, EW_COM1_PORT + UART_LCR);
}

void console_write(const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		while (!(ioread8(EW_COM1_PORT + UART_LSR) & UART_LSR_THRE))
			continue;
		iowrite8(s[i], EW_COM1_PORT + UART_TX);
	}
}

void printk(const char *s)
{
	size_t n = 0;

	while (s[n])
		n++;
	console_write(s, n);
}

void print_hex(uint64_t v)
{
	char s[18] = "0x";
	size_t n = 2;

	for (int shift = 60; shift >= 0; shift -= 4) {
		unsigned int digit = v >> shift & 15;

		if (digit || n > 2 || !shift)
			s[n++] = "0123456789abcdef"[digit];
	}
	console_write(s, n);
}
