/* SPDX-License-Identifier: MIT */
/*
 * A split virtqueue, device side (virtio 1.1, 2.6). It trusts nothing that the guest wrote: every index
 * is checked, every descriptor is read once, every walk ends. What is wrong becomes a GUEST_ERROR event.
 */
#ifndef EXITWALK_VMM_VIRTQ_H
#define EXITWALK_VMM_VIRTQ_H

#include <stdbool.h>
#include <linux/virtio_ring.h>

#include "tracer/probe.h"
#include "vmm/mem.h"

#define VIRTQ_MAX_SIZE 256

struct virtq {
	const struct guest_mem *mem;
	struct probe **probe;   /* *probe may be NULL */
	uint64_t *next_request; /* the recording's request numbers: read, then increment */
	unsigned device, index; /* what events carry */
	uint16_t max_size;      /* a power of two, at most VIRTQ_MAX_SIZE */
	uint16_t size;          /* a power of two; max_size until the driver makes it smaller */
	bool indirect;          /* the driver accepted VIRTIO_RING_F_INDIRECT_DESC */
	bool event_idx;         /* … VIRTIO_RING_F_EVENT_IDX */

	/* All below is 0 until virtq_setup(), and again after virtq_reset(). */
	uint64_t desc_gpa;
	struct vring vring; /* the host's view of the three parts; .desc is NULL until set up */
	bool broken;        /* the ring itself cannot be used: nothing is popped until a reset */
	uint16_t seen;      /* chains taken from the available ring, modulo 2^16 */
	uint16_t used_idx;  /* entries put into the used ring, modulo 2^16; never read back */
	uint16_t signalled; /* used_idx when the driver was last asked if it wants an interrupt */
	uint16_t
		announced; /* avail idx up to which chains were notified, or told not to have been */
	bool unfinished;   /* the device left chains in it, for lack of room */
};

/* One descriptor that was accepted: inside memory, not empty. */
struct virtq_buf {
	uint8_t *host;
	uint64_t gpa;
	uint32_t len;
	uint16_t index; /* of the descriptor, in the ring's or the indirect table */
};

struct virtq_chain {
	uint64_t request; /* its number in the recording */
	uint16_t head;
	enum ew_guest_error fault; /* the first thing wrong with it, or 0 */
	unsigned descriptors;      /* read, including those not accepted and the indirect one */
	bool ends_writable; /* the walk came to the end, where it found an accepted writable one */
	/* First what the device may read, then what it may write. */
	unsigned readable, writable;
	uint64_t readable_bytes, writable_bytes;
	struct virtq_buf buf[VIRTQ_MAX_SIZE];
};

void virtq_init(struct virtq *q, const struct guest_mem *mem, struct probe **probe,
	uint64_t *next_request, unsigned device, unsigned index, uint16_t size);

/*
 * The driver says where the three parts are (guest-physical, aligned to 16, 2 and 4 by the transport).
 * -EFAULT, and a broken queue, if one is not in guest memory. Indexes start at 0.
 */
int virtq_setup(struct virtq *q, uint64_t desc, uint64_t avail, uint64_t used);
/* Takes the ring away. The size is max_size again; features stay, they are the device's. */
void virtq_reset(struct virtq *q);

/*
 * The driver chooses a size before virtq_setup(). -EINVAL, a GUEST_ERROR and no change unless it is a
 * power of two (virtio 1.1, 2.6: for split rings also in 1.x) and at most max_size.
 */
int virtq_set_size(struct virtq *q, uint32_t size);

/* Has it a ring in guest memory? (It may be broken nevertheless.) */
bool virtq_is_set_up(const struct virtq *q);

/* The driver's index, and all ring entries before it (acquire). Only if it is set up. */
uint16_t virtq_avail_idx(const struct virtq *q);

/*
 * Takes the next chain: 1 and *c, 0 if there is none (or the queue is not set up, or broken), -EPROTO
 * if the ring has just been found broken. A chain with c->fault set is a chain all the same: it must be
 * given back by virtq_push(), as every other.
 */
int virtq_pop(struct virtq *q, struct virtq_chain *c);

/* Gives a chain back: `written` bytes of its writable part were written. */
void virtq_push(struct virtq *q, const struct virtq_chain *c, uint32_t written);

/*
 * After one or more virtq_push: does the driver want an interrupt for them? Ask once, since with
 * EVENT_IDX the answer is about what was pushed since the last question. "No" is an IRQ_SUPPRESSED.
 */
bool virtq_wants_interrupt(struct virtq *q);

/*
 * A device that is at work anyway needs no notifies. With EVENT_IDX nothing has to be done for that,
 * since the driver notifies once per avail_event; else the flag says it. _on asks for them again and
 * returns true if there are chains that were offered meanwhile: take them, then call it again.
 */
void virtq_notifies_off(struct virtq *q);
bool virtq_notifies_on(struct virtq *q);

#endif
