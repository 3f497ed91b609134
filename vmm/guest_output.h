/* SPDX-License-Identifier: MIT */
/*
 * The guest's serial output: line by line, each line prefixed so that nobody takes it for ours; or, when
 * the user sits at the guest's console, as it comes.
 */
#ifndef EXITWALK_VMM_GUEST_OUTPUT_H
#define EXITWALK_VMM_GUEST_OUTPUT_H

#include "term_filter.h"

struct guest_output {
	int fd;         /* -1: nowhere */
	uint64_t bytes; /* that the guest has sent; any thread reads it atomically */
	size_t len;
	char line[256];
	bool terminal;
	struct term_filter filter;
};

void guest_output_init(struct guest_output *o, int fd);
/* From now on fd is a terminal in raw mode: what term_filter.h lets through goes there at once. */
void guest_output_terminal(struct guest_output *o);
/* For uart_create: ctx is the struct guest_output. In lines, control characters but tab become '?'. */
void guest_output_put(void *ctx, uint8_t byte);
/* Writes a line that has no end yet; a terminal gets its state back, and the cursor a new line. */
void guest_output_flush(struct guest_output *o);

#endif
