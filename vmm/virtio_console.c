/* SPDX-License-Identifier: MIT */
/* The console device: what the driver says, what it is told, and the bytes of the port. */
#include "vmm/virtio_console.h"

#include <string.h>
#include <linux/virtio_ids.h>

#define PORT 0u /* the only one */

enum { NAME_MAX_LEN = 64 };

static struct virtio_console *console_of(struct virtio_device *dev)
{
	return (struct virtio_console *)((char *)dev - offsetof(struct virtio_console, dev));
}

static void guest_error(const struct virtio_console *c, enum ew_guest_error error, uint64_t d0,
	uint64_t d1, uint64_t d2)
{
	PROBE(*c->recorded, EW_GUEST_ERROR, error, c->dev.id, d0, d1, d2);
}

/* The probe is the rings' own, so that only their chains are left out. */
static void filter_emit(struct probe *p, const struct ew_rec *rec, const void *payload)
{
	struct virtio_console *c =
		(struct virtio_console *)((char *)p - offsetof(struct virtio_console, filter));

	if (*c->recorded && rec->kind != EW_QUEUE_POP && rec->kind != EW_DESCRIPTOR &&
		rec->kind != EW_QUEUE_USED)
		(*c->recorded)->emit(*c->recorded, rec, payload);
}

/* --- from the device: control messages ------------------------------------------------------- */

static uint32_t make_control(const struct virtio_console *c, uint16_t event, uint8_t *to)
{
	const struct virtio_console_control m = {.id = PORT, .event = event, .value = 1};
	size_t name = event == VIRTIO_CONSOLE_PORT_NAME ? strnlen(c->port_name, NAME_MAX_LEN) : 0;

	memcpy(to, &m, sizeof(m));
	memcpy(to + sizeof(m), c->port_name, name);
	return (uint32_t)(sizeof(m) + name);
}

/* Into what the chain has room for; false if that is too little. */
static bool put(const struct virtq_chain *chain, const uint8_t *from, uint32_t len)
{
	const struct virtq_buf *b = chain->buf + chain->readable;

	if (chain->fault || chain->writable_bytes < len)
		return false;
	for (; len; b++) {
		uint32_t n = b->len < len ? b->len : len;

		memcpy(b->host, from, n);
		from += n;
		len -= n;
	}
	return true;
}

/* As much as there are buffers for, in the order of their numbers: PORT_ADD comes first. */
static void send_control(struct virtio_console *c)
{
	struct virtq *q = &c->queue[VIRTIO_CONSOLE_CONTROL_RX];
	uint8_t message[sizeof(struct virtio_console_control) + NAME_MAX_LEN];

	while (c->pending && !__atomic_load_n(c->dev.env.stop, __ATOMIC_RELAXED) &&
		virtq_pop(q, &c->chain) > 0) {
		uint16_t event = (uint16_t)__builtin_ctz(c->pending);
		uint32_t len = make_control(c, event, message);

		if (put(&c->chain, message, len)) {
			c->pending &= c->pending - 1;
			virtq_push(q, &c->chain, len);
			continue;
		}
		guest_error(c, EW_GERR_CONTROL_LENGTH, c->chain.writable_bytes, q->index, 0);
		virtq_push(q, &c->chain, 0);
	}
	if (q->used_idx != q->signalled)
		virtio_device_used(&c->dev, q);
	if (q->broken)
		virtio_device_needs_reset(&c->dev);
}

/* --- from the driver -------------------------------------------------------------------------- */

static void control(struct virtio_console *c, const struct virtio_console_control *m)
{
	/* 5.3.6.2: this one is about no port. */
	if (m->event == VIRTIO_CONSOLE_DEVICE_READY) {
		c->open = false;
		c->pending = m->value ? 1u << VIRTIO_CONSOLE_PORT_ADD : 0;
		return;
	}
	if (m->id != PORT) {
		guest_error(c, EW_GERR_CONTROL_PORT, m->id, m->event, 0);
		return;
	}
	switch (m->event) {
	case VIRTIO_CONSOLE_PORT_READY:
		if (m->value)
			c->pending |= 1u << VIRTIO_CONSOLE_PORT_NAME |
				      1u << VIRTIO_CONSOLE_PORT_OPEN;
		break;
	case VIRTIO_CONSOLE_PORT_OPEN:
		c->open = m->value;
		break;
	default:
		guest_error(c, EW_GERR_CONTROL_EVENT, m->event, m->value, 0);
		break;
	}
}

