/* SPDX-License-Identifier: MIT */
/* Begins and returns of the host's functions, put together. */
#include "host_nesting.h"

#include <errno.h>
#include <stdlib.h>

#include "array.h"

#define DEPTH 32
#define SAME_FUNCTION                                                                              \
	16 /* what a probe's address and the tracer's may differ by: an endbr, a nop */

#define HAS(i) (1u << (i))

/* The functions that a task is in, as far as both their ends are recorded. */
struct host_open {
	uint64_t first; /* what it began with when it was in none; 0: not seen */
	bool blind;     /* it is in others too, nobody knows how many */
	unsigned n;
	struct {
		uint64_t func, ts;
	} at[DEPTH];
};

static bool same(uint64_t a, uint64_t b)
{
	return (a > b ? a - b : b - a) < SAME_FUNCTION;
}

static bool is_unpaired(const struct host_nesting *s, uint64_t func)
{
	for (unsigned i = 0; i < s->unpaireds; i++)
		if (same(s->unpaired[i], func))
			return true;
	return false;
}

static struct host_open *open_of(struct host_nesting *s, uint32_t task)
{
	uint64_t *index = u64_map_find(&s->task, task);

	if (index)
		return &s->open[*index - 1];
	if (array_grow((void **)&s->open, &s->cap, s->n, sizeof(*s->open)))
		return NULL;
	index = u64_map_put(&s->task, task);
	if (!index)
		return NULL;
	s->open[s->n] = (struct host_open){0};
	*index = ++s->n;
	return &s->open[s->n - 1];
}

/* Its own caller jumped to it: the trampoline is whose return address it has. */
static void find_parent(const struct host_nesting *s, const struct host_open *o, struct ew_rec *rec)
{
	if (s->trampoline && same(rec->a[1], s->trampoline))
		rec->a[1] = o->n ? o->at[o->n - 1].func : 0;
}

static void begins(const struct host_nesting *s, struct host_open *o, struct host_event *ev)
{
	struct ew_rec *rec = &ev->rec;

	if (ev->present & HAS(1))
		find_parent(s, o, rec);
	if (is_unpaired(s, rec->a[0]))
		return;
	if (!o->n && o->blind && o->first && same(o->first, rec->a[0]))
		o->blind = false;
	if (!o->n && !o->blind)
		o->first = rec->a[0];
	if (!o->blind) {
		rec->a[2] = o->n;
		ev->present |= HAS(2);
	}
	if (o->n < DEPTH) {
		o->at[o->n].func = rec->a[0];
		o->at[o->n++].ts = rec->ts;
	}
}

static void returns(struct host_nesting *s, struct host_open *o, struct host_event *ev)
{
	struct ew_rec *rec = &ev->rec;
	unsigned i = o->n;

	if (is_unpaired(s, rec->a[0]))
		return;
	while (i && !same(o->at[i - 1].func, rec->a[0]))
		i--;
	if (!i) {
		o->blind = true; /* it began before anybody looked */
		return;
	}
	s->missing += o->n - i;
	o->n = i - 1;
	rec->a[2] = o->at[o->n].ts;
	rec->a[3] = rec->ts;
	ev->present |= HAS(2) | HAS(3);
	if (!o->blind) {
		rec->a[1] = o->n;
		ev->present |= HAS(1);
	}
}

int host_nesting_see(struct host_nesting *s, struct host_event *ev)
{
	struct host_open *o;

	if (!s->on || (ev->rec.kind != EW_HOST_FUNC && ev->rec.kind != EW_HOST_FUNC_EXIT))
		return 0;
	o = open_of(s, ev->task);
	if (!o)
		return -ENOMEM;
	if (ev->rec.kind == EW_HOST_FUNC)
		begins(s, o, ev);
	else
		returns(s, o, ev);
	return 0;
}

void host_nesting_forget(struct host_nesting *s)
{
	for (size_t i = 0; i < s->n; i++) {
		s->open[i].n = 0;
		s->open[i].blind = true;
	}
}

void host_nesting_free(struct host_nesting *s)
{
	u64_map_free(&s->task);
	free(s->open);
	s->open = NULL;
	s->n = s->cap = 0;
}
