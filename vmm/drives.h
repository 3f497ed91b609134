/* SPDX-License-Identifier: MIT */
/* All disks of the machine, and what they share: the I/O thread, its engine, interrupt routes. */
#ifndef EXITWALK_VMM_DRIVES_H
#define EXITWALK_VMM_DRIVES_H

#include "drive.h"
#include "kvm.h"

struct drives {
	struct drive_choice choice;
	unsigned count;
	struct drive *drive; /* `count` of them; owned, like all below */
	struct kvm_vm vm;
	struct kvm_routes routes;
	struct io_engine engine;
	struct io_thread thread;
	bool has_engine, has_thread;
};

/* Opens the images. -errno and a sentence; nothing is left to destroy then. */
int drives_open(struct drives *d, const struct drive_choice *choice,
	const struct drive_image *image, unsigned count, struct err *e);

/* Plugs all in; env without irq and io, next_device: the first free number of the recording's devices. -ENOTSUP if this KVM lacks what the choice needs. After an error:
 * do not run the machine. */
int drives_attach(struct drives *d, const struct kvm *k, const struct virtio_env *env,
	struct turn *turn, struct pci_host *pci, struct bus *bus, unsigned next_device,
	struct err *e);

/* Is there an I/O thread? For the disks' I/O, or for ends of interrupts only. */
bool drives_need_thread(const struct drive_choice *c);
/* Starts it, if there is to be one; p: its probe. Before the guest runs. */
int drives_start(struct drives *d, struct probe *p, struct err *e);
/* When no vCPU runs any more: requests in flight are completed. Not started: nothing. */
void drives_stop(struct drives *d);

void drives_destroy(struct drives *d);

/* For v_meta and the table of devices, in words. */
const char *drives_transport(const struct drive_choice *c);
const char *drives_kick(const struct drive_choice *c);
const char *drives_interrupt(const struct drive_choice *c);
const char *drives_engine(const struct drives *d);

#endif
