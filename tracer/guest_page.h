/* SPDX-License-Identifier: MIT */
/* A sub-buffer of a ring buffer of the kernel's, before libtraceevent's kbuffer reads it, which trusts it. */
#ifndef EXITWALK_TRACER_GUEST_PAGE_H
#define EXITWALK_TRACER_GUEST_PAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Do all entries of the sub-buffer lie in its `len` bytes, one behind the other? (kernel/trace/ring_buffer.c:
 * struct buffer_data_page, rb_event_length().)
 */
bool guest_page_whole(const uint8_t *page, size_t len);

#endif
