/* SPDX-License-Identifier: MIT */
/* The writer thread: merges the tracks' rings by time and inserts. */
#include "writer.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <time.h>

#include "clock_pair.h"

#define RELEASE_EVERY 256 /* slots go back to the producer in batches: one shared write for many */

int writer_init(struct writer *w, struct store *store, uint64_t window_ns, struct err *e)
{
	memset(w, 0, sizeof(*w));
	w->store = store;
	w->window_ns = window_ns;
	return rows_init(&w->rows, store, e);
}

void writer_destroy(struct writer *w)
{
	rows_destroy(&w->rows);
}

int writer_add_ring(
	struct writer *w, struct ring *ring, const _Atomic uint32_t *task, struct err *e)
{
	int ret = rows_add_track(&w->rows, w->rings + 1, e);

	if (ret)
		return ret;
	w->task[w->rings] = task;
	w->ring[w->rings++] = ring;
	return 0;
}

void writer_add_host(struct writer *w, struct host_ring *host)
{
	rows_join(&w->rows);
	w->host = host;
	w->ring[w->rings++] = &host->ring;
}

/* --- tracepoints of the host ---------------------------------------------------------------- */

/* The first time that a task is spoken of: is it the thread of one of the rings? */
static int store_task(struct writer *w, const struct host_task *t)
{
	for (unsigned i = 0; i + 1 < w->rings; i++)
		if (w->task[i] && *w->task[i] == t->task)
			return rows_thread(&w->rows, i + 1, t->task, &w->err);
	return host_rows_task(&w->rows.host, t->task, t->name, &w->err);
}

static int store_host(struct writer *w, const struct ew_rec *rec, const void *payload)
{
	struct host_event ev = {.rec = *rec};

	if (rec->kind == 0 && rec->a[0] == HOST_MESSAGE_TASK)
		return store_task(w, payload);
	if (rec->kind == 0)
		return host_rows_lost(
			&w->rows.host, (uint32_t)rec->a[1], rec->a[2], rec->ts, rec->a[3], &w->err);
	memcpy(&ev.task, payload, HOST_TAIL);
	return rows_add_host(&w->rows, &ev, &w->err);
}

/* --- from the rings to the database ---------------------------------------------------------- */

static int store_record(struct writer *w, unsigned i, const struct ew_rec *rec, const void *payload)
{
	int ret = store_begin(w->store, &w->err);

	if (!ret && w->host && w->ring[i] == &w->host->ring)
		ret = store_host(w, rec, payload);
	else if (!ret)
		ret = rows_add(&w->rows, i + 1, rec, payload, &w->err);
	if (w->uncommitted++ == 0)
		w->begun = probe_now();
	if (!ret && w->uncommitted >= WRITER_COMMIT_ROWS)
		ret = writer_commit(w);
	return ret;
}

int writer_commit(struct writer *w)
{
	int ret;

	if (!w->uncommitted)
		return 0;
	w->uncommitted = 0;
	ret = rows_store_open(&w->rows, &w->err);
	return ret ? ret : store_commit(w->store, &w->err);
}

/*
 * Which ring has the oldest record, and up to which time its records may be taken in a row. A ring
 * that is empty may still deliver a record that was taken up to a window ago; that of the host's
 * tracepoints says itself up to when it is complete. Returns the ring's index or -1.
 */
static int oldest(struct writer *w, uint64_t horizon, uint64_t *until)
{
	uint64_t first = UINT64_MAX, second = UINT64_MAX;
	const struct ew_rec *rec;
	int found = -1;

	for (unsigned i = 0; i < w->rings; i++) {
		uint64_t ts = horizon;

		/* Before the look at the ring: what comes after it is later than that. */
		if (w->host && w->ring[i] == &w->host->ring)
			ts = atomic_load_explicit(&w->host->until, memory_order_acquire);
		rec = ring_peek(w->ring[i]);
		ts = rec ? rec->ts : ts;
		if (rec && (found < 0 || ts < first)) {
			if (found >= 0 && first < second)
				second = first;
			first = ts;
			found = (int)i;
		} else if (ts < second) {
			second = ts;
		}
	}
	*until = second;
	return first <= second ? found : -1;
}

