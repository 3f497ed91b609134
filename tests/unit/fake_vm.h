/* SPDX-License-Identifier: MIT */
/* A VM without KVM: keeps what it is asked by ioctl, and refuses when told to. */
#ifndef EXITWALK_TESTS_UNIT_FAKE_VM_H
#define EXITWALK_TESTS_UNIT_FAKE_VM_H

#include "tests/unit/fake_machine.h"

#include <linux/kvm.h>

#include "vmm/kvm_vm.h"

#define FAKE_VM_CALLS 64
#define FAKE_VM_ROUTES 256

struct fake_vm {
	struct kvm_vm vm; /* first: ioctl() gets a pointer to it */
	int refuse;       /* -errno, or 0 */
	struct kvm_irqfd irqfd[FAKE_VM_CALLS];
	unsigned irqfds;
	struct kvm_ioeventfd ioeventfd[FAKE_VM_CALLS];
	unsigned ioeventfds;
	struct kvm_irq_routing_entry route[FAKE_VM_ROUTES]; /* as last set */
	unsigned routes, routings;                          /* how many; how often */
};

static inline int fake_vm_ioctl(struct kvm_vm *vm, unsigned long request, void *arg)
{
	struct fake_vm *f = (struct fake_vm *)vm;
	const struct kvm_irq_routing *r = arg;

	if (f->refuse)
		return f->refuse;
	switch (request) {
	case KVM_IRQFD:
		f->irqfd[f->irqfds++] = *(struct kvm_irqfd *)arg;
		break;
	case KVM_IOEVENTFD:
		f->ioeventfd[f->ioeventfds++] = *(struct kvm_ioeventfd *)arg;
		break;
	case KVM_SET_GSI_ROUTING:
		assert_true(r->nr <= FAKE_VM_ROUTES && r->flags == 0);
		memcpy(f->route, r->entries, r->nr * sizeof(r->entries[0]));
		f->routes = r->nr;
		f->routings++;
		break;
	default:
		fail_msg("an unexpected ioctl: 0x%lx", request);
	}
	return 0;
}

static inline void fake_vm_init(struct fake_vm *f)
{
	memset(f, 0, sizeof(*f));
	f->vm = (struct kvm_vm){.fd = -1, .ioctl = fake_vm_ioctl};
}

/* How often the eventfd was written to since it was last asked. */
static inline uint64_t fake_vm_signals(int fd)
{
	uint64_t n = 0;

	return read(fd, &n, sizeof(n)) == sizeof(n) ? n : 0;
}

#endif
