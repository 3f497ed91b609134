/* SPDX-License-Identifier: MIT */
/* The buffer of one CPU of one instance: raw pages, decoded into events in time order. */
#ifndef EXITWALK_TRACER_HOST_STREAM_H
#define EXITWALK_TRACER_HOST_STREAM_H

#include <stdbool.h>
#include <kbuffer.h>

#include "host_decode.h"

struct host_stream {
	int fd;
	unsigned cpu;
	uint32_t task;         /* its HOST_TASK_CPU, for losses */
	uint64_t from;         /* what is older is not wanted */
	bool older;            /* there was something, and the first gap may be of it */
	uint64_t last;         /* time of the last record; before any: when the stream began */
	struct host_event *ev; /* ev[at … n-1] are not taken yet; kind 0: a loss, see below */
	size_t at, n, cap;
};

/* An event of kind 0: records were lost before it. a[0] = how many or 0 (not known), a[1] = time of the last one in
 * front of the gap; its own time is that of the first one behind it. */

/* What the streams of an instance share. */
struct host_pages {
	struct tep_handle *tep;
	struct host_decoder *decoder;
	struct kbuffer *kbuf;
	void *page;
	size_t page_size;
	/* Asked about each event: is it the VM's? */
	bool (*keep)(void *ctx, const struct host_event *ev);
	void *ctx;
};

/*
 * Reads what the kernel has, at most `pages` of them. *drained: that was all. 0 or -errno.
 */
int host_stream_read(
	struct host_stream *s, const struct host_pages *p, unsigned pages, bool *drained);

/* The next event that was read, or NULL; host_stream_take() takes it. */
static inline struct host_event *host_stream_head(struct host_stream *s)
{
	return s->at < s->n ? &s->ev[s->at] : NULL;
}
static inline void host_stream_take(struct host_stream *s)
{
	if (++s->at == s->n)
		s->at = s->n = 0;
}

void host_stream_close(struct host_stream *s);

#endif