static int drain(struct writer *w, unsigned i, uint64_t until, uint64_t *n)
{
	const struct ew_rec *rec = ring_peek(w->ring[i]);
	const void *payload;
	unsigned taken = 0;
	int ret = 0;

	while (!ret && rec && rec->ts <= until && taken < RELEASE_EVERY) {
		rec = ring_next(w->ring[i], &payload);
		ret = store_record(w, i, rec, payload);
		taken++;
		rec = ring_peek(w->ring[i]);
	}
	ring_release(w->ring[i]);
	*n += taken;
	return ret;
}

int writer_pass(struct writer *w, uint64_t now, uint64_t *n)
{
	uint64_t horizon = now == UINT64_MAX || now < w->window_ns ? now : now - w->window_ns;
	uint64_t until;
	int i, ret = 0;

	*n = 0;
	while (!ret && *n < WRITER_COMMIT_ROWS && (i = oldest(w, horizon, &until)) >= 0)
		ret = drain(w, (unsigned)i, until, n);
	return ret;
}

/* Losses that no later record reported: the ring stayed full until the end. */
static int last_losses(struct writer *w)
{
	struct ew_rec lost;
	int ret = 0;

	for (unsigned i = 0; !ret && i < w->rings; i++)
		if (ring_take_lost(w->ring[i], &lost))
			ret = store_record(w, i, &lost, NULL);
	return ret;
}

static void say_clock(struct writer *w)
{
	struct clock_pair p = clock_pair_read();

	PROBE_AT(w->clock, p.ts, EW_CLOCK_PAIR, p.tsc, p.width);
	w->clock_next = p.ts + CLOCK_PAIR_EVERY;
}

static int round_of(struct writer *w, bool stop, bool *done)
{
	struct timespec sleep = {.tv_nsec = WRITER_SLEEP_NS};
	uint64_t n, now = stop ? UINT64_MAX : probe_now();
	int ret;

	if (w->clock && now >= w->clock_next && w->clock_next != UINT64_MAX) {
		say_clock(w);
		if (stop)
			w->clock_next = UINT64_MAX;
	}
	ret = writer_pass(w, now, &n);
	*done = stop && n == 0;
	/* The clock is read again: the transaction may have begun in this very pass. */
	if (!ret && w->uncommitted && probe_now() - w->begun >= WRITER_COMMIT_NS)
		ret = writer_commit(w);
	/* It looks again by itself: waking it would cost the vCPU thread a system call. */
	if (!ret && n == 0 && !stop)
		nanosleep(&sleep, NULL);
	return ret;
}

static void *writer_main(void *arg)
{
	struct sched_param batch = {0};
	struct writer *w = arg;
	struct timespec cpu;
	bool done = false;
	int ret = 0;

	/* When it wakes up, it does not push a vCPU thread off its CPU (sched(7), SCHED_BATCH). */
	pthread_setschedparam(pthread_self(), SCHED_BATCH, &batch);
	while (!ret && !done)
		ret = round_of(w, atomic_load_explicit(&w->stop, memory_order_acquire), &done);
	if (!ret)
		ret = last_losses(w);
	if (!ret)
		ret = writer_commit(w);
	if (ret)
		atomic_store_explicit(&w->status, ret, memory_order_relaxed);
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &cpu);
	w->cpu_ns = (uint64_t)cpu.tv_sec * 1000000000u + (uint64_t)cpu.tv_nsec;
	return NULL;
}

int writer_start(struct writer *w, struct err *e)
{
	sigset_t all, old;
	int ret;

	if (w->clock) /* before anything of the run happens */
		say_clock(w);
	/* Signals are for the other threads. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	ret = pthread_create(&w->thread, NULL, writer_main, w);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (ret)
		return err_set(e, -ret, "the writer thread cannot be started: %s", strerror(ret));
	pthread_setname_np(w->thread, WRITER_THREAD);
	w->running = true;
	return 0;
}

int writer_stop(struct writer *w, struct err *e)
{
	int status;

	if (w->running) {
		atomic_store_explicit(&w->stop, true, memory_order_release);
		pthread_join(w->thread, NULL);
		w->running = false;
	}
	status = atomic_load_explicit(&w->status, memory_order_relaxed);
	if (status)
		err_set(e, status, "%s", w->err.msg);
	return status;
}
