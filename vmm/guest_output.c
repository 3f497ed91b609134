// SPDX-License-Identifier: MIT
/* Collects a guest's serial bytes into lines, or passes them to the user's terminal. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "guest_output.h"

#define PREFIX "guest: "

void guest_output_init(struct guest_output *o, int fd)
{
	*o = (struct guest_output){.fd = fd};
}

/* A reader that went away must not end the run: what cannot be written is dropped. */
static void write_all(int fd, const char *p, size_t len)
{
	while (len) {
		ssize_t n = write(fd, p, len);

		if (n <= 0)
			return;
		p += n;
		len -= (size_t)n;
	}
}

void guest_output_terminal(struct guest_output *o)
{
	guest_output_flush(o);
	o->terminal = true;
	o->filter = (struct term_filter){.state = 0};
}

static void flush_terminal(struct guest_output *o)
{
	if (o->filter.used)
		write_all(o->fd, TERM_FILTER_RESET, sizeof(TERM_FILTER_RESET) - 1);
	write_all(o->fd, "\r\n", o->filter.midline ? 2 : 1);
	o->filter = (struct term_filter){.state = 0};
}

void guest_output_flush(struct guest_output *o)
{
	char out[sizeof(PREFIX) + sizeof(o->line) + 1];
	int n;

	if (o->terminal) {
		flush_terminal(o);
		return;
	}
	if (o->len && o->fd >= 0) {
		n = snprintf(out, sizeof(out), PREFIX "%.*s\n", (int)o->len, o->line);
		write_all(o->fd, out, (size_t)n);
	}
	o->len = 0;
}

void guest_output_put(void *ctx, uint8_t byte)
{
	struct guest_output *o = ctx;
	char c = (char)byte;

	__atomic_store_n(&o->bytes, o->bytes + 1, __ATOMIC_RELAXED);
	if (o->terminal) {
		write_all(o->fd, o->filter.held, term_filter(&o->filter, byte));
		return;
	}
	if (c == '\r')
		return;
	if (c == '\n') {
		if (o->len == 0)
			o->line[o->len++] = ' ';
		guest_output_flush(o);
		return;
	}
	/* The guest must not move the cursor or change the terminal's state. */
	if ((byte < 0x20 && c != '\t') || byte == 0x7f)
		c = '?';
	/* U+0080..U+009F, in UTF-8 c2 80..c2 9f, are control characters too. */
	if (byte >= 0x80 && byte < 0xa0 && o->len && (uint8_t)o->line[o->len - 1] == 0xc2)
		o->line[o->len - 1] = c = '?';
	o->line[o->len++] = c;
	if (o->len == sizeof(o->line))
		guest_output_flush(o);
}
