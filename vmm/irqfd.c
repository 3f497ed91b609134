/* SPDX-License-Identifier: MIT */
/* irqfds: made, written to, and raised again after an end of interrupt. */
#include "irqfd.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* KVM lets go of an eventfd by itself when its last file descriptor is closed. */
static void irqfd_close(struct irqfd *q)
{
	if (q->fd >= 0)
		close(q->fd);
	if (q->resample_fd >= 0)
		close(q->resample_fd);
	q->fd = q->resample_fd = -1;
}

static int irqfd_open(struct irqfd *q, struct kvm_vm *vm, bool resample, struct err *e)
{
	struct kvm_irqfd request = {.gsi = q->gsi};
	int rc = 0;

	q->resample_fd = -1;
	q->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (q->fd >= 0 && resample)
		q->resample_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (q->fd < 0 || (resample && q->resample_fd < 0))
		rc = -errno;
	request.fd = (uint32_t)q->fd;
	if (resample) {
		request.flags = KVM_IRQFD_FLAG_RESAMPLE;
		request.resamplefd = (uint32_t)q->resample_fd;
	}
	if (rc == 0)
		rc = vm->ioctl(vm, KVM_IRQFD, &request);
	if (rc >= 0)
		return 0;
	irqfd_close(q);
	return err_set(
		e, rc, "KVM_IRQFD for GSI %u failed (%s): use --irq line", q->gsi, strerror(-rc));
}

static int irqfd_write(const struct irqfd *q)
{
	const uint64_t one = 1;

	return write(q->fd, &one, sizeof(one)) < 0 ? -errno : 0;
}

/* A message whose route KVM refused (`failed`) is lost, and its record says so. */
static int irqfd_raise(struct irqfd *q, int failed)
{
	PROBE(*q->probe, EW_IRQFD, q->gsi, q->device, (uint64_t)q->fd);
	if (!failed)
		failed = irqfd_write(q);
	PROBE(*q->probe, EW_IRQFD_RET, q->gsi, q->device, (uint64_t)(int64_t)failed);
	return failed;
}

static void set_level(struct irq_line *line, int level)
{
	struct irqfd_line *l = (struct irqfd_line *)((char *)line -
						     offsetof(struct irqfd_line, line));

	l->wanted = level;
	if (level && !l->raised)
		l->raised = irqfd_raise(&l->irqfd, 0) == 0;
}

void irqfd_resampled(struct irqfd_line *l)
{
	PROBE(*l->irqfd.probe, EW_IRQFD_RESAMPLE, l->irqfd.gsi, l->irqfd.device, *l->isr);
	l->raised = false;
	set_level(&l->line, l->wanted);
}

int irqfd_line_open(struct irqfd_line *l, struct kvm_vm *vm, unsigned gsi, unsigned device,
	const uint8_t *isr, struct probe **probe, struct err *e)
{
	*l = (struct irqfd_line){.line = {.set = set_level, .irq = gsi},
		.irqfd = {.gsi = gsi, .device = device, .probe = probe},
		.isr = isr};
	return irqfd_open(&l->irqfd, vm, true, e);
}

void irqfd_line_close(struct irqfd_line *l)
{
	irqfd_close(&l->irqfd);
}

/* The route is told when it is first needed and after the driver has changed the table. */
static int send(struct msi_sink *sink, unsigned vector, uint64_t addr, uint32_t data)
{
	struct irqfd_messages *m = (struct irqfd_messages *)((char *)sink -
							     offsetof(struct irqfd_messages, sink));
	struct irqfd_vector *v = &m->vector[vector];
	int rc = 0;

	if (!v->routed || v->addr != addr || v->data != data) {
		rc = kvm_routes_message(m->routes, v->irqfd.gsi, addr, data);
		v->routed = rc == 0;
		v->addr = addr;
		v->data = data;
	}
	return irqfd_raise(&v->irqfd, rc);
}

int irqfd_messages_open(struct irqfd_messages *m, struct kvm_routes *routes, unsigned vectors,
	unsigned device, struct probe **probe, struct err *e)
{
	int rc = 0;

	*m = (struct irqfd_messages){.sink = {.send = send}, .routes = routes};
	if (vectors > IRQFD_VECTORS)
		return err_set(e, -EINVAL, "a device with %u vectors has too many for irqfds: %d",
			vectors, IRQFD_VECTORS);
	while (rc == 0 && m->vectors < vectors) {
		struct irqfd *q = &m->vector[m->vectors].irqfd;

		*q = (struct irqfd){.fd = -1, .device = device, .probe = probe};
		q->gsi = kvm_routes_new_gsi(routes);
		rc = q->gsi ? irqfd_open(q, routes->vm, false, e)
			    : err_set(e, -ENOSPC, "there are too many interrupt vectors");
		m->vectors += rc == 0;
	}
	if (rc)
		irqfd_messages_close(m);
	return rc;
}

void irqfd_messages_close(struct irqfd_messages *m)
{
	while (m->vectors)
		irqfd_close(&m->vector[--m->vectors].irqfd);
}
