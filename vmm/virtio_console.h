/* SPDX-License-Identifier: MIT */
/*
 * A virtio console device (virtio 1.1, 5.3) with MULTIPORT and one port, which is no console: bytes come
 * out of the guest there, and become GUEST_STREAM events. Nothing goes in but control messages.
 *
 * Its rings carry the recording's own data, so their chains are no requests of the recording: QUEUE_POP,
 * DESCRIPTOR and QUEUE_USED of this device are left out. All else is recorded as of any device.
 */
#ifndef EXITWALK_VMM_VIRTIO_CONSOLE_H
#define EXITWALK_VMM_VIRTIO_CONSOLE_H

#include <linux/virtio_console.h>

#include "vmm/virtio_device.h"

#define VIRTIO_CONSOLE_QUEUE_SIZE 64
/* Payload of one GUEST_STREAM at most. */
#define VIRTIO_CONSOLE_PIECE 8192u
/* Bytes of the port that are recorded at most: far more than become events (GUEST_EVENTS_MAX). */
#define VIRTIO_CONSOLE_ROOM (1ull << 30)
/* What a piece takes in a recording, even if it is one byte. */
#define VIRTIO_CONSOLE_LEAST 128u

/* 5.3.2; those behind CONTROL_TX would be of further ports. */
enum virtio_console_queue {
	VIRTIO_CONSOLE_PORT_RX, /* for the port's data, by the driver's name for it: to the guest */
	VIRTIO_CONSOLE_PORT_TX,
	VIRTIO_CONSOLE_CONTROL_RX,
	VIRTIO_CONSOLE_CONTROL_TX,
	VIRTIO_CONSOLE_QUEUES
};

/* Where the bytes go is not always ready for more. */
struct virtio_console_sink {
	/* Returns when it is, or when that is not to be waited for. Called with the turn. */
	void (*wait)(struct virtio_console_sink *s);
};

struct virtio_console {
	struct virtio_device dev;
	struct virtq queue[VIRTIO_CONSOLE_QUEUES];
	struct virtio_console_config config;
	const char *port_name;
	struct virtio_console_sink *sink; /* or NULL */
	unsigned
		pending; /* control messages that wait for a buffer, bits of VIRTIO_CONSOLE_PORT_* */
	bool open;       /* the driver said that somebody has opened the port */
	uint64_t position; /* bytes that the guest has sent to the port */
	uint64_t
		room; /* bytes that are still recorded, each piece taken for VIRTIO_CONSOLE_LEAST */
	uint64_t next_chain;
	struct probe filter; /* of the rings, without their chains; goes on to *recorded */
	struct probe *filter_ptr;
	struct probe **recorded;
	struct virtq_chain chain;
};

/* port_name and sink are borrowed, env copied (what it points to is borrowed). Nothing to free; c must stay
 * where it is. */
void virtio_console_init(struct virtio_console *c, unsigned device_id, const struct virtio_env *env,
	const char *port_name, struct virtio_console_sink *sink);

#endif
