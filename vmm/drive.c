/* SPDX-License-Identifier: MIT */
/* How a disk is wired up: addresses and interrupts by its number, the rest by the user's choice. */
#include "drive.h"

#include <errno.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_mmio.h>
#include <linux/virtio_pci.h>
#include <string.h>

#include "guest_abi.h"
#include "layout.h"

#define QUEUE 0
#define LEGACY_CLASS_REV 0x01800000u /* mass storage, other; revision 0 */
#define MODERN_CLASS_REV 0x01800001u

/* The recording's number of the first disk, in all recordings; the others come behind other devices. */
enum { FIRST_DEVICE = 1 };
/* Interrupt lines of the first IOAPIC beyond those that a PC's 8259s know. */
enum { SECOND_GSI = 16 };
enum { LEGACY_PORTS = 0x80, MMIO_STEP = 0x1000 };

static unsigned gsi_of(unsigned number)
{
	return number ? SECOND_GSI + number - 1 : EW_VIRTIO_BLK_IRQ;
}

static unsigned devfn_of(unsigned number)
{
	return EW_VIRTIO_BLK_DEVFN + (number << 3);
}

static uint32_t mmio_of(unsigned number)
{
	return LAYOUT_VIRTIO_MMIO + number * MMIO_STEP;
}

void drive_acpi(unsigned number, enum drive_transport transport, struct acpi_config *acpi)
{
	if (transport == DRIVE_MMIO)
		acpi->mmio[acpi->mmio_count++] = (struct acpi_mmio){
			.base = mmio_of(number), .len = VIRTIO_MMIO_LEN, .gsi = gsi_of(number)};
	else
		acpi->pci_gsi[devfn_of(number) >> 3] = (uint8_t)gsi_of(number);
}

int drive_open(struct drive *d, unsigned number, const struct drive_image *image, struct err *e)
{
	*d = (struct drive){.number = number,
		.irqfd_line.irqfd = {.fd = -1, .resample_fd = -1},
		.kick.fd = {-1, -1}};
	snprintf(d->name, sizeof(d->name), "virtio-blk%u", number);
	return disk_open(&d->disk, image->path, image->read_only, image->create, e);
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
	unsigned gsi = gsi_of(d->number);
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
	if (s->choice->transport != DRIVE_MODERN || s->choice->irq == DRIVE_IRQ_LINE)
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
	switch (s->choice->transport) {
	case DRIVE_LEGACY:
		return virtio_pci_legacy_attach(&d->transport.legacy, dev, d->name,
			VIRTIO_TRANS_ID_BLOCK, LEGACY_CLASS_REV, s->pci, s->bus,
			devfn_of(d->number),
			(uint16_t)(EW_VIRTIO_BLK_IOBASE + d->number * LEGACY_PORTS), e);
	case DRIVE_MODERN:
		return virtio_pci_modern_attach(&d->transport.modern, dev, d->name,
			MODERN_CLASS_REV, sink, s->pci, s->bus, devfn_of(d->number),
			LAYOUT_PCI_BARS + d->number * VIRTIO_PCI_MODERN_BAR_LEN, e);
	default:
		return virtio_mmio_attach(
			&d->transport.mmio, dev, d->name, s->bus, mmio_of(d->number), e);
	}
}

/* The write that the transport's notify register takes. */
static struct doorbell_where notify_register(struct drive *d, enum drive_transport transport)
{
	switch (transport) {
	case DRIVE_LEGACY:
		return (struct doorbell_where){.space = EW_SPACE_PIO,
			.addr = d->transport.legacy.function.bar_base[0] + VIRTIO_PCI_QUEUE_NOTIFY,
			.size = 2,
			.value = QUEUE};
	case DRIVE_MODERN: /* the address alone says which queue */
		return (struct doorbell_where){.space = EW_SPACE_MMIO,
			.addr = virtio_pci_modern_notify_address(&d->transport.modern, QUEUE),
			.size = 2,
			.any = true};
	default:
		return (struct doorbell_where){.space = EW_SPACE_MMIO,
			.addr = (uint64_t)mmio_of(d->number) + VIRTIO_MMIO_QUEUE_NOTIFY,
			.size = 4,
			.value = QUEUE};
	}
}

/*
 * The guest switched the BARs on or off (moving them it cannot, pci.h). If KVM refuses, the notify exits
 * to the VMM, which rings the same bell.
 */
static void legacy_decodes(void *ctx)
{
	struct drive *d = ctx;

	(void)doorbell_set(&d->doorbell, pci_function_io_enabled(&d->transport.legacy.function));
}

static void modern_decodes(void *ctx)
{
	struct drive *d = ctx;

	(void)doorbell_set(&d->doorbell, pci_function_mem_enabled(&d->transport.modern.function));
}

static int hang_doorbell(struct drive *d, const struct drive_shared *s, struct err *e)
{
	const struct doorbell_where where = notify_register(d, s->choice->transport);
	int rc;

	doorbell_init(&d->doorbell, s->vm, &where, d->kick.fd[EW_KICK_VIA_IOEVENTFD]);
	if (s->choice->transport == DRIVE_LEGACY) {
		d->transport.legacy.function.decode_changed = legacy_decodes;
		d->transport.legacy.function.decode_ctx = d;
	} else if (s->choice->transport == DRIVE_MODERN) {
		d->transport.modern.function.decode_changed = modern_decodes;
		d->transport.modern.function.decode_ctx = d;
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
