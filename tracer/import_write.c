/* SPDX-License-Identifier: MIT */
#include "import_write.h"

#include <errno.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#define PATIENCE_S                                                                                 \
	10 /* processor time between two signs of life, then the input is taken for a trap */

/* The default action of SIGPROF ends the process. */
void import_alive(void)
{
	const struct itimerval timer = {.it_value.tv_sec = PATIENCE_S};

	setitimer(ITIMER_PROF, &timer, NULL);
}

static void write_all(struct import_writer *w, const void *data, size_t len)
{
	const char *p = data;

	while (len && !w->error) {
		ssize_t n = write(w->out, p, len);

		if (n < 0 && errno != EINTR)
			w->error = -errno;
		if (n > 0) {
			p += n;
			len -= (size_t)n;
		}
	}
}

void import_write(struct import_writer *w, enum import_type type, const void *data, size_t len)
{
	const struct import_header h = {type, (uint32_t)len};

	import_alive();
	write_all(w, &h, sizeof(h));
	write_all(w, data, len);
}

/* The batch behind the one that was sent, once it is free. */
static void next_batch(struct import_writer *w)
{
	struct import_ring *r = w->ring;
	uint64_t sent = w->batch->sent + w->batch->n;
	uint32_t taken;

	w->batches++;
	while (taken = atomic_load(&r->taken), w->batches - taken >= IMPORT_SLOTS)
		syscall(SYS_futex, &r->taken, FUTEX_WAIT, taken, NULL, NULL, 0);
	w->batch = &r->batch[w->batches % IMPORT_SLOTS];
	w->batch->sent = sent;
	w->batch->n = 0;
}

void import_write_events(struct import_writer *w)
{
	struct import_batch *b = w->batch;

	if (!b->n)
		return;
	if (w->ring) {
		import_write(w, IMPORT_RING, NULL, 0);
		next_batch(w);
		return;
	}
	import_write(w, IMPORT_EVENTS, b->event, b->n * sizeof(b->event[0]));
	b->sent += b->n;
	b->n = 0;
}

void import_write_event(struct import_writer *w, const struct host_event *ev)
{
	struct import_batch *b = w->batch;

	b->event[b->n] = *ev;
	if (++b->n == IMPORT_BATCH)
		import_write_events(w);
}

void import_write_after(
	struct import_writer *w, enum import_type type, const void *data, size_t len)
{
	import_write_events(w);
	import_write(w, type, data, len);
}

void import_write_meta(struct import_writer *w, const char *key, const char *value)
{
	char text[8192];
	int n;

	if (!value || !*value)
		return;
	n = snprintf(text, sizeof(text), "%s%c%s", key, 0, value);
	if (n >= (int)sizeof(text))
		n = sizeof(text) - 1;
	import_write_after(w, IMPORT_META, text, (size_t)n + 1);
}

void import_write_damage(struct import_writer *w, const char *sentence)
{
	import_write_after(w, IMPORT_DAMAGE, sentence, strlen(sentence) + 1);
}
