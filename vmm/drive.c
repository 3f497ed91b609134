/* SPDX-License-Identifier: MIT */
/* How a disk is wired up: addresses and interrupts by its number, the rest by the user's choice. */
#include "drive.h"

#include <errno.h>
#include <linux/virtio_ids.h>
#include <string.h>

#define QUEUE 0
#define CLASS_CODE 0x018000u /* mass storage, other */

/* The recording's number of the first disk, in all recordings; the others come behind other devices. */
enum { FIRST_DEVICE = 1 };

int drive_open(struct drive *d, unsigned number, const struct drive_image *image, struct err *e)
{
	*d = (struct drive){.number = number,
		.irqfd_line.irqfd = {.fd = -1, .resample_fd = -1},
		.kick.fd = {-1, -1}};
	snprintf(d->name, sizeof(d->name), "virtio-blk%u", number);
	return disk_open(&d->disk, image->path, image->mode, image->create, e);
}

static void resampled(void *ctx, struct probe *p, uint64_t count)
{
	struct drive *d = ctx;
	struct turn *turn = d->kick.turn;

	(void)count; /* the line was lowered, how often does not matter */
	turn_take(turn, p);
	irqfd_resampled(&d->irqfd_line);
	turn_give(turn);
}

/* The line that the device has in any case; *line: which. */
static int wire_line(
	struct drive *d, const struct drive_shared *s, struct irq_line **line, struct err *e)
{
	unsigned gsi = virtio_slot_gsi(d->number);
	int rc;

	if (s->choice->irq != DRIVE_IRQ_IRQFD) {
		kvm_irq_init(&d->line, s->vm->fd, gsi, d->device, s->env->probe);
		*line = &d->line.line;
		return 0;
	}
	rc = irqfd_line_open(
		&d->irqfd_line, s->vm, gsi, d->device, &d->blk.dev.isr, s->env->probe, e);
	*line = &d->irqfd_line.line;
	return rc ? rc
		  : io_thread_watch(s->thread, d->irqfd_line.irqfd.resample_fd, resampled, d, e);
}

/* Messages, for the transport that has them; *sink: which, or NULL. */
static int wire_messages(
	struct drive *d, const struct drive_shared *s, struct msi_sink **sink, struct err *e)
{
	*sink = NULL;
	if (s->choice->transport != VIRTIO_MODERN || s->choice->irq == DRIVE_IRQ_LINE)
		return 0;
	if (s->choice->irq == DRIVE_IRQ_MSIX) {
		kvm_msi_init(&d->messages, s->vm->fd, d->device, s->env->probe);
		*sink = &d->messages.sink;
		return 0;
	}
	*sink = &d->irqfd_messages.sink;
	return irqfd_messages_open(
		&d->irqfd_messages, s->routes, d->blk.dev.queues + 1, d->device, s->env->probe, e);
}

static int attach_transport(struct drive *d, const struct drive_shared *s, struct err *e)
{
	struct virtio_device *dev = &d->blk.dev;
	struct msi_sink *sink;
	int rc = wire_messages(d, s, &sink, e);

	if (rc)
		return rc;
	return virtio_slot_attach(&d->slot, d->number, s->choice->transport,
		&(struct virtio_slot_name){d->name, VIRTIO_TRANS_ID_BLOCK, CLASS_CODE}, dev, sink,
		s->pci, s->bus, e);
}

/*
 * The guest switched the BARs on or off (moving them it cannot, pci.h). If KVM refuses, the notify exits
 * to the VMM, which rings the same bell.
 */
static void legacy_decodes(void *ctx)
{
	struct drive *d = ctx;

	(void)doorbell_set(&d->doorbell, pci_function_io_enabled(&d->slot.at.legacy.function));
}

static void modern_decodes(void *ctx)
{
	struct drive *d = ctx;

	(void)doorbell_set(&d->doorbell, pci_function_mem_enabled(&d->slot.at.modern.function));
}

static int hang_doorbell(struct drive *d, const struct drive_shared *s, struct err *e)
{
	const struct doorbell_where where = virtio_slot_notify(&d->slot, QUEUE);
	int rc;

	doorbell_init(&d->doorbell, s->vm, &where, d->kick.fd[EW_KICK_VIA_IOEVENTFD]);
	if (s->choice->transport == VIRTIO_LEGACY) {
		d->slot.at.legacy.function.decode_changed = legacy_decodes;
		d->slot.at.legacy.function.decode_ctx = d;
	} else if (s->choice->transport == VIRTIO_MODERN) {
		d->slot.at.modern.function.decode_changed = modern_decodes;
		d->slot.at.modern.function.decode_ctx = d;
	}
	rc = doorbell_set(&d->doorbell, true);
	return rc ? err_set(e, rc, "KVM_IOEVENTFD for %s failed (%s): use --kick exit", d->name,
			    strerror(-rc))
		  : 0;
}

int drive_attach(struct drive *d, const struct drive_shared *s, struct err *e)
{
	struct virtio_env env = *s->env;
	uint64_t features = 0;
	int rc;

	d->device = d->number ? s->next_device + d->number - 1 : FIRST_DEVICE;
	if (s->thread)
		d->kick.turn = s->thread->turn;
	rc = wire_line(d, s, &env.irq, e);
	if (rc)
		return rc;
	virtio_blk_init(&d->blk, d->device, &env, &d->disk);
	if (s->choice->event_idx)
		features |= VIRTIO_FEATURE(VIRTIO_RING_F_EVENT_IDX);
	if (s->choice->indirect)
		features |= VIRTIO_FEATURE(VIRTIO_RING_F_INDIRECT_DESC);
	virtio_device_offer(&d->blk.dev, features);
	if (s->engine)
		rc = virtio_blk_use_engine(&d->blk, &s->engine->engine, e);
	if (rc == 0 && s->engine)
		rc = io_kick_init(&d->kick, s->thread, &d->blk.dev, e);
	if (rc == 0)
		rc = attach_transport(d, s, e);
	if (rc == 0 && s->choice->kick == DRIVE_KICK_IOEVENTFD)
		rc = hang_doorbell(d, s, e);
	return rc;
}

void drive_close(struct drive *d)
{
	irqfd_messages_close(&d->irqfd_messages);
	irqfd_line_close(&d->irqfd_line);
	io_kick_destroy(&d->kick);
	virtio_blk_destroy(&d->blk);
	disk_close(&d->disk);
}
