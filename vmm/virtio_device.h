/* SPDX-License-Identifier: MIT */
/*
 * The seam between a virtio device (what a request means) and its transport (how a driver reaches it:
 * legacy PCI, modern PCI, MMIO). Registers, addresses and interrupt wiring stay on the transport's
 * side, requests on the device's.
 *
 * Nothing here locks: whoever lets several threads call it makes them take turns.
 */
#ifndef EXITWALK_VMM_VIRTIO_DEVICE_H
#define EXITWALK_VMM_VIRTIO_DEVICE_H

#include "vmm/irq.h"
#include "vmm/virtq.h"

#define VIRTIO_PCI_VENDOR 0x1af4 /* virtio 1.1, 4.1.2; the MMIO transport shows it too */
#define VIRTIO_FEATURE(n) (1ull << (n))
/* ISR bits, virtio 1.1, 4.1.4.5 and 4.2.2: linux/virtio_pci.h has the second only. */
#define VIRTIO_ISR_QUEUE 1
#define VIRTIO_ISR_CONFIG 2
/* In place of a queue: the configuration changed. */
#define VIRTIO_CONFIG_CHANGE (-1)

/* Interrupts that are messages. The transport that has them puts this into its device. */
struct virtio_messages {
	/* Are they on? Then the line is not used. */
	bool (*on)(struct virtio_messages *m);
	/* The message for a queue or for VIRTIO_CONFIG_CHANGE, if the driver gave it a vector. */
	void (*send)(struct virtio_messages *m, int queue);
};

/* The thread that does a device's I/O, where that is not the one that notifies. */
struct virtio_io {
	/* The driver notified the queue: the thread is to call virtio_device_serve for it. */
	void (*kick)(struct virtio_io *io, unsigned queue);
	/* Lets the thread work until it has completed something; spurious returns are fine. */
	void (*wait)(struct virtio_io *io);
};

/* What a device gets from its machine; all borrowed and outliving the device. */
struct virtio_env {
	struct guest_mem *mem;
	struct irq_line *irq;
	struct probe **probe; /* the probe of the thread that runs the device; *probe may be NULL */
	uint64_t *next_request; /* the recording's request numbers: read, then increment */
	/* Nonzero once the machine is to stop; set by any thread. A device whose ring a guest refills
	 * for ever (an IN request may write into the avail ring) looks here between two chains. */
	const int *stop;
	struct virtio_io *io; /* NULL: whoever notifies does the I/O before it goes on */
};

struct virtio_device {
	struct virtio_env env;
	unsigned id;                /* of the recording */
	uint16_t type;              /* VIRTIO_ID_* */
	uint64_t offered, accepted; /* feature bits */
	const void *config;         /* the device-specific configuration, read-only to the driver */
	unsigned config_len;
	struct virtq *queue;
	unsigned queues;
	/*
	 * Takes what is available in q. Without env.io it has given all back when it returns; else
	 * the rest is in_flight. False: it left chains in q, because the machine is to stop or too
	 * much is in flight; it will be called again when something has been completed.
	 */
	bool (*process)(struct virtio_device *dev, struct virtq *q);
	/* The driver reset the device, which forgets what it was told. NULL: nothing was. */
	void (*forget)(struct virtio_device *dev);
	unsigned in_flight; /* requests that the host is at work on */
	unsigned draining;  /* how many wait until that is none: nothing is taken meanwhile */

	uint8_t status;                   /* VIRTIO_CONFIG_S_* as the driver wrote it */
	uint8_t isr;                      /* VIRTIO_ISR_* */
	struct virtio_messages *messages; /* NULL: there is only the line */
};

/* More feature bits to offer (VIRTIO_F_*, VIRTIO_RING_F_*), before the guest runs. */
void virtio_device_offer(struct virtio_device *dev, uint64_t features);

/* Writing 0 resets the device: queues, features, ISR and line, after virtio_device_drain. */
void virtio_device_set_status(struct virtio_device *dev, uint8_t status);

/* The driver takes what it wants of the first 32 feature bits; what was not offered is ignored. */
void virtio_device_accept(struct virtio_device *dev, uint32_t features);
/* The same for all 64. */
void virtio_device_accept_all(struct virtio_device *dev, uint64_t features);

/* The queue, or NULL and a GUEST_ERROR (BAD_QUEUE). */
struct virtq *virtio_device_queue(struct virtio_device *dev, unsigned index);

/* The driver notified queue `index`: process it here and now, then interrupt if it wants that; or
 * hand it to env.io. */
void virtio_device_notify(struct virtio_device *dev, unsigned index);

/* env.io's thread: processes the queue. `is_notify`: nobody has looked at the notify yet, because KVM
 * itself took it. */
void virtio_device_serve(struct virtio_device *dev, unsigned index, bool is_notify);

/* env.io's thread: requests have been completed. Interrupts, and takes what there was no room for. */
void virtio_device_completed(struct virtio_device *dev);

/*
 * Waits until nothing is in flight, so that queues may be taken away: after it the host no longer
 * touches what their descriptors named (virtio 1.1, 2.1.1: a reset device must not). What was in flight
 * is completed as ever.
 */
void virtio_device_drain(struct virtio_device *dev);

/* Entries were put into q's used ring: interrupt if the driver wants that. */
void virtio_device_used(struct virtio_device *dev, struct virtq *q);

/*
 * The device cannot go on (virtio 1.1, 2.1.2): DEVICE_NEEDS_RESET, and once the driver runs, an
 * interrupt for it. Nothing for a device without VERSION_1, whose drivers do not know that bit.
 */
void virtio_device_needs_reset(struct virtio_device *dev);

/* The line again says what the ISR says, after messages were switched on or off. */
void virtio_device_update_line(struct virtio_device *dev);

/* The driver reads the ISR: clears it and lowers the line. Returns what it was. */
uint8_t virtio_device_read_isr(struct virtio_device *dev);

/* The MMIO way: reading changes nothing, the driver acknowledges bits. */
uint8_t virtio_device_peek_isr(struct virtio_device *dev);
void virtio_device_ack_isr(struct virtio_device *dev, uint8_t bits);

/* `size` bytes at `offset` of the configuration, little-endian; 0 beyond its end. */
uint64_t virtio_device_read_config(const struct virtio_device *dev, uint64_t offset, unsigned size);

#endif
