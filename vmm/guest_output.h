/* SPDX-License-Identifier: MIT */
/* The guest's serial output, line by line, each line prefixed so that nobody takes it for ours. */
#ifndef EXITWALK_VMM_GUEST_OUTPUT_H
#define EXITWALK_VMM_GUEST_OUTPUT_H

#include <stdint.h>
#include <stddef.h>

struct guest_output {
	int fd; /* -1: nowhere */
	size_t len;
	char line[256];
};

void guest_output_init(struct guest_output *o, int fd);
/* For uart_create: ctx is the struct guest_output. Control characters but tab become '?'. */
void guest_output_put(void *ctx, uint8_t byte);
/* Writes a line that has no end yet. */
void guest_output_flush(struct guest_output *o);

#endif
