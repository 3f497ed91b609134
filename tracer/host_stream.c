/* SPDX-License-Identifier: MIT */
/* The buffer of one CPU: raw pages, decoded. */
#include "host_stream.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct host_event *room(struct host_stream *s)
{
	size_t cap = s->cap ? 2 * s->cap : 256;
	struct host_event *ev;

	if (s->n == s->cap && s->at) {
		memmove(s->ev, s->ev + s->at, (s->n - s->at) * sizeof(*s->ev));
		s->n -= s->at;
		s->at = 0;
	}
	if (s->n == s->cap) {
		ev = reallocarray(s->ev, cap, sizeof(*ev));
		if (!ev)
			return NULL;
		s->ev = ev;
		s->cap = cap;
	}
	return &s->ev[s->n];
}

static int add_loss(struct host_stream *s, uint64_t ts, int missed)
{
	struct host_event *ev = room(s);

	if (!ev)
		return -ENOMEM;
	*ev = (struct host_event){
		.rec = {.ts = ts, .a = {missed > 0 ? (uint64_t)missed : 0, s->last}},
		.task = s->task,
		.cpu = (uint16_t)s->cpu};
	s->n++;
	return 0;
}

/* The page lies in p->page. */
static int decode(struct host_stream *s, const struct host_pages *p)
{
	struct tep_record record = {.cpu = (int)s->cpu};
	unsigned long long ts;
	int missed;

	if (kbuffer_load_subbuffer(p->kbuf, p->page))
		return -EPROTO;
	missed = kbuffer_missed_events(p->kbuf);
	for (record.data = kbuffer_read_event(p->kbuf, &ts); record.data;
		record.data = kbuffer_next_event(p->kbuf, &ts)) {
		struct host_event *ev;

		if (ts < s->from) { /* and so is what is missing before it */
			missed = 0;
			continue;
		}
		/* How many of that gap's records are wanted nobody knows. */
		if (missed && add_loss(s, ts, s->older ? 0 : missed))
			return -ENOMEM;
		missed = 0;
		s->older = false;
		s->last = ts;
		record.ts = ts;
		record.size = kbuffer_event_size(p->kbuf);
		ev = room(s);
		if (!ev)
			return -ENOMEM;
		if (host_decode(p->decoder, &record, ev) && p->keep(p->ctx, ev))
			s->n++;
	}
	return 0;
}

int host_stream_read(
	struct host_stream *s, const struct host_pages *p, unsigned pages, bool *drained)
{
	int ret = 0;

	*drained = false;
	while (!ret && pages--) {
		ssize_t n = read(s->fd, p->page, p->page_size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			*drained = true;
			return n == 0 || errno == EAGAIN ? 0 : -errno;
		}
		memset((char *)p->page + n, 0, p->page_size - (size_t)n);
		ret = decode(s, p);
	}
	return ret;
}

void host_stream_close(struct host_stream *s)
{
	if (s->fd >= 0)
		close(s->fd);
	free(s->ev);
	s->fd = -1;
	s->ev = NULL;
	s->at = s->n = s->cap = 0;
}
