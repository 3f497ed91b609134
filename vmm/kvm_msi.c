/* SPDX-License-Identifier: MIT */
/* Messages by ioctl(KVM_SIGNAL_MSI), recorded before and after. */
#include <errno.h>
#include <linux/kvm.h>
#include <stddef.h>
#include <sys/ioctl.h>

#include "kvm_msi.h"

/* Documentation/virt/kvm/api.rst, KVM_SIGNAL_MSI: > 0 delivered, 0 if the guest blocked it. */
static int signal_msi(struct msi_sink *sink, unsigned vector, uint64_t addr, uint32_t data)
{
	struct kvm_msi_sink *k = (struct kvm_msi_sink *)((char *)sink -
							 offsetof(struct kvm_msi_sink, sink));
	struct kvm_msi message = {
		.address_lo = (uint32_t)addr, .address_hi = (uint32_t)(addr >> 32), .data = data};
	int64_t result;

	(void)vector;
	PROBE(*k->probe, EW_MSI, addr, data, k->device);
	result = ioctl(k->vm_fd, KVM_SIGNAL_MSI, &message);
	if (result < 0)
		result = -errno;
	PROBE(*k->probe, EW_MSI_RET, addr, data, (uint64_t)result);
	return result < 0 ? (int)result : 0;
}

void kvm_msi_init(struct kvm_msi_sink *k, int vm_fd, unsigned device, struct probe **probe)
{
	*k = (struct kvm_msi_sink){
		.sink = {.send = signal_msi}, .vm_fd = vm_fd, .device = device, .probe = probe};
}
