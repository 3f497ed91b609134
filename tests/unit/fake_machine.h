/* SPDX-License-Identifier: MIT */
/* A machine without KVM for device tests: memory, a probe that keeps records, a line that counts. */
#ifndef EXITWALK_TESTS_UNIT_FAKE_MACHINE_H
#define EXITWALK_TESTS_UNIT_FAKE_MACHINE_H

#include <stdarg.h>
#include <setjmp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include <linux/virtio_pci.h>
#include <linux/virtio_ring.h>

#include "tracer/probe.h"
#include "vmm/bus.h"
#include "vmm/irq.h"

#define FAKE_RECORDS 8192

struct fake_probe {
	struct probe probe; /* first: emit() gets a pointer to it */
	unsigned n;
	struct ew_rec rec[FAKE_RECORDS];
};

static inline void fake_emit(struct probe *p, const struct ew_rec *rec, const void *payload)
{
	struct fake_probe *f = (struct fake_probe *)p;

	(void)payload;
	if (f->n < FAKE_RECORDS)
		f->rec[f->n++] = *rec;
}

static inline void fake_probe_init(struct fake_probe *f)
{
	f->probe.emit = fake_emit;
	f->n = 0;
}

/* How many records of a kind, and the last of them (which must exist). */
static inline unsigned fake_count(const struct fake_probe *f, enum ew_kind kind)
{
	unsigned n = 0;

	for (unsigned i = 0; i < f->n; i++)
		n += f->rec[i].kind == kind;
	return n;
}

static inline const struct ew_rec *fake_last(const struct fake_probe *f, enum ew_kind kind)
{
	for (unsigned i = f->n; i-- > 0;)
		if (f->rec[i].kind == kind)
			return &f->rec[i];
	fail_msg("no record of kind %d", kind);
	return NULL;
}

static inline unsigned fake_errors(const struct fake_probe *f, enum ew_guest_error error)
{
	unsigned n = 0;

	for (unsigned i = 0; i < f->n; i++)
		n += f->rec[i].kind == EW_GUEST_ERROR && f->rec[i].a[0] == (uint64_t)error;
	return n;
}

struct fake_irq {
	struct irq_line line; /* first: set() gets a pointer to it */
	int level;
	unsigned raised, lowered;
};

static inline void fake_irq_set(struct irq_line *line, int level)
{
	struct fake_irq *f = (struct fake_irq *)line;

	f->level = level;
	if (level)
		f->raised++;
	else
		f->lowered++;
}

static inline void fake_irq_init(struct fake_irq *f, unsigned irq)
{
	*f = (struct fake_irq){.line = {.set = fake_irq_set, .irq = irq}};
}

static inline uint64_t bus_in(
	struct bus *b, struct probe *p, enum ew_space space, uint64_t addr, unsigned size)
{
	uint64_t v = 0x5a5a5a5a5a5a5a5aull;

	bus_access(b, p, space, addr, size, false, &v);
	return v;
}

static inline enum ew_bus_result bus_out(struct bus *b, struct probe *p, enum ew_space space,
	uint64_t addr, unsigned size, uint64_t v)
{
	return bus_access(b, p, space, addr, size, true, &v);
}

/* The driver's side of a ring whose memory the test owns. */
struct fake_driver {
	struct vring vr;
	uint16_t avail_idx;
};

static inline void fake_driver_init(struct fake_driver *d, void *ring, unsigned size)
{
	vring_init(&d->vr, size, ring, VIRTIO_PCI_VRING_ALIGN);
	memset(ring, 0, vring_size(size, VIRTIO_PCI_VRING_ALIGN));
	d->avail_idx = 0;
}

static inline void fake_desc(struct fake_driver *d, unsigned i, uint64_t addr, uint32_t len,
	uint16_t flags, uint16_t next)
{
	d->vr.desc[i] = (struct vring_desc){.addr = addr, .len = len, .flags = flags, .next = next};
}

static inline void fake_avail(struct fake_driver *d, uint16_t head)
{
	d->vr.avail->ring[d->avail_idx++ % d->vr.num] = head;
	d->vr.avail->idx = d->avail_idx;
}

#endif
