/* SPDX-License-Identifier: MIT */
/* ioctl(2) on a VM's file descriptor. */
#include "kvm_vm.h"

#include <errno.h>
#include <sys/ioctl.h>

static int vm_ioctl(struct kvm_vm *vm, unsigned long request, void *arg)
{
	int rc = ioctl(vm->fd, request, arg);

	return rc < 0 ? -errno : rc;
}

void kvm_vm_init(struct kvm_vm *vm, int fd)
{
	*vm = (struct kvm_vm){.fd = fd, .ioctl = vm_ioctl};
}
