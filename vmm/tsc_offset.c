// SPDX-License-Identifier: MIT
/* What KVM adds to the host's TSC for a vCPU: Documentation/virt/kvm/devices/vcpu.rst, KVM_VCPU_TSC_CTRL. */
#include <sys/ioctl.h>

#include "tsc_offset.h"
#include "vcpu.h"

/* kHz, 0: not known. For a VM it is what its next vCPU would have, which is the host's if nobody has set it. */
static uint64_t frequency(int fd)
{
	int khz = ioctl(fd, KVM_GET_TSC_KHZ, 0);

	return khz > 0 ? (uint64_t)khz : 0;
}

bool tsc_offset_say(struct vcpu *v, uint64_t now)
{
	uint64_t offset;
	const struct kvm_device_attr attr = {
		.group = KVM_VCPU_TSC_CTRL,
		.attr = KVM_VCPU_TSC_OFFSET,
		.addr = (uintptr_t)&offset,
	};

	if (ioctl(v->fd, KVM_GET_DEVICE_ATTR, &attr))
		return false;
	PROBE_AT(v->probe, now, EW_TSC_OFFSET, v->id, offset, frequency(v->fd),
		frequency(v->kvm->vm_fd));
	return true;
}
