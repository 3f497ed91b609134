/* SPDX-License-Identifier: MIT */
/* One disk of the machine, put together: image, virtio-blk, transport, kick and interrupt. */
#ifndef EXITWALK_VMM_DRIVE_H
#define EXITWALK_VMM_DRIVE_H

#include "doorbell.h"
#include "io_kick.h"
#include "irqfd.h"
#include "kvm_irq.h"
#include "kvm_msi.h"
#include "virtio_blk.h"
#include "virtio_slot.h"

#define DRIVES_MAX VIRTIO_SLOT_DISKS

/* How a notify arrives: KVM_RUN returns for it, or KVM signals an eventfd. */
enum drive_kick { DRIVE_KICK_EXIT, DRIVE_KICK_IOEVENTFD };
/* How an interrupt leaves: a line by KVM_IRQ_LINE; an eventfd (for MSI-X where the transport has it,
 * else for the line); MSI-X by KVM_SIGNAL_MSI. */
enum drive_irq { DRIVE_IRQ_LINE, DRIVE_IRQ_IRQFD, DRIVE_IRQ_MSIX };
/* Who reads and writes the image: the vCPU's thread in the notify's exit; the I/O thread by io_uring; the
 * I/O thread by pread64 and so on. */
enum drive_io { DRIVE_IO_VCPU, DRIVE_IO_THREAD, DRIVE_IO_THREAD_PLAIN };

/* The same for all disks of a machine. */
struct drive_choice {
	enum virtio_transport transport;
	enum drive_kick kick; /* IOEVENTFD: needs an I/O thread */
	enum drive_irq irq;   /* MSIX: needs VIRTIO_MODERN */
	enum drive_io io;
	bool event_idx, indirect; /* features that are offered */
};

struct drive_image {
	const char *path;
	enum disk_mode mode;
	uint64_t create; /* bytes of an image that is not there yet; 0: it must be there */
};

/* What the disks share; all borrowed. */
struct drive_shared {
	const struct drive_choice *choice;
	const struct virtio_env *env; /* without irq and io */
	struct pci_host *pci;
	struct bus *bus;
	struct kvm_vm *vm;
	struct kvm_routes *routes; /* for MSI-X by irqfd */
	struct io_engine *engine;  /* NULL: the vCPU's thread does the I/O */
	struct io_thread *thread;  /* NULL: none is needed */
	unsigned next_device;      /* the recording's first free number */
};

struct drive {
	unsigned number, device; /* from 0; of the recording */
	char name[16];           /* "virtio-blk0" */
	struct disk disk;
	struct virtio_blk blk;
	struct virtio_slot slot;
	struct kvm_irq line;
	struct kvm_msi_sink messages;
	struct irqfd_line irqfd_line;
	struct irqfd_messages irqfd_messages;
	struct io_kick kick;
	struct doorbell doorbell;
};

/* Opens the image of the disk with this number (0 to DRIVES_MAX - 1). Then drive_close is due. */
int drive_open(struct drive *d, unsigned number, const struct drive_image *image, struct err *e);
/* Plugs it in; d must stay where it is. After an error: do not run the machine, but close d. */
int drive_attach(struct drive *d, const struct drive_shared *s, struct err *e);
/* When neither a vCPU nor the I/O thread runs. */
void drive_close(struct drive *d);

#endif
