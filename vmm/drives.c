/* SPDX-License-Identifier: MIT */
/* The disks together: what KVM must be able to do, the thread, and words for what was chosen. */
#include "drives.h"

#include <errno.h>
#include <stdlib.h>

int drives_open(struct drives *d, const struct drive_choice *choice,
	const struct drive_image *image, unsigned count, struct err *e)
{
	int rc = 0;

	*d = (struct drives){.choice = *choice, .thread.stop_fd = -1};
	if (count > DRIVES_MAX)
		return err_set(
			e, -EINVAL, "a machine has up to %d disks, not %u", DRIVES_MAX, count);
	d->drive = calloc(count ? count : 1, sizeof(*d->drive));
	if (!d->drive)
		return err_set(e, -ENOMEM, "no memory for disks: free some");
	while (rc == 0 && d->count < count) {
		rc = drive_open(&d->drive[d->count], d->count, &image[d->count], e);
		d->count += rc == 0;
	}
	if (rc)
		drives_destroy(d);
	return rc;
}

static int need(const struct kvm *k, enum kvm_cap_index cap, const char *option,
	const char *instead, struct err *e)
{
	return k->cap[cap] ? 0
			   : err_set(e, -ENOTSUP, "this KVM lacks %s, which %s needs: use %s",
				     kvm_cap_info[cap].name, option, instead);
}

static int check_kvm(const struct drive_choice *c, const struct kvm *k, struct err *e)
{
	int rc = 0;

	if (c->kick == DRIVE_KICK_IOEVENTFD)
		rc = need(k, KVM_HAS_IOEVENTFD, "--kick ioeventfd", "--kick exit", e);
	if (rc == 0 && c->irq == DRIVE_IRQ_MSIX)
		rc = need(k, KVM_HAS_SIGNAL_MSI, "--irq msix", "--irq line", e);
	if (rc || c->irq != DRIVE_IRQ_IRQFD)
		return rc;
	rc = need(k, KVM_HAS_IRQFD, "--irq irqfd", "--irq line", e);
	if (rc == 0)
		rc = need(k, KVM_HAS_IRQFD_RESAMPLE, "--irq irqfd", "--irq line", e);
	if (rc == 0 && c->transport == VIRTIO_MODERN)
		rc = need(k, KVM_HAS_IRQ_ROUTING, "--irq irqfd with --virtio modern", "--irq msix",
			e);
	return rc;
}

bool drives_need_thread(const struct drive_choice *c)
{
	return c->io != DRIVE_IO_VCPU || c->irq == DRIVE_IRQ_IRQFD;
}

static int create_shared(struct drives *d, const struct kvm *k, struct turn *turn, struct err *e)
{
	const struct drive_choice *c = &d->choice;
	int rc = check_kvm(c, k, e);

	kvm_vm_init(&d->vm, k->vm_fd);
	if (rc == 0)
		rc = kvm_routes_init(&d->routes, &d->vm, d->count * IRQFD_VECTORS, e);
	if (rc == 0 && c->io != DRIVE_IO_VCPU) {
		rc = io_engine_init(&d->engine, c->io == DRIVE_IO_THREAD_PLAIN, e);
		d->has_engine = rc == 0;
	}
	if (rc == 0 && drives_need_thread(c)) {
		rc = io_thread_init(&d->thread, turn, d->has_engine ? &d->engine : NULL, e);
		d->has_thread = rc == 0;
	}
	return rc;
}

int drives_attach(struct drives *d, const struct kvm *k, const struct virtio_env *env,
	struct turn *turn, struct pci_host *pci, struct bus *bus, unsigned next_device,
	struct err *e)
{
	const struct drive_shared shared = {
		.choice = &d->choice,
		.env = env,
		.pci = pci,
		.bus = bus,
		.next_device = next_device,
		.vm = &d->vm,
		.routes = &d->routes,
		.engine = d->choice.io != DRIVE_IO_VCPU ? &d->engine : NULL,
		.thread = drives_need_thread(&d->choice) ? &d->thread : NULL,
	};
	int rc = create_shared(d, k, turn, e);

	for (unsigned i = 0; rc == 0 && i < d->count; i++)
		rc = drive_attach(&d->drive[i], &shared, e);
	return rc;
}

int drives_start(struct drives *d, struct probe *p, struct err *e)
{
	return d->has_thread ? io_thread_start(&d->thread, p, e) : 0;
}

void drives_stop(struct drives *d)
{
	if (d->has_thread)
		io_thread_stop(&d->thread);
}

void drives_destroy(struct drives *d)
{
	drives_stop(d);
	while (d->count)
		drive_close(&d->drive[--d->count]);
	if (d->has_thread)
		io_thread_destroy(&d->thread);
	if (d->has_engine)
		io_engine_destroy(&d->engine);
	kvm_routes_free(&d->routes);
	free(d->drive);
	*d = (struct drives){.thread.stop_fd = -1};
}

const char *drives_transport(const struct drive_choice *c)
{
	static const char *const word[] = {[VIRTIO_LEGACY] = "legacy PCI",
		[VIRTIO_MODERN] = "modern PCI",
		[VIRTIO_MMIO] = "MMIO"};

	return word[c->transport];
}

const char *drives_kick(const struct drive_choice *c)
{
	return c->kick == DRIVE_KICK_EXIT ? "exit to the VMM (no ioeventfd)"
					  : "ioeventfd (no exit to the VMM)";
}

const char *drives_interrupt(const struct drive_choice *c)
{
	switch (c->irq) {
	case DRIVE_IRQ_LINE:
		return "KVM_IRQ_LINE (no irqfd)";
	case DRIVE_IRQ_MSIX:
		return "KVM_SIGNAL_MSI for MSI-X (no irqfd)";
	default:
		return c->transport == VIRTIO_MODERN ? "irqfd for MSI-X"
						     : "irqfd for the line, with resampling";
	}
}

const char *drives_engine(const struct drives *d)
{
	return d->has_engine ? d->engine.name : "pread64, pwrite64 (on the vCPU's thread)";
}