/* Copied once: what the guest does to it afterwards changes nothing. */
static void take_control(struct virtio_console *c)
{
	const struct virtq_chain *chain = &c->chain;
	struct virtio_console_control m;
	size_t at = 0;

	if (chain->fault)
		return;
	if (chain->readable_bytes < sizeof(m)) {
		guest_error(c, EW_GERR_CONTROL_LENGTH, chain->readable_bytes,
			VIRTIO_CONSOLE_CONTROL_TX, 0);
		return;
	}
	for (const struct virtq_buf *b = chain->buf; at < sizeof(m); b++) {
		size_t n = b->len < sizeof(m) - at ? b->len : sizeof(m) - at;

		memcpy((uint8_t *)&m + at, b->host, n);
		at += n;
	}
	control(c, &m);
}

/* A guest that sends without end must not fill the host's disk; what the recording is made of then is complete. */
static bool has_room(struct virtio_console *c, uint32_t n)
{
	uint32_t cost = n < VIRTIO_CONSOLE_LEAST ? VIRTIO_CONSOLE_LEAST : n;

	if (c->room >= cost) {
		c->room -= cost;
		return true;
	}
	if (c->room)
		guest_error(c, EW_GERR_PORT_FULL, PORT, c->position, 0);
	c->room = 0;
	return false;
}

static void take_bytes(struct virtio_console *c, const struct virtq_buf *b)
{
	for (uint32_t at = 0, n; at < b->len; at += n) {
		n = b->len - at < VIRTIO_CONSOLE_PIECE ? b->len - at : VIRTIO_CONSOLE_PIECE;
		/* A GiB in one descriptor must not keep the machine from stopping. */
		if (__atomic_load_n(c->dev.env.stop, __ATOMIC_RELAXED))
			return;
		if (!has_room(c, n)) {
			c->position += n;
			continue;
		}
		if (c->sink)
			c->sink->wait(c->sink);
		PROBE_DATA(*c->recorded, probe_now(), EW_GUEST_STREAM, b->host + at, n, c->dev.id,
			n, c->position);
		c->position += n;
	}
}

static void take_data(struct virtio_console *c)
{
	const struct virtq_chain *chain = &c->chain;

	if (chain->fault)
		return;
	if (!c->open) {
		guest_error(c, EW_GERR_PORT_CLOSED, PORT, chain->readable_bytes, 0);
		return;
	}
	for (unsigned i = 0; i < chain->readable; i++)
		take_bytes(c, &chain->buf[i]);
}

static bool process(struct virtio_device *dev, struct virtq *q)
{
	struct virtio_console *c = console_of(dev);

	/* Buffers to be filled: they wait for something to say, which for the port there never is. */
	if (q->index == VIRTIO_CONSOLE_PORT_RX)
		return false;
	if (q->index == VIRTIO_CONSOLE_CONTROL_RX) {
		send_control(c);
		return false;
	}
	while (!__atomic_load_n(dev->env.stop, __ATOMIC_RELAXED) && virtq_pop(q, &c->chain) > 0) {
		if (q->index == VIRTIO_CONSOLE_CONTROL_TX)
			take_control(c);
		else
			take_data(c);
		virtq_push(q, &c->chain, 0);
	}
	if (q->index == VIRTIO_CONSOLE_CONTROL_TX)
		send_control(c);
	return true;
}

static void forget(struct virtio_device *dev)
{
	struct virtio_console *c = console_of(dev);

	c->pending = 0;
	c->open = false;
}

void virtio_console_init(struct virtio_console *c, unsigned device_id, const struct virtio_env *env,
	const char *port_name, struct virtio_console_sink *sink)
{
	*c = (struct virtio_console){.config.max_nr_ports = 1,
		.port_name = port_name,
		.sink = sink,
		.next_chain = 1,
		.room = VIRTIO_CONSOLE_ROOM,
		.filter.emit = filter_emit,
		.recorded = env->probe};
	c->filter_ptr = &c->filter;
	c->dev = (struct virtio_device){.env = *env,
		.id = device_id,
		.type = VIRTIO_ID_CONSOLE,
		.offered = VIRTIO_FEATURE(VIRTIO_CONSOLE_F_MULTIPORT),
		.config = &c->config,
		.config_len = sizeof(c->config),
		.queue = c->queue,
		.queues = VIRTIO_CONSOLE_QUEUES,
		.process = process,
		.forget = forget};
	for (unsigned i = 0; i < VIRTIO_CONSOLE_QUEUES; i++)
		virtq_init(&c->queue[i], env->mem, &c->filter_ptr, &c->next_chain, device_id, i,
			VIRTIO_CONSOLE_QUEUE_SIZE);
}
