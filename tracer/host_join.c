/* SPDX-License-Identifier: MIT */
/* Disk requests in a recording of host tracepoints: exit, system call and interrupt, joined. */
#include "host_join.h"

#include <stdlib.h>

#define MMIO_KICKS_MIN 2     /* an address of MMIO is not told by its looks */
#define INJECTS_FAR 64       /* an interrupt that so many others overtake was not delivered */
#define FOLLOW_NS 1000000000 /* a system call that comes later belongs to something else */

/* Counts, for each address, how often a system call follows a write to it; then says which ones are kicks.
 * From the end to the beginning, so that the next write to the same address is known. */
static void judge_addresses(struct host_join *j)
{
	size_t c = j->calls;

	for (size_t k = j->kicks; k-- > 0;) {
		struct host_address *at = &j->address[j->kick[k].address];
		int64_t until = j->kick[k].at.ts + FOLLOW_NS;

		if (at->next && at->next < until)
			until = at->next;
		at->next = j->kick[k].at.ts;
		while (c > 0 && j->call[c - 1].enter.event > j->kick[k].at.event)
			c--;
		if (c < j->calls && j->call[c].enter.ts < until)
			at->followed++;
	}
	for (size_t a = 0; a < j->addresses; a++) {
		struct host_address *at = &j->address[a];

		at->is_kick = at->followed * 3 >= at->kicks && at->followed > 0 &&
			      (at->space == EW_SPACE_PIO || at->followed >= MMIO_KICKS_MIN);
	}
}

/* Drops the writes that are none. */
static void keep_kicks(struct host_join *j)
{
	size_t n = 0;

	for (size_t k = 0; k < j->kicks; k++)
		if (j->address[j->kick[k].address].is_kick)
			j->kick[n++] = j->kick[k];
	j->kicks = n;
}

/* A system call belongs to the last notification in front of it. */
static void join_calls(struct host_join *j)
{
	size_t k = 0;

	for (size_t c = 0; c < j->calls; c++) {
		struct host_call *call = &j->call[c];

		while (k < j->kicks && j->kick[k].at.event < call->enter.event)
			k++;
		if (!k || call->enter.ts - j->kick[k - 1].at.ts > FOLLOW_NS)
			continue;
		call->kick = k - 1;
		j->kick[k - 1].calls++;
	}
}

static bool same_key(const struct host_irq *a, const struct host_irq *b)
{
	return a->kind == b->kind && a->key[0] == b->key[0] && a->key[1] == b->key[1];
}

/* The first interrupt behind an event. */
static size_t next_irq(const struct host_join *j, int64_t event)
{
	size_t low = 0, high = j->irqs;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (j->irq[mid].at.event < event)
			low = mid + 1;
		else
			high = mid;
	}
	return low < j->irqs ? low : NO_INDEX;
}

/*
 * The disk's interrupt is the one that most often comes first behind the return of a disk system call
 * (a vote; Boyer and Moore's, so that it needs no table).
 */
static size_t vote(const struct host_join *j)
{
	size_t leader = NO_INDEX, lead = 0;

	for (size_t c = 0; c < j->calls; c++) {
		size_t i = j->call[c].exit.event && j->call[c].kick != NO_INDEX
				   ? next_irq(j, j->call[c].exit.event)
				   : NO_INDEX;

		if (i == NO_INDEX)
			continue;
		if (!lead)
			leader = i;
		if (same_key(&j->irq[i], &j->irq[leader]))
			lead++;
		else
			lead--;
	}
	return leader;
}

static void join_irqs(struct host_join *j)
{
	size_t leader = vote(j), n = 0;

	for (size_t i = 0; leader != NO_INDEX && i < j->irqs; i++)
		if (i == leader || same_key(&j->irq[i], &j->irq[leader])) {
			struct host_irq keep = j->irq[i];

			if (i == leader)
				leader = n;
			j->irq[n++] = keep;
		}
	j->irqs = n;
	for (size_t c = 0; c < j->calls; c++)
		if (j->call[c].exit.event)
			j->call[c].irq = next_irq(j, j->call[c].exit.event);
}

void host_join(struct host_join *j)
{
	judge_addresses(j);
	keep_kicks(j);
	join_calls(j);
	join_irqs(j);
}

const struct host_inject *host_injected(const struct host_join *j, int64_t event, int64_t vector)
{
	size_t low = 0, high = j->injects;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (j->inject[mid].at.event <= event)
			low = mid + 1;
		else
			high = mid;
	}
	for (size_t i = low; i < j->injects && i < low + INJECTS_FAR; i++)
		if (j->inject[i].vector == vector)
			return &j->inject[i];
	return NULL;
}

void host_join_free(struct host_join *j)
{
	free(j->inject);
	free(j->kick);
	free(j->call);
	free(j->irq);
	free(j->address);
}
