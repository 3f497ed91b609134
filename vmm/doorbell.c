/* SPDX-License-Identifier: MIT */
/* ioeventfds, assigned while the device decodes the address they stand for. */
#include "doorbell.h"

#include <linux/kvm.h>

void doorbell_init(
	struct doorbell *d, struct kvm_vm *vm, const struct doorbell_where *where, int fd)
{
	*d = (struct doorbell){.vm = vm, .where = *where, .fd = fd};
}

int doorbell_set(struct doorbell *d, bool on)
{
	struct kvm_ioeventfd request = {.addr = d->where.addr,
		.len = d->where.size,
		.fd = d->fd,
		.datamatch = d->where.value};
	int rc;

	if (on == d->on)
		return 0;
	if (d->where.space == EW_SPACE_PIO)
		request.flags |= KVM_IOEVENTFD_FLAG_PIO;
	if (!d->where.any)
		request.flags |= KVM_IOEVENTFD_FLAG_DATAMATCH;
	if (!on)
		request.flags |= KVM_IOEVENTFD_FLAG_DEASSIGN;
	rc = d->vm->ioctl(d->vm, KVM_IOEVENTFD, &request);
	if (rc < 0)
		return rc;
	d->on = on;
	return 0;
}
