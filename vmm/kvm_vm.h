/* SPDX-License-Identifier: MIT */
/* The ioctls of a VM, for those who wire up eventfds. Tests plug in their own. */
#ifndef EXITWALK_VMM_KVM_VM_H
#define EXITWALK_VMM_KVM_VM_H

struct kvm_vm {
	int fd;
	/* What the ioctl returned, or -errno. */
	int (*ioctl)(struct kvm_vm *vm, unsigned long request, void *arg);
};

/* The real one; `fd` is borrowed. */
void kvm_vm_init(struct kvm_vm *vm, int fd);

#endif
